"""What a process that folds does once, at its beginning.

The compiled arrows and the schemas are made then: what making them leaves behind is 9 MB, which
would lie between the states of thousands of instances if the first fact made them. Blocks of
megabytes are kept apart from small ones for the same reason.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

from conductor.collector import collect_seldom
from events.codec import registry
from statemachines.arrows import table

#: Bytes from which on a block is asked of the system for itself, and given back to it when freed:
#: an answer of the log, rows of a batch on their way into the database.
APART_MIN: Final = 1 << 20
#: `M_MMAP_THRESHOLD` of malloc.h, of which only glibc knows.
_MMAP_THRESHOLD: Final = -3


def make_ready() -> None:
    """Leave what every fold needs as it is kept: schemas that were read, arrows compiled."""
    registry()
    table()


def ready_to_fold() -> None:
    """Make ready, keep large blocks apart, then have the collector look seldom."""
    keep_large_apart()
    make_ready()
    collect_seldom()


def keep_large_apart() -> None:
    """Have large blocks never lie among small ones.

    glibc puts them there as soon as one was freed: then what is small settles in the room of one
    that is gone, and the next needs new room. Other libraries do not, and are left as they are.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, APART_MIN)
