"""How the fake driver makes and deletes images, shelves, offloads and unshelves; what a crash left.

An upload that fails or dies leaves its half of an image in the store: the conductor, who alone
knows whether anybody still wants it, has it deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from compute.fake_attachments import as_it_is, holds, let_go, let_go_at_once, take_hold
from compute.fake_effects import Effect, Place
from compute.fake_site import Failure, Operation, Said, Site, check, failed, half_of, power_of
from compute.hypervisor import PowerState
from compute.image_store import Image, ImageKind, ImageStatus
from compute.world import PRESENT, Half, Role, World
from events import commands as c
from events import images as g
from events.envelope import Letter

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
_DIED: Final = "the agent died while it was at it"
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


def _backups(world: World, instance_id: str, backup_type: str) -> list[Image]:
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
    found = _backups(site.world, instance_id, command.backup_type)
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
    # Memory that was saved belongs to the old disk alone: a start from here on is a boot.
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
    if _is_missing(site.world, image_id):
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
    failure = yield from check(site, instance_id, command, ".claim")
    half = half_of(site, instance_id)
    if failure or (half and half.role is not Role.BUILDING):
        reason = failure.reason if failure else f"there is something of it on {site.host} already"
        yield (failed(command, None, reason),)
        return
    if _is_missing(site.world, command.shelved_image):
        yield (g.ShelvedImageMissing(reason=f"Image {command.shelved_image} could not be found."),)
        return
    half = Half(
        host=site.host,
        instance_id=instance_id,
        role=Role.BUILDING,
        power_state=PowerState.NOSTATE,
        flavor=command.flavor,
    )
    site.world.change(half)
    yield (g.UnshelveAccepted(node=site.host),)
    failure = yield from take_hold(site, instance_id, command, command.attachments)
    if failure is None:
        failure = yield from check(site, instance_id, command, ".spawn")
    if failure:
        site.world.change(gone=[half])
        yield from let_go(site, instance_id, command, breakable=False)
        yield (failed(command, None, failure.reason),)
        return
    site.world.change(half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING))
    yield (g.GuestUnshelved(power_state=PowerState.RUNNING),)


def _is_missing(world: World, image_id: str | None) -> bool:
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


# After a crash.

_UPLOADED: Final = (g.ImageUploadPending(), g.ImageUploadStarted())
#: What is there: (world, instance, command, what the host has of it) → the facts, or None.
_Outcome = Callable[[World, str, Any, Half | None], tuple[object, ...] | None]


def outcome(world: World, host: str, letter: Letter[object]) -> tuple[object, ...] | None:
    """Say what became of a command of which only the world is left; None for any other command."""
    look = _OUTCOMES.get(type(letter.command))
    if look is None:
        return None
    instance_id = letter.address.instance_id
    half = world.half(host, instance_id)
    done = look(world, instance_id, letter.command, half)
    if done is not None and _holds_as_asked(world, host, letter):
        held = as_it_is(world, host, instance_id)
        return (*done[:-1], *held, done[-1])
    if half and half.role is Role.BUILDING:
        world.change(gone=[half])
        held = let_go_at_once(world, host, instance_id)
    else:
        held = as_it_is(world, host, instance_id)
    return (*held, failed(letter.command, half, _DIED))


def _holds_as_asked(world: World, host: str, letter: Letter[object]) -> bool:
    """Say whether a host has what it was to take hold of, or nothing where it was to let go."""
    command, instance_id = letter.command, letter.address.instance_id
    if isinstance(command, c.OffloadGuest):
        return world.attached(host, instance_id) is None
    if isinstance(command, TAKES_HOLD):
        return holds(world, host, instance_id, command.attachments)
    return True


def _snapshot_outcome(
    world: World, _instance_id: str, command: c.SnapshotGuest, _half: Half | None
) -> tuple[object, ...] | None:
    if _is_missing(world, command.image_id):
        return None
    return (g.SnapshotStarted(), *_UPLOADED, g.ImageUploaded(image_id=command.image_id))


def _rotate_outcome(
    world: World, instance_id: str, command: c.RotateBackups, _half: Half | None
) -> tuple[object, ...] | None:
    left = _backups(world, instance_id, command.backup_type)
    return (g.BackupsRotated(),) if len(left) <= command.rotation else None


def _delete_outcome(
    world: World, _instance_id: str, command: c.DeleteImage, _half: Half | None
) -> tuple[object, ...] | None:
    is_there = world.images.get(command.image_id) is not None
    return None if is_there else (g.ImageDeleted(image_id=command.image_id),)


def _create_snapshot_outcome(
    world: World, _instance_id: str, command: c.CreateVolumeSnapshot, _half: Half | None
) -> tuple[object, ...] | None:
    is_there = world.images.get(command.snapshot_id) is not None
    return (g.VolumeSnapshotCreated(snapshot_id=command.snapshot_id),) if is_there else None


def _delete_snapshot_outcome(
    world: World, _instance_id: str, command: c.DeleteVolumeSnapshot, _half: Half | None
) -> tuple[object, ...] | None:
    is_there = world.images.get(command.snapshot_id) is not None
    return None if is_there else (g.VolumeSnapshotDeleted(snapshot_id=command.snapshot_id),)


def _shelve_outcome(
    world: World, _instance_id: str, command: c.ShelveGuest, half: Half | None
) -> tuple[object, ...] | None:
    if _is_missing(world, command.image_id) or power_of(half) is not _OFF:
        return None
    return (*_UPLOADED, g.GuestShelved(power_state=_OFF, image_id=command.image_id))


def _offload_outcome(
    _world: World, _instance_id: str, _command: c.OffloadGuest, half: Half | None
) -> tuple[object, ...] | None:
    return (g.GuestOffloaded(power_state=_OFF),) if half is None else None


def _start_outcome(
    _world: World, _instance_id: str, _command: c.StartShelvedGuest, half: Half | None
) -> tuple[object, ...] | None:
    if power_of(half) is not PowerState.RUNNING:
        return None
    return (g.ShelvedGuestStarting(), g.ShelvedGuestStarted(power_state=PowerState.RUNNING))


def _unshelve_outcome(
    _world: World, _instance_id: str, _command: c.UnshelveGuest, half: Half | None
) -> tuple[object, ...] | None:
    if half is None or half.role is not Role.GUEST:
        return None
    accepted = g.UnshelveAccepted(node=half.host)
    return (accepted, g.GuestUnshelved(power_state=half.power_state))


_OUTCOMES: Final[Mapping[type, _Outcome]] = {
    c.SnapshotGuest: _snapshot_outcome,
    c.SnapshotVolumes: _snapshot_outcome,
    c.RotateBackups: _rotate_outcome,
    c.DeleteImage: _delete_outcome,
    c.CreateVolumeSnapshot: _create_snapshot_outcome,
    c.DeleteVolumeSnapshot: _delete_snapshot_outcome,
    c.ShelveGuest: _shelve_outcome,
    c.OffloadGuest: _offload_outcome,
    c.StartShelvedGuest: _start_outcome,
    c.UnshelveGuest: _unshelve_outcome,
}
