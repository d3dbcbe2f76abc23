"""The clock and the ids that every part is handed; nobody else asks the machine for them."""

from __future__ import annotations

import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now_us(self) -> int:
        """Return µs UTC of the wall clock: data for people, never order."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back; only differences mean something."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; used by the run loop alone."""
        ...


class IdSource(Protocol):
    """Draws ids that are not functions of the log: of requests and new instances."""

    def uuid(self) -> str:
        """Return a random uuid as text."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        """Return µs UTC of the machine's wall clock."""
        # The one place that may: every other one is handed this clock.
        return time.time_ns() // 1_000  # noqa: TID251

    def monotonic_s(self) -> float:
        """Return the machine's monotonic clock in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait on the machine's clock."""
        time.sleep(seconds)  # noqa: TID251  # the one place that waits


class RandomIds:
    """Random uuids from the machine's entropy."""

    def uuid(self) -> str:
        """Return a random uuid (version 4)."""
        return str(uuid.uuid4())  # noqa: TID251  # the one place that draws
