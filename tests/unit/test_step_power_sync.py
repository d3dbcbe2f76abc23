"""What a guest does by itself: nova's power sync, rule by rule, for every pair of states."""

from __future__ import annotations

import pytest

from events.decisions import PeriodElapsed
from events.instance import GuestAbsent, PowerStateReported
from events.values import replace
from statemachines.dues import dues
from statemachines.held import Held
from statemachines.notes import ActionNote
from statemachines.power_sync import ACTIONS, out_of_step
from statemachines.states import PowerState, VmState
from statemachines.verdict import Accepted, Duplicate, Rejected
from tests.beginnings import after, begin, built, paused, resized, stopped
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

OFF, ON, STILL, DEAD, ON_DISK = 4, 1, 3, 6, 7


def reports(world: World, power_state: int, host: str = "h1") -> None:
    """Let a host say that the power of its guest is another."""
    must(world.unasked(host, PowerStateReported(power_state=power_state)))


@pytest.mark.parametrize("power_state", [OFF, DEAD, ON_DISK])
def test_a_guest_that_stopped_by_itself_is_stopped(power_state: int) -> None:
    world = built().from_here()

    reports(world, power_state)
    assert world.here.power_state == power_state
    assert world.orders == [("StopGuest", "h1")]
    world.settle()

    assert world.trace == [
        ("active", None, None),
        ("active", "powering-off", None),
        ("stopped", None, None),
    ]
    assert world.actions == [("stop", None)]
    assert world.events == [("compute_stop_instance", "Success")]
    check_end(world)


@pytest.mark.parametrize("power_state", [ON, STILL, ON_DISK])
def test_a_guest_that_runs_though_it_should_not_is_stopped(power_state: int) -> None:
    world = stopped().from_here()

    reports(world, power_state)
    world.settle()

    assert world.trace == [
        ("stopped", None, None),
        ("stopped", "powering-off", None),
        ("stopped", None, None),
    ]
    assert world.actions == [("stop", None)]


@pytest.mark.parametrize("power_state", [OFF, DEAD])
def test_a_paused_guest_that_is_gone_is_stopped(power_state: int) -> None:
    world = paused()

    reports(world, power_state)
    assert world.here.task_state == "powering-off"
    world.settle()

    assert world.states == ("stopped", None)


@pytest.mark.parametrize(
    ("begun", "host", "power_state"),
    [
        *((built, "h1", power) for power in (STILL, 0)),
        *((stopped, "h1", power) for power in (0, DEAD)),
        *((paused, "h1", power) for power in (0, ON, ON_DISK)),
        *((lambda: after("suspend"), "h1", power) for power in (ON, STILL)),
        *((lambda: after("rescue"), "h1", power) for power in (OFF, DEAD)),
        *((lambda: after("soft_delete"), "h1", power) for power in (ON, STILL)),
        (resized, "h2", OFF),
    ],
)
def test_what_nova_leaves_alone_is_only_noted(begun: object, host: str, power_state: int) -> None:
    world: World = begun()  # type: ignore[operator]  # each makes a world
    states = world.states

    reports(world, power_state, host)

    assert world.here.power_state == power_state
    assert world.states == states
    assert world.letters == ()


def test_the_table_has_nothing_for_the_states_that_nova_ignores() -> None:
    left_alone = {
        VmState.BUILDING,
        VmState.RESCUED,
        VmState.RESIZED,
        VmState.SUSPENDED,
        VmState.ERROR,
        VmState.SOFT_DELETED,
        VmState.DELETED,
        VmState.SHELVED,
        VmState.SHELVED_OFFLOADED,
    }
    held = built().here

    for vm_state in VmState:
        for power in PowerState:
            now = replace(held, vm_state=str(vm_state), power_state=power)
            assert out_of_step(now) == ACTIONS.get((vm_state, power))
            assert vm_state not in left_alone or out_of_step(now) is None


def test_it_is_nobodys_action_and_a_lock_does_not_hinder_it() -> None:
    world = built()
    must(world.request("lock"))
    world.from_here()

    reports(world, OFF)

    (note,) = world.noted(ActionNote)
    assert isinstance(note, ActionNote)
    assert (note.user_id, note.project_id) == ("", "")
    assert note.request_id.startswith("req-")


