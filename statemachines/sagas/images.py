"""Snapshot, backup and snapshots of volumes: an image of a guest that stays where it is.

Whatever keeps an image from being complete has its host leave nothing of it, be it that the upload
failed, was silent for too long, died with its host, or gave way to a delete. Where nova leaves
(…, image_backup) after a restart, the attempt ends here as failed.
"""

from __future__ import annotations

from statemachines.saga import ONE_GO, End, Ending, Next, Owe, Role, Saga, Step, To, saga

UPLOADING = frozenset({"ImageUploadPending", "ImageUploadStarted"})

_ENDINGS = (
    Ending(name="done", ok=True),
    Ending(name="failed", ok=False),
    Ending(name="host_lost", ok=False),
    Ending(name="timed_out", ok=False),
    Ending(name="resolved", ok=False),
)


def _upload(command: str, uploaded: Next, *, events: tuple[str, ...]) -> Step:
    """Return the step that makes an image; it is not tried twice, as in nova."""
    return Step(
        name="snapshot",
        command=command,
        to=Role.OWNER,
        on={
            "ImageUploaded": uploaded,
            "SnapshotFailed": End("failed", owe=Owe.IMAGE),
            "CommandRefused": End("failed", owe=Owe.IMAGE),
            "StepHostLost": End("host_lost", owe=Owe.IMAGE),
        },
        progress=UPLOADING | {"SnapshotStarted"},
        exhausted=End("timed_out", owe=Owe.IMAGE),
        compensate=End("failed", owe=Owe.IMAGE),
        superseded=Owe.IMAGE,
        action_events=events,
    )


SNAPSHOT = saga(
    name="snapshot",
    first=To("snapshot"),
    steps=(_upload("SnapshotGuest", End("done"), events=("compute_snapshot_instance",)),),
    endings=_ENDINGS,
)
#: Nova's API does this itself; no event of its own tells of it.
SNAPSHOT_VOLUME_BACKED = saga(
    name="snapshot_volume_backed",
    first=To("snapshot"),
    steps=(_upload("SnapshotVolumes", End("done"), events=()),),
    endings=_ENDINGS,
)
#: A backup that is complete stays, also where older ones could not be deleted.
BACKUP = saga(
    name="backup",
    first=To("snapshot"),
    steps=(
        _upload("SnapshotGuest", To("rotate"), events=("compute_backup_instance",)),
        Step(
            name="rotate",
            command="RotateBackups",
            to=Role.OWNER,
            on={
                "BackupsRotated": End("done"),
                "BackupRotationFailed": End("failed"),
                "CommandRefused": End("failed"),
                "StepHostLost": End("host_lost", owe=Owe.FENCE),
            },
            progress=frozenset({"ImageDeleted"}),
            exhausted=End("timed_out", owe=Owe.FENCE),
            no_way_back="the backup is complete, and older ones may be deleted already",
            action_events=("compute_backup_instance",),
            deadline="long_rpc_timeout",
            retries=2,
        ),
    ),
    endings=_ENDINGS,
)


def _volume_snapshot(name: str, command: str, *, on: dict[str, Next]) -> Saga:
    return saga(
        name=name,
        first=To("ask"),
        steps=(
            Step(
                name="ask",
                command=command,
                to=Role.OWNER,
                on={
                    **on,
                    "CommandRefused": End("failed"),
                    "StepHostLost": End("host_lost", owe=Owe.FENCE),
                },
                exhausted=End("timed_out", owe=Owe.FENCE),
                no_way_back=ONE_GO,
                deadline="long_rpc_timeout",
                retries=2,
            ),
        ),
        endings=_ENDINGS,
    )


VOLUME_SNAPSHOT_CREATE = _volume_snapshot(
    "volume_snapshot_create",
    "CreateVolumeSnapshot",
    on={"VolumeSnapshotCreated": End("done"), "VolumeSnapshotCreateFailed": End("failed")},
)
VOLUME_SNAPSHOT_DELETE = _volume_snapshot(
    "volume_snapshot_delete",
    "DeleteVolumeSnapshot",
    on={"VolumeSnapshotDeleted": End("done"), "VolumeSnapshotDeleteFailed": End("failed")},
)
