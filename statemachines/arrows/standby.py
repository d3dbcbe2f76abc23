"""What suspend, resume, rescue, unrescue, soft delete and restore do to the two states."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_TASK, ANY_VM, only
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
    yield from _soft_delete()
    # A driver that can't unrescue: nova calls such a guest active.
    yield Arrow("unrescue:faulted", ANY_VM, only(T.UNRESCUING), V.ACTIVE, None)


def _soft_delete() -> Iterator[Arrow]:
    deleting, restoring = only(T.SOFT_DELETING), only(T.RESTORING)
    resized = frozenset({str(V.RESIZED)})
    # Nova confirms a resize before it deletes the instance, softly or not.
    yield Arrow("ResizeConfirmed", resized, deleting, V.STOPPED, KEEP, "guest_is_off")
    yield Arrow("ResizeConfirmed", resized, deleting, V.ACTIVE, KEEP)
    yield Arrow("ResizeConfirmed", ANY_VM, ANY_TASK, KEEP, KEEP)
    yield Arrow("soft_delete:soft_deleted", ANY_VM, deleting, V.SOFT_DELETED, None)
    yield Arrow("soft_delete:offloaded", ANY_VM, deleting, V.SHELVED_OFFLOADED, None)
    for ending in ("failed", "host_lost", "timed_out"):
        yield Arrow(f"soft_delete:{ending}", ANY_VM, deleting, V.ERROR, None, "took_over")
        # With its source lost the resize was confirmed by no answer.
        yield Arrow(f"soft_delete:{ending}", resized, deleting, V.STOPPED, None, "confirmed_off")
        yield Arrow(f"soft_delete:{ending}", resized, deleting, V.ACTIVE, None, "confirmed")
        yield Arrow(f"soft_delete:{ending}", ANY_VM, deleting, KEEP, None)
    yield Arrow("soft_delete:confirm_failed", ANY_VM, deleting, V.ERROR, None)
    yield Arrow("soft_delete:resolved", ANY_VM, deleting, KEEP, None)
    yield Arrow("restore:done", ANY_VM, restoring, V.ACTIVE, None)
    for ending in ("failed", "host_lost", "timed_out", "resolved"):
        yield Arrow(f"restore:{ending}", ANY_VM, restoring, KEEP, None)
