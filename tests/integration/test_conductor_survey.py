"""What a host does not find comes out, what it counts otherwise is corrected by facts, and hosts
full of guests that a control plane does not know keep them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from compute.fake_driver import FakeDriver
from compute.hypervisor import PowerState, Report
from compute.limits import Bounds
from compute.memory_journal import MemoryJournal
from compute.node import Node
from compute.wiring import Parts, Ports, build
from compute.world import Half, MemoryWorld, Role, power_failure
from conductor import limits
from conductor.wiring import Options
from events.codec import decode_fact
from events.log import TopicPartition
from events.memory_log import MemoryLog
from events.seal import MasterKeyring
from events.topics import CONTROL_KEY, Topics
from projections import schema
from projections.rows import TABLES, InstanceRow, NodeRow, QuarantineRow, RejectionRow
from tests.e2e.cloud import SMALL, Cloud, instances, rows
from tests.integration.test_conductor_host_watch import HandClock

ONE = "7a1f0a3e-52c4-4c5c-8a6e-000000000001"
TWO = "7a1f0a3e-52c4-4c5c-8a6e-000000000002"
DIGEST_S = 30


class Tacit(FakeDriver):
    """A driver that says nothing of what happens to guests by themselves."""

    def poll(self) -> list[Report]:
        return [report for report in super().poll() if report.command_id is not None]


class Site:
    """A cloud whose hosts can be started anew, over the same journals and the same world."""

    def __init__(self, cloud: Cloud, clock: HandClock) -> None:
        self.cloud = cloud
        self.clock = clock
        self.world = MemoryWorld()
        self.journals = {host: MemoryJournal() for host in cloud.hosts}
        self.conductor = cloud.conductor(Options(service_down_time_s=60))
        self.store = cloud.store()
        self.agents: dict[str, Parts] = {}
        for host in cloud.hosts:
            self.start(host)
        self.run(2)

    def start(self, host: str, driver: type[FakeDriver] = FakeDriver) -> None:
        cloud = self.cloud
        node = Node(
            host=host,
            key=cloud.keyring.key(host, 1),
            partitions=cloud.partitions,
            topics=cloud.topics,
            bounds=Bounds(report_interval_s=1, digest_interval_s=DIGEST_S),
        )
        ports = Ports(
            writer=cloud.log.writer(),
            reader=cloud.log.reader(),
            driver=driver(host=host, world=self.world),
            clock=self.clock,
        )
        self.agents[host] = build(node, self.journals[host], ports)

    def run(self, seconds: int = 20) -> None:
        """Let everybody take turns while time goes by."""
        for _ in range(seconds * 2):
            self.clock.sleep(0.5)
            self.conductor.turn()
            for parts in self.agents.values():
                for turn in parts.turns:
                    turn.turn()

    def build(self, uuid: str, host: str = "host1") -> None:
        self.cloud.request("create", uuid, flavor=SMALL, host=host)
        self.run()
        assert self.row(uuid).vm_state == "active"

    def row(self, uuid: str) -> InstanceRow:
        return instances(self.store)[uuid]

    def node(self, host: str) -> NodeRow:
        (found,) = [r for r in rows(self.store, "nodes") if isinstance(r, NodeRow) if r[0] == host]
        return found

    def said(self, *kinds: str) -> list[tuple[str, str]]:
        """Return (kind, subject) of every fact of these kinds, in the order of the log."""
        found = []
        reader = self.cloud.log.reader()
        for topic in (self.cloud.topics.instance_events, self.cloud.topics.node_events):
            for number in range(self.cloud.partitions):
                reader.assign({TopicPartition(topic, number): 0})
                while records := reader.poll(1_000, 0):
                    for record in records:
                        meta, fact = decode_fact(record.value or b"")
                        if type(fact).__name__ in kinds:
                            found.append((type(fact).__name__, meta.instance_id))
        reader.close()
        return found


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def site(tmp_path: Path, clock: HandClock) -> Iterator[Site]:
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    log = MemoryLog(clock)
    with closing(Cloud(log=log, url=url, topics=Topics("t"), clock=clock)) as cloud:
        cloud.found()
        yield Site(cloud, clock)


def test_a_guest_that_a_host_does_not_find_when_it_starts_comes_out(site: Site) -> None:
    site.build(ONE)
    site.build(TWO)
    half = site.world.half("host1", ONE)
    assert half is not None
    site.world.change(gone=[half])

    site.start("host1")
    site.run()

    assert (site.row(ONE).power_state, site.row(TWO).power_state) == (0, 1)
    assert site.said("GuestMissed", "GuestSeen") == [("GuestMissed", ONE)]
    assert site.cloud.verify(site.store).differences == []


def test_a_start_is_asked_after_once_also_by_a_conductor_that_starts_anew(site: Site) -> None:
    site.build(ONE)
    doubts = site.said("GuestDoubted")
    site.start("host1")
    site.run()
    assert site.said("GuestDoubted") == [*doubts, ("GuestDoubted", ONE)]
    assert site.node("host1").surveyed_sequence >= site.node("host1").start_sequence

    site.conductor.stop()
    site.conductor = site.cloud.conductor(Options(service_down_time_s=60))
    site.run()

    assert site.said("GuestDoubted") == [*doubts, ("GuestDoubted", ONE)]


def test_a_turn_looks_at_so_many_hosts_and_the_next_ones_at_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.build(ONE)
    before = site.said("NodeSurveyed")
    monkeypatch.setattr(limits, "SURVEYED_HOSTS_MAX", 1)
    for host in site.cloud.hosts:
        site.start(host)

    counts = []
    for _ in range(20):
        site.run(1)
        counts.append(len(site.said("NodeSurveyed")) - len(before))

    assert counts[-1] == len(site.cloud.hosts)
    turns = 2  # In each second of the run.
    assert max(after - one for one, after in pairwise(counts)) <= turns
    assert counts[0] < counts[-1]


def test_a_look_reads_so_many_hosts_and_comes_round_to_all(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts of which nothing is said are read again and again, and hide nobody behind them."""
    monkeypatch.setattr(limits, "HOSTS_READ_MAX", 1)
    for _ in range(2):
        before = site.said("NodeSurveyed")
        for host in site.cloud.hosts:
            site.start(host)
        site.run(2 * DIGEST_S)

        said = site.said("NodeSurveyed")[len(before) :]
        assert sorted(host for _, host in said) == sorted(site.cloud.hosts)


