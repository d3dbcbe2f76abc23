"""How the fake driver carries commands out: one generator per operation, one poll per `yield`.

An operation yields the facts that it says in a poll, its ending last; between two yields it changes
the world. Before each change it asks whether this call fails here. Nothing is drawn and nothing
waits: the same polls and the same failures give the same facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from compute import (
    fake_attachment_actions,
    fake_evacuation,
    fake_images,
    fake_rebuild,
    fake_standby,
    fake_upkeep,
)
from compute.fake_attachments import (
    STAGES,
    activate,
    as_it_is,
    attach_volumes,
    attached_on,
    bind_accelerators,
    bind_ports,
    let_go,
    take_hold,
)
from compute.fake_effects import EFFECTS as _PLAIN
from compute.fake_effects import LEAVES_NOTHING, RESTORABLE, Effect, Place, stays, why_kept
from compute.fake_live_migration import LiveMigration
from compute.fake_site import (
    Check,
    Failure,
    FailureKind,
    Operation,
    Site,
    Steering,
    being_built,
    check,
    claimed,
    failed,
    half_of,
)
from compute.hypervisor import PowerState
from compute.world import PRESENT, Attached, Role
from events import commands as c
from events import instance as i
from events import migration as m
from events.envelope import Letter
from events.parts import NOTHING_ATTACHED

EFFECTS: Final[Mapping[type, Effect]] = {
    **_PLAIN,
    **fake_standby.EFFECTS,
    **fake_upkeep.EFFECTS,
    **fake_images.EFFECTS,
}
#: Commands that carry what their guest holds, for their host to take hold of.
_TAKES_HOLD: Final = (
    c.BuildGuest,
    c.RebootGuest,
    c.StartGuest,
    c.UnrescueGuest,
    c.UndeleteGuest,
    c.FinishResize,
    c.RestoreGuest,
    c.FinishRevertResize,
    c.PrepareDestination,
    c.ResizeGuest,
    *fake_images.TAKES_HOLD,
)
#: Roles in which a guest may be started where it is.
_AT_HOME: Final = (*PRESENT, Role.KEPT)
_OFF: Final = PowerState.SHUTDOWN
CALLS: Final = (
    *(kind.__name__ for kind in (*EFFECTS, *fake_attachment_actions.CHANGES)),
    *(kind.__name__ + stage for kind in (*LEAVES_NOTHING, *_TAKES_HOLD) for stage in STAGES),
    "BuildGuest.claim",
    "BuildGuest.networks",
    "BuildGuest.block_devices",
    "BuildGuest.spawn",
    "RebootGuest",
    "ResizeGuest.copy",
    "ResizeGuest.migrate",
    "FinishResize",
    "FinishRevertResize",
    *fake_evacuation.CALLS,
    "LiveMigrateGuest.copy",
    "LiveMigrateGuest.switch",
    *fake_standby.CALLS,
    *fake_images.CALLS,
    *fake_rebuild.CALLS,
)


def operation_of(site: Site, letter: Letter[object], steering: Steering) -> Operation:
    """Return the operation that carries a command out."""
    instance_id, command = letter.address.instance_id, letter.command
    if type(command) in fake_attachment_actions.CHANGES:
        return fake_attachment_actions.operation(site, letter)
    if isinstance(command, c.LiveMigrateGuest):
        return LiveMigration(site, instance_id, command, steering).steps()
    if isinstance(command, c.RebuildGuest):
        return fake_rebuild.rebuild(site, letter)
    return _OPERATIONS.get(type(command), _one_step)(site, instance_id, command)


def _one_step(site: Site, instance_id: str, command: object) -> Operation:
    failure = yield from check(site, instance_id, command)
    half = half_of(site, instance_id)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    wanted = getattr(command, "attachments", NOTHING_ATTACHED)
    roles = RESTORABLE if isinstance(command, c.RestoreGuest) else _AT_HOME
    if wanted != NOTHING_ATTACHED and half and half.role in roles:
        failure = yield from take_hold(site, instance_id, command, wanted)
        if failure:
            yield (failed(command, half, failure.reason, failure.kind),)
            return
    done = EFFECTS[type(command)](site.world, Place(site.host, instance_id), command, half)
    yield (failed(command, half, done) if isinstance(done, str) else done,)


def _leave_nothing(site: Site, instance_id: str, command: object) -> Operation:
    """Power off, let go, and destroy the disks last: what fails on the way can be asked again."""
    failure = yield from check(site, instance_id, command)
    half = half_of(site, instance_id)
    if failure is None and (problem := why_kept(site.host, command, half)):
        failure = Failure(reason=problem)
    is_guest_kept = isinstance(command, c.ConfirmResize) and stays(command, site.host)
    if failure is None and not is_guest_kept:
        is_on = half is not None and half.role in PRESENT and half.power_state is not _OFF
        if half and is_on:
            site.world.change(half.becomes(power_state=_OFF))
        failure = yield from let_go(site, instance_id, command)
        if failure and is_on:
            yield (i.PowerStateReported(power_state=_OFF),)
    half = half_of(site, instance_id)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    yield (EFFECTS[type(command)](site.world, Place(site.host, instance_id), command, half),)


def _prepare_destination(site: Site, instance_id: str, command: c.PrepareDestination) -> Operation:
    """Take hold of everything, then wait for the guest; let go of it where that fails."""
    failure = yield from check(site, instance_id, command)
    half = half_of(site, instance_id)
    if failure is None and (half is None or half.role is Role.INCOMING):
        wanted = command.attachments
        failure = yield from take_hold(site, instance_id, command, wanted, active=False)
        if failure:
            yield from let_go(site, instance_id, command, breakable=False)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    done = EFFECTS[type(command)](site.world, Place(site.host, instance_id), command, half)
    yield (failed(command, half, done) if isinstance(done, str) else done,)


def _finish_live(site: Site, instance_id: str, command: c.FinishLiveMigration) -> Operation:
    """Say where the traffic goes since the guest came, then define it."""
    failure = yield from check(site, instance_id, command)
    half = half_of(site, instance_id)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    if half and half.role in PRESENT:
        activate(site.world, instance_id, here=site.host, no_more=command.source)
        for fact in as_it_is(site.world, site.host, instance_id):
            yield (fact,)
    done = EFFECTS[type(command)](site.world, Place(site.host, instance_id), command, half)
    yield (failed(command, half, done) if isinstance(done, str) else done,)


def _build(site: Site, instance_id: str, command: c.BuildGuest) -> Operation:
    failure = yield from claimed(site, instance_id, command)
    if failure:
        yield (failed(command, None, failure.reason, failure.kind),)
        return
    half = being_built(site, instance_id, command.flavor)
    yield (i.BuildAccepted(node=site.host),)
    failure = yield from _assemble(site, instance_id, command)
    if failure:
        yield from let_go(site, instance_id, command, breakable=False)
        site.world.change(gone=[half])
        yield (failed(command, None, failure.reason, failure.kind),)
        return
    site.world.change(half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING))
    yield (i.GuestBuilt(power_state=PowerState.RUNNING),)


def _assemble(site: Site, instance_id: str, command: c.BuildGuest) -> Check:
    """Go through the stages of a build in nova's order, up to the spawn."""
    wanted = command.attachments
    failure = yield from bind_accelerators(site, instance_id, command, wanted)
    for stage, fact, takes in (
        (".networks", i.NetworkAllocationStarted(), bind_ports),
        (".block_devices", i.BlockDevicesPreparing(), attach_volumes),
        (".spawn", i.GuestSpawning(), None),
    ):
        if failure:
            return failure
        yield (fact,)
        failure = yield from check(site, instance_id, command, stage)
        if failure is None and takes is not None:
            failure = yield from takes(site, instance_id, command, wanted)
    return failure


