"""What an instance of a nova cloud is in the middle of, and whether it will ever come out of it.

Slow and stuck look alike in notifications: that a service died is in none. So what is stuck is
what has waited longer than a bound; and for each task_state it is known whether nova-compute would
take it up again when it starts, or leaves it for ever. It refuses to read a clock.

Source:  nova/compute/manager.py (_init_instance) of nova 34.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from statemachines.shadow_moves import COLD, Moves
from statemachines.states import InstanceAction as Action
from statemachines.states import MigrationStatus as Status
from statemachines.states import MigrationType as Type
from statemachines.states import TaskState as Task
from statemachines.states import VmState

_OPERATIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        Task.SCHEDULING: Action.CREATE,
        Task.BLOCK_DEVICE_MAPPING: Action.CREATE,
        Task.NETWORKING: Action.CREATE,
        Task.SPAWNING: Action.CREATE,
        Task.IMAGE_SNAPSHOT: Action.CREATE_IMAGE,
        Task.IMAGE_SNAPSHOT_PENDING: Action.CREATE_IMAGE,
        Task.IMAGE_PENDING_UPLOAD: Action.CREATE_IMAGE,
        Task.IMAGE_UPLOADING: Action.CREATE_IMAGE,
        Task.IMAGE_BACKUP: Action.BACKUP,
        Task.UPDATING_PASSWORD: Action.CHANGE_PASSWORD,
        Task.RESIZE_REVERTING: Action.REVERT_RESIZE,
        Task.RESIZE_CONFIRMING: Action.CONFIRM_RESIZE,
        Task.REBOOTING: Action.REBOOT,
        Task.REBOOT_PENDING: Action.REBOOT,
        Task.REBOOT_STARTED: Action.REBOOT,
        Task.REBOOTING_HARD: Action.REBOOT,
        Task.REBOOT_PENDING_HARD: Action.REBOOT,
        Task.REBOOT_STARTED_HARD: Action.REBOOT,
        Task.PAUSING: Action.PAUSE,
        Task.UNPAUSING: Action.UNPAUSE,
        Task.SUSPENDING: Action.SUSPEND,
        Task.RESUMING: Action.RESUME,
        Task.POWERING_OFF: Action.STOP,
        Task.POWERING_ON: Action.START,
        Task.RESCUING: Action.RESCUE,
        Task.UNRESCUING: Action.UNRESCUE,
        Task.MIGRATING: Action.LIVE_MIGRATION,
        Task.DELETING: Action.DELETE,
        Task.SOFT_DELETING: Action.DELETE,
        Task.RESTORING: Action.RESTORE,
        Task.SHELVING: Action.SHELVE,
        Task.SHELVING_IMAGE_PENDING_UPLOAD: Action.SHELVE,
        Task.SHELVING_IMAGE_UPLOADING: Action.SHELVE,
        Task.SHELVING_OFFLOADING: Action.SHELVE_OFFLOAD,
        Task.UNSHELVING: Action.UNSHELVE,
    }
)
_RESIZE: Final = frozenset(
    {Task.RESIZE_PREP, Task.RESIZE_MIGRATING, Task.RESIZE_MIGRATED, Task.RESIZE_FINISH}
)
_REBUILD: Final = frozenset(
    {Task.REBUILDING, Task.REBUILD_BLOCK_DEVICE_MAPPING, Task.REBUILD_SPAWNING}
)
_EVACUATING: Final = frozenset({Status.ACCEPTED, Status.PRE_MIGRATING})
#: No rule of nova-compute's start-up looks at these.
NEVER_REPAIRED: Final = frozenset(
    {
        Task.IMAGE_BACKUP,
        Task.UPDATING_PASSWORD,
        Task.RESIZE_MIGRATED,
        Task.RESIZE_FINISH,
        Task.RESIZE_REVERTING,
        Task.RESIZE_CONFIRMING,
        Task.SUSPENDING,
        Task.RESUMING,
        Task.RESCUING,
        Task.UNRESCUING,
        Task.SOFT_DELETING,
        Task.RESTORING,
        Task.SHELVING,
        Task.SHELVING_IMAGE_PENDING_UPLOAD,
        Task.SHELVING_IMAGE_UPLOADING,
        Task.SHELVING_OFFLOADING,
        Task.UNSHELVING,
    }
)
#: In error, only these are looked at.
_REPAIRED_IN_ERROR: Final = frozenset({Task.RESIZE_MIGRATING, Task.DELETING})


class Waiting(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One operation that has not come to its end."""

    #: nova's name of the action: `resize`, `live-migration` …
    operation: str
    task_state: str | None
    since_us: int | None
    #: Would a start of the instance's nova-compute take it up or clear it?
    is_repaired_at_start: bool


def operation_of(vm_state: str | None, task_state: str | None, moves: Moves) -> str | None:
    """Name what goes on with an instance; None where nothing does."""
    newest = moves[-1] if moves else None
    if task_state in _RESIZE:
        is_cold = newest is not None and newest.migration_type is Type.MIGRATION
        return Action.MIGRATE if is_cold else Action.RESIZE
    if task_state in _REBUILD:
        is_away = newest is not None and newest.migration_type is Type.EVACUATION
        evacuated = is_away and newest is not None and newest.status in _EVACUATING
        return Action.EVACUATE if evacuated else Action.REBUILD
    if task_state is not None:
        # Spawning is also the last step of an unshelve; a word of a later nova stands for itself.
        return Action.UNSHELVE if _unshelves(vm_state, task_state) else _named(task_state)
    if vm_state == VmState.BUILDING:
        return Action.CREATE
    if newest is not None and newest.migration_type in COLD and newest.status is Status.CONFIRMING:
        return Action.CONFIRM_RESIZE if vm_state == VmState.RESIZED else None
    return None


def _unshelves(vm_state: str | None, task_state: str) -> bool:
    return task_state == Task.SPAWNING and vm_state == VmState.SHELVED_OFFLOADED


def _named(task_state: str) -> str:
    return _OPERATIONS.get(task_state, task_state)


def waiting_for(
    vm_state: str | None, task_state: str | None, operation: str | None, since_us: int | None
) -> Waiting | None:
    """Return what an instance is in the middle of; None where nothing goes on."""
    if operation is None:
        return None
    return Waiting(
        operation=operation,
        task_state=task_state,
        since_us=since_us,
        is_repaired_at_start=_is_repaired(vm_state, task_state),
    )


def is_stuck(found: Waiting | None, *, now_us: int, bound_us: int) -> bool:
    """Say whether something has waited past a bound; what has no time has waited for ever."""
    return found is not None and (found.since_us is None or now_us - found.since_us > bound_us)


def _is_repaired(vm_state: str | None, task_state: str | None) -> bool:
    if vm_state == VmState.BUILDING:
        return True
    if vm_state == VmState.ERROR:
        return task_state in _REPAIRED_IN_ERROR
    return task_state is not None and task_state not in NEVER_REPAIRED
