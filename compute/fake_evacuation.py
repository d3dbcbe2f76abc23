"""How the fake driver makes a guest anew whose host is lost: a claim, ports, disks, guest."""

from __future__ import annotations

from typing import Final

from compute.fake_attachments import STAGES, activate, let_go, take_hold
from compute.fake_site import (
    Check,
    FailureKind,
    Operation,
    Site,
    being_built,
    check,
    claimed,
    failed,
)
from compute.hypervisor import PowerState
from compute.world import Role
from events import commands as c
from events import evacuation as e

CALLS: Final = (
    "EvacuateGuest.claim",
    *("EvacuateGuest" + stage for stage in STAGES),
    "EvacuateGuest.spawn",
)


def evacuate(site: Site, instance_id: str, command: c.EvacuateGuest) -> Operation:
    """Return the operation that makes a guest anew."""
    failure = yield from claimed(site, instance_id, command)
    if failure:
        yield (failed(command, None, failure.reason, FailureKind.ABORT),)
        return
    half = being_built(site, instance_id, command.flavor)
    yield (e.EvacuationClaimed(),)
    failure = yield from _assemble(site, instance_id, command)
    if failure:
        yield from let_go(site, instance_id, command, breakable=False)
        site.world.change(gone=[half])
        yield (failed(command, None, failure.reason),)
        return
    power = PowerState.RUNNING if command.power_on else PowerState.SHUTDOWN
    # Whatever the old host still has bound, the traffic goes here from now on.
    activate(site.world, instance_id, here=site.host, no_more=command.source)
    site.world.change(half.becomes(role=Role.GUEST, power_state=power))
    yield _said(command)


def _assemble(site: Site, instance_id: str, command: c.EvacuateGuest) -> Check:
    yield (e.EvacuationDisksPreparing(),)
    failure = yield from take_hold(site, instance_id, command, command.attachments)
    if failure is None:
        yield (e.EvacuationSpawning(),)
        failure = yield from check(site, instance_id, command, ".spawn")
    return failure


def _said(command: c.EvacuateGuest) -> tuple[object, ...]:
    if command.power_on:
        return (e.GuestEvacuated(power_state=PowerState.RUNNING),)
    off = PowerState.SHUTDOWN
    return (e.EvacuationPoweringOff(power_state=off), e.GuestEvacuated(power_state=off))


def said_before(command: c.EvacuateGuest, attached: tuple[object, ...]) -> tuple[object, ...]:
    """Return what is said of one before its success, in order."""
    return (
        e.EvacuationClaimed(),
        e.EvacuationDisksPreparing(),
        *attached,
        e.EvacuationSpawning(),
        *_said(command)[:-1],
    )
