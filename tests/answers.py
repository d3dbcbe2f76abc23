"""What honest hosts answer: for each command its endings, with the progress that comes before.

The endings are the agent's own table, so whatever an agent may say is tried on the sagas.
"""

from __future__ import annotations

import dataclasses
import types
import typing

from compute.endings import ENDINGS
from events import instance, migration
from events.envelope import Letter
from events.requests import Flavor
from tests.story import SMALL

#: What a host says on the way to the success of a command.
ON_THE_WAY: dict[str, tuple[type, ...]] = {
    "BuildGuest": (
        instance.BuildAccepted,
        instance.NetworkAllocationStarted,
        instance.BlockDevicesPreparing,
        instance.GuestSpawning,
    ),
    "RebootGuest": (instance.RebootPending, instance.RebootStarted),
    "ResizeGuest": (migration.ResizeStarted, migration.ResizeCopied),
    "FinishResize": (migration.ResizeFinishing,),
    "FinishRevertResize": (migration.RevertStarted,),
    "QueueLiveMigration": (migration.LiveMigrationQueued,),
    "LiveMigrateGuest": (migration.LiveMigrationStarted, migration.LiveMigrationProgressed),
}


def sample(cls: type) -> object:
    """Return some value of a fact or command."""
    hints = typing.get_type_hints(cls)
    return cls(**{f.name: _sample(f.name, hints[f.name]) for f in dataclasses.fields(cls)})


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
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return sample(hint)
    assert hint is str, f"Expected a plain field, but {name}: {hint!r}"
    return "h1" if name in ("host", "node") else f"some {name}"


def success_of(command: str) -> type:
    """Return the fact that says that a command was carried out."""
    return next(endings[0] for cls, endings in ENDINGS.items() if cls.__name__ == command)


def failures_of(command: str) -> tuple[type, ...]:
    """Return every other ending that an agent may give."""
    found = next(endings for cls, endings in ENDINGS.items() if cls.__name__ == command)
    return (*found[1:], instance.CommandRefused)


def argument(letter: Letter[object], name: str) -> object:
    """Return an argument of a command."""
    value: object = getattr(letter.command, name)
    return value
