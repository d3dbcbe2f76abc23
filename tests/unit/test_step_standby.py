"""Suspend, resume, rescue, unrescue: nova's states around one command, and a way out of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from events import standby
from events.commands import RescueGuest
from events.instance import CommandRefused
from statemachines.verdict import Rejected
from tests.answers import argument
from tests.beginnings import after, begin, built, stopped
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

TRACES = Path(__file__).parents[1] / "data" / "traces"
CASES = [
    ("suspend", "SuspendGuest", "suspending", "active", "suspended"),
    ("resume", "ResumeGuest", "resuming", "suspended", "active"),
    ("rescue", "RescueGuest", "rescuing", "active", "rescued"),
    ("unrescue", "UnrescueGuest", "unrescuing", "rescued", "active"),
]
FAILED: dict[str, Any] = {
    "suspend": standby.GuestSuspendFailed,
    "resume": standby.GuestResumeFailed,
    "rescue": standby.GuestRescueFailed,
    "unrescue": standby.GuestUnrescueFailed,
}
OF_CASE = pytest.mark.parametrize(
    ("action", "command", "task", "before", "then"), CASES, ids=[c[0] for c in CASES]
)


def recorded(name: str) -> list[tuple[str, str | None]]:
    """Return the pairs of states through which nova's instance.update led, in order."""
    pairs: list[tuple[str, str | None]] = []
    for line in TRACES.joinpath(f"{name}.notifications.jsonl").read_text().splitlines():
        said = json.loads(line)
        if said["event_type"] == "instance.update":
            update = said["payload"]["nova_object.data"]["state_update"]["nova_object.data"]
            pair = (update["state"], update["new_task_state"])
            if pair not in pairs[-1:]:
                pairs.append(pair)
    return pairs


def pairs_of(world: World) -> list[tuple[str, str | None]]:
    """Return the pairs of states through which our row went, after the one that it had."""
    return [(vm_state, task_state) for vm_state, task_state, _ in world.trace[1:]]


@OF_CASE
def test_it_goes_through_novas_states(
    action: str, command: str, task: str, before: str, then: str
) -> None:
    world = begin(action).from_here()
    assert world.orders == [(command, "h1")]

    world.settle()

    assert world.trace == [(before, task, None), (then, None, None)]
    assert world.events == [(f"compute_{action}_instance", "Success")]
    assert world.actions == [(action, None)]
    check_end(world)


@pytest.mark.parametrize(
    ("there", "back", "name"),
    [("suspend", "resume", "suspend_resume"), ("rescue", "unrescue", "rescue_unrescue")],
)
def test_there_and_back_leads_through_the_pairs_that_were_recorded(
    there: str, back: str, name: str
) -> None:
    world = built().from_here()
    for action in (there, back):
        must(world.request(action))
        world.settle()

    assert pairs_of(world) == recorded(name)


@OF_CASE
def test_a_failure_in_the_middle_is_an_error_with_a_fault(
    action: str, command: str, task: str, before: str, then: str
) -> None:
    world = begin(action).from_here()

    must(world.says("h1", FAILED[action](power_state=4, reason="it broke")))

    assert world.trace == [(before, task, None), ("error", None, None)]
    assert world.here.power_state == 4
    assert world.events == [(f"compute_{action}_instance", "Error")]
    assert world.actions == [(action, "Error")]
    check_end(world)


@OF_CASE
def test_a_refusal_keeps_the_state(
    action: str, command: str, task: str, before: str, then: str
) -> None:
    world = begin(action).from_here()

    must(world.says("h1", CommandRefused(code="draining", reason="full")))

    assert world.trace == [(before, task, None), (before, None, None)]
    assert world.actions == [(action, "Error")]
    check_end(world)


@pytest.mark.parametrize(
    ("action", "fact", "left"),
    [
        ("suspend", standby.GuestSuspendFaulted(power_state=1, reason="x"), "active"),
        ("resume", standby.GuestResumeFaulted(power_state=4, reason="x"), "suspended"),
        ("unrescue", standby.GuestUnrescueFaulted(power_state=1, reason="x"), "active"),
    ],
)
def test_what_the_driver_left_as_it_was_has_the_state_that_nova_gives_it(
    action: str, fact: object, left: str
) -> None:
    world = begin(action)

    must(world.says("h1", fact))

    assert world.states == (left, None)
    check_end(world)


@OF_CASE
def test_what_nova_leaves_for_ever_ends_in_error_when_the_host_is_lost(
    action: str, command: str, task: str, before: str, then: str
) -> None:
    world = begin(action)
    generation = world.here.generation

    must(world.lose("h1"))

    assert world.states == ("error", None)
    assert world.here.generation == generation + 1
    assert world.orders == [("RaiseGeneration", "h1")]
    must(world.lose("h1"))
    check_end(world)
    world.come_back()
    assert world.here.sides == ()


@OF_CASE
def test_a_silent_host_is_asked_three_times(
    action: str, command: str, task: str, before: str, then: str
) -> None:
    world = begin(action)
    for attempt in (1, 2, 3):
        assert world.saga.attempt == attempt
        assert world.states == (before, task)
        must(world.time_out("h1"))

    assert world.states == ("error", None)
    assert world.orders == [("RaiseGeneration", "h1")]


def test_a_rescue_names_its_image_and_counts_as_a_launch() -> None:
    world = built()
    launched_at = world.here.launched_at
    must(world.request("rescue", arguments={"rescue_image_ref": "tools"}))
    assert world.letters[0].command == RescueGuest(rescue_image="tools")

    world.settle()

    assert launched_at is not None
    assert world.here.launched_at is not None
    assert world.here.launched_at > launched_at


def test_a_rescue_without_an_image_leaves_the_choice_to_the_host() -> None:
    assert argument(begin("rescue").letters[0], "rescue_image") == ""


def test_a_stopped_guest_is_active_after_its_rescue_as_in_nova() -> None:
    world = after("rescue", stopped)

    must(world.request("unrescue"))
    world.settle()

    assert world.states == ("active", None)


def test_a_hard_reboot_breaks_into_a_suspension_that_hangs() -> None:
    world = begin("suspend")
    first = world.outstanding("h1")

    must(world.request("reboot_hard"))
    late = world.says("h1", standby.GuestSuspended(power_state=4), command_id=first)

    assert isinstance(late.verdict, Rejected)
    assert world.here.task_state == "rebooting_hard"
    world.settle()
    assert world.trace[-1] == ("active", None, None)


@pytest.mark.parametrize(
    ("action", "vm_state"), [("resume", "active"), ("unrescue", "active"), ("suspend", "rescued")]
)
def test_what_the_state_forbids_is_refused_with_novas_sentence(action: str, vm_state: str) -> None:
    world = built() if vm_state == "active" else after("rescue")

    refused = world.request(action)

    assert refused.verdict == Rejected(
        "vm-state",
        f"Cannot '{action}' instance {world.instance_id} while it is in vm_state {vm_state}",
    )