def test_a_host_that_does_not_own_the_guest_stops_nothing() -> None:
    world = built()

    outcome = world.unasked("h2", PowerStateReported(power_state=OFF))

    assert isinstance(outcome.verdict, Rejected)
    assert world.states == ("active", None)
    assert world.letters == ()


def test_an_absent_guest_is_only_noted_as_in_nova() -> None:
    world = built()

    must(world.unasked("h1", GuestAbsent()))

    assert world.here.power_state == 0
    assert world.states == ("active", None)
    assert (world.letters, dues(world.held, world.rules)) == ((), ())


# What came while something was done, or could not be done, falls due by itself.


def due_now(world: World) -> str:
    """Let the one thing that falls due have its time, and name it."""
    (due,) = dues(world.held, world.rules)
    outcome = world.decide(PeriodElapsed(action=due.action, since=due.since))
    assert isinstance(outcome.verdict, Accepted), outcome.verdict
    return due.action


def test_while_something_is_done_to_the_guest_a_report_is_only_noted() -> None:
    world = begin("snapshot")

    reports(world, OFF)

    assert world.states == ("active", "image_snapshot_pending")
    assert dues(world.held, world.rules) == ()


def test_what_came_meanwhile_is_seen_to_by_the_next_sync() -> None:
    world = begin("snapshot")
    reports(world, OFF)
    world.settle()
    (due,) = dues(world.held, world.rules)

    assert (due.action, due.since, due.after_s) == ("stop", world.here.states_since, 600)
    assert due_now(world) == "stop"
    world.settle()
    assert world.states == ("stopped", None)
    assert dues(world.held, world.rules) == ()


def test_a_stop_that_did_not_work_is_tried_again_a_period_later() -> None:
    world = built()
    reports(world, OFF)
    must(world.lose("h1"))
    since = world.now
    assert world.states == ("active", None)
    assert dues(world.held, world.rules) == ()  # The host owes a fence: first it has to be back.

    world.settle()

    (due,) = dues(world.held, world.rules)
    assert (due.action, due.since) == ("stop", since)


@pytest.mark.parametrize(
    ("begun", "action"), [(stopped, "force_stop"), (paused, "force_stop"), (built, "stop")]
)
def test_without_lifecycle_events_the_sync_alone_acts(begun: object, action: str) -> None:
    world: World = begun()  # type: ignore[operator]  # each makes a world
    world.rules.settings["handle_virt_lifecycle_events"] = "false"

    reports(world, ON if begun is stopped else OFF)

    assert world.letters == ()
    assert due_now(world) == action
    world.settle()
    assert world.states == ("stopped", None)


@pytest.mark.parametrize(("interval", "found"), [("-1", 0), ("0", 1), ("60", 1)])
def test_the_sync_can_be_turned_off(interval: str, found: int) -> None:
    world = built(sync_power_state_interval=interval, handle_virt_lifecycle_events="false")

    reports(world, OFF)

    assert len(dues(world.held, world.rules)) == found


def test_a_guest_that_came_back_in_time_is_left_alone() -> None:
    world = built(handle_virt_lifecycle_events="false")
    reports(world, OFF)
    (due,) = dues(world.held, world.rules)
    reports(world, ON)

    outcome = world.decide(PeriodElapsed(action=due.action, since=due.since))

    assert isinstance(outcome.verdict, Duplicate)
    assert world.states == ("active", None)


def test_what_was_never_launched_is_not_stopped_for_nova_would_refuse() -> None:
    held: Held = replace(built().here, launched_at=None, power_state=OFF)

    assert out_of_step(held) is None


@pytest.mark.parametrize(
    "world",
    [resized(), after("rescue"), after("suspend"), after("soft_delete")],
    ids=["resized", "rescued", "suspended", "soft-delete"],
)
def test_a_forced_stop_by_hand_does_not_forget_what_a_guest_waits_for(world: World) -> None:
    states = world.states

    outcome = world.request("force_stop")

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "vm-state"
    assert world.states == states