def _reboot(site: Site, instance_id: str, command: c.RebootGuest) -> Operation:
    # Of disks that a move left on the guest's own host a hard reboot makes a guest again.
    roles = RESTORABLE if command.hard else PRESENT
    if not ((half := half_of(site, instance_id)) and half.role in roles):
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    yield (i.RebootPending(),)
    yield (i.RebootStarted(),)
    failure = yield from check(site, instance_id, command)
    if failure is None and command.hard:
        failure = yield from take_hold(site, instance_id, command, command.attachments)
    is_ignored = failure is not None and failure.kind is FailureKind.IGNORE
    after = PowerState.SHUTDOWN if failure and not is_ignored else PowerState.RUNNING
    # A hard reboot defines the guest anew, in its instance's size, also one that came by a live
    # migration and was not; what runs after it has no memory saved, however it went.
    is_anew = command.hard and (failure is None or (is_ignored and half.role is Role.SAVED))
    half = half.becomes(power_state=after)
    if is_anew:
        half = half.becomes(role=Role.GUEST, flavor=command.flavor)
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
    held = attached_on(site.world, site.host, instance_id)
    for stage in (".copy", ".migrate"):
        failure = yield from check(site, instance_id, command, stage)
        if failure is None and stage == ".copy":
            failure = yield from let_go(site, instance_id, command)
        is_here = stays(command, site.host)
        claim = off if is_here else site.world.half(command.destination, instance_id)
        has_room = is_here or (claim is not None and claim.role is Role.CLAIMED)
        if failure is None and not has_room:
            reason = f"there is no claim on {command.destination}"
            failure = Failure(kind=FailureKind.FAULT_ROLLBACK, reason=reason)
        if failure or claim is None:
            assert failure
            if failure.kind is FailureKind.FAULT_ROLLBACK:
                yield from _take_back(site, held)
                site.world.change(before)
            yield (failed(command, None, failure.reason, failure.kind),)
            return
        if stage == ".copy":
            yield (m.ResizeCopied(),)
            continue
        copied = claim.becomes(role=Role.COPIED, power_state=PowerState.SHUTDOWN)
        kept = off.becomes(role=Role.KEPT, resume_to=off.resume_to)
        site.world.change(*(() if is_here else (kept,)), copied)
        yield (m.ResizeMigrated(),)


