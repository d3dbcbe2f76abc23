"""How the fake driver suspends, rescues and soft-deletes guests, and what a crash left of it.

The power states are those of nova's libvirt driver: a suspended guest is shut down, its memory on
disk; a rescued one runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from compute.fake_effects import Effect, Place
from compute.fake_site import Operation, Site, check, failed, half_of
from compute.hypervisor import PowerState
from compute.world import PRESENT, Half, Role, World
from events import commands as c
from events import standby as s

#: Roles in which a host has what can be started again after a soft delete.
_RESTORABLE: Final = (*PRESENT, Role.COPIED, Role.KEPT)
#: Guests that are there also when they do not run.
_DEFINED: Final = (Role.GUEST, Role.SAVED, Role.RESCUED)
CALLS: Final = ("RescueGuest.power_off", "RescueGuest.boot")


def _suspend(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role not in PRESENT:
        return f"there is no guest on {place.host}"
    if half.role is not Role.SAVED:
        if half.power_state is not PowerState.RUNNING:
            return f"the guest is in power state {int(half.power_state)}"
        world.change(half.becomes(role=Role.SAVED, power_state=PowerState.SHUTDOWN))
    return s.GuestSuspended(power_state=PowerState.SHUTDOWN)


def _resume(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role not in PRESENT:
        return f"there is no guest on {place.host}"
    if half.role is Role.SAVED:
        world.change(half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING))
    elif half.power_state is not PowerState.RUNNING:
        return f"no memory of the guest was saved on {place.host}"
    return s.GuestResumed(power_state=PowerState.RUNNING)


def _unrescue(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role not in PRESENT:
        return f"there is no guest on {place.host}"
    if half.role is Role.RESCUED:
        world.change(half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING))
    elif half.power_state is not PowerState.RUNNING:
        return f"the guest on {place.host} is not rescued"
    return s.GuestUnrescued(power_state=PowerState.RUNNING)


def _soft_delete(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role not in _RESTORABLE:
        return s.GuestSoftDeleted(power_state=PowerState.NOSTATE)  # There is nothing to power off.
    # Disks that came and never ran are the guest, and so are those that its owner has kept when a
    # soft delete overtook a revert; either can be started when it is taken back. What came by a
    # live migration is defined here, or nothing would be left of it once it is off.
    role = None if half.role in _DEFINED else Role.GUEST
    world.change(half.becomes(role=role, power_state=PowerState.SHUTDOWN))
    return s.GuestSoftDeleted(power_state=PowerState.SHUTDOWN)


def _undelete(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role not in PRESENT:
        return f"there is no guest on {place.host}"
    world.change(half.becomes(role=Role.GUEST, power_state=PowerState.RUNNING))
    return s.GuestUndeleted(power_state=PowerState.RUNNING)


def rescue(site: Site, instance_id: str, command: c.RescueGuest) -> Operation:
    """Power the guest off, then start it from the rescue image."""
    half = half_of(site, instance_id)
    if half is None or half.role not in PRESENT:
        yield (failed(command, None, f"there is no guest on {site.host}"),)
        return
    for stage, after in (
        (".power_off", half.becomes(power_state=PowerState.SHUTDOWN)),
        (".boot", half.becomes(role=Role.RESCUED, power_state=PowerState.RUNNING)),
    ):
        failure = yield from check(site, instance_id, command, stage)
        if failure:
            yield (failed(command, half_of(site, instance_id), failure.reason, failure.kind),)
            return
        site.world.change(after)
        if stage == ".power_off":
            yield ()
    yield (s.GuestRescued(power_state=PowerState.RUNNING),)


EFFECTS: Final[Mapping[type, Effect]] = {
    c.SuspendGuest: _suspend,
    c.ResumeGuest: _resume,
    c.UnrescueGuest: _unrescue,
    c.SoftDeleteGuest: _soft_delete,
    c.UndeleteGuest: _undelete,
}


def _is(role: Role, power_state: PowerState) -> Callable[[object, Half | None], bool]:
    return lambda command, half: (
        half is not None and half.role is role and half.power_state is power_state
    )


#: Whether a half is as a command would have it.
IS_DONE: Final[Mapping[type, Callable[[object, Half | None], bool]]] = {
    c.SuspendGuest: _is(Role.SAVED, PowerState.SHUTDOWN),
    c.ResumeGuest: _is(Role.GUEST, PowerState.RUNNING),
    c.RescueGuest: _is(Role.RESCUED, PowerState.RUNNING),
    c.UnrescueGuest: _is(Role.GUEST, PowerState.RUNNING),
    c.SoftDeleteGuest: lambda command, half: (
        half is None
        or half.role not in _RESTORABLE
        or (half.role in _DEFINED and half.power_state is PowerState.SHUTDOWN)
    ),
    c.UndeleteGuest: _is(Role.GUEST, PowerState.RUNNING),
}
