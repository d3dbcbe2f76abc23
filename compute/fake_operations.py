"""How the fake driver carries commands out: one generator per operation, one poll per `yield`.

An operation yields the facts that it says in a poll, its ending last; between two yields it changes
the world. Before each change it asks whether this call fails here. Nothing is drawn and nothing
waits: the same polls and the same failures give the same facts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from compute.endings import ENDINGS
from compute.fake_effects import EFFECTS, Place
from compute.hypervisor import PowerState
from compute.world import PRESENT, Half, Role, World
from events import commands as c
from events import instance as i
from events import migration as m
from events.envelope import Letter

MIB: Final = 1024 * 1024


class FailureKind(StrEnum):
    """What goes wrong at a call."""

    #: The ordinary failure of the command: a build is re-scheduled, a resize can't be vouched for.
    FAIL = "fail"
    #: A build fails as it would on any host.
    ABORT = "abort"
    #: A resize fails and leaves the guest as it was.
    FAULT_ROLLBACK = "fault-rollback"
    #: A reboot fails and the guest runs on.
    IGNORE = "ignore"
    #: A live migration switches to post-copy by itself.
    POST_COPY = "post-copy"
    #: Nothing goes wrong; it only takes longer.
    DELAY = "delay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call that goes wrong, after so many polls."""

    kind: FailureKind = FailureKind.FAIL
    reason: str = "the driver was told to fail"
    delay_polls: int = 0


#: (host, call, instance) → what goes wrong there. Calls are the names in `CALLS`.
Faults = Callable[[str, str, str], Failure | None]

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
)