def test_a_host_with_more_guests_than_a_turn_doubts_is_done_before_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = [f"7a1f0a3e-52c4-4c5c-8a6e-00000000000{n}" for n in range(5)]
    for uuid in uuids:
        site.build(uuid)
    before = len(site.said("GuestDoubted"))
    monkeypatch.setattr(limits, "DOUBTS_MAX", 2)
    for host in site.cloud.hosts:
        site.start(host)

    site.run()

    said = site.said("GuestDoubted")[before:]
    assert sorted(uuid for _, uuid in said) == uuids
    for host in site.cloud.hosts:
        assert site.node(host).surveyed_sequence >= site.node(host).start_sequence


def test_a_digest_that_is_equal_says_nothing(site: Site) -> None:
    site.build(ONE)
    before = site.said("GuestDoubted", "NodeSurveyed")

    site.run(3 * DIGEST_S)

    assert site.node("host1").digest_sequence > site.node("host1").surveyed_sequence
    assert site.said("GuestDoubted", "NodeSurveyed") == before


def test_a_digest_that_differs_is_corrected_by_facts(site: Site) -> None:
    site.start("host1", Tacit)
    site.build(ONE)
    site.build(TWO)
    half = site.world.half("host1", TWO)
    assert half is not None
    site.world.change(gone=[half])
    assert site.row(TWO).power_state == 1

    site.run(3 * DIGEST_S)

    assert (site.row(ONE).power_state, site.row(TWO).power_state) == (1, 0)
    assert ("GuestMissed", TWO) in site.said("GuestMissed")
    assert ("GuestSeen", ONE) in site.said("GuestSeen")
    assert site.cloud.verify(site.store).differences == []


def test_guests_that_should_run_are_started_when_their_host_comes_back(
    tmp_path: Path, clock: HandClock
) -> None:
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    log = MemoryLog(clock)
    with closing(Cloud(log=log, url=url, topics=Topics("t"), clock=clock)) as cloud:
        cloud.found({"resume_guests_state_on_host_boot": "true"})
        site = Site(cloud, clock)
        site.build(ONE)
        power_failure(site.world, "host1")

        site.start("host1")
        site.run()

        assert site.world.running() == {ONE: ("host1",)}
        assert (site.row(ONE).vm_state, site.row(ONE).task_state) == ("active", None)


