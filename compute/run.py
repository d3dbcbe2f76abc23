"""The loop of an agent's process: turns, and the waiting between them.

The only place of this package that waits. A simulation calls the same turns and never this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from compute.limits import IDLE_MAX_S, IDLE_MIN_S, STOP_S
from compute.wiring import Parts
from events.ports import Clock


class TakesTurns(Protocol):
    """Anything that runs."""

    def turn(self) -> bool:
        """Do a bounded piece of work; False where there was none."""
        ...


def run(parts: Parts, clock: Clock, should_stop: Callable[[], bool]) -> None:
    """Leave the host served until `should_stop` says so, and its last word in the log."""
    turn_until(parts.turns, clock, should_stop)
    parts.agent.stop()
    end_s = clock.monotonic_s() + STOP_S
    turn_until(
        [parts.emitter], clock, lambda: parts.emitter.is_empty or clock.monotonic_s() > end_s
    )


def turn_until(those: Sequence[TakesTurns], clock: Clock, should_stop: Callable[[], bool]) -> None:
    """Let each take its turn, over and over; wait a little where none had work."""
    idle_s = IDLE_MIN_S
    while not should_stop():
        did = [each.turn() for each in those]  # a list: each gets its turn
        if any(did):
            idle_s = IDLE_MIN_S
        else:
            clock.sleep(idle_s)
            idle_s = min(2 * idle_s, IDLE_MAX_S)
