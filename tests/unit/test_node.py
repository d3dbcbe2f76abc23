"""What is remembered of a host: capacity, boots, being lost and being back."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from events import instance, node
from events.envelope import Envelope, Meta, host_in
from events.log import Record
from events.register import FACTS, NODE_FACTS
from events.seal import FIRST, digest
from events.values import replace
from statemachines.node import NodeHeld, NodeOutcome, step_node
from statemachines.verdict import Accepted, Duplicate, Early, Rejected
from tests.answers import sample

STARTED = node.NodeStarted(node="n1", hypervisor_type="fake", vcpus=8, memory_mb=16384, disk_gb=100)


@dataclass
class Life:
    """What a host says of itself, and what is said of it."""

    held: NodeHeld | None = None
    sequence: int = 0
    prev: bytes = FIRST
    offset: int = 0
    boot_epoch: int = 1
    enrolment: int = 1
    told: list[Envelope[object]] = field(default_factory=list)

    def envelope(self, source: str, fact: object, sequence: int, prev: bytes) -> Envelope[object]:
        """Return a fact at the next position."""
        self.offset += 1
        value = f"{source}/{self.offset}".encode()
        record = Record("n", 0, self.offset, b"h1", value, (), self.offset * 1_000_000, 0)
        meta = Meta(
            source=source,
            boot_epoch=self.boot_epoch,
            sequence=sequence,
            instance_id="h1",
            occurred_at=0,
        )
        return Envelope(
            fact, meta, host_in(meta.source), record, digest(value), prev, self.enrolment
        )

    def tell(self, envelope: Envelope[object]) -> NodeOutcome:
        """Put a fact before the machine."""
        self.told.append(envelope)
        outcome = step_node(self.held, envelope)
        self.held = outcome.after
        return outcome

    def says(self, fact: object, host: str = "h1") -> NodeOutcome:
        """Let the host say a fact, next in its chain."""
        self.sequence += 1
        envelope = self.envelope(f"compute/{host}", fact, self.sequence, self.prev)
        self.prev = envelope.digest
        return self.tell(envelope)

    def decide(self, fact: object, source: str = "conductor") -> NodeOutcome:
        """Let the conductor say a fact."""
        return self.tell(self.envelope(source, fact, 0, b""))

    @property
    def here(self) -> NodeHeld:
        """The state, which must be there."""
        assert self.held is not None
        return self.held


def started() -> Life:
    """Return a host that has started."""
    life = Life()
    assert life.says(STARTED).verdict == Accepted()
    return life


def code(outcome: NodeOutcome) -> str:
    """Return the code of a rejection."""
    assert isinstance(outcome.verdict, Rejected), outcome.verdict
    return outcome.verdict.code


def test_a_host_is_what_it_said_when_it_started() -> None:
    held = started().here

    assert (held.host, held.node, held.status, held.boot_epoch) == ("h1", "n1", "started", 1)
    assert (held.vcpus, held.memory_mb, held.disk_gb) == (8, 16384, 100)


def test_capacity_digest_and_stop_are_folded() -> None:
    life = started()
    life.says(node.NodeCapacityReported(vcpus=4, memory_mb=8, disk_gb=9))
    life.says(node.NodeDigested(guest_count=3, digest=bytes(32)))
    assert (life.here.vcpus, life.here.guest_count) == (4, 3)

    life.says(node.NodeStopped())

    assert life.here.status == "stopped"


def test_a_host_is_lost_and_back_by_the_conductors_word_alone() -> None:
    life = started()
    lost = node.NodeLost(boot_epoch=1, n=1)
    assert code(life.decide(lost, source="api")) == "not-entitled"
    assert life.decide(lost).verdict == Accepted()
    assert (life.here.status, life.here.lost_count) == ("lost", 1)
    assert life.decide(lost).verdict == Duplicate()

    assert life.decide(node.NodeReturned(boot_epoch=1, n=1)).verdict == Accepted()

    assert life.here.status == "started"
    assert life.decide(node.NodeReturned(boot_epoch=1, n=1)).verdict == Duplicate()


def test_a_host_is_forced_down_and_up_by_an_operators_word_alone() -> None:
    life = started()
    down = node.NodeForcedDown(user_id="o", reason="the plug is in my hand")
    up = node.NodeForcedUp(user_id="o", reason="mended")
    assert code(life.decide(down)) == "not-entitled"
    assert code(life.says(down)) == "not-entitled"
    assert life.decide(up, source="api").verdict == Duplicate()

    assert life.decide(down, source="api").verdict == Accepted()

    assert life.here.status == "forced_down"
    assert life.decide(down, source="api").verdict == Duplicate()
    assert life.decide(up, source="api").verdict == Accepted()
    assert life.here.status == "lost"


def test_nothing_that_is_heard_of_a_host_lifts_the_operators_word() -> None:
    life = started()
    life.decide(node.NodeForcedDown(user_id="o", reason="off"), source="api")

    assert life.decide(node.NodeLost(boot_epoch=1, n=1)).verdict == Duplicate()
    assert life.decide(node.NodeReturned(boot_epoch=1, n=0)).verdict == Duplicate()
    life.says(node.NodeStopped())
    life.boot_epoch = 2
    life.says(STARTED)

    assert (life.here.status, life.here.boot_epoch) == ("forced_down", 2)


def test_a_host_that_is_forced_up_is_back_when_it_is_heard() -> None:
    life = started()
    life.decide(node.NodeForcedDown(user_id="o", reason="off"), source="api")
    life.decide(node.NodeForcedUp(user_id="o", reason="on"), source="api")

    assert life.decide(node.NodeReturned(boot_epoch=1, n=0)).verdict == Accepted()
    assert life.here.status == "started"


def test_a_host_that_nobody_knows_can_not_be_forced_down() -> None:
    life = Life()

    outcome = life.decide(node.NodeForcedDown(user_id="o", reason="off"), source="api")

    assert code(outcome) == "unknown-host"
    assert life.held is None


def test_a_word_about_an_older_boot_is_overtaken() -> None:
    life = started()
    life.boot_epoch = 2
    life.says(STARTED)

    assert life.decide(node.NodeLost(boot_epoch=1, n=1)).verdict == Duplicate()
    assert life.here.status == "started"


def test_a_host_that_starts_again_is_not_lost_any_more() -> None:
    life = started()
    life.decide(node.NodeLost(boot_epoch=1, n=1))
    life.boot_epoch = 2

    life.says(STARTED)

    assert (life.here.status, life.here.boot_epoch) == ("started", 2)


def test_nothing_is_said_of_a_host_that_never_started() -> None:
    life = Life()

    assert life.decide(node.NodeLost(boot_epoch=1, n=1)).verdict == Duplicate()
    assert life.held is None


def test_a_host_speaks_of_itself_alone() -> None:
    life = started()

    assert code(life.says(STARTED, host="h2")) == "not-entitled"


def test_a_gap_stops_nothing_but_a_repeat_is_a_repeat() -> None:
    life = started()
    life.sequence += 5
    life.prev = bytes(32)

    assert life.says(node.NodeStopped()).verdict == Accepted()
    assert life.tell(life.told[0]).verdict == Duplicate()
    assert code(life.tell(replace(life.told[1], digest=bytes(32)))) == "equivocation"


@pytest.mark.parametrize("gap", [0, 4])
def test_an_older_boot_is_refused_gap_or_not(gap: int) -> None:
    life = started()
    life.boot_epoch = 3
    life.says(STARTED)
    life.boot_epoch = 2
    life.sequence += gap

    assert code(life.says(STARTED)) == "older-boot"
    assert life.here.boot_epoch == 3


def test_a_host_that_was_enrolled_again_begins_afresh_and_the_old_key_is_refused() -> None:
    life = started()
    life.says(node.NodeStopped())
    life.enrolment, life.sequence, life.prev = 2, 0, FIRST
    assert life.says(STARTED).verdict == Accepted()

    life.enrolment = 1
    life.sequence = 2

    assert code(life.says(STARTED)) == "older-key"


def test_what_a_gap_left_out_is_late_and_no_equivocation() -> None:
    life = started()
    life.sequence = 6
    life.says(node.NodeStopped())
    life.sequence = 5

    assert life.says(STARTED).verdict == Duplicate()


def test_heartbeats_and_facts_about_instances_have_no_place_here() -> None:
    life = started()

    assert code(life.says(node.HeartbeatSent(report_interval_s=10))) == "not-entitled"
    assert code(life.says(instance.GuestBuilt(power_state=1))) == "not-entitled"


#: What is said of hosts, and not by themselves.
OF_OTHERS = (
    *("HeartbeatSent", "NodeLost", "NodeReturned", "NodeSurveyed"),
    *("NodeForcedDown", "NodeForcedUp"),
)


def test_every_fact_has_a_verdict_and_nothing_raises() -> None:
    for name, cls in FACTS.items():
        for life in (Life(), started()):
            verdict = life.says(sample(cls)).verdict
            assert isinstance(verdict, Accepted) == (name in NODE_FACTS and name not in OF_OTHERS)
            assert not isinstance(life.decide(sample(cls)).verdict, Early)


@pytest.mark.parametrize(
    "fact",
    [
        node.NodeStopped(),
        node.NodeCapacityReported(vcpus=0, memory_mb=0, disk_gb=0),
        node.NodeDigested(guest_count=0, digest=bytes(32)),
    ],
)
def test_1853009_the_old_host_took_away_the_record_of_what_the_new_one_had_taken_over(
    fact: object,
) -> None:
    """Another host took the node over, and the clean-up of the old one deleted its record.

    Here a host's record is its own: nobody deletes one, and no other host may say anything of it.
    """
    life = started()
    before = life.here

    assert code(life.says(fact, host="h2")) == "not-entitled"

    after = life.here
    assert (after.status, after.node) == (before.status, before.node)
    assert (after.vcpus, after.memory_mb, after.disk_gb) == (8, 16384, 100)
    assert after.guest_count == before.guest_count