def full_of_guests(site: Site) -> dict[str, tuple[str, ...]]:
    """Leave guests on every host of which no log and no row says anything."""
    for number, host in enumerate(site.cloud.hosts):
        site.world.change(
            Half(
                host=host,
                instance_id=f"7a1f0a3e-52c4-4c5c-8a6e-00000000010{number}",
                role=Role.GUEST,
                power_state=PowerState.RUNNING,
                flavor=SMALL,
            )
        )
    return site.world.running()


def commands_of(site: Site) -> list[str]:
    """Name every host that has a command in its topic."""
    reader = site.cloud.log.reader()
    ends = {
        host: reader.end_offsets([TopicPartition(site.cloud.topics.commands(host), 0)])
        for host in site.cloud.hosts
    }
    reader.close()
    return [host for host, found in ends.items() if any(found.values())]


def written(site: Site) -> dict[str, int]:
    """Count the rows of every table that is a function of the log and has any."""
    found = {name: len(rows(site.store, name)) for name in TABLES}
    return {name: count for name, count in found.items() if count}


def said(site: Site) -> Counter[tuple[str, str]]:
    """Count what was said of instances, rules and keys apart: (who, fact)."""
    log, found = site.cloud.log, Counter[tuple[str, str]]()
    assert isinstance(log, MemoryLog)
    for number in range(site.cloud.partitions):
        at = TopicPartition(site.cloud.topics.instance_events, number)
        for record in log.partition(at).records:
            meta, fact = decode_fact(record.value or b"")
            if record.key != CONTROL_KEY.encode():
                found[meta.source, type(fact).__name__] += 1
    return found


def test_an_empty_log_and_database_meet_hosts_full_of_guests_and_nothing_is_destroyed(
    site: Site,
) -> None:
    before = full_of_guests(site)
    for host in site.cloud.hosts:
        site.start(host)

    site.run(3 * DIGEST_S)

    assert site.world.running() == before
    assert commands_of(site) == []
    assert instances(site.store) == {}
    refused = [r for r in rows(site.store, "rejections") if isinstance(r, RejectionRow)]
    assert {r.code for r in refused} == {"unknown-instance"}
    assert {r.subject for r in refused} == set(before)
    # Each host says once what it has; that is refused, and there is no other row, nor a decision.
    assert written(site) == {"rejections": len(before), "nodes": len(before)}
    assert said(site) == {(f"compute/{host}", "GuestFound"): 1 for host in site.cloud.hosts}


def test_an_empty_database_is_filled_from_the_log_and_destroys_nothing(
    site: Site, tmp_path: Path
) -> None:
    site.build(ONE)
    site.build(TWO)
    before = site.world.running()
    site.conductor.stop()
    other = Cloud(
        log=site.cloud.log,
        url=f"sqlite:///{tmp_path / 'empty.sqlite'}",
        topics=site.cloud.topics,
        clock=site.clock,
    )
    schema.upgrade(other.url)
    with closing(other):
        site.cloud, site.store = other, other.store()
        site.conductor = other.conductor(Options(service_down_time_s=60))
        for host in other.hosts:
            site.start(host)
        site.run(2 * DIGEST_S)

        assert site.world.running() == before
        assert {uuid: row.vm_state for uuid, row in instances(site.store).items()} == {
            ONE: "active",
            TWO: "active",
        }
        assert other.verify(site.store).differences == []


def test_a_wrong_topic_prefix_meets_hosts_full_of_guests_and_nothing_is_destroyed(
    site: Site, tmp_path: Path
) -> None:
    """The hosts were moved to another installation by mistake: nobody there knows them."""
    site.build(ONE)
    before = site.world.running()
    wrong = Cloud(
        log=site.cloud.log,
        url=f"sqlite:///{tmp_path / 'other.sqlite'}",
        topics=Topics("other"),
        clock=site.clock,
        keyring=MasterKeyring(b"n" * 32),
    )
    with closing(wrong):
        wrong.found()
        conductor = wrong.conductor(Options(service_down_time_s=60))
        wrong.keyring = site.cloud.keyring  # The hosts' keys are those of home.
        site.cloud, site.conductor, site.store = wrong, conductor, wrong.store()
        site.agents.clear()
        for host in wrong.hosts:
            site.start(host)

        site.run(2 * DIGEST_S)

        assert site.world.running() == before
        assert commands_of(site) == []
        assert instances(site.store) == {}
        # Sealed by another master key: what they say is no fact, not even that they started.
        assert written(site).keys() == {"quarantine"}
        codes = {r.code for r in rows(site.store, "quarantine") if isinstance(r, QuarantineRow)}
        assert codes == {"bad-mac"}
        assert said(site).keys() == {("compute/host1", "GuestFound")}
