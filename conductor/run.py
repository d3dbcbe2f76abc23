"""The loop of a conductor's process: turns, and the waiting between them.

The only place of this package that waits. The simulation calls the same turns and never this.
Where the world fails (log or database away) nothing was lost: the loop waits, a little longer
each time, and the turns go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from conductor import limits
from conductor.ready import ready_to_fold
from events.errors import EventsError
from events.ports import Clock
from projections.store import StoreError

_log = logging.getLogger(__name__)


class TakesTurns(Protocol):
    """Anything that runs."""

    def turn(self) -> bool:
        """Do a bounded piece of work; False where there was none."""
        ...


def run(those: Sequence[TakesTurns], clock: Clock, should_stop: Callable[[], bool]) -> None:
    """Let each take its turn, over and over, until told to stop; wait where none had work.

    Raises whatever is not retriable: our bugs, a recreated topic, a foreign schema.
    """
    ready_to_fold()
    back_off_s = limits.BACK_OFF_S
    while not should_stop():
        try:
            did = [each.turn() for each in those]  # a list: each gets its turn
        except (EventsError, StoreError) as error:
            if not error.retriable:
                raise
            _log.warning("waiting %.1f s: %s", back_off_s, error)
            clock.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, limits.BACK_OFF_MAX_S)
            continue
        back_off_s = limits.BACK_OFF_S
        if not any(did):
            clock.sleep(limits.POLL_WAIT_S)
