"""What a process that folds does once, at its beginning.

The compiled arrows and the schemas are made then: what making them leaves behind is 9 MB, which
would lie between the states of thousands of instances if the first fact made them.

Python's collector of cycles is told to look seldom. Folding makes values, no cycles: reference
counts free them, and the collector walks over everything that is alive to find nothing, a quarter
of the time of a worker as it is set by default.
"""

from __future__ import annotations

import gc
from typing import Final

from events.codec import registry
from statemachines.arrows import table

#: New containers between two looks at the young ones: some thousand facts' worth.
YOUNG_MAX: Final = 100_000
#: Looks at the young ones between two at the middle-aged, and of those between two at all.
MIDDLE_AGED: Final = 50
OLD: Final = 20


def make_ready() -> None:
    """Leave what every fold needs as it is kept: schemas that were read, arrows compiled."""
    registry()
    table()


def ready_to_fold() -> None:
    """Make ready, then have the collector look seldom."""
    make_ready()
    collect_seldom()


def collect_seldom() -> None:
    """Leave what is alive out of the collector's sight, and have it look seldom at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_AGED, OLD)
