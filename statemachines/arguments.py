"""The arguments of commands: each is a named field of the state, and nothing else.

So a command can be made again from the state alone, by whoever takes over, with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from msgspec.structs import fields

from events.ids import SagaId, image_id
from events.register import COMMANDS
from statemachines.conditions import stays_on
from statemachines.held import Held, Move, SagaState
from statemachines.priorities import priority_of
from statemachines.saga import Saga
from statemachines.sagas.sides import DELETE_IMAGE
from statemachines.states import MigrationType, VmState

Argument = Callable[[Held, SagaState, Saga], object]


def _move(held: Held) -> Move:
    assert held.move is not None, f"Expected a move of instance {held.instance_id}, but none"
    return held.move


def _wanted(held: Held, saga: SagaState, _table: Saga) -> object:
    """The size for which a host is sought: the new one in a move, else the instance's own."""
    move = held.move
    return move.new_flavor if move is not None and move.saga_id == saga.saga_id else held.flavor


def _source(held: Held, _saga: SagaState, _table: Saga) -> str:
    return _move(held).source


def _destination(held: Held, saga: SagaState, _table: Saga) -> object:
    return saga.destination or _move(held).destination


def _power_on(held: Held, saga: SagaState, table: Saga) -> bool:
    if table.remakes:
        return saga.was_vm_state != VmState.STOPPED
    if _move(held).migration_type == MigrationType.EVACUATION:
        return stays_on(held, saga)
    return _move(held).old_vm_state != VmState.STOPPED


def _evidence(_held: Held, saga: SagaState, table: Saga) -> str:
    """Why a guest may be destroyed; a clean-up owed keeps the reason that it was made with."""
    return table.evidence or saga.arguments.get("evidence") or "undone"


def _image_id(_held: Held, saga: SagaState, table: Saga) -> str:
    """The image that the saga makes; a clean-up owed is about its predecessor's."""
    if table.name == DELETE_IMAGE.name:
        return saga.arguments["image_id"]
    return image_id(SagaId(saga.saga_id))


def _image_name(held: Held, saga: SagaState, _table: Saga) -> str:
    return saga.arguments.get("name") or f"{held.name}-shelved"


def _volume(held: Held, saga: SagaState, _table: Saga) -> object:
    wanted = saga.arguments["volume_id"]
    return next(v.volume for v in held.volumes if v.volume.volume_id == wanted)


def _port(held: Held, saga: SagaState, _table: Saga) -> object:
    wanted = saga.arguments["port_id"]
    return next(p.port for p in held.ports if p.port.port_id == wanted)


def _argument(name: str) -> Argument:
    return lambda _held, saga, _table: saga.arguments[name]


#: Arguments that a request names and the fold has read.
_ASKED: Final = ("volume_id", "old_volume_id", "new_volume_id", "port_id", "network_id", "fixed_ip")
ARGUMENTS: Final[Mapping[str, Argument]] = MappingProxyType(
    {
        "name": lambda held, _saga, _table: held.name,
        "image": lambda held, _saga, _table: held.image,
        "image_id": _image_id,
        "image_name": _image_name,
        "shelved_image": lambda held, _saga, _table: held.shelved_image,
        "backup_type": lambda _held, saga, _table: saga.arguments.get("backup_type"),
        "rotation": lambda _held, saga, _table: int(saga.arguments["rotation"]),
        "volume_id": lambda _held, saga, _table: saga.arguments["volume_id"],
        "snapshot_id": lambda _held, saga, _table: saga.arguments["snapshot_id"],
        "claims_nothing": lambda _held, _saga, table: table.remakes,
        "forced_host": lambda _held, saga, _table: saga.forced_host,
        "excluded_hosts": lambda _held, saga, _table: saga.excluded,
        "hard": lambda _held, saga, _table: saga.saga == "reboot_hard",
        "old_flavor": lambda held, _saga, _table: _move(held).old_flavor,
        "new_flavor": lambda held, _saga, _table: _move(held).new_flavor,
        "flavor": _wanted,
        "source": _source,
        "destination": _destination,
        "power_on": _power_on,
        "evidence": _evidence,
        "priority": lambda _held, saga, _table: priority_of(saga),
        "secret_ref": lambda _held, saga, _table: saga.arguments.get("secret_ref", ""),
        "target_power_state": lambda _held, saga, _table: (
            "POWER_ON" if saga.saga == "power_update_on" else "POWER_OFF"
        ),
        "rescue_image": lambda _held, saga, _table: saga.arguments.get("rescue_image_ref", ""),
        "attached": lambda _held, saga, _table: saga.attachments,
        "attachments": lambda _held, saga, _table: saga.attachments,
        "ports": lambda _held, saga, _table: saga.attachments.ports,
        "volume": _volume,
        "port": _port,
        **{name: _argument(name) for name in _ASKED},
    }
)


@cache
def _names(command: str) -> tuple[str, ...]:
    return tuple(f.name for f in fields(COMMANDS[command]))


def command_of(name: str, held: Held, saga: SagaState, table: Saga) -> object:
    """Return the command of a step with its arguments filled from the state."""
    return COMMANDS[name](**{n: ARGUMENTS[n](held, saga, table) for n in _names(name)})
