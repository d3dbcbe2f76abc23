"""Measuring several side by side: a slice of each in turn, in processes of their own.

What the machine does within a minute befalls all of them alike, where runs one after the other
differ by more than what is to be found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

from bench.contest import Took, beside, measured, most_resident_mb


class Work(Protocol):
    """A function of a module that makes ready, yields, and then yields after each slice."""

    def __call__(self, *args: Any) -> Iterator[None]:
        """Begin; what is done until the first yield is not measured."""
        ...


class Contestant(NamedTuple):
    """What is done in slices, and with what."""

    work: Work
    args: tuple[object, ...]


def side_by_side(contestants: Sequence[Contestant]) -> list[Took]:
    """Return what the slices of each took together; raises EOFError where one died of something."""
    with ExitStack() as stack:
        ends = [stack.enter_context(beside(_serve, each))[0] for each in contestants]
        for end in ends:
            end.recv()
        going = list(ends)
        while going:
            going = [end for end in going if _has_more(end)]
        return [end.recv() for end in ends]


def _has_more(end: Connection) -> bool:
    end.send(None)
    answer: bool = end.recv()
    return answer


def _serve(end: Connection, contestant: Contestant) -> None:
    total, going = Took(), contestant.work(*contestant.args)
    next(going)
    end.send(None)
    has_more = True
    while has_more:
        end.recv()
        with measured() as took:
            has_more = next(going, False) is None
        total.wall_s += took.wall_s
        total.cpu_s += took.cpu_s
        end.send(has_more)
    total.memory_mb = most_resident_mb()
    end.send(total)
