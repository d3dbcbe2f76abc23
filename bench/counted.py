"""The guard that needs no quiet machine: how much Python runs for one fact of a fixed input.

Counted, not timed: bytecode instructions and calls (of C functions too) while the same facts are
folded again. The same code and the same version of Python give the same numbers anywhere, but for
a few in a thousand that hang on the order of sets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from bench.contest import Figure, apart
from bench.lives import Mix, Seen, messages
from bench.load import HOSTS, KEYRING
from bench.places import Places
from conductor.fold import Fold
from events.codec import fingerprints
from events.log import Record, TopicPartition
from events.topics import Topics
from statemachines.rules import Rules

INSTANCES: Final = 100
BEGIN_US: Final = 1_700_000_000_000_000
_PLANE: Final = ("api/1", "conductor/1")


def measure(places: Places) -> list[Figure]:
    """Return instructions and calls of one fact."""
    del places
    instructions, calls = apart(count)
    return [
        Figure(
            line="G",
            name="guard: bytecode instructions to fold one fact",
            unit="",
            runs=[instructions],
            conditions={"python": sys.version.split()[0], "calls": round(calls, 1)},
        )
    ]


def count() -> tuple[float, float]:
    """Return bytecode instructions and calls for one fact."""
    records = fixed()
    folded(records)  # What is made once and kept is made now.
    with_instructions, with_calls = _Instructions(), _Calls()
    sys.settrace(with_instructions.trace)
    folded(records)
    sys.settrace(None)
    sys.setprofile(with_calls.profile)
    folded(records)
    sys.setprofile(None)
    return with_instructions.count / len(records), with_calls.count / len(records)


def fixed() -> list[Record]:
    """Return the same records each time."""
    mix = Mix(instances=INSTANCES, facts_each=20, hosts=HOSTS, partitions=1, begin_us=BEGIN_US)
    said = messages(mix, Topics(), KEYRING, Seen())
    return [
        Record(m.topic, 0, n, m.key, m.value, m.headers, BEGIN_US + n, 0)
        for n, m in enumerate(said)
    ]


def folded(records: list[Record]) -> None:
    """Fold the records from nothing, as one batch."""
    fold = Fold(
        TopicPartition(records[0].topic, 0), keyring=KEYRING, partitions=1, load=lambda _keys: {}
    )
    fold.rules = Rules(
        partitions=1,
        fingerprints=frozenset(fingerprints()),
        keys_open=frozenset((*_PLANE, *(f"host{n}/1" for n in range(HOSTS)))),
    )
    fold.fold(records)
    fold.keep()
    assert fold.counts["accepted"] > 0.99 * len(records), f"Expected legal facts: {fold.counts}"


class _Instructions:
    def __init__(self) -> None:
        self.count = 0

    def trace(self, frame: FrameType, event: str, _arg: object) -> Callable[..., Any]:
        frame.f_trace_opcodes = True
        self.count += event == "opcode"
        return self.trace


class _Calls:
    def __init__(self) -> None:
        self.count = 0

    def profile(self, _frame: FrameType, event: str, _arg: object) -> None:
        self.count += event in ("call", "c_call")
