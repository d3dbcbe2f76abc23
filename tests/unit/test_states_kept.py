"""The fold's memory between batches is bounded; what had to leave is read again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from conductor.states import States


class Reads:
    """Remembers what was asked for; knows nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, keys: Collection[str]) -> Mapping[str, bytes]:
        self.asked += keys
        return {}


def test_the_instances_unused_for_longest_leave_and_are_read_again() -> None:
    reads = Reads()
    states = States(reads)
    states.room = 2
    states.keep(dict.fromkeys(("a", "b", "c")), {})

    states.prefetch(("a", "b", "c"))

    assert reads.asked == ["a"]


def test_a_batch_larger_than_the_room_is_kept_in_part() -> None:
    reads = Reads()
    states = States(reads)
    states.room = 1
    states.keep(dict.fromkeys(("a", "b")), {})
    states.keep({"a": None}, {})

    states.prefetch(("a",))

    assert reads.asked == []
