"""What a password and a power update do to the two states; the others of their family nothing."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_VM, only
from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    for saga, task, vm in (
        ("set_admin_password", only(T.UPDATING_PASSWORD), KEEP),
        ("power_update_on", only(T.POWERING_ON), V.ACTIVE),
        ("power_update_off", only(T.POWERING_OFF), V.STOPPED),
    ):
        yield Arrow(f"{saga}:done", ANY_VM, task, vm, None)
        for ending in ("failed", "host_lost", "timed_out", "resolved"):
            yield Arrow(f"{saga}:{ending}", ANY_VM, task, KEEP, None)
