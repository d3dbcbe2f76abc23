"""What a user may ask about volumes, ports and addresses of a guest, and what becomes of the state.

For each action: why it is refused, what is reserved when it is taken, and what its saga's ending
leaves. The request's arguments are read once, bounded and made canonical; the saga keeps them so.

Source:  nova/compute/api.py and nova/exception.py of nova 34 for what is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from events.ids import InstanceId, part_id
from events.json_arguments import BadArgument
from events.requests import ActionRequested
from events.values import replace
from statemachines.asked_attachments import (
    PORTS_MAX,
    VOLUMES_MAX,
    address_of,
    port_of,
    uuid_of,
    volume_of,
)
from statemachines.attachments import (
    ATTACHING,
    DETACHING,
    IN_USE,
    SWAPPING,
    is_seen_to,
    left_over,
    let_go,
)
from statemachines.held import Held, HeldPort, HeldVolume, SagaState
from statemachines.sagas import SAGAS
from statemachines.states import VmState
from statemachines.verdict import Rejected

#: Side actions that may be under way on one guest; each is a part of its state.
AT_ONCE_MAX: Final = 8


class _Refused(Exception):
    """The state does not allow the action: code and sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


Arguments = Mapping[str, str]
#: What is left when an action is taken: the state with its reservation, and the arguments as read.
Taken = tuple[Held, dict[str, str]]


def refused(held: Held, request: ActionRequested) -> Rejected | None:
    """Say why the state refuses an action on what the guest holds; None where it takes it."""
    running = [s for s in held.sides if SAGAS[s.saga].of_guest]
    if len(running) >= AT_ONCE_MAX:
        sentence = f"Expected fewer than {AT_ONCE_MAX} side actions of {held.instance_id}"
        return Rejected("too-many-actions", f"{sentence}, but {len(running)}")
    if request.action not in _ACTIONS:
        return None
    try:
        _ACTIONS[request.action](held, request.arguments, "", 0)
    except BadArgument as e:
        return Rejected("bad-request", str(e))
    except _Refused as e:
        return Rejected(e.code, str(e))
    return None


def taken(held: Held, request: ActionRequested, request_id: str, now: int) -> Taken:
    """Return the state in which the action was taken, and its arguments in canonical form."""
    act = _ACTIONS.get(request.action)
    if act is None:
        return held, request.arguments
    return act(held, request.arguments, request_id, now)


def ended(held: Held, saga: SagaState, ending: str) -> Held:
    """Return the state that an ending of a side action leaves."""
    act = _ENDED.get(f"{saga.saga}:{ending}")
    return held if act is None else act(held, saga)


# Volumes.


def _attach_volume(held: Held, arguments: Arguments, _request_id: str, now: int) -> Taken:
    volume_id = uuid_of(arguments.get("volume_id"), "volume")
    if _volume(held, volume_id) is not None:
        raise _Refused(
            "already-attached", f"volume {volume_id} already attached to {held.instance_id}"
        )
    if len(held.volumes) >= VOLUMES_MAX:
        raise _Refused("too-many-volumes", f"{held.instance_id} has {VOLUMES_MAX} volumes already")
    ends = arguments.get("delete_on_termination", "false")
    if ends not in ("true", "false"):
        raise BadArgument(f"Expected delete_on_termination true or false, but {ends!r:.40}")
    volume = volume_of(
        volume_id,
        arguments.get("device"),
        tuple(v.volume for v in held.volumes),
        delete_on_termination=ends == "true",
    )
    new = HeldVolume(volume=volume, status=ATTACHING, created_at=now)
    return replace(held, volumes=(*held.volumes, new)), {"volume_id": volume_id}


def _detach_volume(held: Held, arguments: Arguments, _request_id: str, _now: int) -> Taken:
    volume_id = uuid_of(arguments.get("volume_id"), "volume")
    volume = _free(held, volume_id, left=True)
    if volume.volume.boot_index == 0 and held.host is not None:
        raise _Refused("root-volume", f"Cannot detach a root device volume: {volume_id}")
    return _with_status(held, volume_id, DETACHING), {"volume_id": volume_id}


