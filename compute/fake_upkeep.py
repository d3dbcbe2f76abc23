"""How the fake driver answers when it is asked about a guest, or told something for it.

It has no vault: every reference to a secret resolves, and nothing is kept of it. A dump and a
password leave nothing that could be looked at, so after a crash nobody vouches that they were done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from compute.fake_attachments import attached_on
from compute.fake_effects import Effect, Place
from compute.hypervisor import PowerState
from compute.world import PRESENT, Half, Role, World
from events import commands as c
from events import upkeep as u

_AWAKE: Final = (PowerState.RUNNING, PowerState.PAUSED)


def _not_in(half: Half | None, place: Place, *, power: tuple[PowerState, ...]) -> str | None:
    """Say why there is no guest here in one of these power states; None where there is."""
    if half is None or half.role not in PRESENT:
        return f"there is no guest on {place.host}"
    if half.power_state not in power:
        return f"the guest is in power state {int(half.power_state)}"
    return None


def _crash_dump(world: World, place: Place, command: object, half: Half | None) -> object:
    return _not_in(half, place, power=_AWAKE) or u.CrashDumpTriggered()


def _set_password(world: World, place: Place, command: object, half: Half | None) -> object:
    return _not_in(half, place, power=(PowerState.RUNNING,)) or u.AdminPasswordSet()


def _read_diagnostics(world: World, place: Place, command: object, half: Half | None) -> object:
    if (why := _not_in(half, place, power=(PowerState.RUNNING,))) is not None:
        return why
    assert half is not None
    there = attached_on(world, place.host, place.instance_id)
    return u.DiagnosticsRead(
        state="running",
        driver="fake",
        hypervisor="fake",
        uptime_s=None,
        num_cpus=half.flavor.vcpus,
        num_disks=1 + len(there.volumes),
        num_nics=len(there.ports),
        memory_maximum_mb=half.flavor.memory_mb,
        memory_used_mb=None,
    )


def _take_power_update(world: World, place: Place, command: object, half: Half | None) -> object:
    if half is None or half.role not in PRESENT:
        return f"there is no guest on {place.host}"
    assert isinstance(command, c.TakePowerUpdate), f"Expected TakePowerUpdate, but {command!r}"
    power = _power_of(command)
    # The machine was started as it is: whatever memory had been saved is loaded by that.
    is_loaded = half.role is Role.SAVED and power is PowerState.RUNNING
    world.change(half.becomes(role=Role.GUEST if is_loaded else None, power_state=power))
    return u.PowerUpdateTaken(power_state=power)


def _power_of(command: c.TakePowerUpdate) -> PowerState:
    is_on = command.target_power_state == "POWER_ON"
    return PowerState.RUNNING if is_on else PowerState.SHUTDOWN


def _is_taken(command: object, half: Half | None) -> bool:
    assert isinstance(command, c.TakePowerUpdate), f"Expected TakePowerUpdate, but {command!r}"
    is_there = half is not None and half.role in PRESENT
    return is_there and half is not None and half.power_state is _power_of(command)


EFFECTS: Final[Mapping[type, Effect]] = {
    c.TriggerCrashDump: _crash_dump,
    c.SetAdminPassword: _set_password,
    c.ReadDiagnostics: _read_diagnostics,
    c.TakePowerUpdate: _take_power_update,
}
#: Whether a half is as a command would have it.
IS_DONE: Final[Mapping[type, Callable[[object, Half | None], bool]]] = {
    c.TakePowerUpdate: _is_taken
}
