"""What is asked of a host about images of a guest, and about leaving it and coming back as one."""

from __future__ import annotations

from msgspec import Struct

from events.parts import NOTHING_ATTACHED, Attachments
from events.requests import Flavor


class SnapshotGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Upload an image of the guest's disk. Undone by DeleteImage."""

    image_id: str
    image_name: str
    #: Of a backup (`daily`, `weekly` …); None for a snapshot.
    backup_type: str | None


class SnapshotVolumes(Struct, frozen=True, kw_only=True, gc=False):
    """Snapshot every volume of the guest, quiesced, as one image. Undone by DeleteImage."""

    image_id: str
    image_name: str


class RotateBackups(Struct, frozen=True, kw_only=True, gc=False):
    """Delete the oldest backups of a type until so many are left."""

    backup_type: str
    rotation: int


class DeleteImage(Struct, frozen=True, kw_only=True, gc=False):
    """Leave nothing of an image; an older command that still uploads it ends here."""

    image_id: str


class CreateVolumeSnapshot(Struct, frozen=True, kw_only=True, gc=False):
    """Take a snapshot of one volume for the volume service. Undone by DeleteVolumeSnapshot."""

    volume_id: str
    snapshot_id: str


class DeleteVolumeSnapshot(Struct, frozen=True, kw_only=True, gc=False):
    """Leave nothing of a snapshot of one volume."""

    volume_id: str
    snapshot_id: str


class ShelveGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Power the guest off and upload its image. Undone by DeleteImage; the guest stays off."""

    image_id: str
    image_name: str


class OffloadGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Power the guest off and leave nothing of it here, its image and volumes apart.

    With an image named, only if that is there. Undone by UnshelveGuest.
    """

    shelved_image: str | None
    #: All that is to be let go: after a crash the host says of each whether it still has it.
    attached: Attachments = NOTHING_ATTACHED


class StartShelvedGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Power a guest on that was shelved and kept here."""

    attachments: Attachments = NOTHING_ATTACHED


class UnshelveGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Make the guest again, from its image or its volumes, and start it. Undone by DestroyGuest."""

    flavor: Flavor
    name: str
    shelved_image: str | None
    attachments: Attachments = NOTHING_ATTACHED


class RebuildGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Destroy the guest's disk and make the guest anew on this host. Nothing undoes it."""

    flavor: Flavor
    name: str
    image: str
    #: Leave it running; else powered off, as it was before.
    power_on: bool
    attachments: Attachments = NOTHING_ATTACHED