def _take_back(site: Site, held: Attached) -> Operation:
    """Leave attached and bound what was before, and say what had been let go of."""
    before = as_it_is(site.world, site.host, held.instance_id)
    site.world.attach(held)
    for fact in as_it_is(site.world, site.host, held.instance_id):
        if fact not in before:
            yield (fact,)


def _finish_resize(site: Site, instance_id: str, command: c.FinishResize) -> Operation:
    half = half_of(site, instance_id)
    if half is None or half.role not in (Role.COPIED, Role.GUEST):
        yield (failed(command, half, f"no disks came to {site.host}"),)
        return
    yield (m.ResizeFinishing(),)
    failure = yield from check(site, instance_id, command)
    if failure is None:
        failure = yield from take_hold(site, instance_id, command, command.attachments)
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
    if failure is None:
        failure = yield from take_hold(site, instance_id, command, command.attachments)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    power = PowerState.RUNNING if command.power_on else PowerState.SHUTDOWN
    site.world.change(half.becomes(role=Role.GUEST, power_state=power, flavor=command.old_flavor))
    if not command.power_on:
        yield (m.RevertPoweringOff(power_state=power),)
    yield (m.RevertFinished(power_state=power),)


#: Operations of several steps, or with something of their own; every other is one step.
_OPERATIONS: Final[Mapping[type, Callable[[Site, str, Any], Operation]]] = {
    c.BuildGuest: _build,
    c.EvacuateGuest: fake_evacuation.evacuate,
    c.RebootGuest: _reboot,
    c.ResizeGuest: _resize,
    c.FinishResize: _finish_resize,
    **dict.fromkeys(LEAVES_NOTHING, _leave_nothing),
    c.FinishRevertResize: _finish_revert,
    c.RescueGuest: fake_standby.rescue,
    c.PrepareDestination: _prepare_destination,
    c.FinishLiveMigration: _finish_live,
    **fake_images.OPERATIONS,
}
