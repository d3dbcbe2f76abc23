"""What honest hosts answer: for each command its endings, with the progress that comes before.

The endings are the agent's own table, so whatever an agent may say is tried on the sagas.
"""

from __future__ import annotations

import types
import typing

from msgspec import Struct
from msgspec.structs import fields

from compute.endings import ENDINGS
from compute.fake_effects import LEAVES_NOTHING
from events import attachments, commands, evacuation, images, instance, migration
from events.envelope import Letter
from events.parts import Attachments
from events.requests import Flavor
from statemachines.attachments import attachments_of
from statemachines.held import Held
from tests.story import SMALL

_UPLOAD = (images.ImageUploadPending, images.ImageUploadStarted)
#: What a host says on the way to the success of a command.
ON_THE_WAY: dict[str, tuple[type, ...]] = {
    "BuildGuest": (
        instance.BuildAccepted,
        instance.NetworkAllocationStarted,
        instance.BlockDevicesPreparing,
        instance.GuestSpawning,
    ),
    "EvacuateGuest": (
        evacuation.EvacuationClaimed,
        evacuation.EvacuationDisksPreparing,
        evacuation.EvacuationSpawning,
    ),
    "RebootGuest": (instance.RebootPending, instance.RebootStarted),
    "ResizeGuest": (migration.ResizeStarted, migration.ResizeCopied),
    "FinishResize": (migration.ResizeFinishing,),
    "FinishRevertResize": (migration.RevertStarted,),
    "QueueLiveMigration": (migration.LiveMigrationQueued,),
    "LiveMigrateGuest": (migration.LiveMigrationStarted, migration.LiveMigrationProgressed),
    "SnapshotGuest": (images.SnapshotStarted, *_UPLOAD),
    "SnapshotVolumes": (images.SnapshotStarted, *_UPLOAD),
    "RotateBackups": (images.ImageDeleted,),
    "ShelveGuest": _UPLOAD,
    "StartShelvedGuest": (images.ShelvedGuestStarting,),
    "UnshelveGuest": (images.UnshelveAccepted,),
    "RebuildGuest": (images.RebuildDisksPreparing, images.RebuildSpawning),
}


#: Commands after which their host has nothing of the guest attached or bound.
LETS_GO = frozenset(kind.__name__ for kind in LEAVES_NOTHING) | {"ResizeGuest"}


def on_attachments(held: Held, letter: Letter[object]) -> tuple[object, ...]:
    """Return what a host says of volumes, ports and accelerators on the way to a success."""
    name, host = type(letter.command).__name__, letter.address.host
    if name == "ConfirmResize" and host == held.host:
        return ()  # A resize that stayed here: what the old size held, the new one holds.
    if name in LETS_GO:
        return _let_go(held, host)
    if name == "FinishLiveMigration":
        return _bound(attachments_of(held), active=True)
    wanted = getattr(letter.command, "attachments", None)
    if wanted is None:
        return ()
    return _bound(wanted, active=name != "PrepareDestination")


def _bound(wanted: Attachments, *, active: bool) -> tuple[object, ...]:
    return (
        *(
            attachments.AcceleratorBound(accelerator_id=x.accelerator_id)
            for x in wanted.accelerators
        ),
        *(attachments.PortBound(port_id=p.port_id, active=active) for p in wanted.ports),
        *(attachments.VolumeAttached(volume_id=v.volume_id) for v in wanted.volumes),
    )


def _let_go(held: Held, host: str) -> tuple[object, ...]:
    return (
        *(
            attachments.VolumeDetached(volume_id=v.volume.volume_id)
            for v in held.volumes
            if host in v.hosts
        ),
        *(attachments.PortUnbound(port_id=p.port.port_id) for p in held.ports if host in p.hosts),
        *(
            attachments.AcceleratorUnbound(accelerator_id=x.accelerator.accelerator_id)
            for x in held.accelerators
            if host in x.hosts
        ),
    )


#: The power state of a guest after what its name says, where it does not run.
POWER_AFTER = {"GuestStopped": 4, "GuestPaused": 3, "GuestSuspended": 4, "GuestSoftDeleted": 4}


def sample(cls: type) -> object:
    """Return some value of a fact or command."""
    hints = typing.get_type_hints(cls)
    values = {f.name: _sample(f.name, hints[f.name]) for f in fields(cls)}
    if "power_state" in values:
        values["power_state"] = POWER_AFTER.get(cls.__name__, 1)
    return cls(**values)


def _sample(name: str, hint: object) -> object:
    if hint is Flavor:
        return SMALL
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        return None
    if origin is tuple:
        return ()
    if origin is dict:
        return {}
    if hint is int:
        return 1
    if hint is bool:
        return False
    if hint is bytes:
        return b"\1" * 32
    if isinstance(hint, type) and issubclass(hint, Struct):
        return sample(hint)
    assert hint is str, f"Expected a plain field, but {name}: {hint!r}"
    return "h1" if name in ("host", "node") else f"some {name}"


def success_of(command: str) -> type:
    """Return the fact that says that a command was carried out."""
    return next(endings[0] for cls, endings in ENDINGS.items() if cls.__name__ == command)


def success_to(letter: Letter[object]) -> object:
    """Return the fact that says that this very command was carried out."""
    command = letter.command
    match command:
        case commands.AttachVolume():
            return attachments.VolumeAttached(volume_id=command.volume.volume_id)
        case commands.DetachVolume():
            return attachments.VolumeDetached(volume_id=command.volume_id)
        case commands.SwapVolume():
            return attachments.VolumeSwapped(
                old_volume_id=command.old_volume_id, new_volume_id=command.new_volume_id
            )
        case commands.AttachInterface():
            return attachments.PortBound(port_id=command.port.port_id, active=True)
        case commands.DetachInterface():
            return attachments.PortUnbound(port_id=command.port_id)
        case commands.AddFixedIp():
            return attachments.FixedIpAdded(port_id=command.port_id, address="10.0.0.6")
        case commands.RemoveFixedIp():
            return attachments.FixedIpRemoved(port_id=command.port_id, address=command.fixed_ip)
        case _:
            return sample(success_of(type(command).__name__))


def failures_of(command: str) -> tuple[type, ...]:
    """Return every other ending that an agent may give."""
    found = next(endings for cls, endings in ENDINGS.items() if cls.__name__ == command)
    return (*found[1:], instance.CommandRefused)


def argument(letter: Letter[object], name: str) -> object:
    """Return an argument of a command."""
    value: object = getattr(letter.command, name)
    return value
