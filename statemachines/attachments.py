"""What a guest holds besides memory and disk, as a part of its state: pure changes of it.

Two things are told apart. What belongs to the guest is the users' wish (asked for in a create, an
attach, a detach). Where it is attached or bound is what hosts say of themselves.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import fields

from events.parts import NOTHING_ATTACHED, Attachments
from events.register import COMMANDS
from events.values import replace
from statemachines.held import Held, HeldAccelerator, HeldPort, HeldVolume

#: Addresses of one port; neutron's default is 5 a port.
FIXED_IPS_MAX: Final = 16
#: It was asked for, and no host has said yet that it is there.
ATTACHING: Final = "attaching"
#: It belongs to the guest and goes where the guest goes.
IN_USE: Final = "in-use"
#: It is to go, and no host has said yet that it is gone.
DETACHING: Final = "detaching"

#: It is in use, and another is being put into its place.
SWAPPING: Final = "swapping"
_CARRIED: Final = (IN_USE, SWAPPING)

#: Commands that carry what their guest holds.
TAKE_HOLD: Final = frozenset(
    name for name, cls in COMMANDS.items() if any(f.name == "attachments" for f in fields(cls))
)

#: Facts by which a host says what is attached or bound there: true whatever step a saga stands in.
SAID_OF_ATTACHMENTS: Final = frozenset(
    {
        "VolumeAttached",
        "VolumeDetached",
        "PortBound",
        "PortUnbound",
        "AcceleratorBound",
        "AcceleratorUnbound",
        "VolumeSwapped",
        "FixedIpAdded",
        "FixedIpRemoved",
    }
)


def has_attachments(held: Held) -> bool:
    """Say whether the instance has anything besides memory and disk."""
    return bool(held.volumes or held.ports or held.accelerators)


def attachments_of(held: Held) -> Attachments:
    """Return what goes where the guest goes."""
    if not (held.volumes or held.ports or held.accelerators):
        return NOTHING_ATTACHED
    return Attachments(
        volumes=tuple(v.volume for v in held.volumes if v.status in _CARRIED),
        ports=tuple(p.port for p in held.ports if p.status == IN_USE),
        accelerators=tuple(a.accelerator for a in held.accelerators),
    )


def held_from(held: Held, asked: Attachments, now: int) -> Held:
    """Return the state of a new instance with what its create asked for; attached nowhere yet."""
    if asked == NOTHING_ATTACHED:
        return held
    return replace(
        held,
        volumes=tuple(HeldVolume(volume=v, status=IN_USE, created_at=now) for v in asked.volumes),
        ports=tuple(HeldPort(port=p, status=IN_USE, created_at=now) for p in asked.ports),
        accelerators=tuple(
            HeldAccelerator(accelerator=a, created_at=now) for a in asked.accelerators
        ),
    )


def undisturbed(held: Held, host: str | None) -> bool:
    """Say whether the guest is at home on a host, and none other was asked to take hold of it."""
    asked = () if held.saga is None else held.saga.asked
    return held.host == host and not any(a.takes_hold and a.host != host for a in asked)


def let_go(held: Held, host: str) -> Held:
    """Return the state in which nothing of the guest is attached or bound on a host."""
    if not has_attachments(held):
        return held
    return replace(
        held,
        volumes=tuple(replace(v, hosts=without(v.hosts, host)) for v in held.volumes),
        ports=tuple(unbound(p, host) for p in held.ports),
        accelerators=tuple(replace(a, hosts=without(a.hosts, host)) for a in held.accelerators),
    )


def activated(held: Held, host: str) -> Held:
    """Return the state in which the traffic of every port that is bound on a host goes there."""
    if not held.ports:
        return held
    ports = tuple(replace(p, active_host=host) if host in p.hosts else p for p in held.ports)
    return replace(held, ports=ports)


def left_over(held: Held) -> Held:
    """Return the state of a deleted instance: it holds what hosts still have, and nothing else."""
    if not has_attachments(held):
        return held
    return replace(
        held,
        volumes=tuple(v for v in held.volumes if v.hosts),
        ports=tuple(p for p in held.ports if p.hosts),
        accelerators=tuple(a for a in held.accelerators if a.hosts),
    )


def is_seen_to(held: Held, one: str) -> bool:
    """Say whether a side saga is about something that the guest holds."""
    return any(one in side.arguments.values() for side in held.sides)


def without_gone(held: Held) -> Held:
    """Return the state without what was to go, is nowhere any more, and has nobody see to it."""
    volumes = {v.volume.volume_id for v in held.volumes if v.status == DETACHING and not v.hosts}
    ports = {p.port.port_id for p in held.ports if p.status == DETACHING and not p.hosts}
    gone = {one for one in volumes | ports if not is_seen_to(held, one)}
    if not gone:
        return held
    return replace(
        held,
        volumes=tuple(v for v in held.volumes if v.volume.volume_id not in gone),
        ports=tuple(p for p in held.ports if p.port.port_id not in gone),
    )


def together(hosts: tuple[str, ...], host: str) -> tuple[str, ...]:
    """Return the hosts with one more, sorted."""
    return hosts if host in hosts else tuple(sorted((*hosts, host)))


def without(hosts: tuple[str, ...], host: str) -> tuple[str, ...]:
    """Return the hosts with one less."""
    return tuple(h for h in hosts if h != host) if host in hosts else hosts


def bound(port: HeldPort, host: str, *, active: bool) -> HeldPort:
    """Return the port as it is when a host says that it is bound there."""
    active_host = host if active else (None if port.active_host == host else port.active_host)
    return replace(port, hosts=together(port.hosts, host), active_host=active_host)


def unbound(port: HeldPort, host: str) -> HeldPort:
    """Return the port as it is when a host says that it is not bound there."""
    active_host = None if port.active_host == host else port.active_host
    return replace(port, hosts=without(port.hosts, host), active_host=active_host)
