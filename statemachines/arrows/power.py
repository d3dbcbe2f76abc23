"""What stop, start, reboot, pause and unpause do to the two states."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_VM, only
from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V

_SOFT = only(T.REBOOTING, T.REBOOT_PENDING, T.REBOOT_STARTED)
_SUSPENDED = frozenset({str(V.SUSPENDED)})
_HARD = only(T.REBOOTING_HARD, T.REBOOT_PENDING_HARD, T.REBOOT_STARTED_HARD)


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    for saga, task, vm in (
        ("stop", only(T.POWERING_OFF), V.STOPPED),
        ("start", only(T.POWERING_ON), V.ACTIVE),
        ("pause", only(T.PAUSING), V.PAUSED),
        ("unpause", only(T.UNPAUSING), V.ACTIVE),
        ("reboot_soft", _SOFT, V.ACTIVE),
        ("reboot_hard", _HARD, V.ACTIVE),
    ):
        yield Arrow(f"{saga}:done", ANY_VM, task, vm, None)
        failed = V.ERROR if saga.startswith("reboot") else KEEP
        yield Arrow(f"{saga}:failed", ANY_VM, task, failed, None)
        for ending in ("host_lost", "timed_out", "resolved"):
            if saga == "reboot_hard":
                # Unheard, it may have given up the memory that was saved, or started the guest.
                yield Arrow(f"{saga}:{ending}", _SUSPENDED, task, V.ERROR, None)
            yield Arrow(f"{saga}:{ending}", ANY_VM, task, KEEP, None)
    yield Arrow("RebootPending", ANY_VM, _SOFT, KEEP, T.REBOOT_PENDING)
    yield Arrow("RebootPending", ANY_VM, _HARD, KEEP, T.REBOOT_PENDING_HARD)
    yield Arrow("RebootStarted", ANY_VM, _SOFT, KEEP, T.REBOOT_STARTED)
    yield Arrow("RebootStarted", ANY_VM, _HARD, KEEP, T.REBOOT_STARTED_HARD)
