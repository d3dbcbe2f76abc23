"""What hosts say about images of guests: snapshots, backups, shelving, unshelving, rebuilding.

An image has the id that its command named. It counts once ImageUploaded, or GuestShelved, is
heard; whatever else there is of it is deleted, and ImageDeleted says so.
"""

from __future__ import annotations

from msgspec import Struct

# Any image.


class SnapshotStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The host took a snapshot in hand."""


class ImageUploadPending(Struct, frozen=True, kw_only=True, gc=False):
    """The guest's disk is copied; the upload of its image is about to begin."""


class ImageUploadStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The host began to upload an image."""


class ImageUploaded(Struct, frozen=True, kw_only=True, gc=False):
    """The image is complete."""

    image_id: str


class SnapshotFailed(Struct, frozen=True, kw_only=True, gc=False):
    """There will be no image; what there is of it is still to be deleted."""

    reason: str


class ImageDeleted(Struct, frozen=True, kw_only=True, gc=False):
    """Nothing is left of the image, and nothing more of it will come from this host."""

    image_id: str


class ImageDeleteFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not have the image deleted."""

    reason: str


class BackupsRotated(Struct, frozen=True, kw_only=True, gc=False):
    """No more backups of this type are left than were asked for."""


class BackupRotationFailed(Struct, frozen=True, kw_only=True, gc=False):
    """Old backups may be left."""

    reason: str


# Snapshots of single volumes, asked for by the volume service.


class VolumeSnapshotCreated(Struct, frozen=True, kw_only=True, gc=False):
    """The host took the snapshot of a volume that the guest uses."""

    snapshot_id: str


class VolumeSnapshotCreateFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not take the snapshot of a volume."""

    reason: str


class VolumeSnapshotDeleted(Struct, frozen=True, kw_only=True, gc=False):
    """The host has nothing left of the snapshot of a volume."""

    snapshot_id: str


class VolumeSnapshotDeleteFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not delete the snapshot of a volume."""

    reason: str


# Shelve and offload.


class GuestShelved(Struct, frozen=True, kw_only=True, gc=False):
    """The guest is off and its image complete."""

    power_state: int
    image_id: str


class GuestShelveFailed(Struct, frozen=True, kw_only=True, gc=False):
    """There will be no image; the guest may be off."""

    power_state: int
    reason: str


class GuestOffloaded(Struct, frozen=True, kw_only=True, gc=False):
    """The host has nothing left of a shelved guest; `power_state` is its last."""

    power_state: int


class GuestOffloadFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host still has the shelved guest, or some of it."""

    power_state: int
    reason: str


# Unshelve.


class ShelvedGuestStarting(Struct, frozen=True, kw_only=True, gc=False):
    """The host that kept a shelved guest began to power it on."""


class ShelvedGuestStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The guest runs again on the host that kept it."""

    power_state: int


class ShelvedGuestStartFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest that was kept could not be powered on; it stays shelved."""

    power_state: int
    reason: str


class UnshelveAccepted(Struct, frozen=True, kw_only=True, gc=False):
    """The destination took the unshelve and its claim: the instance is on this host now."""

    node: str


class GuestUnshelved(Struct, frozen=True, kw_only=True, gc=False):
    """The guest runs again, made from its image."""

    power_state: int


class GuestUnshelveFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination could not make the guest and undid what it had done; the image is there."""

    reason: str


class ShelvedImageMissing(Struct, frozen=True, kw_only=True, gc=False):
    """The image of the shelved guest is gone: no host can make the guest again."""

    reason: str


# Rebuild.


class RebuildDisksPreparing(Struct, frozen=True, kw_only=True, gc=False):
    """The guest's old disk is gone; the host began to prepare what the new one needs."""


class RebuildSpawning(Struct, frozen=True, kw_only=True, gc=False):
    """The host handed the guest that it makes anew to its hypervisor."""


class RebuildSpawned(Struct, frozen=True, kw_only=True, gc=False):
    """The guest was made anew and runs; it is about to be powered off, as it was before."""

    power_state: int


class RebuildPoweringOff(Struct, frozen=True, kw_only=True, gc=False):
    """The host began to power off a guest that it made anew."""


class GuestRebuilt(Struct, frozen=True, kw_only=True, gc=False):
    """The guest was made anew and is powered as it was before."""

    power_state: int


class GuestRebuildFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest could not be made anew; nothing may be left of the old one."""

    power_state: int
    reason: str


class GuestRebuildFaulted(Struct, frozen=True, kw_only=True, gc=False):
    """The rebuild failed before anything was changed: the guest is as it was."""

    power_state: int
    reason: str