def _swap_volume(held: Held, arguments: Arguments, _request_id: str, _now: int) -> Taken:
    old_id = uuid_of(arguments.get("old_volume_id"), "volume")
    new_id = uuid_of(arguments.get("new_volume_id"), "volume")
    if _volume(held, new_id) is not None or any(
        s.saga == "swap_volume" and s.arguments["new_volume_id"] == new_id for s in held.sides
    ):
        raise _Refused(
            "already-attached", f"volume {new_id} already attached to {held.instance_id}"
        )
    _free(held, old_id)
    asked = {"old_volume_id": old_id, "new_volume_id": new_id}
    return _with_status(held, old_id, SWAPPING), asked


def _volume(held: Held, volume_id: str) -> HeldVolume | None:
    return next((v for v in held.volumes if v.volume.volume_id == volume_id), None)


def _free(held: Held, volume_id: str, *, left: bool = False) -> HeldVolume:
    """Return a volume of the guest with which nothing is being done, or one that was `left`."""
    volume = _volume(held, volume_id)
    if volume is None:
        raise _Refused("not-attached", f"volume {volume_id} is not attached to {held.instance_id}")
    if volume.status != IN_USE and not (left and _is_left(held, volume.status, volume_id)):
        raise _Refused("busy", f"volume {volume_id} of {held.instance_id} is {volume.status}")
    return volume


def _is_left(held: Held, status: str, one: str) -> bool:
    """Say whether it was to go, and an operator has ended what waited for that."""
    return status == DETACHING and not is_seen_to(held, one)


def _with_status(held: Held, volume_id: str, status: str) -> Held:
    volumes = tuple(
        replace(v, status=status) if v.volume.volume_id == volume_id else v for v in held.volumes
    )
    return replace(held, volumes=volumes)


def _keep_volume(held: Held, saga: SagaState) -> Held:
    return _with_status(held, saga.arguments["volume_id"], IN_USE)


def _owe_volume(held: Held, saga: SagaState) -> Held:
    return _with_status(held, saga.arguments["volume_id"], DETACHING)


def _drop_volume(held: Held, saga: SagaState) -> Held:
    gone = saga.arguments["volume_id"]
    return replace(held, volumes=tuple(v for v in held.volumes if v.volume.volume_id != gone))


def _settle_volume(held: Held, saga: SagaState) -> Held:
    """Believe what hosts said, where an operator ended the saga with the world as it is."""
    volume = _volume(held, saga.arguments["volume_id"])
    there = volume is not None and volume.hosts
    return _keep_volume(held, saga) if there else _drop_volume(held, saga)


def _leave_volume(held: Held, saga: SagaState) -> Held:
    """Keep what the guest's home still has of it, to be detached again; forget it elsewhere."""
    volume = _volume(held, saga.arguments["volume_id"])
    is_home = volume is not None and saga.target == held.host and saga.target in volume.hosts
    return held if is_home else _drop_volume(held, saga)


def _settle_swap(held: Held, saga: SagaState) -> Held:
    """Have the one that is attached in use: the fact of a swap has put the new one in its place."""
    held = _with_status(held, saga.arguments["old_volume_id"], IN_USE)
    return _with_status(held, saga.arguments["new_volume_id"], IN_USE)


# Ports and addresses.


def _attach_interface(held: Held, arguments: Arguments, request_id: str, now: int) -> Taken:
    made = part_id(InstanceId(held.instance_id), "port", request_id, 0)
    port = port_of(
        arguments.get("port_id"), arguments.get("net_id"), arguments.get("fixed_ip"), made
    )
    if _port(held, port.port_id) is not None:
        raise _Refused(
            "already-attached", f"port {port.port_id} already attached to {held.instance_id}"
        )
    if len(held.ports) >= PORTS_MAX:
        raise _Refused("too-many-ports", f"{held.instance_id} has {PORTS_MAX} ports already")
    new = HeldPort(port=port, status=ATTACHING, created_at=now)
    return replace(held, ports=(*held.ports, new)), {"port_id": port.port_id}


def _detach_interface(held: Held, arguments: Arguments, _request_id: str, _now: int) -> Taken:
    port_id = uuid_of(arguments.get("port_id"), "port")
    port = _port(held, port_id)
    if port is None:
        raise _Refused("not-attached", f"port {port_id} is not attached to {held.instance_id}")
    if port.status != IN_USE and not _is_left(held, port.status, port_id):
        raise _Refused("busy", f"port {port_id} of {held.instance_id} is {port.status}")
    return _with_port_status(held, port_id, DETACHING), {"port_id": port_id}


