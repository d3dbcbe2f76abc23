"""What a live migration does to the two states."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_TASK, ANY_VM, only
from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V

_LIVE = frozenset({str(V.ACTIVE), str(V.PAUSED)})


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    migrating = only(T.MIGRATING)
    yield Arrow("LiveMigrationFinished", _LIVE, migrating, KEEP, None)
    yield Arrow("live_migration:completed", ANY_VM, ANY_TASK, KEEP, None)
    for ending in (
        "no_valid_host",
        "max_retries",
        "refused",
        "failed",
        "cancelled",
        "resolved",
    ):
        yield Arrow(f"live_migration:{ending}", _LIVE, only(T.MIGRATING, None), KEEP, None)
    for ending in ("lost", "stranded"):
        yield Arrow(f"live_migration:{ending}", _LIVE, only(T.MIGRATING, None), V.ERROR, None)
