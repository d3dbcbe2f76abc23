"""The whole on real servers, with real processes and real deaths.

Three conductors and three agents as processes, six partitions, three hundred instances with random
legal operations; meanwhile processes are killed and paused and the database is cut off. At the end
nothing is open, nothing is left to fold, the rows say what the log says, and no command was carried
out twice. A failure names the folder with everybody's log.
"""

from __future__ import annotations

import random
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compute.file_world import FileWorld
from events.log import LogWriter, Message
from events.requests import Flavor
from projections.rows import InstanceRow, MigrationRow, NodeRow
from projections.sql_store import SqlStore
from projections.store import StoreUnavailable
from statemachines.permissions import PERMISSIONS, state_allows
from statemachines.sagas import BY_ACTION
from statemachines.states import TaskState, VmState
from tests.e2e.cloud import Cloud, claims_that_differ, instances, open_sagas, rows
from tests.e2e.fleet import Fleet
from tests.e2e.installation import Installation
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

INSTANCES = 300
OPERATIONS = 700
ROUND = 40
POLL_S = 0.2
TINY = Flavor(name="m1.nano", vcpus=1, memory_mb=192, disk_gb=1)
MICRO = Flavor(name="m1.micro", vcpus=1, memory_mb=256, disk_gb=1)
#: What random users ask for, with how often: an end is rarer than a beginning.
WISHES = {
    "stop": 4,
    "start": 6,
    "reboot_soft": 2,
    "reboot_hard": 2,
    "pause": 3,
    "unpause": 6,
    "suspend": 2,
    "resume": 4,
    "rescue": 2,
    "unrescue": 4,
    "resize": 4,
    "migrate": 3,
    "confirm_resize": 6,
    "revert_resize": 4,
    "live_migrate": 6,
    "live_migrate_abort": 2,
    "live_migrate_force_complete": 2,
    "delete": 1,
}


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """A server of our own, for it is stopped."""
    with PostgresServer(stoppable=True) as server:
        yield server


@dataclass
class Users:
    """Whoever asks for things: at random, but only for what is legal as the rows stand."""

    cloud: Cloud
    store: SqlStore
    writer: LogWriter
    dice: random.Random
    uuids: list[str]
    asked: Counter[str] = field(default_factory=Counter)
    #: When each was asked something last: nobody asks again before the rows have moved.
    marks: dict[str, int] = field(default_factory=dict)

    def create_all(self) -> None:
        self._say(
            [
                ("create", uid, {"flavor": TINY, "arguments": {"name": uid[:8]}})
                for uid in self.uuids
            ]
        )

    def ask_something(self, most: int) -> int:
        """Ask up to so many instances for something legal, and return how many were asked."""
        known = instances(self.store)
        moves = {
            m.instance_uuid: m
            for m in rows(self.store, "migrations")
            if isinstance(m, MigrationRow)
        }
        wishes: list[tuple[str, str, dict[str, object]]] = []
        for uid in self.dice.sample(self.uuids, len(self.uuids)):
            row = known.get(uid)
            if len(wishes) == most:
                break
            if row is None or row.deleted or self.marks.get(uid, -1) >= row.updated_at:
                continue
            action = self._wish(row, moves.get(uid))
            if action is not None:
                self.marks[uid] = row.updated_at
                flavor = MICRO if row.flavor_name == TINY.name else TINY
                wishes.append((action, uid, {"flavor": flavor} if action == "resize" else {}))
        self._say(wishes)
        return len(wishes)

    def _wish(self, row: InstanceRow, move: MigrationRow | None) -> str | None:
        vm, task = VmState(row.vm_state), TaskState(row.task_state) if row.task_state else None
        legal = [
            action
            for action in WISHES
            if action in BY_ACTION
            and state_allows(PERMISSIONS[action], vm, task)
            and self._fits(action, row, move)
        ]
        if task is not None and self.dice.random() > 0.002:
            # Delete is legal whatever goes on; if it always came then, nothing else would be left.
            legal = [action for action in legal if action != "delete"]
        if not legal:
            return None
        return self.dice.choices(legal, [WISHES[each] for each in legal])[0]

    def _fits(self, action: str, row: InstanceRow, move: MigrationRow | None) -> bool:
        permission = PERMISSIONS[action]
        if permission.migration_statuses:
            return move is not None and move.status in permission.migration_statuses
        return row.launched_at is not None or action == "delete"

    def _say(self, wishes: list[tuple[str, str, dict[str, object]]]) -> None:
        messages: list[Message] = []
        for action, uid, fields in wishes:
            self.asked[action] += 1
            messages.append(self.cloud.request_message(action, uid, **fields)[1])
        if messages:
            self.writer.append(messages)


def wait(until: Callable[[], bool], what: str, wait_s: float = 60.0) -> float:
    """Look until a condition holds, and return how long it took; the database may be away."""
    began = time.monotonic()
    while True:
        try:
            if until():
                return time.monotonic() - began
        except StoreUnavailable:
            pass
        assert time.monotonic() - began < wait_s, f"Expected {what} within {wait_s} s, but not"
        time.sleep(POLL_S)


