"""What the fake driver says of a command that had begun when the agent died: it looks, and says.

It never starts a guest: this host may have been taken for dead meanwhile, and the guest may run
elsewhere. It clears away what never ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from compute import (
    fake_attachment_actions,
    fake_image_outcomes,
    fake_rebuild,
    fake_standby,
    fake_upkeep,
)
from compute.endings import ENDINGS
from compute.fake_attachments import as_it_is, holds, let_go_at_once, let_go_before
from compute.fake_effects import LEAVES_NOTHING, stays
from compute.fake_evacuation import said_before
from compute.fake_site import FailureKind, failed, power_of
from compute.hypervisor import PowerState
from compute.world import PRESENT, Half, Role, World
from events import attachments as a
from events import commands as c
from events import instance as i
from events import migration as m
from events.envelope import Letter

_DIED: Final = "the agent died while it was at it"


def outcome(world: World, host: str, letter: Letter[object]) -> tuple[object, ...]:
    """Return the facts that answer a command of which only the world is left."""
    if isinstance(letter.command, c.RebuildGuest):
        return fake_rebuild.outcome(world, host, letter)
    if (of_images := fake_image_outcomes.outcome(world, host, letter)) is not None:
        return of_images
    command = letter.command
    if type(command) in fake_attachment_actions.CHANGES:
        return fake_attachment_actions.outcome(world, host, letter)
    half = world.half(host, letter.address.instance_id)
    is_done = _IS_DONE.get(type(command))
    if is_done and is_done(command, half) and _holds_as_asked(world, host, letter):
        if half and half.role is Role.LEAVING:
            world.change(half.becomes(role=Role.LEFT, power_state=PowerState.SHUTDOWN))
        said = _said_before(command, host, as_it_is(world, host, letter.address.instance_id))
        return (*said, _success(command, half))
    if half and half.role is Role.BUILDING:
        said = let_go_at_once(world, host, letter.address.instance_id)
        world.change(gone=[half])
    else:
        held = as_it_is(world, host, letter.address.instance_id)
        said = (*held, *let_go_before(world, host, letter))
    is_as_it_was = isinstance(command, c.ResizeGuest) and half and half.resume_to is None
    kind = FailureKind.FAULT_ROLLBACK if is_as_it_was else FailureKind.FAIL
    return (*said, failed(command, half, _DIED, kind))


def _holds_as_asked(world: World, host: str, letter: Letter[object]) -> bool:
    """Say whether a host has what it was to take hold of, or nothing where it was to let go."""
    command, instance_id = letter.command, letter.address.instance_id
    if type(command) in LEAVES_NOTHING:
        is_confirmed = isinstance(command, c.ConfirmResize) and stays(command, host)
        return is_confirmed or world.attached(host, instance_id) is None
    if isinstance(
        command, c.RestoreGuest | c.StartGuest | c.UnrescueGuest | c.UndeleteGuest | c.RebootGuest
    ):
        soft = isinstance(command, c.RebootGuest) and not command.hard
        return soft or holds(world, host, instance_id, command.attachments)
    return True


def _is(*roles: Role) -> Callable[[object, Half | None], bool]:
    return lambda command, half: half is not None and half.role in roles


def _is_in(*states: PowerState) -> Callable[[object, Half | None], bool]:
    return lambda command, half: (
        half is not None and half.role in PRESENT and half.power_state in states
    )


def _is_stopped(command: object, half: Half | None) -> bool:
    return _is(Role.GUEST)(command, half) and _is_in(PowerState.SHUTDOWN)(command, half)


def _is_rebooted(command: object, half: Half | None) -> bool:
    assert isinstance(command, c.RebootGuest), f"Expected RebootGuest, but {command!r}"
    is_anew = half is not None and (half.role, half.flavor) == (Role.GUEST, command.flavor)
    return (is_anew or not command.hard) and _is_in(PowerState.RUNNING)(command, half)


def _has_nothing(command: object, half: Half | None) -> bool:
    return half is None


def _is_as_asked(command: object, half: Half | None) -> bool:
    assert isinstance(
        command, c.FinishResize | c.RestoreGuest | c.FinishRevertResize | c.EvacuateGuest
    )
    power = PowerState.RUNNING if command.power_on else PowerState.SHUTDOWN
    return half is not None and half.role is Role.GUEST and half.power_state is power


def _runs_on(command: object, half: Half | None) -> bool:
    return half is not None and half.role is Role.GUEST and half.resume_to is None


def _where_it_stays(
    here: tuple[Role, ...], otherwise: Callable[[object, Half | None], bool]
) -> Callable[[object, Half | None], bool]:
    """Look for one of these roles where a resize stays on its host."""
    return lambda command, half: (
        half.role in here
        if half is not None and stays(command, half.host)
        else otherwise(command, half)
    )


_IS_DONE: Final[Mapping[type, Callable[[object, Half | None], bool]]] = {
    c.BuildGuest: _is(Role.GUEST),
    c.EvacuateGuest: _is_as_asked,
    c.DestroyGuest: _has_nothing,
    c.StopGuest: _is_stopped,
    c.StartGuest: _is_in(PowerState.RUNNING),
    c.RebootGuest: _is_rebooted,
    c.PauseGuest: _is_in(PowerState.PAUSED),
    c.UnpauseGuest: _is_in(PowerState.RUNNING),
    c.PrepareResize: _where_it_stays((Role.GUEST, Role.SAVED), _is(Role.CLAIMED)),
    c.ResizeGuest: _where_it_stays((Role.COPIED,), _is(Role.KEPT)),
    c.FinishResize: _is_as_asked,
    c.RestoreGuest: _is_as_asked,
    c.ReleaseDestination: _has_nothing,
    c.ConfirmResize: _where_it_stays(tuple(Role), _has_nothing),
    c.RevertResize: _where_it_stays((Role.KEPT,), _has_nothing),
    c.FinishRevertResize: _is_as_asked,
    c.CheckDestination: _has_nothing,
    c.CheckSource: _is_in(PowerState.RUNNING, PowerState.PAUSED),
    c.PrepareDestination: _is(Role.INCOMING),
    c.LiveMigrateGuest: _is(Role.LEFT, Role.LEAVING),
    c.FinishLiveMigration: _is(Role.GUEST),
    c.CleanUpSource: _has_nothing,
    c.RollbackDestination: _has_nothing,
    c.RollbackSource: _runs_on,
    **fake_standby.IS_DONE,
    **fake_upkeep.IS_DONE,
}


def _success(command: object, half: Half | None) -> object:
    fact = ENDINGS[type(command)][0]
    if "power_state" in fact.__struct_fields__:  # type: ignore[attr-defined]  # a Struct
        return fact(power_state=power_of(half))
    return fact()


def _said_before(command: object, host: str, attached: tuple[object, ...]) -> tuple[object, ...]:
    """Return what is said of a command before its success, in order."""
    match command:
        case c.BuildGuest():
            return (
                i.BuildAccepted(node=host),
                *(fact for fact in attached if isinstance(fact, a.AcceleratorBound)),
                i.NetworkAllocationStarted(),
                *(fact for fact in attached if isinstance(fact, a.PortBound)),
                i.BlockDevicesPreparing(),
                *(fact for fact in attached if isinstance(fact, a.VolumeAttached)),
                i.GuestSpawning(),
            )
        case c.EvacuateGuest():
            return said_before(command, attached)
        case c.RebootGuest():
            return (i.RebootPending(), i.RebootStarted())
        case c.ResizeGuest():
            return (m.ResizeStarted(), m.ResizeCopied())
        case c.FinishResize():
            return (m.ResizeFinishing(), *attached)
        case c.FinishRevertResize():
            off = (m.RevertPoweringOff(power_state=PowerState.SHUTDOWN),)
            return (m.RevertStarted(), *attached, *(() if command.power_on else off))
        case c.LiveMigrateGuest():
            return (m.LiveMigrationStarted(),)
        case _:
            return attached
