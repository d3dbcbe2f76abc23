"""The whole on real servers, with real processes and real deaths.

Three conductors and three agents as processes, six partitions, three hundred instances with random
legal operations; meanwhile processes are killed and paused, the database is cut off, and a host
loses its power, is evacuated and comes back. At the end nothing is open, nothing is left to fold,
the rows say what the log says, and no command was carried out twice. A failure names the folder
with everybody's log.
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
from pathlib import Path

import pytest

from compute.file_world import FileWorld
from compute.world import power_failure
from projections.rows import MigrationRow, NodeRow, RejectionRow
from projections.sql_store import SqlStore
from projections.store import StoreUnavailable
from tests.e2e.cloud import Cloud, instances, open_sagas, rows
from tests.e2e.ends import POLL_S, check, wait
from tests.e2e.fleet import Fleet
from tests.e2e.installation import Installation
from tests.e2e.users import Users
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

INSTANCES = 300
OPERATIONS = 700
ROUND = 40


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """A server of our own, for it is stopped."""
    with PostgresServer(stoppable=True) as server:
        yield server


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
        (0.1, "kill -9 host3", lambda: _kill(fleet, "host3", *_agent("host3"))),
        (0.2, "cut the power of host2", lambda: _power_off(fleet, users, "host2")),
        (0.4, "stop the database", lambda: _cut_off(database, store)),
        (0.5, "evacuate host2", lambda: _evacuate(users, store, "host2")),
        (0.6, "pause conductor2", lambda: _pause(fleet, "conductor2", store)),
        (0.8, "kill -9 conductor1 again", lambda: _kill(fleet, "conductor1", "conductor")),
        (0.9, "start host2 again", lambda: _power_on(fleet, users, store, "host2")),
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
    assert evacuations(store)["completed"] > 0, evacuations(store)
    assert not set(evacuations(store)) - {"completed", "failed", "error"}, evacuations(store)
    assert not fleet.dead(), f"Expected everybody to live, but {fleet.dead()}"
    check(fleet.installation, cloud, store)
    lost = {row.host: row.lost_count for row in rows(store, "nodes") if isinstance(row, NodeRow)}
    tell(f"{Counter(i.vm_state for i in instances(store).values())}, lost: {lost}")
    refused = [r for r in rows(store, "rejections") if isinstance(r, RejectionRow)]
    codes = Counter(r.code for r in refused)
    # Of hosts that were away: answers to what was given up meanwhile, and clean-ups paid twice.
    tell(f"not asked: {Counter((r.source, r.fact) for r in refused if r.code == 'not-asked')}")
    tell(f"refused: {codes}, evacuations: {evacuations(store)}")
    statuses = fleet.stop()
    assert set(statuses.values()) == {0}, statuses
    tell("everybody has stopped")


def _kill(fleet: Fleet, name: str, *words: str) -> None:
    fleet.kill(name)
    fleet.start(name, *words)


def _power_off(fleet: Fleet, users: Users, host: str) -> None:
    """Leave a host off: neither its service nor a guest runs."""
    users.off.add(host)
    fleet.kill(host)
    with closing(FileWorld(fleet.installation.state.world)) as world:
        power_failure(world, host)


def _evacuate(users: Users, store: SqlStore, host: str) -> None:
    """Have the guests of a host that is off made anew elsewhere, once it is known to be lost."""
    wait(lambda: _status(store, host) == "lost", f"{host} to be lost", 30)
    assert users.evacuate(host) > 0


def _power_on(fleet: Fleet, users: Users, store: SqlStore, host: str) -> None:
    """Start a host again whose guests have gone; it finds what it has left of them."""
    wait(lambda: not any(s.saga == "evacuate" for s in open_sagas(store)), "evacuations to end")
    fleet.start(host, *_agent(host))
    wait(lambda: _status(store, host) == "started", f"{host} to start")
    users.off.discard(host)


def _status(store: SqlStore, host: str) -> str:
    (found,) = [n for n in rows(store, "nodes") if isinstance(n, NodeRow) and n.host == host]
    return found.status


def evacuations(store: SqlStore) -> Counter[str]:
    """Count the evacuations by their status."""
    moves = [m for m in rows(store, "migrations") if isinstance(m, MigrationRow)]
    return Counter(m.status for m in moves if m.migration_type == "evacuation")


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
        )
    finally:
        fleet.signal(name, signal.SIGCONT)


def _agent(host: str) -> tuple[str, ...]:
    return ("compute", "--host", host)
