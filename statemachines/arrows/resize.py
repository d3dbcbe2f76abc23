"""What resize, cold migration, confirm and revert do to the two states."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import only
from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V

_MOVABLE = frozenset({str(V.ACTIVE), str(V.STOPPED)})
_RESIZING = only(T.RESIZE_PREP, T.RESIZE_MIGRATING, T.RESIZE_MIGRATED, T.RESIZE_FINISH)


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    yield Arrow("ResizeStarted", _MOVABLE, _RESIZING, KEEP, T.RESIZE_MIGRATING)
    yield Arrow("ResizeMigrated", _MOVABLE, _RESIZING, KEEP, T.RESIZE_MIGRATED)
    yield Arrow("ResizeFinishing", _MOVABLE, _RESIZING, KEEP, T.RESIZE_FINISH)
    for saga in ("resize", "migrate"):
        yield Arrow(f"{saga}:finished", _MOVABLE, _RESIZING, V.RESIZED, None)
        for ending in ("prepare_failed", "failed", "stranded"):
            yield Arrow(f"{saga}:{ending}", _MOVABLE, _RESIZING, V.ERROR, None)
        # Its destination never said that it runs there.
        yield Arrow(f"{saga}:resolved", _MOVABLE, _RESIZING, V.ERROR, None, "guest_moved")
        for ending in ("no_valid_host", "faulted", "resolved"):
            yield Arrow(f"{saga}:{ending}", _MOVABLE, _RESIZING, KEEP, None)
    # Given back by an operator's word: its source makes it what it was.
    yield Arrow("RevertPoweringOff", _MOVABLE, _RESIZING, KEEP, KEEP)
    resized = frozenset({str(V.RESIZED)})
    idle = only(None)
    # Resolved: nobody answers for the old disks any more, so there is nothing to go back to.
    for ending in ("confirmed", "resolved"):
        yield Arrow(f"confirm_resize:{ending}", resized, idle, V.STOPPED, None, "guest_is_off")
        yield Arrow(f"confirm_resize:{ending}", resized, idle, V.ACTIVE, None)
    yield Arrow("confirm_resize:failed", resized, idle, V.ERROR, KEEP)
    reverting = only(T.RESIZE_REVERTING, T.POWERING_OFF)
    back = resized | {str(V.ACTIVE)}
    yield Arrow("RevertPoweringOff", resized, only(T.RESIZE_REVERTING), V.ACTIVE, T.POWERING_OFF)
    yield Arrow("revert_resize:reverted", back, reverting, V.STOPPED, None, "was_stopped")
    yield Arrow("revert_resize:reverted", back, reverting, V.ACTIVE, None)
    yield Arrow("revert_resize:failed", back, reverting, V.ERROR, None)
    yield Arrow("revert_resize:resolved", back, reverting, V.ERROR, None)
