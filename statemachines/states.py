"""The words that a state is written in, spelled as nova stores and publishes them.

It knows every vm_state, task_state, power state, migration type and status and the names of
instance actions, the order in which a migration's statuses follow each other, and what a user
is shown for a pair of states. It refuses to know what may follow what for an instance and who
may ask for it: that is said by the arrows and by the permissions.

Source:  nova/compute/vm_states.py, task_states.py, power_state.py, instance_actions.py,
nova/objects/fields.py and nova/api/openstack/common.py of nova 34.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class VmState(StrEnum):
    """What an instance is when nothing is being done to it."""

    ACTIVE = "active"  # A guest exists and is meant to run.
    BUILDING = "building"  # Recorded, but no guest has been there yet.
    PAUSED = "paused"  # The guest stands still, its memory kept on the host.
    SUSPENDED = "suspended"  # The guest's memory is on disk.
    STOPPED = "stopped"  # Powered off; the disk stays on its host.
    RESCUED = "rescued"  # Running from a rescue image, its own disk attached.
    RESIZED = "resized"  # Moved or resized; waits to be confirmed or reverted.
    SOFT_DELETED = "soft-delete"  # Deleted for its user, restorable until reclaimed.
    DELETED = "deleted"  # Gone; nothing leads back.
    ERROR = "error"  # The last operation went wrong, or nobody knows.
    SHELVED = "shelved"  # Off, with a snapshot; still counted on its host.
    SHELVED_OFFLOADED = "shelved_offloaded"  # Only a snapshot; on no host.


#: States in which a host has at most a guest that is half built.
HALF_BUILT: Final = frozenset({VmState.BUILDING, VmState.SHELVED_OFFLOADED})


class TaskState(StrEnum):
    """What is being done to an instance; None where nothing is."""

    SCHEDULING = "scheduling"  # A build looks for a host, the first time or again.
    BLOCK_DEVICE_MAPPING = "block_device_mapping"  # A build prepares its disks.
    NETWORKING = "networking"  # A build prepares its ports.
    SPAWNING = "spawning"  # The driver makes the guest (build, or unshelve from nowhere).
    IMAGE_SNAPSHOT = "image_snapshot"  # The driver takes a snapshot.
    IMAGE_SNAPSHOT_PENDING = "image_snapshot_pending"  # A snapshot was asked for.
    IMAGE_PENDING_UPLOAD = "image_pending_upload"  # Snapshot or backup taken, not yet sent.
    IMAGE_UPLOADING = "image_uploading"  # Snapshot or backup on its way to the image store.
    IMAGE_BACKUP = "image_backup"  # A backup was asked for.
    UPDATING_PASSWORD = "updating_password"  # The guest is told a new administrator password.
    RESIZE_PREP = "resize_prep"  # Resize or cold migration: destination sought and claimed.
    RESIZE_MIGRATING = "resize_migrating"  # The source powers off and moves the disk.
    RESIZE_MIGRATED = "resize_migrated"  # The source is done; the host changes hands here.
    RESIZE_FINISH = "resize_finish"  # The destination starts the guest.
    RESIZE_REVERTING = "resize_reverting"  # The old size, or the old host, is put back.
    RESIZE_CONFIRMING = "resize_confirming"  # Nova names it and sets it nowhere.
    REBOOTING = "rebooting"  # Soft reboot asked for.
    REBOOT_PENDING = "reboot_pending"  # Soft reboot received by the host.
    REBOOT_STARTED = "reboot_started"  # Soft reboot handed to the driver.
    REBOOTING_HARD = "rebooting_hard"  # Hard reboot asked for.
    REBOOT_PENDING_HARD = "reboot_pending_hard"  # Hard reboot received by the host.
    REBOOT_STARTED_HARD = "reboot_started_hard"  # Hard reboot handed to the driver.
    PAUSING = "pausing"  # On its way to paused.
    UNPAUSING = "unpausing"  # On its way back from paused.
    SUSPENDING = "suspending"  # On its way to suspended.
    RESUMING = "resuming"  # On its way back from suspended.
    POWERING_OFF = "powering-off"  # On its way to stopped.
    POWERING_ON = "powering-on"  # On its way back from stopped.
    RESCUING = "rescuing"  # On its way to rescued.
    UNRESCUING = "unrescuing"  # On its way back from rescued.
    REBUILDING = "rebuilding"  # Rebuild or evacuation asked for.
    REBUILD_BLOCK_DEVICE_MAPPING = "rebuild_block_device_mapping"  # It prepares its disks.
    REBUILD_SPAWNING = "rebuild_spawning"  # The driver makes the guest anew.
    MIGRATING = "migrating"  # Live migration, from the request to its end.
    DELETING = "deleting"  # On its way to deleted.
    SOFT_DELETING = "soft-deleting"  # On its way to soft-delete.
    RESTORING = "restoring"  # On its way back from soft-delete.
    SHELVING = "shelving"  # On its way to shelved.
    SHELVING_IMAGE_PENDING_UPLOAD = "shelving_image_pending_upload"  # Its snapshot is taken.
    SHELVING_IMAGE_UPLOADING = "shelving_image_uploading"  # Its snapshot is being sent.
    SHELVING_OFFLOADING = "shelving_offloading"  # It leaves its host.
    UNSHELVING = "unshelving"  # On its way back from shelved or shelved_offloaded.


class PowerState(IntEnum):
    """What the hypervisor last said of the guest. 2 and 5 mean nothing in nova."""

    NOSTATE = 0  # Unknown, or no guest.
    RUNNING = 1  # The guest runs.
    PAUSED = 3  # The guest stands still in memory.
    SHUTDOWN = 4  # The guest is off.
    CRASHED = 6  # The guest died by itself.
    SUSPENDED = 7  # The guest is on disk.


class MigrationType(StrEnum):
    """Why a guest moves."""

    MIGRATION = "migration"  # Cold: off, moved, and on again with the same flavor.
    RESIZE = "resize"  # The same with another flavor.
    LIVE_MIGRATION = "live-migration"  # Moved while it runs.
    EVACUATION = "evacuation"  # Made anew elsewhere, its host being lost.


class MigrationStatus(StrEnum):
    """How far a migration has come."""

    ACCEPTED = "accepted"  # Live, evacuation: recorded.
    QUEUED = "queued"  # Live: waits for its turn on the source.
    PREPARING = "preparing"  # Live: the destination is being made ready.
    RUNNING = "running"  # Live: memory is being copied.
    RUNNING_POST_COPY = "running (post-copy)"  # Live: runs at the destination, fetches the rest.
    PRE_MIGRATING = "pre-migrating"  # Others: recorded, or claimed at the destination.
    MIGRATING = "migrating"  # Cold: the source moves the disk.
    POST_MIGRATING = "post-migrating"  # Cold: the source is done.
    FINISHED = "finished"  # Cold: up at the destination; waits for confirm or revert.
    CONFIRMING = "confirming"  # Cold: confirm asked for.
    CONFIRMED = "confirmed"  # Cold: the source is cleaned up.
    REVERTING = "reverting"  # Cold: revert asked for.
    REVERTED = "reverted"  # Cold: the destination has let go.
    DONE = "done"  # Evacuation: up at the destination; the old host still owes a clean-up.
    COMPLETED = "completed"  # Live: over. Evacuation: the old host came back and cleaned up.
    CANCELLED = "cancelled"  # Live: aborted by a person, or by the end of the service.
    FAILED = "failed"  # Undone, or never begun.
    ERROR = "error"  # Broken off where it could not be undone, or refused by the conductor.


class InstanceAction(StrEnum):
    """The names under which nova lists what was asked of an instance."""

    CREATE = "create"  # Build it.
    DELETE = "delete"  # Delete it: at once, by force, or restorably.
    EVACUATE = "evacuate"  # Make it anew, its host being lost.
    RESTORE = "restore"  # Take back a restorable delete.
    STOP = "stop"  # Power it off.
    START = "start"  # Power it on.
    REBOOT = "reboot"  # Restart it, soft or hard.
    REBUILD = "rebuild"  # Make it anew from an image.
    REVERT_RESIZE = "revertResize"  # Go back to the old flavor or host.
    CONFIRM_RESIZE = "confirmResize"  # Keep the new flavor or host.
    RESIZE = "resize"  # Give it another flavor.
    MIGRATE = "migrate"  # Move it while it is off.
    PAUSE = "pause"  # Freeze it in memory.
    UNPAUSE = "unpause"  # Thaw it.
    SUSPEND = "suspend"  # Save it to disk.
    RESUME = "resume"  # Load it from disk.
    RESCUE = "rescue"  # Start it from a rescue image.
    UNRESCUE = "unrescue"  # Start it from its own disk again.
    CHANGE_PASSWORD = "changePassword"  # Set its administrator's password.
    SHELVE = "shelve"  # Put it away with a snapshot.
    SHELVE_OFFLOAD = "shelveOffload"  # Take what is put away off its host.
    UNSHELVE = "unshelve"  # Bring it back.
    LIVE_MIGRATION = "live-migration"  # Move it while it runs.
    LIVE_MIGRATION_CANCEL = "live_migration_cancel"  # Abort that.
    LIVE_MIGRATION_FORCE_COMPLETE = "live_migration_force_complete"  # End that by pausing it.
    TRIGGER_CRASH_DUMP = "trigger_crash_dump"  # Make its kernel dump.
    EXTEND_VOLUME = "extend_volume"  # Tell it that a volume grew.
    ATTACH_INTERFACE = "attach_interface"  # Give it a port.
    DETACH_INTERFACE = "detach_interface"  # Take a port from it.
    ATTACH_VOLUME = "attach_volume"  # Give it a volume.
    DETACH_VOLUME = "detach_volume"  # Take a volume from it.
    ATTACH_SHARE = "attach_share"  # Give it a share.
    DETACH_SHARE = "detach_share"  # Take a share from it.
    SWAP_VOLUME = "swap_volume"  # Replace one volume by another.
    LOCK = "lock"  # Refuse changes by its user.
    UNLOCK = "unlock"  # Allow them again.
    BACKUP = "createBackup"  # Snapshot with rotation.
    CREATE_IMAGE = "createImage"  # Snapshot.
    RESET_STATE = "resetState"  # An administrator's word on its state.
    NOVA_MANAGE_REFRESH_VOLUME_ATTACHMENT = "refresh_volume_attachment"  # nova-manage's repair.


#: The word that nova shows for each power state.
POWER_STATE_LABELS: Final[Mapping[PowerState, str]] = MappingProxyType(
    {
        PowerState.NOSTATE: "pending",
        PowerState.RUNNING: "running",
        PowerState.PAUSED: "paused",
        PowerState.SHUTDOWN: "shutdown",
        PowerState.CRASHED: "crashed",
        PowerState.SUSPENDED: "suspended",
    }
)

_LIVE_START: Final = (
    MigrationStatus.ACCEPTED,
    MigrationStatus.QUEUED,
    MigrationStatus.PREPARING,
    MigrationStatus.RUNNING,
)
_COLD_START: Final = (
    MigrationStatus.PRE_MIGRATING,
    MigrationStatus.MIGRATING,
    MigrationStatus.POST_MIGRATING,
    MigrationStatus.FINISHED,
)
_COLD: Final = (
    (*_COLD_START, MigrationStatus.CONFIRMING, MigrationStatus.CONFIRMED),
    (*_COLD_START, MigrationStatus.REVERTING, MigrationStatus.REVERTED),
)
_COLD_END: Final = frozenset(
    {
        MigrationStatus.CONFIRMED,
        MigrationStatus.REVERTED,
        MigrationStatus.ERROR,
        MigrationStatus.FAILED,
    }
)

#: Every way in which the statuses of a migration follow each other when nothing goes wrong.
#: The first of a type is the usual one.
MIGRATION_SEQUENCES: Final[Mapping[MigrationType, tuple[tuple[MigrationStatus, ...], ...]]] = (
    MappingProxyType(
        {
            MigrationType.LIVE_MIGRATION: (
                (*_LIVE_START, MigrationStatus.COMPLETED),
                (*_LIVE_START, MigrationStatus.RUNNING_POST_COPY, MigrationStatus.COMPLETED),
            ),
            MigrationType.MIGRATION: _COLD,
            MigrationType.RESIZE: _COLD,
            MigrationType.EVACUATION: (
                (
                    MigrationStatus.ACCEPTED,
                    MigrationStatus.PRE_MIGRATING,
                    MigrationStatus.DONE,
                    MigrationStatus.COMPLETED,
                ),
            ),
        }
    )
)

#: The statuses after which nobody touches a migration of the type any more. An evacuation is
#: over for its destination at `done`; the old host writes `completed` when it comes back.
MIGRATION_TERMINAL: Final[Mapping[MigrationType, frozenset[MigrationStatus]]] = MappingProxyType(
    {
        MigrationType.LIVE_MIGRATION: frozenset(
            {
                MigrationStatus.COMPLETED,
                MigrationStatus.FAILED,
                MigrationStatus.CANCELLED,
                MigrationStatus.ERROR,
            }
        ),
        MigrationType.MIGRATION: _COLD_END,
        MigrationType.RESIZE: _COLD_END,
        MigrationType.EVACUATION: frozenset(
            {MigrationStatus.COMPLETED, MigrationStatus.FAILED, MigrationStatus.ERROR}
        ),
    }
)

#: What nova calls in progress when it is asked about one instance. It leaves out half of what
#: is under way (accepted, migrating, post-copy …); clients see exactly this, so it is kept.
IN_PROGRESS_FOR_INSTANCE: Final = frozenset(
    {
        MigrationStatus.QUEUED,
        MigrationStatus.PREPARING,
        MigrationStatus.RUNNING,
        MigrationStatus.POST_MIGRATING,
    }
)

#: What nova calls in progress when it is asked about one host: all that is not over.
IN_PROGRESS_FOR_HOST: Final = frozenset(MigrationStatus) - {
    MigrationStatus.CONFIRMED,
    MigrationStatus.REVERTED,
    MigrationStatus.ERROR,
    MigrationStatus.FAILED,
    MigrationStatus.COMPLETED,
    MigrationStatus.CANCELLED,
    MigrationStatus.DONE,
}

_REBUILD: Final = {
    TaskState.REBUILDING: "REBUILD",
    TaskState.REBUILD_BLOCK_DEVICE_MAPPING: "REBUILD",
    TaskState.REBUILD_SPAWNING: "REBUILD",
}
_RESIZE: Final = {
    TaskState.RESIZE_PREP: "RESIZE",
    TaskState.RESIZE_MIGRATING: "RESIZE",
    TaskState.RESIZE_MIGRATED: "RESIZE",
    TaskState.RESIZE_FINISH: "RESIZE",
}
_REBOOT: Final = {
    TaskState.REBOOTING: "REBOOT",
    TaskState.REBOOT_PENDING: "REBOOT",
    TaskState.REBOOT_STARTED: "REBOOT",
    TaskState.REBOOTING_HARD: "HARD_REBOOT",
    TaskState.REBOOT_PENDING_HARD: "HARD_REBOOT",
    TaskState.REBOOT_STARTED_HARD: "HARD_REBOOT",
}
_MIGRATING: Final = {TaskState.MIGRATING: "MIGRATING"}
_PASSWORD: Final = {TaskState.UPDATING_PASSWORD: "PASSWORD"}

_STATUS: Final[Mapping[str, str]] = MappingProxyType(
    {
        VmState.ACTIVE: "ACTIVE",
        VmState.BUILDING: "BUILD",
        VmState.PAUSED: "PAUSED",
        VmState.SUSPENDED: "SUSPENDED",
        VmState.STOPPED: "SHUTOFF",
        VmState.RESCUED: "RESCUE",
        VmState.RESIZED: "VERIFY_RESIZE",
        VmState.SOFT_DELETED: "SOFT_DELETED",
        VmState.DELETED: "DELETED",
        VmState.ERROR: "ERROR",
        VmState.SHELVED: "SHELVED",
        VmState.SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
    }
)
_STATUS_BY_TASK: Final = {
    VmState.ACTIVE: _REBUILD | _RESIZE | _REBOOT | _MIGRATING | _PASSWORD,
    VmState.STOPPED: _REBUILD | _RESIZE,
    VmState.RESIZED: {TaskState.RESIZE_REVERTING: "REVERT_RESIZE"},
    VmState.PAUSED: _MIGRATING,
    VmState.ERROR: _REBUILD,
}
_STATUS_DURING: Final[Mapping[tuple[str, str | None], str]] = MappingProxyType(
    {
        (vm_state, task_state): status
        for vm_state, by_task in _STATUS_BY_TASK.items()
        for task_state, status in by_task.items()
    }
)


def api_status(vm_state: str, task_state: str | None) -> str:
    """Give the status that a user sees; "UNKNOWN" for a vm_state that nova doesn't have.

    Source:  nova/api/openstack/common.py, status_from_state. A task that has no word of its
             own (deleting, powering-off, shelving …) shows the vm_state's.
    """
    return _STATUS_DURING.get((vm_state, task_state)) or _STATUS.get(vm_state, "UNKNOWN")


def is_terminal(migration_type: MigrationType, status: MigrationStatus) -> bool:
    """Say whether nobody will touch a migration of this type in this status any more."""
    return status in MIGRATION_TERMINAL[migration_type]
