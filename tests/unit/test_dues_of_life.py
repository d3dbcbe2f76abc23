"""What comes by itself in a guest's life: time-outs of rescue, reboot, build, and reclaim."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conductor.step import Outcome
from events import instance
from events.decisions import PeriodElapsed
from statemachines.dues import dues
from statemachines.verdict import Accepted
from tests.beginnings import after, begin, built
from tests.ends import check_end
from tests.hosts import World
from tests.story import must


def under(world: World, setting: str, value: str = "3600") -> World:
    """Return a world under another rule."""
    world.rules.settings[setting] = value
    return world


def elapse(world: World) -> str:
    """Let the one thing that falls due have its time, and name it."""
    (due,) = dues(world.held, world.rules)
    assert due.after_s == 3600
    outcome = world.decide(PeriodElapsed(action=due.action, since=due.since))
    assert isinstance(outcome.verdict, Accepted), outcome.verdict
    return due.action


@pytest.mark.parametrize("action", ["rescue", "soft_delete"])
def test_by_default_neither_falls_due(action: str) -> None:
    world = after(action)

    assert dues(world.held, world.rules) == ()


def test_a_rescue_is_undone_by_itself_counted_from_its_launch() -> None:
    world = under(after("rescue"), "rescue_timeout").from_here()
    (due,) = dues(world.held, world.rules)

    assert due.since == world.here.launched_at
    assert elapse(world) == "unrescue"
    world.settle()

    assert [pair[:2] for pair in world.trace] == [
        ("rescued", None),
        ("rescued", "unrescuing"),
        ("active", None),
    ]
    assert world.actions == [("unrescue", None)]
    check_end(world)


def test_what_was_put_aside_is_reclaimed_for_good_counted_from_its_delete() -> None:
    world = under(after("soft_delete"), "reclaim_instance_interval").from_here()
    (due,) = dues(world.held, world.rules)

    assert due.since == world.here.soft_deleted_at
    assert elapse(world) == "force_delete"
    world.settle()

    assert world.states == ("deleted", None)
    assert world.here.claims == ()
    check_end(world)


def test_a_restore_in_time_leaves_nothing_to_reclaim() -> None:
    world = under(after("soft_delete"), "reclaim_instance_interval")
    must(world.request("restore"))
    assert dues(world.held, world.rules) == ()
    world.settle()

    assert dues(world.held, world.rules) == ()


def test_a_failed_restore_waits_for_its_reclaim_as_before() -> None:
    world = under(after("soft_delete"), "reclaim_instance_interval")
    before = dues(world.held, world.rules)
    must(world.request("restore"))
    must(world.lose("h1"))

    assert world.states == ("soft-delete", None)
    assert dues(world.held, world.rules) == before


def test_a_reclaim_with_the_host_lost_leaves_a_tombstone_that_owes() -> None:
    world = under(after("soft_delete"), "reclaim_instance_interval")

    elapse(world)
    world.settle(lost=frozenset({"h1"}))

    assert world.states == ("deleted", None)
    assert [(s.saga, s.target) for s in world.here.sides] == [("debt", "h1")]


@pytest.mark.parametrize(
    "facts",
    [
        (),
        (instance.RebootPending(),),
        (instance.RebootPending(), instance.RebootStarted()),
    ],
)
def test_a_soft_reboot_that_hangs_is_done_the_hard_way(facts: tuple[object, ...]) -> None:
    world = under(begin("reboot_soft"), "reboot_timeout")
    for fact in facts:
        must(world.says("h1", fact))
    (due,) = dues(world.held, world.rules)
    assert due.since == world.now

    assert elapse(world) == "reboot_hard"
    assert world.here.task_state == "rebooting_hard"
    world.settle()

    assert world.states == ("active", None)
    assert world.actions[-2:] == [("reboot", "Error"), ("reboot", None)]
    check_end(world)


def test_a_hard_reboot_is_not_done_the_hard_way_again() -> None:
    world = under(begin("reboot_hard"), "reboot_timeout")

    assert dues(world.held, world.rules) == ()


@pytest.mark.parametrize("steps", range(5))
def test_a_build_that_takes_too_long_is_in_error_wherever_it_stands(steps: int) -> None:
    world = under(begin("create"), "instance_build_timeout")
    said: list[Callable[[], Outcome]] = [
        lambda: world.choose("h1"),
        lambda: world.says("h1", instance.BuildAccepted(node="h1")),
        lambda: world.says("h1", instance.NetworkAllocationStarted()),
        lambda: world.says("h1", instance.BlockDevicesPreparing()),
    ]
    for say in said[:steps]:
        must(say())
    (due,) = dues(world.held, world.rules)
    assert due.since == world.here.created_at

    assert elapse(world) == "reset_state"
    world.settle()

    assert world.states == ("error", None)
    assert world.actions[0] == ("create", "Error")
    check_end(world)


def test_a_build_that_was_given_up_does_not_come_to_life_by_a_late_word() -> None:
    world = under(begin("create"), "instance_build_timeout")
    must(world.choose("h1"))
    command_id = world.outstanding("h1")
    must(world.says("h1", instance.BuildAccepted(node="h1")))
    elapse(world)

    world.says("h1", instance.GuestBuilt(power_state=1), command_id=command_id)
    world.settle()

    assert world.states == ("error", None)
    must(world.request("delete"))
    world.settle()
    assert world.here.claims == ()


def test_a_build_that_ended_in_time_is_left_alone() -> None:
    world = built(instance_build_timeout="3600")

    assert dues(world.held, world.rules) == ()
