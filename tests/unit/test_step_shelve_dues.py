"""A shelved guest is offloaded by itself after `shelved_offload_time`."""

from __future__ import annotations

import pytest

from events import images
from events.decisions import PeriodElapsed
from statemachines.dues import AGAIN_S, Due, dues
from statemachines.verdict import Accepted, Duplicate
from tests.beginnings import offloaded, shelved
from tests.ends import check_end
from tests.hosts import World
from tests.story import must


def waiting() -> World:
    """Return a guest that was shelved and will be offloaded by itself."""
    return shelved(shelved_offload_time="3600").from_here()


def only(world: World) -> Due:
    """Return the one thing that falls due."""
    (due,) = dues(world.held, world.rules)
    return due


def elapse(world: World) -> object:
    """Let the timers say that the time has come; return the verdict."""
    due = only(world)
    return world.decide(PeriodElapsed(action=due.action, since=due.since)).verdict


def test_it_falls_due_so_long_after_it_was_shelved() -> None:
    world = waiting()
    shelved_at = world.here.shelved_at
    assert shelved_at is not None

    assert only(world) == Due(action="shelve_offload", since=shelved_at, after_s=3600)


@pytest.mark.parametrize("shelved_offload_time", ["-1", "0"])
def test_it_never_falls_due_where_the_setting_says_never_or_at_once(
    shelved_offload_time: str,
) -> None:
    world = waiting()
    world.rules.settings["shelved_offload_time"] = shelved_offload_time

    assert dues(world.held, world.rules) == ()


def test_its_time_offloads_it_as_a_request_would() -> None:
    world = waiting()

    assert elapse(world) == Accepted()
    assert world.states == ("shelved", "shelving_offloading")
    assert dues(world.held, world.rules) == ()
    world.settle()

    assert world.trace == [
        ("shelved", None, None),
        ("shelved", "shelving_offloading", None),
        ("shelved_offloaded", None, None),
    ]
    assert world.actions == [("shelveOffload", None)]
    assert dues(world.held, world.rules) == ()
    check_end(world)


def test_a_time_that_comes_twice_or_too_late_changes_nothing() -> None:
    world = waiting()
    due = only(world)
    fact = PeriodElapsed(action=due.action, since=due.since)
    must(world.request("unshelve"))

    assert world.decide(fact).verdict == Duplicate()
    world.settle()
    assert world.decide(fact).verdict == Duplicate()
    assert world.states == ("active", None)


def test_an_offload_that_fails_is_tried_again_a_while_later() -> None:
    world = waiting()
    world.rules.settings["shelved_offload_time"] = "5"
    elapse(world)
    must(world.says("h1", images.GuestOffloadFailed(power_state=4, reason="busy")))

    assert only(world).after_s == AGAIN_S
    assert elapse(world) == Accepted()
    world.settle()
    assert world.states == ("shelved_offloaded", None)


def test_a_host_that_is_away_is_not_asked_again_and_again() -> None:
    world = waiting()
    elapse(world)
    must(world.lose("h1"))
    world.settle(lost=frozenset({"h1"}))

    assert world.states == ("shelved", None)
    assert dues(world.held, world.rules) == ()
    world.come_back()
    assert only(world).action == "shelve_offload"


def test_what_is_on_no_host_waits_for_nothing() -> None:
    world = offloaded()
    world.rules.settings["shelved_offload_time"] = "3600"

    assert dues(world.held, world.rules) == ()