def epochs(store: SqlStore) -> dict[tuple[str, int], int]:
    return {(c.topic, c.partition): c.epoch for c in store.checkpoints()}


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_done_twice_whoever_dies(
    kafka: KafkaServer, database: PostgresServer, tmp_path: Path
) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    installation = Installation(
        bootstrap=kafka.bootstrap,
        url=database.create_database(name),
        prefix=name,
        folder=tmp_path,
    )
    fleet = Fleet(installation)
    print(f"logs, journals and world are in {tmp_path}")
    installation.found()
    with closing(installation.cloud()) as cloud:
        store = cloud.store()
        writer = cloud.log.writer()
        uuids = [str(uuid.uuid4()) for _ in range(INSTANCES)]
        users = Users(cloud, store, writer, random.Random(7), uuids)
        try:
            _story(fleet, cloud, store, users, database)
        finally:
            fleet.end()
            writer.close()


def _story(
    fleet: Fleet,
    cloud: Cloud,
    store: SqlStore,
    users: Users,
    database: PostgresServer,
) -> None:
    began = time.monotonic()
    hosts = fleet.installation.hosts

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", file=sys.stderr, flush=True)

    for number in (1, 2, 3):
        fleet.start(f"conductor{number}", "conductor")
    for host in hosts:
        fleet.start(host, *_agent(host))
    wait(lambda: len(rows(store, "nodes")) == len(hosts), "every host to start")
    tell("hosts are there")
    users.create_all()

    deaths: list[tuple[float, str, Callable[[], None]]] = [
        (0.02, "kill -9 conductor1", lambda: _kill(fleet, "conductor1", "conductor")),
        (0.2, "kill -9 host2", lambda: _kill(fleet, "host2", *_agent("host2"))),
        (0.4, "stop the database", lambda: _cut_off(database, store)),
        (0.6, "pause conductor2", lambda: _pause(fleet, "conductor2", store)),
        (0.8, "kill -9 conductor1 again", lambda: _kill(fleet, "conductor1", "conductor")),
    ]

    def asked() -> int:
        return users.asked.total() - INSTANCES

    deadline = time.monotonic() + 120
    while asked() < OPERATIONS:
        assert time.monotonic() < deadline, f"Expected {OPERATIONS} operations, but {asked()}"
        fleet.supervise()
        if not users.ask_something(min(ROUND, OPERATIONS - asked())):
            time.sleep(POLL_S)
        while deaths and asked() >= deaths[0][0] * OPERATIONS:
            _, what, happen = deaths.pop(0)
            happen()
            tell(f"after {asked()} operations: {what}")
    tell(f"asked for {dict(users.asked)}")

    wait(lambda: not open_sagas(store) and cloud.lag(store) == 0, "every saga to end", 120)
    tell("every saga has ended, and nothing is left to fold")
    assert not fleet.dead(), f"Expected everybody to live, but {fleet.dead()}"
    _check(fleet.installation, cloud, store)
    lost = {row.host: row.lost_count for row in rows(store, "nodes") if isinstance(row, NodeRow)}
    tell(f"{Counter(i.vm_state for i in instances(store).values())}, lost: {lost}")
    statuses = fleet.stop()
    assert set(statuses.values()) == {0}, statuses
    tell("everybody has stopped")


def _check(installation: Installation, cloud: Cloud, store: SqlStore) -> None:
    audit = cloud.verify(store)
    assert audit.is_equal, audit.differences[:10]
    print(audit.rows, dict(audit.counts), file=sys.stderr)
    assert audit.rows["quarantine"] == audit.rows["parked"] == 0
    with closing(FileWorld(installation.state.world)) as world:
        twice = {command: n for command, n in world.executions().items() if n != 1}
        assert not twice, f"Expected every command once, but {twice}"
        torn = {uid: hosts for uid, hosts in world.running().items() if len(hosts) > 1}
        assert not torn, f"Expected every guest on one host, but {torn}"
        known = instances(store)
        elsewhere = {
            uid: (hosts, known[uid].host)
            for uid, hosts in world.running().items()
            if hosts != (known[uid].host,)
        }
        assert not elsewhere, f"Expected every guest where its row says, but {elsewhere}"
        assert claims_that_differ(store, world, cloud.hosts) == []


def _kill(fleet: Fleet, name: str, *words: str) -> None:
    fleet.kill(name)
    fleet.start(name, *words)


def _cut_off(database: PostgresServer, store: SqlStore) -> None:
    database.stop_immediate()
    with pytest.raises(StoreUnavailable):
        store.checkpoints()
    database.start()
    wait(lambda: bool(store.checkpoints()), "the database to answer")


def _pause(fleet: Fleet, name: str, store: SqlStore) -> None:
    """Let a conductor stand still until others have its partitions, then let it go on."""
    before = epochs(store)
    # Whoever owns nothing wouldn't be missed, so the first change may be of somebody else's.
    past_s = time.monotonic() + fleet.installation.session_timeout_s + 1
    fleet.signal(name, signal.SIGSTOP)
    try:
        wait(
            lambda: time.monotonic() > past_s and epochs(store) != before,
            "others to take over",
            30,
        )
    finally:
        fleet.signal(name, signal.SIGCONT)


def _agent(host: str) -> tuple[str, ...]:
    return ("compute", "--host", host)
