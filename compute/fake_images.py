"""How the fake driver makes and deletes images, shelves, offloads and unshelves.

An upload that fails or dies leaves its half of an image in the store: the conductor, who alone
knows whether anybody still wants it, has it deleted. What a crash left is told by
`fake_image_outcomes`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, cast

from compute.fake_attachments import let_go, take_hold
from compute.fake_effects import Effect, Place
from compute.fake_site import (
    Failure,
    Operation,
    Said,
    Site,
    being_built,
    check,
    claimed,
    failed,
    half_of,
)
from compute.hypervisor import PowerState
from compute.image_store import Image, ImageKind, ImageStatus
from compute.world import PRESENT, Half, Role, World
from events import commands as c
from events import images as g
from events.values import replace

CALLS: Final = (
    "OffloadGuest",
    "SnapshotGuest.snapshot",
    "SnapshotGuest.upload",
    "SnapshotVolumes.snapshot",
    "SnapshotVolumes.upload",
    "RotateBackups",
    "ShelveGuest.power_off",
    "ShelveGuest.snapshot",
    "ShelveGuest.upload",
    "StartShelvedGuest",
    "UnshelveGuest.claim",
    "UnshelveGuest.spawn",
)
#: Commands that carry what their guest holds, for their host to take hold of.
TAKES_HOLD: Final = (c.StartShelvedGuest, c.UnshelveGuest)
_OFF: Final = PowerState.SHUTDOWN
_Upload = Generator[Said, None, Failure | None]


# In several polls.


def _uploads(site: Site, command: object, image: Image) -> _Upload:
    """Make an image, and say how far it is; return what went wrong, if anything did."""
    if (failure := (yield from check(site, image.instance_id, command, ".snapshot"))) is not None:
        return failure
    site.world.images.put(image)
    if site.copies_before_upload:
        yield (g.ImageUploadPending(),)
    yield (g.ImageUploadStarted(),)
    if (failure := (yield from check(site, image.instance_id, command, ".upload"))) is not None:
        return failure
    site.world.images.put(replace(image, status=ImageStatus.ACTIVE))
    return None


def _snapshot(
    site: Site, instance_id: str, command: c.SnapshotGuest | c.SnapshotVolumes
) -> Operation:
    if (half := half_of(site, instance_id)) is None or half.role not in PRESENT:
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    yield (g.SnapshotStarted(),)
    backup_type = getattr(command, "backup_type", None) or ""
    kind = ImageKind.BACKUP if backup_type else ImageKind.SNAPSHOT
    image = Image(
        image_id=command.image_id,
        instance_id=instance_id,
        host=site.host,
        kind=ImageKind.VOLUMES if isinstance(command, c.SnapshotVolumes) else kind,
        status=ImageStatus.SAVING,
        backup_type=backup_type,
    )
    if failure := (yield from _uploads(site, command, image)):
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    yield (g.ImageUploaded(image_id=image.image_id),)


def backups(world: World, instance_id: str, backup_type: str) -> list[Image]:
    """Return the backups of a type, the oldest first."""
    return [
        image
        for image in world.images.all()
        if image.kind is ImageKind.BACKUP
        and image.instance_id == instance_id
        and image.backup_type == backup_type
        and image.status is ImageStatus.ACTIVE
    ]


def _rotate(site: Site, instance_id: str, command: c.RotateBackups) -> Operation:
    if failure := (yield from check(site, instance_id, command)):
        yield (failed(command, None, failure.reason, failure.kind),)
        return
    found = backups(site.world, instance_id, command.backup_type)
    for image in found[: max(0, len(found) - command.rotation)]:
        site.world.images.delete(image.image_id)
        yield (g.ImageDeleted(image_id=image.image_id),)
    yield (g.BackupsRotated(),)


def _shelve(site: Site, instance_id: str, command: c.ShelveGuest) -> Operation:
    if (half := half_of(site, instance_id)) is None or half.role not in PRESENT:
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    failure = yield from check(site, instance_id, command, ".power_off")
    if failure is None:
        half = half.becomes(power_state=_OFF)
        site.world.change(half)
        image = Image(
            image_id=command.image_id,
            instance_id=instance_id,
            host=site.host,
            kind=ImageKind.SHELVED,
            status=ImageStatus.SAVING,
        )
        failure = yield from _uploads(site, command, image)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    if half.role is not Role.SAVED:
        # Nothing is left of what only came by a live migration, once it is off. Memory that was
        # saved is given up by the start: who has not heard of the shelving may still resume it.
        site.world.change(half.becomes(role=Role.GUEST))
    yield (g.GuestShelved(power_state=_OFF, image_id=command.image_id),)


def _offload(site: Site, instance_id: str, command: c.OffloadGuest) -> Operation:
    """Power off, let go, and destroy the disk last: what fails on the way leaves a guest."""
    failure = yield from check(site, instance_id, command)
    half = half_of(site, instance_id)
    problem = failure.reason if failure else _offload_problem(site, half, command.shelved_image)
    if problem is None and half is not None:
        half = half.becomes(power_state=_OFF)
        site.world.change(half)
    if problem is None and (failure := (yield from let_go(site, instance_id, command))):
        problem = failure.reason
    if problem is not None:
        yield (failed(command, half, problem),)
        return
    if half is not None:
        site.world.change(gone=[half])
    yield (g.GuestOffloaded(power_state=_OFF),)


def _offload_problem(site: Site, half: Half | None, image_id: str | None) -> str | None:
    if half is None:
        return None  # It was offloaded before, or never was here.
    if half.role not in PRESENT:
        return f"there is no guest on {site.host}"
    if is_missing(site.world, image_id):
        return f"image {image_id} is not there: what is here may be all that is left"
    return None


def _start(site: Site, instance_id: str, command: c.StartShelvedGuest) -> Operation:
    if (half := half_of(site, instance_id)) is None or half.role not in PRESENT:
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    yield (g.ShelvedGuestStarting(),)
    failure = yield from check(site, instance_id, command)
    if failure is None:
        failure = yield from take_hold(site, instance_id, command, command.attachments)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    site.world.change(half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING))
    yield (g.ShelvedGuestStarted(power_state=PowerState.RUNNING),)


def _unshelve(site: Site, instance_id: str, command: c.UnshelveGuest) -> Operation:
    failure = yield from claimed(site, instance_id, command)
    if failure:
        yield (failed(command, None, failure.reason),)
        return
    if is_missing(site.world, command.shelved_image):
        yield (g.ShelvedImageMissing(reason=f"Image {command.shelved_image} could not be found."),)
        return
    half = being_built(site, instance_id, command.flavor)
    yield (g.UnshelveAccepted(node=site.host),)
    failure = yield from take_hold(site, instance_id, command, command.attachments)
    if failure is None:
        failure = yield from check(site, instance_id, command, ".spawn")
    if failure:
        yield from let_go(site, instance_id, command, breakable=False)
        site.world.change(gone=[half])
        yield (failed(command, None, failure.reason),)
        return
    site.world.change(half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING))
    yield (g.GuestUnshelved(power_state=PowerState.RUNNING),)


def is_missing(world: World, image_id: str | None) -> bool:
    """Say whether an image that was asked for is not there, or not whole."""
    if image_id is None:
        return False
    image = world.images.get(image_id)
    return image is None or image.status is not ImageStatus.ACTIVE


OPERATIONS: Final[Mapping[type, Callable[[Site, str, Any], Operation]]] = {
    c.SnapshotGuest: _snapshot,
    c.SnapshotVolumes: _snapshot,
    c.RotateBackups: _rotate,
    c.ShelveGuest: _shelve,
    c.OffloadGuest: _offload,
    c.StartShelvedGuest: _start,
    c.UnshelveGuest: _unshelve,
}


# In one poll.


def _delete_image(world: World, place: Place, command: object, half: Half | None) -> object:
    image_id = cast("c.DeleteImage", command).image_id
    world.images.delete(image_id)
    return g.ImageDeleted(image_id=image_id)


def _create_snapshot(world: World, place: Place, command: object, half: Half | None) -> object:
    snapshot_id = cast("c.CreateVolumeSnapshot", command).snapshot_id
    if half is None or half.role not in PRESENT:
        return f"there is no guest on {place.host}"
    if world.images.get(snapshot_id) is not None:
        return f"there is a snapshot {snapshot_id} already"
    world.images.put(
        Image(
            image_id=snapshot_id,
            instance_id=place.instance_id,
            host=place.host,
            kind=ImageKind.VOLUME,
            status=ImageStatus.ACTIVE,
        )
    )
    return g.VolumeSnapshotCreated(snapshot_id=snapshot_id)


def _delete_snapshot(world: World, place: Place, command: object, half: Half | None) -> object:
    snapshot_id = cast("c.DeleteVolumeSnapshot", command).snapshot_id
    image = world.images.get(snapshot_id)
    if image is not None and (image.kind, image.instance_id) != (
        ImageKind.VOLUME,
        place.instance_id,
    ):
        return f"{snapshot_id} is no snapshot of a volume of this guest"
    world.images.delete(snapshot_id)
    return g.VolumeSnapshotDeleted(snapshot_id=snapshot_id)


EFFECTS: Final[Mapping[type, Effect]] = {
    c.DeleteImage: _delete_image,
    c.CreateVolumeSnapshot: _create_snapshot,
    c.DeleteVolumeSnapshot: _delete_snapshot,
}
