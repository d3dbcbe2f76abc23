"""What falls due by itself: which state names it, and what its time does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from conductor.due_rows import WAITING
from events.decisions import PeriodElapsed
from events.values import replace
from statemachines.dues import AGAIN_S, ENTRIES, Due, Entry, dues
from statemachines.held import Held
from statemachines.notes import ActionNote
from statemachines.permissions import PERMISSIONS
from statemachines.rules import SETTINGS, Rules
from statemachines.sagas import BY_ACTION
from statemachines.verdict import Accepted, Duplicate
from tests.beginnings import built, resized
from tests.hosts import World
from tests.story import LARGE, must

WINDOW = "3600"


def waiting() -> World:
    """Return a guest that was resized and will be confirmed by itself."""
    return resized(resize_confirm_window=WINDOW).from_here()


def only(world: World) -> Due:
    """Return the one thing that falls due."""
    (due,) = dues(world.held, world.rules)
    return due


def elapse(world: World, due: Due) -> object:
    """Let the timers say that the time has come; return the verdict."""
    return world.decide(PeriodElapsed(action=due.action, since=due.since)).verdict


# The table.


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda each: each.action)
def test_what_falls_due_is_an_action_that_its_states_permit_after_a_rule(entry: Entry) -> None:
    assert entry.action in BY_ACTION
    assert entry.setting in SETTINGS
    assert entry.vm_states <= PERMISSIONS[entry.action].vm_states
    assert entry.task_states <= PERMISSIONS[entry.action].task_states


def test_a_take_over_looks_wherever_something_may_wait() -> None:
    looked_at = {
        (v, t, p)
        for standing in WAITING
        for v in standing.vm_states
        for t in standing.task_states
        for p in standing.power_states or ("any",)
    }

    assert looked_at == {
        (str(v), t, p)
        for entry in ENTRIES
        for v in entry.vm_states
        for t in entry.task_states
        for p in entry.power_states or ("any",)
    }


# What a state names.


def test_a_resize_that_is_finished_falls_due_after_the_window() -> None:
    world = waiting()
    move = world.here.move
    assert move is not None

    assert only(world) == Due(action="confirm_resize", since=move.updated_at, after_s=3600)


@pytest.mark.parametrize("window", ["0", "-1"])
def test_without_a_window_nothing_falls_due(window: str) -> None:
    world = resized(resize_confirm_window=window)

    assert dues(world.held, world.rules) == ()


def test_an_instance_that_waits_for_nothing_has_nothing_due() -> None:
    world = built(resize_confirm_window=WINDOW)

    assert dues(world.held, world.rules) == ()
    assert dues(None, world.rules) == ()


def test_nothing_of_a_shadowed_instance_falls_due() -> None:
    world = waiting()
    shadowed = replace(world.here, origin="nova")

    assert dues(shadowed, world.rules) == ()


def test_a_lost_migration_record_is_not_waited_for() -> None:
    world = waiting()
    move = world.here.move
    assert move is not None

    for status in ("confirming", "confirmed", "error"):
        other = replace(world.here, move=replace(move, status=status))
        assert dues(other, world.rules) == ()


def test_while_a_saga_works_on_the_instance_nothing_falls_due() -> None:
    world = waiting()
    must(world.request("revert_resize"))

    assert dues(world.held, world.rules) == ()


# What its time does.


def test_a_resize_confirms_itself_as_nova_does() -> None:
    world = waiting()

    assert isinstance(elapse(world, only(world)), Accepted)
    world.settle()

    assert world.trace == [
        ("resized", None, "finished"),
        ("resized", None, "confirming"),
        ("active", None, "confirmed"),
    ]
    assert world.actions == [("confirmResize", None)]
    assert world.events == [("compute_confirm_resize", "Success")]
    assert [(c.host, c.vcpus) for c in world.here.claims] == [("h2", LARGE.vcpus)]


def test_the_action_is_nobodys_and_its_request_has_a_name_of_its_own() -> None:
    world, again = waiting(), waiting()
    elapse(world, only(world))
    elapse(again, only(again))

    (note,) = [n for n in world.notes if isinstance(n, ActionNote)]

    assert (note.user_id, note.project_id) == ("", "")
    assert note.request_id.startswith("req-")
    assert [n for n in again.notes if isinstance(n, ActionNote)] == [note]
    assert world.saga.saga_id == again.saga.saga_id


def test_a_locked_instance_is_confirmed_too_for_the_time_has_every_right() -> None:
    world = waiting()
    must(world.request("lock"))

    assert isinstance(elapse(world, only(world)), Accepted)


def test_a_time_that_was_told_twice_counts_once() -> None:
    world = waiting()
    due = only(world)
    elapse(world, due)

    assert isinstance(elapse(world, due), Duplicate)
    world.settle()
    assert isinstance(elapse(world, due), Duplicate)
    assert world.actions == [("confirmResize", None)]


def test_whoever_acts_before_its_time_wins() -> None:
    world = waiting()
    due = only(world)
    must(world.request("revert_resize"))

    assert isinstance(elapse(world, due), Duplicate)
    world.settle()
    assert world.states == ("active", None)
    assert world.here.host == "h1"


def test_a_time_since_something_else_is_not_this_ones() -> None:
    world = waiting()
    due = only(world)

    assert isinstance(elapse(world, replace(due, since=due.since - 1)), Duplicate)
    assert isinstance(elapse(world, replace(due, action="no such")), Duplicate)
    assert dues(world.held, world.rules) == (due,)


def test_a_window_that_was_closed_meanwhile_confirms_nothing() -> None:
    world = waiting()
    due = only(world)
    world.rules = Rules(partitions=4)

    assert isinstance(elapse(world, due), Duplicate)
    assert world.states == ("resized", None)


def test_the_second_resize_waits_for_a_time_of_its_own() -> None:
    world = waiting()
    first = only(world)
    elapse(world, first)
    world.settle()
    must(world.request("migrate"))
    world.settle()
    second = only(world)

    assert second.since > first.since
    assert second.after_s == 3600
    assert isinstance(elapse(world, first), Duplicate)
    assert isinstance(elapse(world, second), Accepted)


@pytest.mark.parametrize(("window", "wait_s"), [("5", AGAIN_S), ("7200", 7200)])
def test_what_did_not_work_is_due_again_after_another_period(window: str, wait_s: int) -> None:
    world = resized(resize_confirm_window=window)
    due = only(world)
    tried = _tried(world.here, {due.action: due.since + 9})

    assert dues(tried, world.rules) == (
        Due(action=due.action, since=due.since + 9, after_s=wait_s),
    )
    assert dues(_tried(world.here, {due.action: due.since - 1}), world.rules) == (due,)


def _tried(held: Held, elapsed: Mapping[str, int]) -> Held:
    return replace(held, elapsed=dict(elapsed))
