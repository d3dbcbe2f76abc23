"""A cluster of three brokers loses one in the middle of the work, and gets it back.

Conductors and agents as processes; every record is kept by three brokers and acknowledged by two.
The broker that leads most partitions is killed while requests flow, by its pid or, where it is a
container, by `docker kill`: SIGKILL either way. For some seconds nothing is acknowledged, then the
other two go on. At the end everything that was acknowledged has been judged, and everything holds
that holds when nobody dies.
"""

from __future__ import annotations

import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from events.errors import LogUnavailable
from events.log import LogWriter, Message
from projections.rows import ActionRow, RejectionRow
from projections.sql_store import SqlStore
from tests.e2e.cloud import Cloud, instances, open_sagas, rows
from tests.e2e.ends import POLL_S, check, wait
from tests.e2e.fleet import Fleet
from tests.e2e.installation import Installation
from tests.e2e.users import Users
from tests.servers.kafka_cluster import KafkaCluster
from tests.servers.postgres import PostgresServer

INSTANCES = 90
OPERATIONS = 240
ROUND = 20
CONDUCTORS = ("conductor1", "conductor2")


@dataclass
class PatientWriter:
    """Appends until it is acknowledged, as whoever asks an API would ask again."""

    writer: LogWriter
    longest_s: float = 0.0
    again_count: int = 0

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        began = time.monotonic()
        while True:
            try:
                offsets = self.writer.append(messages)
            except LogUnavailable:
                self.again_count += 1
                assert time.monotonic() < began + 60, "Expected two brokers to acknowledge"
            else:
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                return offsets

    def close(self) -> None:
        self.writer.close()


@dataclass
class CountedUsers(Users):
    """Users who remember every request that was acknowledged."""

    acknowledged: list[str] = field(default_factory=list)

    def _say(self, wishes: list[tuple[str, str, dict[str, object]]]) -> None:
        said = [
            (action, *self.cloud.request_message(action, uid, **fields))
            for action, uid, fields in wishes
        ]
        if said:
            self.writer.append([message for _, _, message in said])
            self.asked.update(action for action, _, _ in said)
            self.acknowledged += [request_id for _, request_id, _ in said]


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_when_one_of_three_brokers_dies(
    kafka_cluster: KafkaCluster, postgres: PostgresServer, tmp_path: Path
) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    installation = Installation(
        bootstrap=kafka_cluster.bootstrap,
        url=postgres.create_database(name),
        prefix=name,
        folder=tmp_path,
        # A broker that died is missed after 3 s: nobody is lost, or leaves the group, before that.
        session_timeout_s=10.0,
        service_down_time_s=15,
    )
    fleet = Fleet(installation)
    print(f"logs, journals and world are in {tmp_path}")
    installation.found()
    with closing(installation.cloud()) as cloud:
        store = cloud.store()
        writer = PatientWriter(cloud.log.writer())
        uuids = [str(uuid.uuid4()) for _ in range(INSTANCES)]
        users = CountedUsers(cloud, store, writer, random.Random(11), uuids)
        try:
            _story(fleet, kafka_cluster, cloud, store, users)
        finally:
            fleet.end()
            writer.close()
        print(f"longest wait for an acknowledgement: {writer.longest_s:.1f} s", file=sys.stderr)


def _story(
    fleet: Fleet, cluster: KafkaCluster, cloud: Cloud, store: SqlStore, users: CountedUsers
) -> None:
    for conductor in CONDUCTORS:
        fleet.start(conductor, "conductor")
    for host in cloud.hosts:
        fleet.start(host, "compute", "--host", host)
    wait(lambda: len(rows(store, "nodes")) == len(cloud.hosts), "every host to start", 120)
    users.create_all()
    _ask(users, OPERATIONS // 3)

    topic = cloud.topics.instance_events
    victim, led = Counter(cluster.leaders(topic).values()).most_common(1)[0]
    cluster.nodes[victim].kill()
    _ask(users, OPERATIONS * 2 // 3)
    others = set(cluster.leaders(topic).values())
    assert victim not in others, f"Expected others to lead what broker {victim} led ({led})"
    cluster.nodes[victim].launch()
    _ask(users, OPERATIONS)
    cluster.wait_until_all_answer()

    wait(lambda: not open_sagas(store) and cloud.lag(store) == 0, "every saga to end", 120)
    assert not fleet.dead(), f"Expected everybody to live, but {fleet.dead()}"
    check(fleet.installation, cloud, store)
    assert not _unheard(store, users.acknowledged)
    assert set(instances(store)) == set(users.uuids)
    statuses = fleet.stop()
    assert set(statuses.values()) == {0}, statuses


def _ask(users: CountedUsers, total: int) -> None:
    """Ask until so many operations have been asked for since the beginning."""
    deadline = time.monotonic() + 120
    while (left := total + INSTANCES - users.asked.total()) > 0:
        assert time.monotonic() < deadline, f"Expected {total} operations, but {left} are left"
        if not users.ask_something(min(ROUND, left)):
            time.sleep(POLL_S)


def _unheard(store: SqlStore, request_ids: list[str]) -> list[str]:
    """Return the acknowledged requests of which neither an action nor a refusal is on record."""
    heard = {r.request_id for r in rows(store, "instance_actions") if isinstance(r, ActionRow)}
    heard |= {
        r.request_id
        for r in rows(store, "rejections")
        if isinstance(r, RejectionRow) and r.request_id is not None
    }
    return [each for each in request_ids if each not in heard]
