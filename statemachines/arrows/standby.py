"""What suspend, resume, rescue and unrescue do to the two states."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_VM, only
from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    for saga, task, vm in (
        ("suspend", only(T.SUSPENDING), V.SUSPENDED),
        ("resume", only(T.RESUMING), V.ACTIVE),
        ("rescue", only(T.RESCUING), V.RESCUED),
        ("unrescue", only(T.UNRESCUING), V.ACTIVE),
    ):
        yield Arrow(f"{saga}:done", ANY_VM, task, vm, None)
        for ending in ("failed", "host_lost", "timed_out"):
            yield Arrow(f"{saga}:{ending}", ANY_VM, task, V.ERROR, None)
        yield Arrow(f"{saga}:resolved", ANY_VM, task, KEEP, None)
    for ending, task in (
        ("suspend:faulted", only(T.SUSPENDING)),
        ("resume:faulted", only(T.RESUMING)),
        ("rescue:refused", only(T.RESCUING)),
        ("unrescue:refused", only(T.UNRESCUING)),
    ):
        yield Arrow(ending, ANY_VM, task, KEEP, None)
    # A driver that can't unrescue: nova calls such a guest active.
    yield Arrow("unrescue:faulted", ANY_VM, only(T.UNRESCUING), V.ACTIVE, None)
