"""A host with many guests is lost: its evacuations drain by priority, and hold up nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from compute.fake_driver import FakeDriver, FakeOptions
from compute.fake_site import Failure, FailureKind
from compute.limits import Bounds
from compute.memory_journal import MemoryJournal
from compute.node import Node
from compute.wiring import Parts, Ports, build
from compute.world import Half, MemoryWorld, Role, power_failure
from conductor.wiring import Options
from events.codec import encode_fact
from events.envelope import Meta
from events.memory_log import MemoryLog
from events.node import NodeForcedDown
from events.seal import sealed_message
from events.topics import Topics, partition_of
from projections.rows import ClaimRow, NodeRow, SagaRow
from tests.e2e.cloud import SMALL, Cloud, instances, rows
from tests.integration.test_conductor_host_watch import HandClock

GUESTS = [f"7a1f0a3e-52c4-4c5c-8a6e-{n:012d}" for n in range(200)]
#: Those that an operator wants first; asked for last.
FIRST = GUESTS[-6:]
#: What a host other than the first has room for, and builds at a time.
ROOM, BUILDS = 50, 4
RESERVED_MB = 512


class CountingWorld(MemoryWorld):
    """Remembers how many guests were being made on each host at the same time, at most."""

    def __init__(self) -> None:
        super().__init__()
        self.most: dict[str, int] = {}

    def change(self, *after: Half, gone: Sequence[Half] = ()) -> None:
        super().change(*after, gone=gone)
        for half in after:
            making = sum(h.role is Role.BUILDING for h in self.halves_of(half.host))
            self.most[half.host] = max(making, self.most.get(half.host, 0))


def slowly(host: str, call: str, instance_id: str) -> Failure | None:
    """Let it take a while to make a guest."""
    is_made = call in ("EvacuateGuest.spawn", "BuildGuest.spawn")
    return Failure(kind=FailureKind.DELAY, delay_polls=3) if is_made else None


class Storm:
    """A cloud whose first host is full of guests, and is lost."""

    def __init__(self, cloud: Cloud, clock: HandClock) -> None:
        self.cloud, self.clock = cloud, clock
        self.world = CountingWorld()
        self.conductor = cloud.conductor(Options(service_down_time_s=60))
        self.store = cloud.store()
        self.agents = {host: self.start(host) for host in cloud.hosts}
        self.run(4)
        for uuid in GUESTS:
            cloud.request("create", uuid, flavor=SMALL, host="host1")
        while [r.vm_state for r in instances(self.store).values()] != ["active"] * len(GUESTS):
            self.run(4)
        self.world.most.clear()

    def start(self, host: str) -> Parts:
        cloud = self.cloud
        is_first = host == "host1"
        memory_mb = (len(GUESTS) if is_first else ROOM) * SMALL.memory_mb + RESERVED_MB
        builds = 0 if is_first else BUILDS
        node = Node(
            host=host,
            key=cloud.keyring.key(host, 1),
            partitions=cloud.partitions,
            topics=cloud.topics,
            bounds=Bounds(report_interval_s=1, max_concurrent_builds=builds),
        )
        driver = FakeDriver(
            host=host, world=self.world, faults=slowly, options=FakeOptions(memory_mb=memory_mb)
        )
        log = cloud.log
        ports = Ports(writer=log.writer(), reader=log.reader(), driver=driver, clock=self.clock)
        return build(node, MemoryJournal(), ports)

    def run(self, rounds: int) -> None:
        """Let everybody take turns while time goes by."""
        for _ in range(rounds):
            self.clock.sleep(0.5)
            self.conductor.turn()
            for parts in self.agents.values():
                for turn in parts.turns:
                    turn.turn()

    def open_sagas(self) -> list[SagaRow]:
        found = [row for row in rows(self.store, "sagas") if isinstance(row, SagaRow)]
        return [s for s in found if s.status == "running" and s.deadline_s > 0]

    def lose(self) -> None:
        """Have the first host off, by an operator's word, and all its guests evacuated."""
        del self.agents["host1"]
        power_failure(self.world, "host1")
        fact = NodeForcedDown(user_id="operator", reason="burnt down")
        meta = Meta(source="api", instance_id="host1", request_id="req-down", occurred_at=0)
        message = sealed_message(
            topic=self.cloud.topics.node_events,
            partition=partition_of("host1", self.cloud.partitions),
            key="host1",
            value=encode_fact(meta, fact),
            prev=b"",
            by=self.cloud.keyring.key("api", 1),
        )
        self.cloud.append(message)
        self.run(2)
        for uuid in GUESTS:
            self.cloud.request(
                "evacuate",
                uuid,
                is_admin=True,
                source_up=False,
                fenced_hosts=("host1",),
                arguments={"priority": "9"} if uuid in FIRST else {},
            )


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    clock = HandClock()
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    hosts = ("host1", "host2", "host3", "host4")
    log = MemoryLog(clock)
    with closing(Cloud(log=log, url=url, topics=Topics("t"), clock=clock, hosts=hosts)) as cloud:
        cloud.found()
        yield Storm(cloud, clock)


def test_a_storm_of_evacuations_drains_by_priority_within_every_bound(storm: Storm) -> None:
    storm.lose()
    storm.run(16)
    claimed = {c.instance_uuid for c in rows(storm.store, "claims") if isinstance(c, ClaimRow)}
    waiting = [s for s in storm.open_sagas() if s.step == "rebuild"]
    assert len(waiting) > 10, "Expected a queue at the destinations by now"
    unwanted = waiting[-1].instance_uuid
    assert unwanted in claimed

    storm.cloud.request("delete", unwanted)
    storm.run(8)

    row = instances(storm.store)[unwanted]
    assert (row.vm_state, row.task_state) == ("deleted", None)
    assert len([s for s in storm.open_sagas() if s.step == "rebuild"]) > 5, "it waited for no one"
    while storm.open_sagas():
        storm.run(4)

    made = {u: r for u, r in instances(storm.store).items() if r.vm_state == "active"}
    order = sorted(made, key=lambda uuid: made[uuid].launched_at or 0)
    assert set(FIRST) <= set(order[: 3 * BUILDS]), "among those that began at once"
    assert max(storm.world.most.values()) <= BUILDS
    assert {r.host for r in made.values()} == {"host2", "host3", "host4"}
    assert 3 * ROOM - 1 <= len(made) <= 3 * ROOM
    lost = {u for u, r in instances(storm.store).items() if r.vm_state == "error"}
    assert lost.isdisjoint(FIRST)
    assert lost | set(made) | {unwanted} == set(GUESTS)
    for row_ in rows(storm.store, "nodes"):
        assert isinstance(row_, NodeRow)
        taken = [c for c in rows(storm.store, "claims") if isinstance(c, ClaimRow)]
        used = sum(c.memory_mb for c in taken if c.host == row_.host)
        assert used <= row_.memory_mb - RESERVED_MB, row_.host
        assert row_.status == ("forced_down" if row_.host == "host1" else "started")
    assert all(len(hosts) == 1 for hosts in storm.world.running().values())
    assert storm.cloud.verify(storm.store).differences == []


def test_a_priority_that_is_none_is_refused(storm: Storm) -> None:
    request_id = storm.cloud.request(
        "evacuate",
        GUESTS[0],
        source_up=False,
        fenced_hosts=("host1",),
        arguments={"priority": "high"},
    )
    storm.run(2)

    refused = [r for r in rows(storm.store, "rejections") if request_id in r]
    assert len(refused) == 1
    assert "0 to 9" in str(refused[0])
