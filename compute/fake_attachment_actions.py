"""How the fake driver attaches, detaches and swaps single volumes and ports of a guest.

The change and its report are one poll: an operation that is cancelled has done it or has not.
Addresses are given by a network service that is not there: the fake one gives the address that
follows from port and saga, so that an attempt that is repeated is given the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

from compute.fake_attachments import attached_on
from compute.fake_site import FailureKind, Operation, Site, check, failed, half_of
from compute.world import PRESENT, Attached, World
from events import attachments as a
from events import commands as c
from events.envelope import Letter
from events.values import replace

_DIED: Final = "the agent died while it was at it"
#: What a command leaves attached and bound, and what is then said; a sentence where it can't.
Change = Callable[[Attached, Letter[object]], tuple[Attached, object] | str]


def operation(site: Site, letter: Letter[object]) -> Operation:
    """Change what one guest has attached and bound here, and say so."""
    command, instance_id = letter.command, letter.address.instance_id
    failure = yield from check(site, instance_id, command)
    half = half_of(site, instance_id)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    if type(command) not in _LETS_GO and (half is None or half.role not in PRESENT):
        yield (failed(command, half, f"there is no guest on {site.host}"),)
        return
    there = attached_on(site.world, site.host, instance_id)
    done = CHANGES[type(command)](there, letter)
    if isinstance(done, str):
        yield (failed(command, half, done),)
        return
    after, said = done
    if after != there:
        site.world.attach(after)
    yield (said,)


def outcome(world: World, host: str, letter: Letter[object]) -> tuple[object, ...]:
    """Say what became of a command that had begun when the agent died: it is seen, or it is not."""
    there = attached_on(world, host, letter.address.instance_id)
    done = CHANGES[type(letter.command)](there, letter)
    if isinstance(done, str) or done[0] != there or isinstance(letter.command, c.InjectNetworkInfo):
        return (failed(letter.command, None, _DIED, FailureKind.FAIL),)
    return (done[1],)


def _attach_volume(there: Attached, letter: Letter[object]) -> tuple[Attached, object]:
    assert isinstance(letter.command, c.AttachVolume), f"Expected AttachVolume, but {letter!r}"
    one = letter.command.volume.volume_id
    volumes = there.volumes if one in there.volumes else (*there.volumes, one)
    return replace(there, volumes=volumes), a.VolumeAttached(volume_id=one)


def _detach_volume(there: Attached, letter: Letter[object]) -> tuple[Attached, object]:
    assert isinstance(letter.command, c.DetachVolume), f"Expected DetachVolume, but {letter!r}"
    one = letter.command.volume_id
    left = tuple(v for v in there.volumes if v != one)
    return replace(there, volumes=left), a.VolumeDetached(volume_id=one)


def _swap_volume(there: Attached, letter: Letter[object]) -> tuple[Attached, object] | str:
    command = letter.command
    assert isinstance(command, c.SwapVolume), f"Expected SwapVolume, but {letter!r}"
    old, new = command.old_volume_id, command.new_volume_id
    if old not in there.volumes and new not in there.volumes:
        return f"volume {old} is not attached on {there.host}"
    volumes = tuple(new if v == old else v for v in there.volumes)
    return replace(there, volumes=volumes), a.VolumeSwapped(old_volume_id=old, new_volume_id=new)


def _attach_interface(there: Attached, letter: Letter[object]) -> tuple[Attached, object]:
    command = letter.command
    assert isinstance(command, c.AttachInterface), f"Expected AttachInterface, but {letter!r}"
    one = command.port.port_id
    if one in there.active_ports:
        return there, a.PortBound(port_id=one, active=True)
    ports = there.ports if one in there.ports else (*there.ports, one)
    after = replace(there, ports=ports, active_ports=(*there.active_ports, one))
    return after, a.PortBound(port_id=one, active=True)


def _detach_interface(there: Attached, letter: Letter[object]) -> tuple[Attached, object]:
    command = letter.command
    assert isinstance(command, c.DetachInterface), f"Expected DetachInterface, but {letter!r}"
    one = command.port_id
    after = replace(
        there,
        ports=tuple(p for p in there.ports if p != one),
        active_ports=tuple(p for p in there.active_ports if p != one),
    )
    return after, a.PortUnbound(port_id=one)


def _add_fixed_ip(there: Attached, letter: Letter[object]) -> tuple[Attached, object] | str:
    command = letter.command
    assert isinstance(command, c.AddFixedIp), f"Expected AddFixedIp, but {letter!r}"
    if command.port_id not in there.ports:
        return f"port {command.port_id} is not bound to {there.host}"
    seen = sha256(f"{command.port_id}/{letter.address.saga_id}".encode()).digest()
    address = f"10.{seen[0]}.{seen[1]}.{seen[2] % 254 + 1}"
    return there, a.FixedIpAdded(port_id=command.port_id, address=address)


def _remove_fixed_ip(there: Attached, letter: Letter[object]) -> tuple[Attached, object] | str:
    command = letter.command
    assert isinstance(command, c.RemoveFixedIp), f"Expected RemoveFixedIp, but {letter!r}"
    if command.port_id not in there.ports:
        return f"port {command.port_id} is not bound to {there.host}"
    return there, a.FixedIpRemoved(port_id=command.port_id, address=command.fixed_ip)


def _inject_network_info(there: Attached, letter: Letter[object]) -> tuple[Attached, object]:
    return there, a.NetworkInfoInjected()


#: Commands that may come when there is no guest (any more): they leave less, not more.
_LETS_GO: Final[tuple[type, ...]] = (c.DetachVolume, c.DetachInterface)
CHANGES: Final[Mapping[type, Change]] = {
    c.AttachVolume: _attach_volume,
    c.DetachVolume: _detach_volume,
    c.SwapVolume: _swap_volume,
    c.AttachInterface: _attach_interface,
    c.DetachInterface: _detach_interface,
    c.AddFixedIp: _add_fixed_ip,
    c.RemoveFixedIp: _remove_fixed_ip,
    c.InjectNetworkInfo: _inject_network_info,
}
