"""What delete and reset-state do to the two states: from everywhere."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_TASK, ANY_VM
from statemachines.machine import Arrow
from statemachines.states import VmState as V


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    yield Arrow("delete:deleted", ANY_VM, ANY_TASK, V.DELETED, None)
    yield Arrow("delete:failed", ANY_VM, ANY_TASK, V.ERROR, None)
    yield Arrow("delete:resolved", ANY_VM, ANY_TASK, V.ERROR, None)
    yield Arrow("reset_state:reset", ANY_VM, ANY_TASK, V.ACTIVE, None, "reset_to_active")
    yield Arrow("reset_state:reset", ANY_VM, ANY_TASK, V.ERROR, None)
    yield Arrow("reset_state:offloaded", ANY_VM, ANY_TASK, V.SHELVED_OFFLOADED, None)
    yield Arrow("reset_state:resolved", ANY_VM, ANY_TASK, V.ERROR, None)