@dataclass(slots=True)
class Steering:
    """What was asked of a live migration while it runs."""

    is_aborted: bool = False
    is_forced: bool = False
    #: Behind the point of no return: it can't be cancelled any more.
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What an operation may touch."""

    host: str
    world: World
    faults: Faults
    copy_polls: int
    permits_post_copy: bool


Said = tuple[object, ...]
Operation = Generator[Said, None, None]
Check = Generator[Said, None, Failure | None]


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
        case c.LiveMigrateGuest() as command:
            return _LiveMigration(site, instance_id, command, steering).steps()
        case command:
            return _one_step(site, instance_id, command)


def failed(
    command: object, half: Half | None, reason: str, kind: FailureKind = FailureKind.FAIL
) -> object:
    """Return the fact that says how a command failed."""
    endings = ENDINGS[type(command)]
    is_second = kind in (FailureKind.ABORT, FailureKind.FAULT_ROLLBACK)
    if isinstance(command, c.RebootGuest):
        is_second = kind is not FailureKind.IGNORE
    fact = endings[2] if is_second and len(endings) > 2 else endings[1]
    if "power_state" in fact.__dataclass_fields__:  # type: ignore[attr-defined]  # a dataclass
        return fact(power_state=power_of(half), reason=reason)
    return fact(reason=reason)


def power_of(half: Half | None) -> PowerState:
    """Return the power state of a half, or that there is none."""
    return half.power_state if half else PowerState.NOSTATE


def _half(site: Site, instance_id: str) -> Half | None:
    return site.world.half(site.host, instance_id)


def _check(site: Site, instance_id: str, command: object, stage: str = "") -> Check:
    failure = site.faults(site.host, type(command).__name__ + stage, instance_id)
    if failure is None:
        return None
    for _ in range(failure.delay_polls):
        yield ()
    return None if failure.kind is FailureKind.DELAY else failure


def _one_step(site: Site, instance_id: str, command: object) -> Operation:
    failure = yield from _check(site, instance_id, command)
    half = _half(site, instance_id)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    done = EFFECTS[type(command)](site.world, Place(site.host, instance_id), command, half)
    yield (failed(command, half, done) if isinstance(done, str) else done,)


def _build(site: Site, instance_id: str, command: c.BuildGuest) -> Operation:
    failure = yield from _check(site, instance_id, command, ".claim")
    half = _half(site, instance_id)
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
        failure = yield from _check(site, instance_id, command, stage)
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
    if not ((half := _half(site, instance_id)) and half.role in PRESENT):
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    yield (i.RebootPending(),)
    yield (i.RebootStarted(),)
    failure = yield from _check(site, instance_id, command)
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
    before = _half(site, instance_id)
    if before is None or before.role is not Role.GUEST:
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    yield (m.ResizeStarted(),)
    off = before.becomes(power_state=PowerState.SHUTDOWN, resume_to=before.power_state)
    site.world.change(off)
    for stage in (".copy", ".migrate"):
        failure = yield from _check(site, instance_id, command, stage)
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
    half = _half(site, instance_id)
    if half is None or half.role not in (Role.COPIED, Role.GUEST):
        yield (failed(command, half, f"no disks came to {site.host}"),)
        return
    yield (m.ResizeFinishing(),)
    failure = yield from _check(site, instance_id, command)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    power = PowerState.RUNNING if command.power_on else PowerState.SHUTDOWN
    site.world.change(half.becomes(role=Role.GUEST, power_state=power, flavor=command.new_flavor))
    yield (m.ResizeFinished(power_state=power),)


def _finish_revert(site: Site, instance_id: str, command: c.FinishRevertResize) -> Operation:
    half = _half(site, instance_id)
    if half is None or half.role not in (Role.KEPT, Role.GUEST):
        yield (failed(command, half, f"nothing was kept on {site.host}"),)
        return
    yield (m.RevertStarted(),)
    failure = yield from _check(site, instance_id, command)
    if failure:
        yield (failed(command, half, failure.reason, failure.kind),)
        return
    power = PowerState.RUNNING if command.power_on else PowerState.SHUTDOWN
    site.world.change(half.becomes(role=Role.GUEST, power_state=power, flavor=command.old_flavor))
    if not command.power_on:
        yield (m.RevertPoweringOff(power_state=power),)
    yield (m.RevertFinished(power_state=power),)


class _LiveMigration:
    """The copy of a guest's memory, and its switch to the other host."""

    def __init__(
        self, site: Site, instance_id: str, command: c.LiveMigrateGuest, steering: Steering
    ) -> None:
        self._site = site
        self._instance_id = instance_id
        self._command = command
        self._steering = steering
        self._destination = command.destination

    def steps(self) -> Operation:
        """Copy, and hand the guest over; or say why not."""
        if problem := self._problem():
            yield (m.LiveMigrationFailed(reason=problem),)
            return
        yield (m.LiveMigrationStarted(),)
        for done in range(1, self._site.copy_polls + 1):
            failure = yield from _check(self._site, self._instance_id, self._command, ".copy")
            if ending := self._ending(failure):
                yield (ending,)
                return
            if failure or (self._steering.is_forced and self._site.permits_post_copy):
                yield from self._post_copy()
                return
            if self._steering.is_forced:
                self._freeze()
                break
            yield (self._progress(done),)
        failure = yield from _check(self._site, self._instance_id, self._command, ".switch")
        if ending := self._ending(failure):
            yield (ending,)
            return
        yield from self._post_copy() if failure else self._hand_over()

    def _ending(self, failure: Failure | None) -> object | None:
        """Return the fact that ends the copy here, the guest put back; None where it goes on."""
        ending: object | None = None
        if self._steering.is_aborted:
            ending = m.LiveMigrationAborted(reason="aborted on request")
        elif problem := self._problem():
            ending = m.LiveMigrationFailed(reason=problem)
        elif failure and failure.kind is not FailureKind.POST_COPY:
            ending = failed(self._command, None, failure.reason, failure.kind)
        source = self._half(self._site.host)
        if ending and source and source.resume_to is not None:
            self._site.world.change(source.becomes(power_state=source.resume_to))
        return ending

    def _problem(self) -> str | None:
        source, destination = self._half(self._site.host), self._half(self._destination)
        if source is None or source.role is not Role.GUEST:
            return f"there is no guest on {self._site.host}"
        if source.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
            return f"the guest does not run: power state {int(source.power_state)}"
        if destination is None or destination.role is not Role.INCOMING:
            return f"{self._destination} does not wait for the guest"
        return None

    def _half(self, host: str) -> Half | None:
        return self._site.world.half(host, self._instance_id)

    def _both(self) -> tuple[Half, Half]:
        source, destination = self._half(self._site.host), self._half(self._destination)
        assert source, f"Expected a half on {self._site.host}, but it has none"
        assert destination, f"Expected a half on {self._destination}, but it has none"
        return source, destination

    def _freeze(self) -> None:
        source, _ = self._both()
        if source.power_state is PowerState.RUNNING:
            frozen = source.becomes(power_state=PowerState.PAUSED, resume_to=PowerState.RUNNING)
            self._site.world.change(frozen)

    def _progress(self, done: int) -> m.LiveMigrationProgressed:
        source, _ = self._both()
        total = source.flavor.memory_mb * MIB
        processed = total * done // self._site.copy_polls
        return m.LiveMigrationProgressed(
            memory_total=total,
            memory_processed=processed,
            memory_remaining=total - processed,
            disk_total=0,
            disk_processed=0,
            disk_remaining=0,
        )

    def _post_copy(self) -> Operation:
        self._steering.is_final = True
        self._switch(Role.LEAVING, PowerState.PAUSED)
        yield (m.PostCopyStarted(),)
        source = self._half(self._site.host)
        if source:
            self._site.world.change(source.becomes(role=Role.LEFT, power_state=PowerState.SHUTDOWN))
        yield (m.GuestHandedOver(),)

    def _hand_over(self) -> Operation:
        self._steering.is_final = True
        self._switch(Role.LEFT, PowerState.SHUTDOWN)
        yield (m.GuestHandedOver(),)

    def _switch(self, role: Role, power_state: PowerState) -> None:
        source, destination = self._both()
        power = source.power_state if source.resume_to is None else source.resume_to
        self._site.world.change(
            source.becomes(role=role, power_state=power_state),
            destination.becomes(role=Role.ARRIVED, power_state=power, flavor=source.flavor),
        )
