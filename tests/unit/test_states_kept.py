"""The fold's memory between batches is bounded; what had to leave is read again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from conductor.bodies import HELD_CODEC
from conductor.limits import CACHE_BODIES_BYTES_MAX, CACHE_VALUES_MAX
from conductor.states import States
from events.requests import Flavor
from statemachines.held import Held


class Reads:
    """Remembers what was asked for; knows nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, keys: Collection[str]) -> Mapping[str, bytes]:
        self.asked += keys
        return {}


def at(name: str, updated_at: int = 1) -> Held:
    """Return a state of an instance."""
    return Held(
        instance_id=name,
        origin="regente",
        vm_state="active",
        flavor=Flavor(name="", vcpus=0, memory_mb=0, disk_gb=0),
        created_at=1,
        updated_at=updated_at,
    )


def held(*names: str) -> dict[str, Held | None]:
    """Return states of instances of these names."""
    return {name: at(name) for name in names}


def bodies(*names: str) -> dict[str, bytes]:
    """Return the same as they are stored."""
    return {name: HELD_CODEC.encode(at(name)) for name in names}


def states_of(reads: Reads, *, values: int, bodies: int = 10_000) -> States:
    """Return states with room for so many values, and so many bodies."""
    states = States(reads)
    states.values.room, states.bodies.room = values, bodies * len(HELD_CODEC.encode(at("a")))
    return states


def test_what_a_batch_looked_up_is_read_once() -> None:
    reads = Reads()
    states = States(reads)

    states.prefetch(("a", "b"))

    assert (states.instance("a"), states.instance("b")) == (None, None)
    assert reads.asked == ["a", "b"]


def test_the_value_of_what_came_back_soon_is_kept() -> None:
    reads = Reads()
    states = states_of(reads, values=8, bodies=0)
    for names in ("ab", "a", "c"):
        states.keep(held(*names), bodies(*names), {})

    states.prefetch(("a", "b", "c"))

    assert reads.asked == ["b", "c"]


def test_no_value_is_kept_of_what_comes_in_a_longer_turn_than_there_is_room_for() -> None:
    """Each would leave before it is needed, and the memory is better used."""
    reads = Reads()
    states = states_of(reads, values=4, bodies=0)
    for name in "abcdefabcdef":
        states.keep(held(name), bodies(name), {})

    states.prefetch("abcdef")

    assert reads.asked == [*"abcdef"]


def test_a_value_gives_way_to_the_next_of_its_instance() -> None:
    states = states_of(Reads(), values=8)
    for at_us in (1, 2, 3):
        later = at("a", updated_at=at_us)
        states.keep({"a": later}, {"a": HELD_CODEC.encode(later)}, {})

        assert states.instance("a") == later


def test_a_value_is_forgotten_by_the_time_its_instance_comes_back_late() -> None:
    states = states_of(Reads(), values=4)
    for name in "aabcde":
        states.keep(held(name), bodies(name), {})
    later = at("a", updated_at=2)
    states.keep({"a": later}, {"a": HELD_CODEC.encode(later)}, {})

    assert states.instance("a") == later


def test_a_value_that_left_is_made_of_its_body_and_not_read() -> None:
    reads = Reads()
    states = states_of(reads, values=1)
    states.keep(held("a", "b"), bodies("a", "b"), {})

    states.prefetch(("a", "b"))

    assert reads.asked == []
    assert states.instance("a") == at("a")


def test_a_body_gives_way_to_the_next_of_its_instance() -> None:
    states = states_of(Reads(), values=0)
    later = at("a", updated_at=2)
    states.keep(held("a"), bodies("a"), {})
    states.keep({"a": later}, {"a": HELD_CODEC.encode(later)}, {})

    assert states.instance("a") == later


def test_bodies_stay_where_more_come_than_there_is_room_for() -> None:
    """Whoever made room for the newest would have none of those that come in turn."""
    reads = Reads()
    states = states_of(reads, values=0, bodies=2)
    for names in ("abc", "abc", "abc"):
        states.keep(held(*names), bodies(*names), {})

    states.prefetch(("a", "b", "c"))

    assert reads.asked == ["c"]


def test_bodies_that_nobody_uses_make_room_after_a_while() -> None:
    reads = Reads()
    states = states_of(reads, values=0, bodies=2)
    states.keep(held("a", "b"), bodies("a", "b"), {})
    for _ in range(8):
        states.keep(held("b", "c"), bodies("b", "c"), {})

    states.prefetch(("a", "b", "c"))

    assert reads.asked == ["a"]


def test_a_body_that_grew_out_of_the_room_is_not_kept_as_it_was() -> None:
    reads = Reads()
    states = states_of(reads, values=0, bodies=1)
    states.keep(held("a"), bodies("a"), {})
    states.keep(held("a"), {"a": bodies("a")["a"] + b"more"}, {})

    states.prefetch(("a",))

    assert reads.asked == ["a"]


def test_a_body_that_changed_often_counts_once() -> None:
    reads = Reads()
    states = states_of(reads, values=0, bodies=2)
    for names in ("a", "a", "a", "b"):
        states.keep(held(*names), bodies(*names), {})

    states.prefetch(("a", "b"))

    assert reads.asked == []


def test_whoever_forgets_everything_reads_it_again() -> None:
    reads = Reads()
    states = States(reads)
    states.keep(held("a"), bodies("a"), {})
    states.clear()

    states.prefetch(("a",))

    assert reads.asked == ["a"]


def test_partitions_share_the_memory() -> None:
    states = States(Reads())

    states.share(4)

    assert states.values.room == CACHE_VALUES_MAX // 4
    assert states.bodies.room == CACHE_BODIES_BYTES_MAX // 4
