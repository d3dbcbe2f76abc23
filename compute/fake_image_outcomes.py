"""What a crash left of what the fake driver did with images, and of shelving and unshelving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from compute.fake_attachments import as_it_is, holds, let_go_at_once, let_go_before
from compute.fake_images import backups, is_missing
from compute.fake_site import failed, power_of
from compute.hypervisor import PowerState
from compute.world import Half, Role, World
from events import commands as c
from events import images as g
from events.envelope import Letter

_OFF: Final = PowerState.SHUTDOWN
_DIED: Final = "the agent died while it was at it"
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
        held = let_go_at_once(world, host, instance_id)
        world.change(gone=[half])
    else:
        held = as_it_is(world, host, instance_id)
    gone = let_go_before(world, host, letter)
    return (*held, *gone, failed(letter.command, half, _DIED))


def _holds_as_asked(world: World, host: str, letter: Letter[object]) -> bool:
    """Say whether a host has what it was to take hold of, or nothing where it was to let go."""
    command, instance_id = letter.command, letter.address.instance_id
    if isinstance(command, c.OffloadGuest):
        return world.attached(host, instance_id) is None
    if isinstance(command, c.StartShelvedGuest):
        return holds(world, host, instance_id, command.attachments)
    # A guest that was unshelved took hold of everything first: what is gone since was let go.
    return True


def _snapshot_outcome(
    world: World, _instance_id: str, command: c.SnapshotGuest, _half: Half | None
) -> tuple[object, ...] | None:
    if is_missing(world, command.image_id):
        return None
    return (g.SnapshotStarted(), *_UPLOADED, g.ImageUploaded(image_id=command.image_id))


def _rotate_outcome(
    world: World, instance_id: str, command: c.RotateBackups, _half: Half | None
) -> tuple[object, ...] | None:
    left = backups(world, instance_id, command.backup_type)
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
    if is_missing(world, command.image_id) or power_of(half) is not _OFF:
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
