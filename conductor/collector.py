"""When Python's collector of cycles looks: seldom, and where little is alive.

Folding makes values, no cycles: reference counts free them, and the collector walks over everything
that is alive to find nothing, a quarter of the time of a worker as it is set by default. Kafka's
client leaves some hundred objects in cycles with each poll: in the middle of a batch that is a look
of 150 ms now and then, between two of few records one of 3 ms.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: New containers between two looks at the young ones: some thousand facts' worth.
YOUNG_MAX: Final = 100_000
#: Looks at the young ones between two at the middle-aged, and of those between two at all.
MIDDLE_AGED: Final = 50
OLD: Final = 20
#: New containers that are enough for a look where few others are alive.
YOUNG_BETWEEN_MAX: Final = 2_000


def collect_seldom() -> None:
    """Leave what is alive out of the collector's sight, and have it look seldom at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_AGED, OLD)


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Have the collector look seldom within, and as before afterwards: for who folds only once."""
    before = gc.get_threshold()
    collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def collect_between() -> None:
    """Have the collector look now if there is enough to look at: between batches of few records.

    By Python's own rule at the young, at the middle-aged too, or at all.
    """
    young, middle_aged, old = gc.get_count()
    if young >= YOUNG_BETWEEN_MAX:
        gc.collect(0 if middle_aged <= MIDDLE_AGED else 1 if old <= OLD else 2)
