"""What keeps a measure honest: a bound of its time, and a look at who else is at work.

Nothing here is the service's; it is for whoever measures it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from types import FrameType
from typing import Final

#: How long one looks at what others do.
LOOK_S: Final = 2.0
#: Others who take this share of all cores are written beside what was measured.
BUSY_SHARE: Final = 0.1


class TooLong(Exception):
    """Expected a measure to end within its bound, but it did not."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise TooLong in what is done within when it takes longer; its child processes are ended.

    In the main thread only. Children are ended first, so that nobody waits for one of them.
    """

    def too_long(_number: int, _frame: FrameType | None) -> None:
        for child in active_children():
            child.kill()
        raise TooLong(f"Expected a measure to end within {seconds:g} s, but it did not")

    before, begin_s = signal.signal(signal.SIGALRM, too_long), time.monotonic()
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left_s:  # A bound around this one goes on.
            passed_s = time.monotonic() - begin_s
            signal.setitimer(signal.ITIMER_REAL, max(left_s - passed_s, 0.001))


def others_share() -> float:
    """Return the share of all cores that is taken while we do nothing."""
    begin = _ticks()
    time.sleep(LOOK_S)
    end = _ticks()
    idle, whole = end[0] - begin[0], end[1] - begin[1]
    return 1 - idle / whole


def waited_for_quiet(patience_s: float) -> float:
    """Return the share that others take, when it is small or one has waited so long for it."""
    end_s = time.monotonic() + patience_s
    while (share := others_share()) > BUSY_SHARE and time.monotonic() < end_s:
        pass
    return share


def _ticks() -> tuple[int, int]:
    """Return the ticks that all cores had nothing to do, and all ticks, since the machine began."""
    first = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    ticks = [int(each) for each in first[:8]]  # Guests are counted among user and nice.
    return ticks[3] + ticks[4], sum(ticks)
