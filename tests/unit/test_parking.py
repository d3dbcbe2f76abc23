"""Records that wait as part of an instance's state, and when each may be judged."""

from __future__ import annotations

import pytest

from events.instance import GuestFound
from events.log import Record
from events.requests import RecordDiscarded, RecordReleased
from events.values import replace
from statemachines.chain import head_of
from statemachines.held import Parked
from statemachines.parking import (
    PARKED_BYTES_MAX,
    PARKED_MAX,
    blocks,
    fits,
    full,
    parked_of,
    ready,
    record_of,
    with_parked,
    without,
)
from statemachines.rules import Rules
from statemachines.verdict import Duplicate, Early, Rejected
from tests.beginnings import built
from tests.hosts import World
from tests.story import must

FOUND = GuestFound(power_state=1)


def record(offset: int, value: bytes = b"\xc3\x01" + bytes(8), key_id: str = "h9/1") -> Record:
    """Return a record of the log."""
    headers = (("prev", bytes(32)), ("mac", key_id.encode() + b"\0" + bytes(32)))
    return Record("t", 1, offset, b"key", value, headers, 5, 2)


def waiting(offset: int, reason: str = "schema", **fields: object) -> Parked:
    """Return a record that waits."""
    parked = parked_of(record(offset), source="compute/h9", sequence=0, reason=reason)
    return replace(parked, **fields)  # type: ignore[arg-type]  # named fields of Parked


def test_a_record_comes_back_as_it_was() -> None:
    assert record_of(waiting(7)) == record(7)


def test_records_wait_in_the_order_of_the_log() -> None:
    held = built().here
    for offset in (9, 7, 8):
        held = with_parked(held, waiting(offset))

    assert [p.offset for p in held.parked] == [7, 8, 9]
    assert [p.offset for p in without(held, 8).parked] == [7, 9]


def test_a_gap_blocks_nobody_a_schema_and_a_set_aside_block_everything() -> None:
    held = built().here

    assert not blocks(None)
    assert not blocks(held)
    assert not blocks(with_parked(held, waiting(1, "early", sequence=4)))
    assert blocks(with_parked(held, waiting(1, "schema")))
    assert blocks(with_parked(held, waiting(1, "set-aside")))


def test_what_waits_for_a_schema_is_ready_when_the_rules_admit_it() -> None:
    held = with_parked(with_parked(built().here, waiting(2)), waiting(1))
    fingerprint = bytes(8).hex()

    assert ready(held, Rules(fingerprints=frozenset({"other"}))) is None
    found = ready(held, Rules(fingerprints=frozenset({fingerprint})))
    assert found is not None
    assert found.offset == 1


def test_what_was_set_aside_waits_for_a_person() -> None:
    held = with_parked(with_parked(built().here, waiting(1, "set-aside")), waiting(2))

    assert ready(held, Rules()) is None


def test_what_waits_for_a_gap_is_ready_when_its_head_stands_before_it() -> None:
    world = built()
    missing = world.next_of("h9", FOUND)
    late = world.next_of("h9", FOUND)
    assert isinstance(world.tell(late).verdict, Early)
    assert ready(world.held, world.rules) is None

    must(world.tell(missing))

    found = ready(world.held, world.rules)
    assert found is not None
    assert found.offset == late.offset


def test_a_fact_that_waits_already_is_a_duplicate() -> None:
    world = built()
    world.next_of("h9", FOUND)
    late = world.next_of("h9", FOUND)
    world.tell(late)
    again = replace(late, record=late.record._replace(offset=99))

    assert world.tell(again).verdict == Duplicate()
    assert len(world.here.parked) == 1


