"""Whether an action may be asked of an instance as it stands, and if not, why.

It knows how the conditions of the table are tried, in which order, and the sentence with which
nova refuses. It refuses to know what follows a request that is taken, and it looks nothing up:
whatever a condition needs (is the host's service up, is the caller an administrator) comes in
the circumstances, as it stood in the request.

Source:  check_instance_lock, check_instance_state and check_instance_host of
nova/compute/api.py; raise_http_conflict_for_instance_invalid_state of
nova/api/openstack/common.py.
"""

from __future__ import annotations

from typing import TypedDict

from msgspec import Struct

from events.ids import HostName, InstanceId
from statemachines.actions_table import (
    ANY_TASK_STATE,
    ANY_VM_STATE,
    PERMISSIONS,
    Permission,
)
from statemachines.states import (
    POWER_STATE_LABELS,
    MigrationStatus,
    PowerState,
    TaskState,
    VmState,
)

__all__ = [
    "ANY_TASK_STATE",
    "ANY_VM_STATE",
    "PERMISSIONS",
    "Circumstances",
    "Permission",
    "Refusal",
    "TableRow",
    "refusal",
    "state_allows",
    "table_rows",
]


class Circumstances(Struct, frozen=True, kw_only=True, gc=False):
    """All that the conditions of any action look at.

    Shape:   `source_up` speaks of the compute service that the action needs: of the host that
             a migration comes from where one waits for confirm, else of the instance's host.
             `migration_status` is that of the last migration; None where there was none.
    """

    instance_id: InstanceId
    #: States as they stand in the state: plain words of `VmState`, `TaskState` and so on.
    vm_state: str
    task_state: str | None
    launched: bool
    locked: bool
    is_admin: bool
    host: HostName | None
    source_up: bool
    migration_status: str | None
    power_state: int


class Refusal(Struct, frozen=True, gc=False):
    """Why an action was not taken: a stable word for programs, nova's sentence for people."""

    code: str
    sentence: str


class TableRow(TypedDict):
    """One cell of the rules, in plain types that every output format can print."""

    action: str
    vm_state: str
    task_state: str | None
    allowed: bool
    sets_task_state: str | None


def refusal(permission: Permission, now: Circumstances) -> Refusal | None:
    """Give the first condition that does not hold, or None if the action is taken.

    Shape:   total: every permission has an answer in all circumstances. Tried in this order:
             locked, vm-state, task-state, never-launched, no-host, host-down or host-up,
             migration-status, power-state.
    """
    return (
        _lock_refusal(permission, now)
        or _state_refusal(permission, now)
        or _host_refusal(permission, now)
        or _migration_refusal(permission, now)
        or _power_refusal(permission, now)
    )


def state_allows(permission: Permission, vm_state: VmState, task_state: TaskState | None) -> bool:
    """Say whether the two states alone leave the action open."""
    return vm_state in permission.vm_states and task_state in permission.task_states


def table_rows() -> list[TableRow]:
    """Give one row per action, vm_state and task_state, all other conditions taken as held.

    Shape:   59 x 12 x 43 rows, in nova's order, no task first. `sets_task_state` is what is
             written by taking the action in this very cell, so it is None where it is refused.
             Create is refused in every cell, as each is the state of what exists already.
    """
    return [
        _row(permission, vm_state, task_state)
        for permission in PERMISSIONS.values()
        for vm_state in VmState
        for task_state in (None, *TaskState)
    ]


def _row(permission: Permission, vm_state: VmState, task_state: TaskState | None) -> TableRow:
    allowed = state_allows(permission, vm_state, task_state)
    sets = permission.sets_task_state if allowed else None
    return TableRow(
        action=permission.action,
        vm_state=vm_state.value,
        task_state=None if task_state is None else task_state.value,
        allowed=allowed,
        sets_task_state=None if sets is None else sets.value,
    )


def _lock_refusal(permission: Permission, now: Circumstances) -> Refusal | None:
    if permission.lock_checked and now.locked and not now.is_admin:
        return Refusal("locked", f"Instance {now.instance_id} is locked")
    return None


def _state_refusal(permission: Permission, now: Circumstances) -> Refusal | None:
    if now.vm_state not in permission.vm_states:
        return Refusal("vm-state", _cannot(permission, now, "vm_state", now.vm_state))
    if now.task_state not in permission.task_states:
        return Refusal("task-state", _cannot(permission, now, "task_state", now.task_state))
    if permission.must_have_launched and not now.launched:
        return Refusal("never-launched", _cannot(permission, now, "launched_at", None))
    return None


def _host_refusal(permission: Permission, now: Circumstances) -> Refusal | None:
    if now.vm_state in permission.needs_no_host_in:
        return None
    if permission.host_must_be_set and now.host is None:
        return Refusal("no-host", f"Instance {now.instance_id} is not ready")
    # Nova names the host only to those who may evacuate, and so do we.
    if permission.host_service == "up" and not now.source_up:
        return Refusal("host-down", "Service is unavailable at this time.")
    if permission.host_service == "down" and now.source_up:
        return Refusal("host-up", f"Compute service of {now.host} is still in use.")
    return None


def _migration_refusal(permission: Permission, now: Circumstances) -> Refusal | None:
    wanted = permission.migration_statuses
    if not wanted or now.migration_status in wanted:
        return None
    # Confirm and revert look for a finished one and find none; the others look at what is there.
    if MigrationStatus.FINISHED in wanted or now.migration_status is None:
        statuses = " or ".join(status for status in MigrationStatus if status in wanted)
        sentence = f"Migration not found for instance {now.instance_id} with status {statuses}."
    else:
        sentence = (
            f"Migration state of instance {now.instance_id} is {now.migration_status}. "
            f"Cannot {permission.title} while the migration is in this state."
        )
    return Refusal("migration-status", sentence)


def _power_refusal(permission: Permission, now: Circumstances) -> Refusal | None:
    if permission.power_state is None or now.power_state == permission.power_state:
        return None
    label = POWER_STATE_LABELS[PowerState(now.power_state)]
    return Refusal("power-state", _cannot(permission, now, "power_state", label))


def _cannot(permission: Permission, now: Circumstances, attr: str, state: str | None) -> str:
    if state is None:  # Nova has no better words for an idle instance or one never launched.
        return f"Instance {now.instance_id} is in an invalid state for '{permission.title}'"
    return f"Cannot '{permission.title}' instance {now.instance_id} while it is in {attr} {state}"
