"""Stop, start, reboot, pause, unpause: one command to the owner, and nova's states around it."""

from __future__ import annotations

import pytest

from events import instance
from statemachines.verdict import Rejected
from tests.answers import failures_of, success_of
from tests.beginnings import begin, built
from tests.ends import check_end
from tests.story import must

CASES = [
    ("stop", "StopGuest", "powering-off", "active", "stopped", "compute_stop_instance"),
    ("start", "StartGuest", "powering-on", "stopped", "active", "compute_start_instance"),
    ("pause", "PauseGuest", "pausing", "active", "paused", "compute_pause_instance"),
    ("unpause", "UnpauseGuest", "unpausing", "paused", "active", "compute_unpause_instance"),
]
OF_CASE = pytest.mark.parametrize(
    ("action", "command", "task", "before", "after", "event"), CASES, ids=[c[0] for c in CASES]
)


@OF_CASE
def test_it_goes_through_novas_states(
    action: str, command: str, task: str, before: str, after: str, event: str
) -> None:
    world = begin(action).from_here()
    assert world.orders == [(command, "h1")]

    world.settle()

    assert world.trace == [(before, task, None), (after, None, None)]
    assert world.events == [(event, "Success")]
    assert world.actions == [(action, None)]


@OF_CASE
def test_a_failure_keeps_the_state(
    action: str, command: str, task: str, before: str, after: str, event: str
) -> None:
    for fact in failures_of(command):
        world = begin(action).from_here()
        world.fail(world.letters[0], fact)

        assert world.trace == [(before, task, None), (before, None, None)]
        assert world.events == [(event, "Error")]
        assert world.actions == [(action, "Error")]
        check_end(world)


@OF_CASE
def test_a_lost_host_keeps_the_state_and_owes_a_fence(
    action: str, command: str, task: str, before: str, after: str, event: str
) -> None:
    world = begin(action)
    generation = world.here.generation

    must(world.lose("h1"))

    assert world.states == (before, None)
    assert world.here.generation == generation + 1
    assert world.orders == [("RaiseGeneration", "h1")]
    must(world.lose("h1"))
    check_end(world)
    world.come_back()
    assert world.here.sides == ()


@OF_CASE
def test_a_silent_host_is_asked_three_times(
    action: str, command: str, task: str, before: str, after: str, event: str
) -> None:
    world = begin(action)
    for attempt in (1, 2, 3):
        assert world.saga.attempt == attempt
        must(world.time_out("h1"))

    assert world.states == (before, None)
    assert world.orders == [("RaiseGeneration", "h1")]


def test_a_success_of_an_older_attempt_counts_and_its_failure_does_not() -> None:
    world = begin("stop")
    first = world.outstanding("h1")
    must(world.time_out("h1"))
    late = world.fork()

    must(world.says("h1", instance.GuestStopped(power_state=4), command_id=first))
    outcome = late.says("h1", instance.GuestStopFailed(power_state=1, reason="x"), command_id=first)

    assert world.states == ("stopped", None)
    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "older-attempt"
    assert late.states == ("active", "powering-off")


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_a_reboot_goes_through_novas_states(kind: str) -> None:
    world = begin(f"reboot_{kind}").from_here()
    suffix = "" if kind == "soft" else "_hard"

    world.settle()

    assert world.trace == [
        ("active", f"rebooting{suffix}", None),
        ("active", f"reboot_pending{suffix}", None),
        ("active", f"reboot_started{suffix}", None),
        ("active", None, None),
    ]
    assert world.events == [("compute_reboot_instance", "Success")]
    assert world.actions == [("reboot", None)]


def test_a_failed_reboot_is_an_error_unless_the_guest_still_runs() -> None:
    failed, ignored = begin("reboot_soft"), begin("reboot_soft")

    must(failed.says("h1", instance.GuestRebootFailed(power_state=4, reason="dead")))
    must(ignored.says("h1", instance.GuestRebootIgnored(power_state=1, reason="slow")))

    assert failed.states == ("error", None)
    assert ignored.states == ("active", None)
    assert ignored.actions[-1] == ("reboot", None)


@pytest.mark.parametrize("command", ["StopGuest", "PauseGuest", "RebootGuest"])
def test_the_power_state_is_the_drivers(command: str) -> None:
    action = {"StopGuest": "stop", "PauseGuest": "pause", "RebootGuest": "reboot_hard"}[command]
    world = begin(action)
    fact = success_of(command)

    must(world.says("h1", fact(power_state=7)))

    assert world.here.power_state == 7


def test_a_locked_instance_is_the_administrators_alone() -> None:
    world = built()
    must(world.request("lock"))
    assert [world.here.locked] == [True]

    refused = world.request("stop")
    must(world.request("stop", is_admin=True))

    assert isinstance(refused.verdict, Rejected)
    assert refused.verdict.code == "locked"
    world.settle()
    must(world.request("unlock"))
    assert [world.here.locked] == [False]
    assert world.actions[-1] == ("unlock", None)


def test_another_operation_is_refused_while_one_goes_on() -> None:
    world = begin("reboot_soft")

    outcome = world.request("pause")

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "task-state"


def test_a_hard_reboot_breaks_into_a_soft_one_and_its_late_answer_changes_nothing() -> None:
    story = built()
    must(story.request("reboot_soft"))
    soft = story.outstanding("h1")
    must(story.request("reboot_hard"))

    assert story.states == ("active", "rebooting_hard")
    assert story.orders == [("RebootGuest", "h1")]
    assert story.outstanding("h1") != soft
    late = story.says("h1", instance.GuestRebooted(power_state=1), command_id=soft)
    assert isinstance(late.verdict, Rejected)
    assert story.states == ("active", "rebooting_hard")


@pytest.mark.parametrize("begun", ["reboot_hard_suspended", "resume"])
@pytest.mark.parametrize("is_lost", [True, False])
def test_a_hard_reboot_of_a_suspended_guest_that_is_not_answered_is_an_error(
    begun: str, is_lost: bool
) -> None:
    """Its saved memory may be gone, and it may run: nobody can resume it any more."""
    world = begin(begun)
    if begun == "resume":
        must(world.request("reboot_hard"))

    while world.here.saga is not None:
        must(world.lose("h1") if is_lost else world.time_out("h1"))

    assert world.states == ("error", None)
    world.come_back()
    must(world.request("reboot_hard"))
    world.settle()
    assert world.states == ("active", None)


def test_a_hard_reboot_of_a_running_guest_that_is_not_answered_leaves_it_active() -> None:
    world = begin("reboot_hard")

    must(world.lose("h1"))

    assert world.states == ("active", None)