def test_what_an_old_enrolment_left_waiting_is_judged_at_once_after_the_new_one() -> None:
    world = built()
    world.next_of("h9", FOUND)
    late = world.next_of("h9", FOUND)
    sealed = late.record._replace(headers=record(0).headers)
    assert isinstance(world.tell(replace(late, record=sealed)).verdict, Early)
    last = world.next_of("h9", FOUND)
    sealed = last.record._replace(headers=record(0).headers)
    assert isinstance(world.tell(replace(last, record=sealed)).verdict, Early)
    world.writers.pop("h9")
    first = replace(world.next_of("h9", FOUND), enrolment=2)
    must(world.tell(replace(first, prev=bytes(32))))

    for outlived in (late, last):
        found = ready(world.held, world.rules)
        assert found is not None
        assert found.offset == outlived.offset
        verdict = world.tell(replace(outlived, record=record_of(found))).verdict
        assert isinstance(verdict, Rejected)
        assert verdict.code == "older-key"
    assert world.here.parked == ()


def test_no_more_records_wait_than_the_bound() -> None:
    world = built()
    world.next_of("h9", FOUND)
    for _ in range(PARKED_MAX):
        assert isinstance(world.unasked("h9", FOUND).verdict, Early)

    outcome = world.unasked("h9", FOUND)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "parked-full"
    assert len(world.here.parked) == PARKED_MAX


def test_no_more_bytes_wait_than_the_bound() -> None:
    held = with_parked(built().here, waiting(1, value=bytes(PARKED_BYTES_MAX - 10)))

    assert fits(held, waiting(2))
    assert not fits(held, waiting(2, value=bytes(11)))
    assert full(held).code == "parked-full"


def discarded(world: World, source: str, offset: int = 1) -> None:
    """Let an operator give a record up."""
    fact = RecordDiscarded(
        partition=1, offset=offset, source=source, digest=b"\7" * 32, user_id="op", reason="bad"
    )
    must(world.api(fact))


def test_a_discarded_record_lets_its_writers_next_one_follow() -> None:
    world = built()
    before = head_of(world.here, "compute/h1")
    assert before is not None

    discarded(world, "compute/h1")

    after = head_of(world.here, "compute/h1")
    assert after is not None
    assert after.sequence == before.sequence + 1
    assert after.digest == b"\7" * 32


@pytest.mark.parametrize("source", ["", "api", "conductor"])
def test_a_discarded_record_of_nobody_numbered_moves_no_head(source: str) -> None:
    world = built()
    heads = world.here.heads

    discarded(world, source)

    assert world.here.heads == heads


def test_a_discarded_record_blocks_no_more() -> None:
    world = built()
    world.held = with_parked(world.here, waiting(1, "set-aside"))
    assert blocks(world.held)

    discarded(world, "", offset=1)

    assert not blocks(world.held)
    assert world.here.parked == ()


def aside(world: World, offset: int) -> None:
    """Let a record wait for a person, and one behind it for its turn."""
    held = with_parked(world.here, waiting(offset, reason="set-aside"))
    world.held = with_parked(held, waiting(offset + 1, reason="schema"))


def test_a_released_record_is_the_next_to_be_judged_and_nothing_is_set_aside_any_more() -> None:
    world = built()
    aside(world, 1_000)
    assert ready(world.here, world.rules) is None

    must(world.api(RecordReleased(partition=1, offset=1_000, user_id="op", reason="mended")))

    following = ready(world.here, world.rules)
    assert following is not None
    assert (following.offset, world.here.set_aside) == (1_000, False)


def test_with_two_set_aside_the_release_of_one_leaves_the_other_waiting() -> None:
    world = built()
    aside(world, 1_000)
    world.held = with_parked(world.here, waiting(2_000, reason="set-aside"))

    must(world.api(RecordReleased(partition=1, offset=1_000, user_id="op", reason="mended")))

    assert world.here.set_aside
    assert ready(world.here, world.rules) is None


@pytest.mark.parametrize("offset", [1_001, 5])
def test_what_was_not_set_aside_is_not_released(offset: int) -> None:
    world = built()
    aside(world, 1_000)

    outcome = world.api(RecordReleased(partition=1, offset=offset, user_id="op", reason="why"))

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "not-waiting"
    assert world.here.set_aside
