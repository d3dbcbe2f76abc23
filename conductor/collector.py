"""Python's collector of cycles, told to look seldom: a process that folds makes values, no cycles.

Reference counts free the values; the collector walks over everything that is alive to find nothing,
a quarter of the time of a worker as it is set by default. Every process that folds much calls this
once at its beginning.
"""

from __future__ import annotations

import gc
from typing import Final

#: New containers between two looks at the young ones: some thousand facts' worth.
YOUNG_MAX: Final = 100_000
#: Looks at the young ones between two at the middle-aged, and of those between two at all.
MIDDLE_AGED: Final = 50
OLD: Final = 20


def collect_seldom() -> None:
    """Leave what is alive out of the collector's sight, and have it look seldom at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_AGED, OLD)
