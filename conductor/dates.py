"""The dates that nova shows and that are no field of the state by themselves."""

from __future__ import annotations

from statemachines.held import Held
from statemachines.states import TaskState, VmState


def deleted_at(held: Held) -> int | None:
    """Return when an instance was deleted, softly or for good (µs UTC); None where it is not.

    Nova dates a soft delete from its request, and clears the date when a restore is asked.
    """
    is_asked = held.task_state == TaskState.SOFT_DELETING
    is_aside = held.vm_state == VmState.SOFT_DELETED and held.task_state != TaskState.RESTORING
    return held.deleted_at or (held.soft_deleted_at if is_asked or is_aside else None)
