"""How the fake driver makes a guest anew where it is, and what a crash left of that.

Once the old disk is gone a failure leaves nothing: there is no way back to what the guest was. A
half says which saga made it anew, so that after a crash the new guest is told from the old one.
"""

from __future__ import annotations

from typing import Final, cast

from compute.fake_attachments import STAGES, as_it_is, holds, let_go, let_go_at_once, take_hold
from compute.fake_site import (
    Check,
    FailureKind,
    Operation,
    Said,
    Site,
    being_built,
    check,
    failed,
    half_of,
)
from compute.hypervisor import PowerState
from compute.world import PRESENT, Half, Role, World
from events import commands as c
from events import images as g
from events.envelope import Letter

CALLS: Final = (
    "RebuildGuest.power_off",
    *("RebuildGuest" + stage for stage in STAGES),
    "RebuildGuest.spawn",
    "RebuildGuest.stop",
)
_OFF: Final = PowerState.SHUTDOWN
_DIED: Final = "the agent died while it was at it"


def rebuild(site: Site, letter: Letter[object]) -> Operation:
    """Return the operation that makes a guest anew."""
    command, instance_id = cast("c.RebuildGuest", letter.command), letter.address.instance_id
    failure = yield from check(site, instance_id, command, ".power_off")
    half = half_of(site, instance_id)
    if failure or (half and half.role not in (*PRESENT, Role.BUILDING)):
        reason = failure.reason if failure else f"there is something else of it on {site.host}"
        kind = failure.kind if failure else FailureKind.FAULT_ROLLBACK
        yield (failed(command, half, reason, kind),)
        return
    half = being_built(site, instance_id, command.flavor, remade_by=letter.address.saga_id)
    if failure := (yield from _assemble(site, instance_id, command)):
        yield from let_go(site, instance_id, command, breakable=False)
        site.world.change(gone=[half])
        yield (failed(command, None, failure.reason),)
        return
    half = half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING)
    site.world.change(half)
    if command.power_on:
        yield (g.GuestRebuilt(power_state=PowerState.RUNNING),)
    else:
        yield from _power_off(site, command, half)


def _assemble(site: Site, instance_id: str, command: c.RebuildGuest) -> Check:
    yield (g.RebuildDisksPreparing(),)
    failure = yield from take_hold(site, instance_id, command, command.attachments)
    if failure is None:
        yield (g.RebuildSpawning(),)
        failure = yield from check(site, instance_id, command, ".spawn")
    return failure


def _power_off(site: Site, command: c.RebuildGuest, half: Half) -> Operation:
    yield (g.RebuildSpawned(power_state=PowerState.RUNNING),)
    yield (g.RebuildPoweringOff(),)
    if failure := (yield from check(site, half.instance_id, command, ".stop")):
        yield (failed(command, half, failure.reason),)
        return
    site.world.change(half.becomes(power_state=_OFF))
    yield (g.GuestRebuilt(power_state=_OFF),)


def outcome(world: World, host: str, letter: Letter[object]) -> tuple[object, ...]:
    """Say what became of a rebuild of which only the world is left."""
    command, instance_id = cast("c.RebuildGuest", letter.command), letter.address.instance_id
    half = world.half(host, instance_id)
    if half is not None and half.remade_by != letter.address.saga_id:
        untouched = failed(command, half, _DIED, FailureKind.FAULT_ROLLBACK)
        return (*as_it_is(world, host, instance_id), untouched)
    if half is not None and half.role is Role.BUILDING:
        gone = let_go_at_once(world, host, instance_id)
        world.change(gone=[half])
        return (*gone, failed(command, None, _DIED))
    attached = as_it_is(world, host, instance_id)
    power = PowerState.RUNNING if command.power_on else _OFF
    is_done = half is not None and half.role is Role.GUEST and half.power_state is power
    if is_done and holds(world, host, instance_id, command.attachments):
        return (*_said_before(command, attached), g.GuestRebuilt(power_state=power))
    return (*attached, failed(command, half, _DIED))


def _said_before(command: c.RebuildGuest, attached: Said) -> Said:
    off = (g.RebuildSpawned(power_state=PowerState.RUNNING), g.RebuildPoweringOff())
    spawned = () if command.power_on else off
    return (g.RebuildDisksPreparing(), *attached, g.RebuildSpawning(), *spawned)
