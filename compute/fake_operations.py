"""How the fake driver carries commands out: one generator per operation, one poll per `yield`.

An operation yields the facts that it says in a poll, its ending last; between two yields it changes
the world. Before each change it asks whether this call fails here. Nothing is drawn and nothing
waits: the same polls and the same failures give the same facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from compute import fake_standby
from compute.fake_effects import EFFECTS as _PLAIN
from compute.fake_effects import Effect, Place
from compute.fake_live_migration import LiveMigration
from compute.fake_site import (
    Failure,
    FailureKind,
    Operation,
    Site,
    Steering,
    check,
    failed,
    half_of,
)
from compute.hypervisor import PowerState
from compute.world import PRESENT, Half, Role
from events import commands as c
from events import instance as i
from events import migration as m
from events.envelope import Letter

EFFECTS: Final[Mapping[type, Effect]] = {**_PLAIN, **fake_standby.EFFECTS}
CALLS: Final = (
    *(kind.__name__ for kind in EFFECTS),
    "BuildGuest.claim",
    "BuildGuest.networks",
    "BuildGuest.block_devices",
    "BuildGuest.spawn",
    "RebootGuest",
    "ResizeGuest.copy",
    "ResizeGuest.migrate",
    "FinishResize",
    "FinishRevertResize",
    "LiveMigrateGuest.copy",
    "LiveMigrateGuest.switch",
    *fake_standby.CALLS,
)


def operation_of(site: Site, letter: Letter[object], steering: Steering) -> Operation:
    """Return the operation that carries a command out."""
    instance_id = letter.address.instance_id
    match letter.command:
        case c.BuildGuest() as command:
            return _build(site, instance_id, command)
        case c.RebootGuest() as command:
            return _reboot(site, instance_id, command)
        case c.ResizeGuest() as command:
            return _resize(site, instance_id, command)
        case c.FinishResize() as command:
            return _finish_resize(site, instance_id, command)
        case c.FinishRevertResize() as command:
            return _finish_revert(site, instance_id, command)
        case c.RescueGuest() as command:
            return fake_standby.rescue(site, instance_id, command)
        case c.LiveMigrateGuest() as command:
            return LiveMigration(site, instance_id, command, steering).steps()
        case command:
            return _one_step(site, instance_id, command)


def _one_step(site: Site, instance_id: str, command: object) -> Operation:
    failure = yield from check(site, instance_id, command)
    half = half_of(site, instance_id)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    done = EFFECTS[type(command)](site.world, Place(site.host, instance_id), command, half)
    yield (failed(command, half, done) if isinstance(done, str) else done,)


def _build(site: Site, instance_id: str, command: c.BuildGuest) -> Operation:
    failure = yield from check(site, instance_id, command, ".claim")
    half = half_of(site, instance_id)
    if failure or (half and half.role is not Role.BUILDING):
        reason = failure.reason if failure else f"there is something of it on {site.host} already"
        yield (failed(command, None, reason, failure.kind if failure else FailureKind.FAIL),)
        return
    half = Half(
        host=site.host,
        instance_id=instance_id,
        role=Role.BUILDING,
        power_state=PowerState.NOSTATE,
        flavor=command.flavor,
    )
    site.world.change(half)
    yield (i.BuildAccepted(node=site.host),)
    for stage, fact in _BUILD_STAGES:
        yield (fact,)
        failure = yield from check(site, instance_id, command, stage)
        if failure:
            site.world.change(gone=[half])
            yield (failed(command, None, failure.reason, failure.kind),)
            return
    site.world.change(half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING))
    yield (i.GuestBuilt(power_state=PowerState.RUNNING),)


_BUILD_STAGES: Final[tuple[tuple[str, object], ...]] = (
    (".networks", i.NetworkAllocationStarted()),
    (".block_devices", i.BlockDevicesPreparing()),
    (".spawn", i.GuestSpawning()),
)


def _reboot(site: Site, instance_id: str, command: c.RebootGuest) -> Operation:
    if not ((half := half_of(site, instance_id)) and half.role in PRESENT):
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    yield (i.RebootPending(),)
    yield (i.RebootStarted(),)
    failure = yield from check(site, instance_id, command)
    is_ignored = failure is not None and failure.kind is FailureKind.IGNORE
    after = PowerState.SHUTDOWN if failure and not is_ignored else PowerState.RUNNING
    # A hard reboot defines the guest anew, also one that came by a live migration and was not.
    role = Role.GUEST if command.hard and failure is None else None
    half = half.becomes(role=role, power_state=after)
    site.world.change(half)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    yield (i.GuestRebooted(power_state=after),)


def _resize(site: Site, instance_id: str, command: c.ResizeGuest) -> Operation:
    before = half_of(site, instance_id)
    if before is None or before.role not in (Role.GUEST, Role.SAVED):
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    yield (m.ResizeStarted(),)
    off = before.becomes(power_state=PowerState.SHUTDOWN, resume_to=before.power_state)
    site.world.change(off)
    for stage in (".copy", ".migrate"):
        failure = yield from check(site, instance_id, command, stage)
        claim = site.world.half(command.destination, instance_id)
        if failure is None and (claim is None or claim.role is not Role.CLAIMED):
            reason = f"there is no claim on {command.destination}"
            failure = Failure(kind=FailureKind.FAULT_ROLLBACK, reason=reason)
        if failure or claim is None:
            assert failure
            if failure.kind is FailureKind.FAULT_ROLLBACK:
                site.world.change(before)
            yield (failed(command, None, failure.reason, failure.kind),)
            return
        if stage == ".copy":
            yield (m.ResizeCopied(),)
            continue
        copied = claim.becomes(role=Role.COPIED, power_state=PowerState.SHUTDOWN)
        kept = off.becomes(role=Role.KEPT, resume_to=off.resume_to)
        site.world.change(kept, copied)
        yield (m.ResizeMigrated(),)


def _finish_resize(site: Site, instance_id: str, command: c.FinishResize) -> Operation:
    half = half_of(site, instance_id)
    if half is None or half.role not in (Role.COPIED, Role.GUEST):
        yield (failed(command, half, f"no disks came to {site.host}"),)
        return
    yield (m.ResizeFinishing(),)
    failure = yield from check(site, instance_id, command)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    power = PowerState.RUNNING if command.power_on else PowerState.SHUTDOWN
    site.world.change(half.becomes(role=Role.GUEST, power_state=power, flavor=command.new_flavor))
    yield (m.ResizeFinished(power_state=power),)


def _finish_revert(site: Site, instance_id: str, command: c.FinishRevertResize) -> Operation:
    half = half_of(site, instance_id)
    if half is None or half.role not in (Role.KEPT, Role.GUEST):
        yield (failed(command, half, f"nothing was kept on {site.host}"),)
        return
    yield (m.RevertStarted(),)
    failure = yield from check(site, instance_id, command)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    power = PowerState.RUNNING if command.power_on else PowerState.SHUTDOWN
    site.world.change(half.becomes(role=Role.GUEST, power_state=power, flavor=command.old_flavor))
    if not command.power_on:
        yield (m.RevertPoweringOff(power_state=power),)
    yield (m.RevertFinished(power_state=power),)
