"""When nova says what: (saga, trigger) → notifications, in nova's order.

A trigger is the name of a fact that the saga is told, `>step` where a step is entered for the first
time, `=ending`, or for what takes effect at once `request:<action>`. `instance.update` needs no
row: it follows from the states, except where nova sends one more.

Source:  nova.compute.manager, nova.conductor.manager and nova.compute.api of nova 34.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from conductor.notifications.form import By, Occasion, Say, View, failed, first, then
from statemachines.states import TaskState

Words = dict[tuple[str, str], tuple[Say, ...]]

UPDATE: Final = "instance.update"


def _first_host(at: Occasion) -> bool:
    return at.saga is not None and at.saga.tried == 0


def _had_resources(at: Occasion) -> bool:
    tasks = (TaskState.BLOCK_DEVICE_MAPPING, TaskState.SPAWNING)
    return at.before is not None and at.before.task_state in tasks


def _handed_over(at: Occasion) -> bool:
    return at.saga is not None and "finish" in at.saga.entries


def _rolled_back(at: Occasion) -> bool:
    return at.saga is not None and "roll_back_source" in at.saga.entries


def _asked_a_host(at: Occasion) -> bool:
    return at.saga is not None and bool(at.saga.entries)


def _asked_nobody(at: Occasion) -> bool:
    return not _asked_a_host(at)


def _was_not_pending(at: Occasion) -> bool:
    tasks = (TaskState.REBOOTING, TaskState.REBOOTING_HARD)
    return at.before is not None and at.before.task_state in tasks


def _was_powering_off(at: Occasion) -> bool:
    return at.before is not None and at.before.task_state == TaskState.POWERING_OFF


_BUILD_FAILED: Final = (
    first("instance.shutdown.start", only=_had_resources),
    first("instance.shutdown.end", only=_had_resources),
    first(UPDATE, view=View.NO_HOST),
)
_BUILD_ERROR: Final = then("compute_task.build_instances.error", By.CONDUCTOR)
_MIGRATE_ERROR: Final = then("compute_task.migrate_server.error", By.CONDUCTOR)


def _create() -> Words:
    return {
        ("create", "DestinationChosen"): (then(UPDATE, By.CONDUCTOR, only=_first_host),),
        ("create", "BuildAccepted"): (
            first(UPDATE, view=View.OLD_HOST),
            first("instance.create.start", view=View.OLD_HOST),
        ),
        ("create", "=built"): (then("instance.create.end"),),
        ("create", "BuildAborted"): (
            *_BUILD_FAILED,
            failed(
                "instance.create.error",
                "BuildAbortException",
                "Build of instance {instance} aborted: {reason}",
                View.NO_HOST,
            ),
        ),
        ("create", "BuildRescheduled"): (
            *_BUILD_FAILED,
            failed(
                "instance.create.error",
                "RescheduledException",
                "Build of instance {instance} was re-scheduled: {reason}",
                View.NO_HOST,
            ),
        ),
        ("create", "=no_valid_host"): (_BUILD_ERROR,),
        ("create", "=hosts_exhausted"): (_BUILD_ERROR,),
        ("create", "=not_rescheduled"): (_BUILD_ERROR,),
        ("create", "=max_attempts_exceeded"): (_BUILD_ERROR,),
    }


def _delete() -> Words:
    return {
        ("delete", ">destroy"): (
            then("instance.delete.start", By.OWNER),
            then("instance.shutdown.start", By.OWNER),
        ),
        ("delete", "=deleted"): (
            first("instance.delete.start", By.API, only=_asked_nobody),
            first("instance.shutdown.end", By.OWNER, only=_asked_a_host),
            then("instance.delete.end", By.OWNER, only=_asked_a_host),
            then("instance.delete.end", By.API, only=_asked_nobody),
        ),
    }


def _one_command(saga: str, event: str) -> Words:
    """A start when the host is asked, an end when it has done it; of a failure nova says none."""
    return {
        (saga, ">ask"): (then(f"{event}.start", By.OWNER),),
        (saga, "=done"): (then(f"{event}.end", By.OWNER),),
    }


def _standby() -> Words:
    aside = (then("instance.soft_delete.start", By.OWNER),)
    return {
        **_one_command("suspend", "instance.suspend"),
        **_one_command("resume", "instance.resume"),
        **_one_command("rescue", "instance.rescue"),
        **_one_command("unrescue", "instance.unrescue"),
        **_one_command("restore", "instance.restore"),
        ("trigger_crash_dump", ">ask"): (then("instance.trigger_crash_dump.start", By.TARGET),),
        ("trigger_crash_dump", "=done"): (then("instance.trigger_crash_dump.end", By.TARGET),),
        **_one_command("power_update_on", "instance.power_on"),
        **_one_command("power_update_off", "instance.power_off"),
        ("rescue", "GuestRescued"): (first("instance.exists"),),
        ("soft_delete", ">confirm"): (then("instance.resize_confirm.start", By.SOURCE),),
        ("soft_delete", "ResizeConfirmed"): (then("instance.resize_confirm.end", By.SOURCE),),
        ("soft_delete", ">put_aside"): aside,
        ("soft_delete", ">put_aside_confirmed"): aside,
        ("soft_delete", "=soft_deleted"): (then("instance.soft_delete.end", By.OWNER),),
    }


def _reboot(saga: str) -> Words:
    return {
        (saga, "RebootPending"): (first("instance.reboot.start", view=View.AFTER),),
        # Nova swallows what left the guest running, and goes on to the end; what left it off it
        # raises, and nobody tells of that but the state.
        (saga, "GuestRebootIgnored"): (
            failed(
                "instance.reboot.error",
                "InstanceRebootFailure",
                "Failed to reboot instance: {reason}",
            ),
        ),
        (saga, "=done"): (
            # A host that died meanwhile may answer with the ending alone.
            first("instance.reboot.start", By.OWNER, only=_was_not_pending),
            then("instance.reboot.end", By.OWNER),
        ),
    }


def _steering(saga: str, event: str) -> Words:
    return {
        (saga, ">ask"): (then(f"{event}.start", By.TARGET),),
        (saga, "=done"): (then(f"{event}.end", By.TARGET),),
    }


def _resize(saga: str) -> Words:
    return {
        (saga, ">prepare"): (
            then("instance.exists", By.DESTINATION),
            then("instance.resize_prep.start", By.DESTINATION),
        ),
        (saga, "ResizePrepared"): (first("instance.resize_prep.end"),),
        (saga, "ResizePrepareFailed"): (
            failed("instance.resize.error", "ComputeResourcesUnavailable"),
            first("instance.resize_prep.end"),
        ),
        (saga, "ResizeStarted"): (then("instance.resize.start"),),
        (saga, "ResizeMigrated"): (then("instance.resize.end"),),
        (saga, "ResizeFinishing"): (then("instance.resize_finish.start"),),
        (saga, "=finished"): (then("instance.resize_finish.end"),),
        (saga, "=no_valid_host"): (_MIGRATE_ERROR,),
        (saga, "=prepare_failed"): (_MIGRATE_ERROR,),
    }


def _after_resize() -> Words:
    return {
        ("confirm_resize", ">clean_source"): (then("instance.resize_confirm.start", By.SOURCE),),
        ("confirm_resize", "=confirmed"): (then("instance.resize_confirm.end", By.SOURCE),),
        ("revert_resize", ">give_up"): (then("instance.exists", By.DESTINATION),),
        ("revert_resize", ">take_back"): (first("instance.resize_revert.start", By.SOURCE),),
        ("revert_resize", "RevertPoweringOff"): (then("instance.power_off.start"),),
        ("revert_resize", "=reverted"): (
            then("instance.power_off.end", By.SOURCE, only=_was_powering_off),
            then("instance.resize_revert.end", By.SOURCE),
        ),
    }


def _live_migration() -> Words:
    saga = "live_migration"
    rollback_end = then("instance.live_migration_rollback.end", By.SOURCE, only=_rolled_back)
    return {
        (saga, ">prepare"): (then("instance.live_migration_pre.start", By.DESTINATION),),
        (saga, "DestinationPrepared"): (first("instance.live_migration_pre.end"),),
        (saga, ">finish"): (
            first("instance.live_migration_post.start", By.SOURCE),
            then("instance.live_migration_post_dest.start", By.DESTINATION),
        ),
        # The source died in the copy, and says nothing any more.
        (saga, ">adopt"): (then("instance.live_migration_post_dest.start", By.DESTINATION),),
        (saga, "LiveMigrationFinished"): (then("instance.live_migration_post_dest.end"),),
        (saga, "=completed"): (
            then("instance.live_migration_post.end", By.SOURCE, only=_handed_over),
        ),
        (saga, ">roll_back_source"): (then("instance.live_migration_rollback.start", By.SOURCE),),
        (saga, ">roll_back_destination"): (
            then("instance.live_migration_rollback_dest.start", By.DESTINATION),
        ),
        (saga, "DestinationRolledBack"): (first("instance.live_migration_rollback_dest.end"),),
        (saga, "=failed"): (rollback_end,),
        (saga, "=cancelled"): (rollback_end,),
        (saga, "=no_valid_host"): (_MIGRATE_ERROR,),
        (saga, "=max_retries"): (_MIGRATE_ERROR,),
        (saga, "=refused"): (_MIGRATE_ERROR,),
    }


def _evacuate() -> Words:
    saga, error = "evacuate", then("compute_task.rebuild_server.error", By.CONDUCTOR)
    return {
        (saga, ">fence"): (then("instance.evacuate", By.API),),
        (saga, ">rebuild"): (then("instance.rebuild_scheduled", By.CONDUCTOR),),
        (saga, "EvacuationClaimed"): (
            first("instance.exists"),
            first("instance.rebuild.start"),
        ),
        (saga, "EvacuationPoweringOff"): (then("instance.power_off.start"),),
        (saga, "GuestEvacuated"): (
            first(UPDATE, view=View.OLD_HOST),
            first("instance.power_off.end", view=View.OLD_HOST, only=_was_powering_off),
            first("instance.rebuild.end", view=View.OLD_HOST),
        ),
        (saga, "EvacuationFailed"): (failed("instance.rebuild.error", "RescheduledException"),),
        (saga, "EvacuationClaimFailed"): (
            failed("instance.rebuild.error", "ComputeResourcesUnavailable"),
        ),
        (saga, "=no_valid_host"): (error,),
        (saga, "=not_fenced"): (error,),
        (saga, "=host_alive"): (error,),
    }


def _images() -> Words:
    return {
        ("snapshot", "SnapshotStarted"): (then("instance.snapshot.start"),),
        ("snapshot", "=done"): (then("instance.snapshot.end", By.OWNER),),
        ("backup", "SnapshotStarted"): (then("instance.snapshot.start"),),
        ("backup", "=done"): (then("instance.snapshot.end", By.OWNER),),
    }


def _shelving() -> Words:
    offload = (then("instance.shelve_offload.start", By.OWNER),)
    offloaded = (
        first(UPDATE, By.OWNER, view=View.OLD_HOST),
        then("instance.shelve_offload.end", By.OWNER),
    )
    return {
        ("shelve", ">shelve"): (
            then("instance.exists", By.OWNER),
            then("instance.shelve.start", By.OWNER),
        ),
        ("shelve", "GuestShelved"): (then("instance.shelve.end"),),
        ("shelve", ">offload"): offload,
        ("shelve", ">offload_volume_backed"): offload,
        ("shelve", "=offloaded"): offloaded,
        ("shelve_offload", ">offload"): offload,
        ("shelve_offload", "=offloaded"): offloaded,
        ("unshelve", "ShelvedGuestStarting"): (then("instance.power_on.start"),),
        ("unshelve", "=started"): (then("instance.power_on.end", By.OWNER),),
        ("unshelve", "UnshelveAccepted"): (first("instance.unshelve.start"),),
        ("unshelve", "=unshelved"): (then("instance.unshelve.end", By.OWNER),),
    }


def _attachment(saga: str, event: str, done: str) -> Words:
    """A start when the host is asked, an end when it has done it; no host, no word."""
    return {
        (saga, ">ask"): (then(f"{event}.start", By.TARGET),),
        (saga, f"={done}"): (then(f"{event}.end", By.TARGET, only=_asked_a_host),),
    }


def _attachments() -> Words:
    return (
        _attachment("attach_volume", "instance.volume_attach", "attached")
        | _attachment("detach_volume", "instance.volume_detach", "detached")
        | _attachment("swap_volume", "instance.volume_swap", "swapped")
        | _attachment("attach_interface", "instance.interface_attach", "attached")
        | _attachment("detach_interface", "instance.interface_detach", "detached")
        | {
            ("attach_volume", "VolumeAttachFailed"): (
                failed("instance.volume_attach.error", "VolumeAttachFailed"),
            ),
            ("swap_volume", "VolumeSwapFailed"): (
                failed("instance.volume_swap.error", "VolumeRebaseFailed"),
            ),
            ("attach_interface", "InterfaceAttachFailed"): (
                failed("instance.interface_attach.error", "InterfaceAttachFailed"),
            ),
        }
    )


def _rebuild() -> Words:
    saga = "rebuild"
    began = (
        then("instance.rebuild_scheduled", By.CONDUCTOR),
        then("instance.exists", By.OWNER),
        then("instance.rebuild.start", By.OWNER),
    )
    error = failed("instance.rebuild.error", "RescheduledException")
    return {
        (saga, ">rebuild"): began,
        (saga, ">rebuild_same_image"): began,
        (saga, "RebuildPoweringOff"): (then("instance.power_off.start"),),
        (saga, "=rebuilt"): (
            then("instance.power_off.end", By.OWNER, only=_was_powering_off),
            then("instance.rebuild.end", By.OWNER),
        ),
        (saga, "GuestRebuildFailed"): (error,),
        (saga, "GuestRebuildFaulted"): (error,),
        (saga, "=no_valid_host"): (then("compute_task.rebuild_server.error", By.CONDUCTOR),),
    }


def _immediate() -> Words:
    return {
        ("", "request:lock"): (then("instance.lock", By.API),),
        ("", "request:unlock"): (then("instance.unlock", By.API),),
        ("", "request:update_tags"): (then(UPDATE, By.API),),
    }


WORDS: Final[Mapping[tuple[str, str], tuple[Say, ...]]] = MappingProxyType(
    _create()
    | _delete()
    | _one_command("stop", "instance.power_off")
    | _one_command("start", "instance.power_on")
    | _one_command("pause", "instance.pause")
    | _one_command("unpause", "instance.unpause")
    | _standby()
    | _reboot("reboot_soft")
    | _reboot("reboot_hard")
    | _resize("resize")
    | _resize("migrate")
    | _after_resize()
    | _live_migration()
    | _evacuate()
    | _images()
    | _shelving()
    | _rebuild()
    | _steering("live_migrate_abort", "instance.live_migration_abort")
    | _steering("live_migrate_force_complete", "instance.live_migration_force_complete")
    | _attachments()
    | _immediate()
)
