"""How the fake driver takes hold of what a guest has besides memory and disk, and lets it go.

For every operation of every family: `take_hold` and `let_go` are generators to `yield from`. They
change the world one part at a time, say each change in the poll in which it was made, and ask
before each whether it fails. What is there already, or is gone already, is passed over in silence:
so both may be begun again after a crash.

Order, as nova has it: accelerators, ports, volumes when taking hold; when letting go the guest is
powered off, then volumes, ports, accelerators, and its disk last (the caller does the first and the
last): something of the guest stays where its volumes are, whatever dies or fails on the way.
"""

from __future__ import annotations

from typing import Final

from compute.fake_site import Check, Site, check
from compute.world import Attached, World
from events import attachments as a
from events.envelope import Letter
from events.parts import NOTHING_ATTACHED, Attachments
from events.values import replace

#: Names, behind the command's, of the calls by which parts are taken hold of and let go.
ACCELERATORS: Final = ".accelerators"
PORTS: Final = ".ports"
VOLUMES: Final = ".volumes"
STAGES: Final = (ACCELERATORS, PORTS, VOLUMES)


def take_hold(
    site: Site, instance_id: str, command: object, wanted: Attachments, *, active: bool = True
) -> Check:
    """Leave all of it attached and bound here; ports `active` or waiting to be."""
    failure = yield from bind_accelerators(site, instance_id, command, wanted)
    if failure is None:
        failure = yield from bind_ports(site, instance_id, command, wanted, active=active)
    if failure is None:
        failure = yield from attach_volumes(site, instance_id, command, wanted)
    return failure


def bind_accelerators(site: Site, instance_id: str, command: object, wanted: Attachments) -> Check:
    """Leave the accelerator requests bound here."""
    for each in wanted.accelerators:
        one = each.accelerator_id
        there = attached_on(site.world, site.host, instance_id)
        if one in there.accelerators:
            continue
        if failure := (yield from check(site, instance_id, command, ACCELERATORS)):
            return failure
        site.world.attach(replace(there, accelerators=(*there.accelerators, one)))
        yield (a.AcceleratorBound(accelerator_id=one),)
    return None


def bind_ports(
    site: Site, instance_id: str, command: object, wanted: Attachments, *, active: bool = True
) -> Check:
    """Leave the ports bound here."""
    for each in wanted.ports:
        one = each.port_id
        there = attached_on(site.world, site.host, instance_id)
        if one in there.ports and (one in there.active_ports or not active):
            continue
        if failure := (yield from check(site, instance_id, command, PORTS)):
            return failure
        site.world.attach(_with_port(there, one, active=active))
        yield (a.PortBound(port_id=one, active=active),)
    return None


def attach_volumes(site: Site, instance_id: str, command: object, wanted: Attachments) -> Check:
    """Leave the volumes attached here."""
    for each in wanted.volumes:
        one = each.volume_id
        there = attached_on(site.world, site.host, instance_id)
        if one in there.volumes:
            continue
        if failure := (yield from check(site, instance_id, command, VOLUMES)):
            return failure
        site.world.attach(replace(there, volumes=(*there.volumes, one)))
        yield (a.VolumeAttached(volume_id=one),)
    return None


def let_go(site: Site, instance_id: str, command: object, *, breakable: bool = True) -> Check:
    """Leave nothing attached or bound here; an undoing that may not fail is not `breakable`."""
    while (there := attached_on(site.world, site.host, instance_id)).has_any:
        stage, after, said = _next_to_go(there)
        if breakable and (failure := (yield from check(site, instance_id, command, stage))):
            return failure
        site.world.attach(after)
        yield (said,)
    return None


def activate(world: World, instance_id: str, *, here: str, no_more: str) -> None:
    """Have the traffic of every port that waits on a host go there, and no more elsewhere."""
    there = attached_on(world, here, instance_id)
    if there.ports != there.active_ports:
        world.attach(replace(there, active_ports=there.ports))
    left = attached_on(world, no_more, instance_id)
    if left.active_ports:
        world.attach(replace(left, active_ports=()))


def as_it_is(world: World, host: str, instance_id: str) -> tuple[object, ...]:
    """Return what a host says of all that it has, in the order of taking hold."""
    there = attached_on(world, host, instance_id)
    return (
        *(a.AcceleratorBound(accelerator_id=one) for one in there.accelerators),
        *(a.PortBound(port_id=one, active=one in there.active_ports) for one in there.ports),
        *(a.VolumeAttached(volume_id=one) for one in there.volumes),
    )


def let_go_at_once(world: World, host: str, instance_id: str) -> tuple[object, ...]:
    """Leave nothing attached or bound on a host; return what it says of that."""
    said: tuple[object, ...] = ()
    while (there := attached_on(world, host, instance_id)).has_any:
        _, after, fact = _next_to_go(there)
        world.attach(after)
        said = (*said, fact)
    return said


def let_go_before(world: World, host: str, letter: Letter[object]) -> tuple[object, ...]:
    """Return what a host says of what it let go for a command that died: nobody may have heard.

    Of a guest that was to be made, and of which nothing is left, that is all it was to hold.
    """
    instance_id = letter.address.instance_id
    is_gone = world.half(host, instance_id) is None
    to_hold = getattr(letter.command, "attachments", NOTHING_ATTACHED) if is_gone else None
    wanted: Attachments = getattr(letter.command, "attached", to_hold or NOTHING_ATTACHED)
    there = attached_on(world, host, instance_id)
    volumes = {v.volume_id for v in wanted.volumes}.difference(there.volumes)
    ports = {p.port_id for p in wanted.ports}.difference(there.ports)
    devices = {x.accelerator_id for x in wanted.accelerators}.difference(there.accelerators)
    return (
        *(a.VolumeDetached(volume_id=one) for one in sorted(volumes)),
        *(a.PortUnbound(port_id=one) for one in sorted(ports)),
        *(a.AcceleratorUnbound(accelerator_id=one) for one in sorted(devices)),
    )


def holds(world: World, host: str, instance_id: str, wanted: Attachments) -> bool:
    """Say whether a host has all of it attached and bound."""
    there = attached_on(world, host, instance_id)
    return (
        {v.volume_id for v in wanted.volumes} <= set(there.volumes)
        and {p.port_id for p in wanted.ports} <= set(there.ports)
        and {x.accelerator_id for x in wanted.accelerators} <= set(there.accelerators)
    )


def attached_on(world: World, host: str, instance_id: str) -> Attached:
    """Return what a host has attached and bound for an instance; something empty for nothing."""
    return world.attached(host, instance_id) or Attached(host=host, instance_id=instance_id)


def _with_port(there: Attached, one: str, *, active: bool) -> Attached:
    ports = there.ports if one in there.ports else (*there.ports, one)
    return replace(
        there,
        ports=ports,
        active_ports=(*there.active_ports, one) if active else there.active_ports,
    )


def _next_to_go(there: Attached) -> tuple[str, Attached, object]:
    """Return the call, what is left after it, and what is said, for the next part to let go."""
    if there.volumes:
        one = there.volumes[0]
        after = replace(there, volumes=there.volumes[1:])
        return VOLUMES, after, a.VolumeDetached(volume_id=one)
    if there.ports:
        one = there.ports[0]
        active = tuple(p for p in there.active_ports if p != one)
        after = replace(there, ports=there.ports[1:], active_ports=active)
        return PORTS, after, a.PortUnbound(port_id=one)
    one = there.accelerators[0]
    after = replace(there, accelerators=there.accelerators[1:])
    return ACCELERATORS, after, a.AcceleratorUnbound(accelerator_id=one)
