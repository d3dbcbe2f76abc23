"""A writer's chain about one instance: numbers, hashes, boots and enrolments."""

from __future__ import annotations

import pytest

from conductor.step import Outcome, step
from events import instance
from events.envelope import Envelope
from events.instance import GuestFound
from events.values import replace
from statemachines.chain import HEADS_MAX, KNOWN_MAX, head_of
from statemachines.verdict import Duplicate, Early, Rejected
from tests.beginnings import built
from tests.hosts import World
from tests.story import must

FOUND = GuestFound(power_state=1)


def code(outcome: Outcome) -> str:
    """Return the code of a rejection."""
    assert isinstance(outcome.verdict, Rejected), outcome.verdict
    return outcome.verdict.code


def other_content(envelope: Envelope[object]) -> Envelope[object]:
    """Return a record of the same number that says something else."""
    return replace(envelope, digest=bytes(32))


def test_the_next_of_a_chain_moves_its_head() -> None:
    world = built()
    before = head_of(world.here, "compute/h1")
    must(world.unasked("h1", FOUND))

    after = head_of(world.here, "compute/h1")

    assert before is not None
    assert after is not None
    assert after.sequence == before.sequence + 1


def test_a_repeat_is_a_duplicate_and_changes_nothing() -> None:
    world = built()
    envelope = world.next_of("h1", FOUND)
    must(world.tell(envelope))
    held = world.held

    outcome = world.tell(envelope)

    assert outcome.verdict == Duplicate()
    assert world.held is held


def test_a_repeat_with_another_content_is_equivocation_and_moves_nothing() -> None:
    world = built()
    envelope = world.next_of("h1", FOUND)
    must(world.tell(envelope))
    held = world.held

    outcome = world.tell(other_content(envelope))

    assert code(outcome) == "equivocation"
    assert world.held == held


def test_equivocation_is_named_as_long_as_the_hash_is_kept() -> None:
    world = built()
    envelope = world.next_of("h9", FOUND)
    must(world.tell(envelope))
    for _ in range(KNOWN_MAX - 1):
        must(world.unasked("h9", FOUND))

    assert code(world.tell(other_content(envelope))) == "equivocation"
    assert world.tell(envelope).verdict == Duplicate()
    must(world.unasked("h9", FOUND))
    assert world.tell(other_content(envelope)).verdict == Duplicate()


def test_a_gap_is_early_not_illegal() -> None:
    world = built()
    missing = world.next_of("h9", FOUND)
    late = world.next_of("h9", FOUND)

    outcome = world.tell(late)

    assert outcome.verdict == Early(1)
    assert [p.sequence for p in world.here.parked] == [2]
    assert world.orders == [("ResendFacts", "h9")]
    must(world.tell(missing))
    must(world.tell(late))
    assert world.here.parked == ()
    assert world.orders == [("DestroyGuest", "h9")]


def test_a_gap_of_one_host_stops_no_other() -> None:
    world = built()
    world.next_of("h9", FOUND)
    world.unasked("h9", FOUND)

    must(world.request("stop"))
    world.says("h1", instance.GuestStopped(power_state=4))

    assert world.states == ("stopped", None)


def test_a_wrong_prev_breaks_the_chain() -> None:
    world = built()
    envelope = world.next_of("h1", FOUND)

    assert code(world.tell(replace(envelope, prev=bytes([7]) * 32))) == "broken"
    must(world.tell(envelope))


def test_a_chain_begins_with_number_one_and_no_prev() -> None:
    world = built()
    envelope = world.next_of("h9", FOUND)

    assert code(world.tell(replace(envelope, prev=bytes([7]) * 32))) == "broken"


def test_an_older_boot_is_refused_and_a_newer_one_heard() -> None:
    world = built()
    must(world.tell(world.next_of("h1", FOUND, boot_epoch=3)))
    envelope = world.next_of("h1", FOUND, boot_epoch=2)

    assert code(world.tell(envelope)) == "older-boot"


def enrolled(world: World, enrolment: int) -> Envelope[object]:
    """Return number 1 of a new chain of h1."""
    world.writers.pop("h1", None)
    return replace(world.next_of("h1", FOUND), enrolment=enrolment)


def test_a_host_that_was_enrolled_again_starts_a_new_chain() -> None:
    world = built()
    old = world.next_of("h1", FOUND)

    must(world.tell(enrolled(world, 2)))

    head = head_of(world.here, "compute/h1")
    assert head is not None
    assert (head.enrolment, head.sequence, head.marks) == (2, 1, b"")
    assert code(world.tell(old)) == "older-key"


@pytest.mark.parametrize("sequence", [2, 9])
def test_a_new_chain_has_to_begin_at_its_beginning(sequence: int) -> None:
    world = built()
    envelope = enrolled(world, 2)
    later = replace(envelope, meta=replace(envelope.meta, sequence=sequence))

    assert world.tell(later).verdict == Early(1)


def test_a_fact_that_is_rejected_was_heard_all_the_same() -> None:
    world = built()
    before = head_of(world.here, "compute/h1")

    outcome = world.unasked("h1", instance.GuestStopped(power_state=4))

    assert code(outcome) == "not-asked"
    after = head_of(world.here, "compute/h1")
    assert before is not None
    assert after is not None
    assert after.sequence == before.sequence + 1
    assert outcome.before is not None
    assert replace(world.here, heads=outcome.before.heads) == outcome.before
    must(world.unasked("h1", FOUND))


def test_no_more_writers_are_remembered_than_the_bound() -> None:
    world = built()
    for n in range(HEADS_MAX - 1):
        must(world.unasked(f"x{n}", instance.GuestAbsent()))
    assert len(world.here.heads) == HEADS_MAX

    outcome = world.unasked("one-more", FOUND)

    assert code(outcome) == "too-many-writers"
    assert len(world.here.heads) == HEADS_MAX
    must(world.unasked("h1", FOUND))


def test_a_fact_about_an_unknown_instance_leaves_nothing() -> None:
    world = World()
    envelope = world.next_of("h1", FOUND)

    outcome = step(None, envelope, world.rules)

    assert code(outcome) == "unknown-instance"
    assert outcome.after is None
