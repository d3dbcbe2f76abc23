"""Who may ask what of an instance, as a table: one row per action that nova's API knows.

It knows, for each of the 59 actions, the states in which nova takes it, the conditions beside
the states and the task_state that nova then sets. It refuses to know what becomes of a request
that was taken, what only the request itself could tell (a merge target, a microversion), and
who is allowed by policy.

Source:  the decorators of nova/compute/api.py, and nova/api/openstack/compute/{admin_actions,
server_tags,server_shares}.py, of nova 34. A row's defaults are the decorator's: idle, launched
once, and not locked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Final, Literal

from statemachines.states import InstanceAction as Act
from statemachines.states import MigrationStatus as Status
from statemachines.states import MigrationType, PowerState
from statemachines.states import TaskState as Task
from statemachines.states import VmState as Vm

ANY_VM_STATE: Final = frozenset(Vm)
NO_VM_STATE: Final[frozenset[Vm]] = frozenset()
ANY_TASK_STATE: Final[frozenset[Task | None]] = frozenset({None, *Task})
IDLE: Final[frozenset[Task | None]] = frozenset({None})


@dataclass(frozen=True, slots=True)
class Permission:
    """The conditions under which one action is taken; all of them must hold.

    Shape:   an empty set of migration statuses, a power state of None and a host service of
             "any" ask nothing. `needs_no_host_in` lifts the two host conditions.
    """

    action: str
    instance_action: Act | None  # None where nova keeps no record of the action.
    vm_states: frozenset[Vm]
    _: KW_ONLY
    task_states: frozenset[Task | None] = IDLE
    must_have_launched: bool = True
    lock_checked: bool = True  # Refused for all but administrators while locked.
    sets_task_state: Task | None = None  # Written in the moment in which it is taken.
    migration_type: MigrationType | None = None  # Of the migration that it starts.
    host_must_be_set: bool = False
    host_service: Literal["any", "up", "down"] = "any"
    needs_no_host_in: frozenset[Vm] = NO_VM_STATE
    migration_statuses: frozenset[Status] = frozenset()
    power_state: PowerState | None = None
    asked_as: str | None = None  # Nova's word in a refusal, where it is neither of the names.

    @property
    def title(self) -> str:
        """Give the word by which a refusal names the action."""
        return self.asked_as or self.instance_action or self.action


_SETTLED: Final = frozenset({Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED})
_REBUILDABLE: Final = frozenset({Vm.ACTIVE, Vm.STOPPED, Vm.ERROR})
_PLUGGABLE: Final = frozenset({Vm.ACTIVE, Vm.PAUSED, Vm.STOPPED})
_WATCHABLE: Final = ANY_TASK_STATE - {Task.DELETING, Task.MIGRATING}
_WITH_VOLUMES: Final = frozenset(
    {
        Vm.ACTIVE,
        Vm.PAUSED,
        Vm.STOPPED,
        Vm.RESIZED,
        Vm.SOFT_DELETED,
        Vm.SHELVED,
        Vm.SHELVED_OFFLOADED,
    }
)


def _unguarded(
    action: str,
    instance_action: Act | None = None,
    *,
    task_states: frozenset[Task | None] = ANY_TASK_STATE,
    lock_checked: bool = False,
    host_must_be_set: bool = False,
) -> Permission:
    return Permission(
        action,
        instance_action,
        ANY_VM_STATE,
        task_states=task_states,
        must_have_launched=False,
        lock_checked=lock_checked,
        host_must_be_set=host_must_be_set,
    )


_ROWS: Final = (
    # Nothing exists yet that could be in a state; asked of what exists, it is refused.
    Permission(
        "create",
        Act.CREATE,
        NO_VM_STATE,
        must_have_launched=False,
        lock_checked=False,
        sets_task_state=Task.SCHEDULING,
    ),
    # Unconditional: nova saves the task_state whatever it was. From resized it confirms first.
    Permission(
        "delete",
        Act.DELETE,
        ANY_VM_STATE,
        task_states=ANY_TASK_STATE,
        must_have_launched=False,
        sets_task_state=Task.DELETING,
    ),
    # What was never launched is deleted at once instead; the front end decides that.
    Permission(
        "soft_delete",
        Act.DELETE,
        ANY_VM_STATE,
        task_states=ANY_TASK_STATE,
        sets_task_state=Task.SOFT_DELETING,
    ),
    Permission(
        "force_delete",
        Act.DELETE,
        ANY_VM_STATE,
        task_states=ANY_TASK_STATE,
        must_have_launched=False,
        sets_task_state=Task.DELETING,
        asked_as="forceDelete",
    ),
    # Without a host nova goes to active directly and sets no task_state.
    Permission(
        "restore", Act.RESTORE, frozenset({Vm.SOFT_DELETED}), sets_task_state=Task.RESTORING
    ),
    Permission(
        "stop",
        Act.STOP,
        frozenset({Vm.ACTIVE, Vm.ERROR}),
        sets_task_state=Task.POWERING_OFF,
        host_must_be_set=True,
    ),
    # Asked by the power sync, not by a person: only the guarded save protects it.
    Permission(
        "force_stop",
        Act.STOP,
        ANY_VM_STATE,
        must_have_launched=False,
        lock_checked=False,
        sets_task_state=Task.POWERING_OFF,
    ),
    Permission(
        "start",
        Act.START,
        frozenset({Vm.STOPPED}),
        sets_task_state=Task.POWERING_ON,
        host_must_be_set=True,
    ),
    Permission(
        "trigger_crash_dump",
        Act.TRIGGER_CRASH_DUMP,
        frozenset({Vm.ACTIVE, Vm.PAUSED, Vm.RESCUED, Vm.RESIZED, Vm.ERROR}),
        host_must_be_set=True,
    ),
    Permission(
        "backup", Act.BACKUP, _SETTLED, lock_checked=False, sets_task_state=Task.IMAGE_BACKUP
    ),
    Permission(
        "snapshot",
        Act.CREATE_IMAGE,
        _SETTLED,
        lock_checked=False,
        sets_task_state=Task.IMAGE_SNAPSHOT_PENDING,
    ),
    Permission("snapshot_volume_backed", Act.CREATE_IMAGE, _SETTLED, lock_checked=False),
    Permission("reboot_soft", Act.REBOOT, frozenset({Vm.ACTIVE}), sets_task_state=Task.REBOOTING),
    # May break into these, and into an earlier reboot that hangs.
    Permission(
        "reboot_hard",
        Act.REBOOT,
        frozenset({Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED, Vm.ERROR}),
        task_states=frozenset(
            {
                None,
                Task.REBOOTING,
                Task.REBOOT_PENDING,
                Task.REBOOT_STARTED,
                Task.RESUMING,
                Task.REBOOTING_HARD,
                Task.UNPAUSING,
                Task.PAUSING,
                Task.SUSPENDING,
            }
        ),
        sets_task_state=Task.REBOOTING_HARD,
    ),
    Permission("rebuild", Act.REBUILD, _REBUILDABLE, sets_task_state=Task.REBUILDING),
    Permission(
        "resize",
        Act.RESIZE,
        frozenset({Vm.ACTIVE, Vm.STOPPED}),
        sets_task_state=Task.RESIZE_PREP,
        migration_type=MigrationType.RESIZE,
        host_must_be_set=True,
        host_service="up",
    ),
    # One method with resize in nova; the flavor is left out.
    Permission(
        "migrate",
        Act.MIGRATE,
        frozenset({Vm.ACTIVE, Vm.STOPPED}),
        sets_task_state=Task.RESIZE_PREP,
        migration_type=MigrationType.MIGRATION,
        host_must_be_set=True,
        host_service="up",
    ),
    # resize_confirming exists, but nobody sets it. The source host has to clean up, hence up.
    Permission(
        "confirm_resize",
        Act.CONFIRM_RESIZE,
        frozenset({Vm.RESIZED}),
        host_service="up",
        migration_statuses=frozenset({Status.FINISHED}),
    ),
    Permission(
        "revert_resize",
        Act.REVERT_RESIZE,
        frozenset({Vm.RESIZED}),
        sets_task_state=Task.RESIZE_REVERTING,
        migration_statuses=frozenset({Status.FINISHED}),
    ),
    Permission("shelve", Act.SHELVE, _SETTLED, sets_task_state=Task.SHELVING),
    Permission(
        "shelve_offload",
        Act.SHELVE_OFFLOAD,
        frozenset({Vm.SHELVED}),
        sets_task_state=Task.SHELVING_OFFLOADING,
    ),
    Permission(
        "unshelve",
        Act.UNSHELVE,
        frozenset({Vm.SHELVED, Vm.SHELVED_OFFLOADED}),
        sets_task_state=Task.UNSHELVING,
    ),
    Permission("pause", Act.PAUSE, frozenset({Vm.ACTIVE}), sets_task_state=Task.PAUSING),
    Permission("unpause", Act.UNPAUSE, frozenset({Vm.PAUSED}), sets_task_state=Task.UNPAUSING),
    Permission("suspend", Act.SUSPEND, frozenset({Vm.ACTIVE}), sets_task_state=Task.SUSPENDING),
    Permission("resume", Act.RESUME, frozenset({Vm.SUSPENDED}), sets_task_state=Task.RESUMING),
    Permission("rescue", Act.RESCUE, _REBUILDABLE, sets_task_state=Task.RESCUING),
    Permission("unrescue", Act.UNRESCUE, frozenset({Vm.RESCUED}), sets_task_state=Task.UNRESCUING),
    Permission(
        "set_admin_password",
        Act.CHANGE_PASSWORD,
        frozenset({Vm.ACTIVE}),
        sets_task_state=Task.UPDATING_PASSWORD,
    ),
    Permission(
        "live_migrate",
        Act.LIVE_MIGRATION,
        frozenset({Vm.ACTIVE, Vm.PAUSED}),
        sets_task_state=Task.MIGRATING,
        migration_type=MigrationType.LIVE_MIGRATION,
        asked_as="os-migrateLive",
    ),
    Permission(
        "live_migrate_force_complete",
        Act.LIVE_MIGRATION_FORCE_COMPLETE,
        frozenset({Vm.ACTIVE}),
        task_states=frozenset({Task.MIGRATING}),
        migration_statuses=frozenset({Status.RUNNING}),
        asked_as="force_complete",
    ),
    # Queued and preparing since microversion 2.65; older clients are refused at the front.
    Permission(
        "live_migrate_abort",
        Act.LIVE_MIGRATION_CANCEL,
        ANY_VM_STATE,
        task_states=frozenset({Task.MIGRATING}),
        migration_statuses=frozenset({Status.RUNNING, Status.QUEUED, Status.PREPARING}),
        asked_as="abort live migration",
    ),
    # Whatever was being done to the guest ended with its host.
    Permission(
        "evacuate",
        Act.EVACUATE,
        _REBUILDABLE,
        task_states=ANY_TASK_STATE,
        lock_checked=False,
        sets_task_state=Task.REBUILDING,
        migration_type=MigrationType.EVACUATION,
        host_service="down",
    ),
    Permission(
        "attach_volume",
        Act.ATTACH_VOLUME,
        _WITH_VOLUMES,
    ),
    # An offloaded server has no host: its volume is detached without one.
    Permission(
        "detach_volume",
        Act.DETACH_VOLUME,
        _WITH_VOLUMES,
        host_service="up",
        needs_no_host_in=frozenset({Vm.SHELVED_OFFLOADED}),
    ),
    Permission("swap_volume", Act.SWAP_VOLUME, frozenset({Vm.ACTIVE, Vm.PAUSED, Vm.RESIZED})),
    Permission("attach_interface", Act.ATTACH_INTERFACE, _PLUGGABLE),
    Permission("detach_interface", Act.DETACH_INTERFACE, _PLUGGABLE),
    Permission(
        "update_instance_metadata",
        None,
        _SETTLED,
        task_states=ANY_TASK_STATE,
        asked_as="update metadata",
    ),
    Permission(
        "delete_instance_metadata",
        None,
        _SETTLED,
        task_states=ANY_TASK_STATE,
        asked_as="delete metadata",
    ),
    Permission(
        "volume_snapshot_create", None, ANY_VM_STATE, lock_checked=False, host_must_be_set=True
    ),
    # With a merge target the host refuses what is not active; the request is not seen here.
    Permission(
        "volume_snapshot_delete", None, ANY_VM_STATE, lock_checked=False, host_must_be_set=True
    ),
    _unguarded("get_vnc_console", task_states=_WATCHABLE, host_must_be_set=True),
    _unguarded("get_spice_console", task_states=_WATCHABLE, host_must_be_set=True),
    _unguarded("get_serial_console", task_states=_WATCHABLE, host_must_be_set=True),
    _unguarded("get_mks_console", task_states=_WATCHABLE, host_must_be_set=True),
    _unguarded("get_console_output", host_must_be_set=True),
    # The host refuses a guest that does not run; that answer is its own.
    _unguarded("get_diagnostics", host_must_be_set=True),
    _unguarded("add_fixed_ip", lock_checked=True),
    _unguarded("remove_fixed_ip", lock_checked=True),
    _unguarded("inject_network_info", lock_checked=True),
    _unguarded("lock", Act.LOCK),
    _unguarded("unlock", Act.UNLOCK),
    # Clears the task_state and sets active or error, whichever was asked for.
    _unguarded("reset_state", Act.RESET_STATE),
    Permission(
        "update_tags",
        None,
        _SETTLED,
        task_states=ANY_TASK_STATE,
        must_have_launched=False,
        lock_checked=False,
    ),
    Permission(
        "attach_share",
        Act.ATTACH_SHARE,
        frozenset({Vm.STOPPED}),
        task_states=ANY_TASK_STATE,
        must_have_launched=False,
        lock_checked=False,
    ),
    Permission(
        "detach_share",
        Act.DETACH_SHARE,
        frozenset({Vm.STOPPED, Vm.ERROR}),
        task_states=ANY_TASK_STATE,
        must_have_launched=False,
        lock_checked=False,
    ),
    # Reported by bare metal, not asked: the power state must be the opposite one.
    Permission(
        "external_event_power_update_on",
        Act.START,
        frozenset({Vm.STOPPED}),
        must_have_launched=False,
        lock_checked=False,
        sets_task_state=Task.POWERING_ON,
        power_state=PowerState.SHUTDOWN,
    ),
    Permission(
        "external_event_power_update_off",
        Act.STOP,
        frozenset({Vm.ACTIVE}),
        must_have_launched=False,
        lock_checked=False,
        sets_task_state=Task.POWERING_OFF,
        power_state=PowerState.RUNNING,
    ),
)

#: One permission per action, in nova's order.
PERMISSIONS: Final[Mapping[str, Permission]] = MappingProxyType(
    {permission.action: permission for permission in _ROWS}
)
