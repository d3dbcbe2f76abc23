"""What hosts say about images of guests: snapshots, backups, shelving, unshelving, rebuilding.

An image has the id that its command named. It counts once ImageUploaded, or GuestShelved, is
heard; whatever else there is of it is deleted, and ImageDeleted says so.
"""

from __future__ import annotations

from dataclasses import dataclass

# Any image.


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotStarted:
    """The host took a snapshot in hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUploadPending:
    """The guest's disk is copied; the upload of its image is about to begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUploadStarted:
    """The host began to upload an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUploaded:
    """The image is complete."""

    image_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFailed:
    """There will be no image; what there is of it is still to be deleted."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDeleted:
    """Nothing is left of the image, and nothing more of it will come from this host."""

    image_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDeleteFailed:
    """The host could not have the image deleted."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupsRotated:
    """No more backups of this type are left than were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRotationFailed:
    """Old backups may be left."""

    reason: str


# Snapshots of single volumes, asked for by the volume service.


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSnapshotCreated:
    """The host took the snapshot of a volume that the guest uses."""

    snapshot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSnapshotCreateFailed:
    """The host could not take the snapshot of a volume."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSnapshotDeleted:
    """The host has nothing left of the snapshot of a volume."""

    snapshot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSnapshotDeleteFailed:
    """The host could not delete the snapshot of a volume."""

    reason: str


# Shelve and offload.


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestShelved:
    """The guest is off and its image complete."""

    power_state: int
    image_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestShelveFailed:
    """There will be no image; the guest may be off."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestOffloaded:
    """The host has nothing left of a shelved guest; `power_state` is its last."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestOffloadFailed:
    """The host still has the shelved guest, or some of it."""

    power_state: int
    reason: str


# Unshelve.


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedGuestStarting:
    """The host that kept a shelved guest began to power it on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedGuestStarted:
    """The guest runs again on the host that kept it."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedGuestStartFailed:
    """The guest that was kept could not be powered on; it stays shelved."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnshelveAccepted:
    """The destination took the unshelve and its claim: the instance is on this host now."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUnshelved:
    """The guest runs again, made from its image."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUnshelveFailed:
    """The destination could not make the guest and undid what it had done; the image is there."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedImageMissing:
    """The image of the shelved guest is gone: no host can make the guest again."""

    reason: str


# Rebuild.


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildDisksPreparing:
    """The guest's old disk is gone; the host began to prepare what the new one needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildSpawning:
    """The host handed the guest that it makes anew to its hypervisor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildSpawned:
    """The guest was made anew and runs; it is about to be powered off, as it was before."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildPoweringOff:
    """The host began to power off a guest that it made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRebuilt:
    """The guest was made anew and is powered as it was before."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRebuildFailed:
    """The guest could not be made anew; nothing may be left of the old one."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRebuildFaulted:
    """The rebuild failed before anything was changed: the guest is as it was."""

    power_state: int
    reason: str