def _add_fixed_ip(held: Held, arguments: Arguments, _request_id: str, _now: int) -> Taken:
    network_id = uuid_of(arguments.get("network_id"), "network")
    ports = [p for p in held.ports if p.port.network_id == network_id and p.status == IN_USE]
    if not ports:
        raise _Refused("not-attached", f"{held.instance_id} has no port of network {network_id}")
    return held, {"network_id": network_id, "port_id": ports[0].port.port_id}


def _remove_fixed_ip(held: Held, arguments: Arguments, _request_id: str, _now: int) -> Taken:
    address = address_of(arguments.get("address"))
    ports = [p for p in held.ports if address in p.port.fixed_ips]
    if not ports:
        raise _Refused("not-attached", f"{held.instance_id} has no address {address}")
    return held, {"fixed_ip": address, "port_id": ports[0].port.port_id}


def _inject_network_info(held: Held, _arguments: Arguments, _request_id: str, _now: int) -> Taken:
    return held, {}


def _port(held: Held, port_id: str) -> HeldPort | None:
    return next((p for p in held.ports if p.port.port_id == port_id), None)


def _with_port_status(held: Held, port_id: str, status: str) -> Held:
    ports = tuple(replace(p, status=status) if p.port.port_id == port_id else p for p in held.ports)
    return replace(held, ports=ports)


def _keep_port(held: Held, saga: SagaState) -> Held:
    return _with_port_status(held, saga.arguments["port_id"], IN_USE)


def _drop_port(held: Held, saga: SagaState) -> Held:
    gone = saga.arguments["port_id"]
    return replace(held, ports=tuple(p for p in held.ports if p.port.port_id != gone))


def _owe_port(held: Held, saga: SagaState) -> Held:
    return _with_port_status(held, saga.arguments["port_id"], DETACHING)


def _settle_port(held: Held, saga: SagaState) -> Held:
    port = _port(held, saga.arguments["port_id"])
    there = port is not None and port.hosts
    return _keep_port(held, saga) if there else _drop_port(held, saga)


def _leave_port(held: Held, saga: SagaState) -> Held:
    port = _port(held, saga.arguments["port_id"])
    is_home = port is not None and saga.target == held.host and saga.target in port.hosts
    return held if is_home else _drop_port(held, saga)


def _expect_nothing(held: Held, saga: SagaState) -> Held:
    """Have nothing attached or bound on a host of which no clean-up is expected any more."""
    if saga.target is None or saga.target == held.host:
        return held
    held = let_go(held, saga.target)
    return left_over(held) if held.vm_state == VmState.DELETED else held


_ACTIONS: Final[Mapping[str, Callable[[Held, Arguments, str, int], Taken]]] = MappingProxyType(
    {
        "attach_volume": _attach_volume,
        "detach_volume": _detach_volume,
        "swap_volume": _swap_volume,
        "attach_interface": _attach_interface,
        "detach_interface": _detach_interface,
        "add_fixed_ip": _add_fixed_ip,
        "remove_fixed_ip": _remove_fixed_ip,
        "inject_network_info": _inject_network_info,
    }
)
_ENDED: Final[Mapping[str, Callable[[Held, SagaState], Held]]] = MappingProxyType(
    {
        "attach_volume:attached": _keep_volume,
        "attach_volume:failed": _drop_volume,
        "attach_volume:resolved": _settle_volume,
        "detach_volume:detached": _drop_volume,
        "detach_volume:failed": _keep_volume,
        "detach_volume:resolved": _settle_volume,
        "attach_volume:lost": _owe_volume,
        "detach_volume:owed": _owe_volume,
        "volume_debt:paid": _drop_volume,
        "volume_debt:resolved": _leave_volume,
        "swap_volume:swapped": _settle_swap,
        "swap_volume:failed": _settle_swap,
        "swap_volume:resolved": _settle_swap,
        "attach_interface:attached": _keep_port,
        "attach_interface:failed": _drop_port,
        "attach_interface:resolved": _settle_port,
        "attach_interface:lost": _owe_port,
        "detach_interface:owed": _owe_port,
        "port_debt:paid": _drop_port,
        "port_debt:resolved": _leave_port,
        "debt:resolved": _expect_nothing,
        "detach_interface:detached": _drop_port,
        "detach_interface:failed": _keep_port,
        "detach_interface:resolved": _settle_port,
    }
)
