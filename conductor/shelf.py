"""Bounded memories of what may be had again elsewhere, for things that come in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Shelf(Generic[Thing]):
    """Keeps what there is room for, by key; none leaves for another.

    Where more things are in use than there is room for, each in its turn, the one unused for
    longest is the next that is needed. Those that nobody used leave when as many were refused as
    are here.
    """

    def __init__(self, room: int, size_of: Callable[[Thing], int]) -> None:
        #: How much may be here, in what `size_of` counts; less is taken over by and by.
        self.room = room
        self._size_of = size_of
        #: What was put here since the last look at what is in use, and what was not.
        self._used: dict[str, Thing] = {}
        self._idle: dict[str, Thing] = {}
        self._size = self._refused = 0

    def get(self, key: str) -> Thing | None:
        """Return the thing of that key; None where it is not here."""
        found = self._used.get(key)
        return self._idle.get(key) if found is None else found

    def put(self, key: str, thing: Thing) -> None:
        """Have this thing under its key, or none: not what was there before."""
        known = self._used.pop(key, None) or self._idle.pop(key, None)
        size = self._size_of(thing)
        self._size += size - (0 if known is None else self._size_of(known))
        if self._size <= self.room:
            self._used[key] = thing
            return
        self._size -= size
        self._refused += 1
        if self._refused > len(self._used) + len(self._idle):
            self._size -= sum(map(self._size_of, self._idle.values()))
            self._idle, self._used, self._refused = self._used, {}, 0

    def clear(self) -> None:
        """Forget everything."""
        self._used.clear()
        self._idle.clear()
        self._size = self._refused = 0


class Lately(Generic[Thing]):
    """Keeps the things that came back soon: before half as many others as there is room for.

    Of things that come in a longer turn none is kept: each would leave before it is needed.
    """

    def __init__(self, room: int) -> None:
        #: How many may be here.
        self.room = room
        #: What came since the last change of halves, and before: None for what came once.
        self._young: dict[str, Thing | None] = {}
        self._old: dict[str, Thing | None] = {}

    def get(self, key: str) -> Thing | None:
        """Return the thing of that key; None where it is not here."""
        return self._young[key] if key in self._young else self._old.get(key)

    def put(self, key: str, thing: Thing) -> None:
        """Have this thing under its key if it came back soon, or none: not what was there."""
        self._young[key] = thing if key in self._young or key in self._old else None
        if 2 * len(self._young) >= self.room:
            self._young, self._old = {}, self._young if self.room else {}

    def clear(self) -> None:
        """Forget everything."""
        self._young.clear()
        self._old.clear()
