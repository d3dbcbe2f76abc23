"""What the short commands change in the fake driver's world, each in one step.

An effect returns the fact that it made true, or a sentence that says why it could not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from compute.hypervisor import PowerState
from compute.world import PRESENT, Half, Role, World
from events import commands as c
from events import instance as i
from events import migration as m
from events.requests import Flavor


class Place(NamedTuple):
    """Where a half is, or would be."""

    host: str
    instance_id: str


Effect = Callable[[World, Place, object, Half | None], object]


def _leaves_nothing(fact: Callable[[], object]) -> Effect:
    """Return the effect that forgets what is there."""

    def effect(world: World, place: Place, command: object, half: Half | None) -> object:
        return _leave_nothing(world, half, fact())

    return effect


def _power(after: PowerState, fact: Callable[..., object], *, only: tuple[int, ...]) -> Effect:
    """Return the effect that brings a guest that is in one of the states `only` to another."""

    def effect(world: World, place: Place, command: object, half: Half | None) -> object:
        if half is None or half.role not in PRESENT:
            return f"there is no guest on {place.host}"
        if half.power_state != after and half.power_state not in only:
            return f"the guest is in power state {int(half.power_state)}"
        # A start loads the memory that was saved, if any; a stop gives up that, and a rescue.
        is_loaded = half.role is Role.SAVED and after is PowerState.RUNNING
        role = Role.GUEST if is_loaded or after is PowerState.SHUTDOWN else None
        world.change(half.becomes(role=role, power_state=after))
        return fact(power_state=after)

    return effect


def _prepare_resize(world: World, place: Place, command: object, half: Half | None) -> object:
    assert isinstance(command, c.PrepareResize), f"Expected PrepareResize, but {command!r}"
    if stays(command, place.host):
        is_here = half is not None and half.role in (Role.GUEST, Role.SAVED)
        return m.ResizePrepared() if is_here else f"there is no guest on {place.host}"
    if half and half.role is not Role.CLAIMED:
        return f"there is something of it on {place.host} already"
    world.change(_new(place, Role.CLAIMED, PowerState.NOSTATE, command.new_flavor))
    return m.ResizePrepared()


def _restore(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role not in RESTORABLE:
        return f"there is no guest on {place.host}"
    assert isinstance(command, c.RestoreGuest), f"Expected RestoreGuest, but {command!r}"
    power = PowerState.RUNNING if command.power_on else PowerState.SHUTDOWN
    old = command.old_flavor
    world.change(half.becomes(role=Role.GUEST, power_state=power, flavor=old))
    return m.GuestRestored(power_state=power)


def _confirm(world: World, place: Place, command: object, half: Half | None) -> object:
    if stays(command, place.host):
        return m.ResizeConfirmed()
    return _leave_nothing(world, half, m.ResizeConfirmed())


def _revert(world: World, place: Place, command: object, half: Half | None) -> object:
    if stays(command, place.host) and half is not None:
        world.change(half.becomes(role=Role.KEPT, power_state=PowerState.SHUTDOWN))
        return m.ResizeReverted()
    return _leave_nothing(world, half, m.ResizeReverted())


def stays(command: object, host: str) -> bool:
    """Say whether a command is of a resize whose source and destination are this one host."""
    match command:
        case c.PrepareResize() | c.FinishResize() | c.RevertResize():
            return command.source == host
        case c.ResizeGuest() | c.ConfirmResize() | c.FinishRevertResize():
            return command.destination == host
        case _:
            return False


def _check_destination(world: World, place: Place, command: object, half: Half | None) -> object:
    return f"there is something of it on {place.host} already" if half else m.DestinationChecked()


def _check_source(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role is not Role.GUEST:
        return f"there is no guest on {place.host}"
    if half.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
        return f"the guest does not run: power state {int(half.power_state)}"
    return m.SourceChecked()


def _prepare_destination(world: World, place: Place, command: object, half: Half | None) -> object:
    if half and half.role is not Role.INCOMING:
        return f"there is something of it on {place.host} already"
    assert isinstance(command, c.PrepareDestination), (
        f"Expected PrepareDestination, but {command!r}"
    )
    world.change(_new(place, Role.INCOMING, PowerState.PAUSED, command.flavor))
    return m.DestinationPrepared()


def _finish_live(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role not in PRESENT:
        return f"no guest arrived on {place.host}"
    world.change(half.becomes(role=Role.GUEST))
    return m.LiveMigrationFinished(power_state=half.power_state)


def why_kept(host: str, command: object, half: Half | None) -> str | None:
    """Say why a host may not leave nothing of the guest; None where it may."""
    if half is None:
        return None
    match command:
        case c.ConfirmResize() if half.role is not Role.KEPT and not stays(command, host):
            return f"{host} has not given the guest away"
        case c.CleanUpSource() if half.role not in (Role.LEFT, Role.LEAVING):
            return f"{host} has not given the guest away"
        case c.RollbackDestination() if half.role is not Role.INCOMING:
            return f"the guest is on {host}"
        case _:
            return None


def _rollback_source(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role is not Role.GUEST:
        return f"the guest has left {place.host}"
    power = half.power_state if half.resume_to is None else half.resume_to
    world.change(half.becomes(power_state=power))
    return m.SourceRolledBack(power_state=power)


def _new(place: Place, role: Role, power_state: PowerState, flavor: Flavor) -> Half:
    return Half(
        host=place.host,
        instance_id=place.instance_id,
        role=role,
        power_state=power_state,
        flavor=flavor,
    )


def _leave_nothing(world: World, half: Half | None, fact: object) -> object:
    if half:
        world.change(gone=[half])
    return fact


#: Commands that leave nothing of the guest on their host, what it held included.
LEAVES_NOTHING: Final = (
    c.DestroyGuest,
    c.ReleaseDestination,
    c.ConfirmResize,
    c.RevertResize,
    c.CleanUpSource,
    c.RollbackDestination,
    c.OffloadGuest,
)
#: Roles in which a guest can be put back as it was before its move: on the host that it was to be
#: resized on, the new size's disks stand beside the old ones.
RESTORABLE: Final = (*PRESENT, Role.KEPT, Role.COPIED)
_OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)
_LIVE = (PowerState.RUNNING, PowerState.PAUSED)

EFFECTS: Final[Mapping[type, Effect]] = {
    c.DestroyGuest: _leaves_nothing(i.GuestDestroyed),
    c.StopGuest: _power(PowerState.SHUTDOWN, i.GuestStopped, only=(*_LIVE, *_OFF)),
    c.StartGuest: _power(PowerState.RUNNING, i.GuestStarted, only=(*_LIVE, *_OFF)),
    c.PauseGuest: _power(PowerState.PAUSED, i.GuestPaused, only=(PowerState.RUNNING,)),
    c.UnpauseGuest: _power(PowerState.RUNNING, i.GuestUnpaused, only=(PowerState.PAUSED,)),
    c.PrepareResize: _prepare_resize,
    c.RestoreGuest: _restore,
    c.ReleaseDestination: _leaves_nothing(m.DestinationReleased),
    c.ConfirmResize: _confirm,
    c.RevertResize: _revert,
    c.CheckDestination: _check_destination,
    c.CheckSource: _check_source,
    c.PrepareDestination: _prepare_destination,
    c.FinishLiveMigration: _finish_live,
    c.CleanUpSource: _leaves_nothing(m.SourceCleanedUp),
    c.RollbackDestination: _leaves_nothing(m.DestinationRolledBack),
    c.RollbackSource: _rollback_source,
}
