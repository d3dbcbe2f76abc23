"""What snapshots, backups, shelving, offloading and unshelving do to the two states."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_TASK, ANY_VM, only
from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V

_SNAPSHOT = only(T.IMAGE_SNAPSHOT_PENDING, T.IMAGE_SNAPSHOT)
_UPLOAD = only(T.IMAGE_PENDING_UPLOAD, T.IMAGE_UPLOADING)
_BACKUP = only(T.IMAGE_BACKUP)
_SHELVE = only(T.SHELVING, T.SHELVING_IMAGE_PENDING_UPLOAD, T.SHELVING_IMAGE_UPLOADING)
_OFFLOAD = only(T.SHELVING_OFFLOADING)
_UNSHELVE = only(T.UNSHELVING, T.SPAWNING, T.POWERING_ON)
_REBUILD = only(
    T.REBUILDING, T.REBUILD_BLOCK_DEVICE_MAPPING, T.REBUILD_SPAWNING, T.POWERING_OFF, None
)
_REBUILDABLE = frozenset({str(V.ACTIVE), str(V.STOPPED), str(V.ERROR)})
_SETTLED = frozenset({str(V.ACTIVE), str(V.STOPPED), str(V.PAUSED), str(V.SUSPENDED)})
_SHELVED = frozenset({str(V.SHELVED)})


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    yield from _of_images()
    yield from _of_shelving()
    yield from _of_unshelving()
    yield from _of_rebuilding()


def _of_images() -> Iterator[Arrow]:
    yield Arrow("SnapshotStarted", ANY_VM, _SNAPSHOT, KEEP, T.IMAGE_SNAPSHOT)
    yield Arrow("SnapshotStarted", ANY_VM, only(None) | _BACKUP | _UPLOAD, KEEP, KEEP)
    for fact, task, shelving_task in (
        ("ImageUploadPending", T.IMAGE_PENDING_UPLOAD, T.SHELVING_IMAGE_PENDING_UPLOAD),
        ("ImageUploadStarted", T.IMAGE_UPLOADING, T.SHELVING_IMAGE_UPLOADING),
    ):
        yield Arrow(fact, ANY_VM, _SNAPSHOT | _BACKUP | _UPLOAD, KEEP, task)
        yield Arrow(fact, ANY_VM, _SHELVE, KEEP, shelving_task)
        # Snapshots of a volume-backed guest have no task_state.
        yield Arrow(fact, ANY_VM, only(None), KEEP, KEEP)
    for ending in ("done", "failed", "host_lost", "timed_out", "resolved"):
        yield Arrow(f"snapshot:{ending}", ANY_VM, _SNAPSHOT | _UPLOAD, KEEP, None)
        yield Arrow(f"backup:{ending}", ANY_VM, _BACKUP | _UPLOAD, KEEP, None)
        for name in ("snapshot_volume_backed", "volume_snapshot_create", "volume_snapshot_delete"):
            yield Arrow(f"{name}:{ending}", ANY_VM, only(None), KEEP, None)


def _of_shelving() -> Iterator[Arrow]:
    yield Arrow(
        "GuestShelved", _SETTLED, _SHELVE, V.SHELVED, T.SHELVING_OFFLOADING, "offloads_at_once"
    )
    yield Arrow("GuestShelved", _SETTLED, _SHELVE, KEEP, KEEP)
    yield Arrow("shelve:shelved", _SETTLED, _SHELVE, V.SHELVED, None)
    offloading = _SETTLED | _SHELVED
    yield Arrow("shelve:offloaded", offloading, _SHELVE | _OFFLOAD, V.SHELVED_OFFLOADED, None)
    # Said when nobody waits for it any more: no ending will follow. Else the ending does it.
    told = offloading | {str(V.ERROR)}
    yield Arrow("GuestOffloaded", told, only(None), V.SHELVED_OFFLOADED, None)
    yield Arrow("GuestOffloaded", ANY_VM, ANY_TASK, KEEP, KEEP)
    for ending in ("not_offloaded", "failed", "host_lost", "timed_out", "resolved"):
        yield Arrow(f"shelve:{ending}", offloading, _SHELVE | _OFFLOAD, KEEP, None)
    yield Arrow("shelve_offload:offloaded", _SHELVED, _OFFLOAD, V.SHELVED_OFFLOADED, None)
    for ending in ("failed", "host_lost", "timed_out", "resolved"):
        yield Arrow(f"shelve_offload:{ending}", _SHELVED, _OFFLOAD, KEEP, None)


def _of_unshelving() -> Iterator[Arrow]:
    shelved = frozenset({str(V.SHELVED), str(V.SHELVED_OFFLOADED)})
    yield Arrow("ShelvedGuestStarting", shelved, _UNSHELVE, KEEP, T.POWERING_ON)
    yield Arrow("UnshelveAccepted", shelved, _UNSHELVE, KEEP, T.SPAWNING)
    for ending in ("started", "unshelved"):
        yield Arrow(f"unshelve:{ending}", shelved, _UNSHELVE, V.ACTIVE, None)
    yield Arrow("unshelve:image_missing", shelved, _UNSHELVE, V.ERROR, None)
    for ending in (
        "not_started",
        "no_valid_host",
        "failed",
        "host_lost",
        "timed_out",
        "resolved",
    ):
        yield Arrow(f"unshelve:{ending}", shelved, _UNSHELVE, KEEP, None)


def _of_rebuilding() -> Iterator[Arrow]:
    for fact, vm, task in (
        ("RebuildDisksPreparing", KEEP, T.REBUILD_BLOCK_DEVICE_MAPPING),
        ("RebuildSpawning", KEEP, T.REBUILD_SPAWNING),
        # Nova calls it active first, then has it powered off.
        ("RebuildSpawned", V.ACTIVE, None),
        ("RebuildPoweringOff", V.ACTIVE, T.POWERING_OFF),
    ):
        yield Arrow(fact, _REBUILDABLE, _REBUILD, vm, task)
    yield Arrow("rebuild:rebuilt", _REBUILDABLE, _REBUILD, V.STOPPED, None, "began_stopped")
    yield Arrow("rebuild:rebuilt", _REBUILDABLE, _REBUILD, V.ACTIVE, None)
    yield Arrow("rebuild:faulted", _REBUILDABLE, _REBUILD, KEEP, None)
    for ending in ("no_valid_host", "failed", "host_lost", "timed_out", "resolved"):
        yield Arrow(f"rebuild:{ending}", _REBUILDABLE, _REBUILD, V.ERROR, None)
