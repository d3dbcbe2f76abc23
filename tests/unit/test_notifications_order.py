"""The order of nova's notifications where no recording shows it, after nova's own tables.

A flow's steps name what is said at each of them; an action without a flow says its start, and then
its end or its error, as far as nova has types for them, in the states of the action's row. A soft
reboot says what the recording of a hard one says, in its own task_states.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from compute.fake_site import FailureKind
from conductor.notifications.telling import Manner, notices_of
from conductor.step import step
from events.nova_wire import Notice
from statemachines.held import Held
from statemachines.verdict import Accepted
from tests.answers import failures_of
from tests.beginnings import WAYS, begin
from tests.hosts import World
from tests.plays import Act, ask, breaks, server
from tests.recordings import data_of, notifications
from tests.stage import Stage
from tests.story import LARGE

NOVA: Final = json.loads((Path(__file__).parents[1] / "data" / "nova-states.json").read_text())
TYPES: Final = {each["event_type"]: each for each in NOVA["notifications"]}
ACTIONS: Final[dict[str, dict[str, Any]]] = {each["action"]: each for each in NOVA["actions"]}
FLOWS: Final[dict[str, list[dict[str, Any]]]] = {f["operation"]: f["steps"] for f in NOVA["flows"]}
ALL: Final = Manner(notify_on_state_change="vm_and_task_state")
_SAID: Final = re.compile(r"instance\.[\w.]+(?:/\.\w+)?(?: on failure)?")
#: A live migration that is rolled back: `test_notifications` lays it beside its recording.
RECORDED: Final = {"live-migration-rollback"}


def told_of(world: World, since: int) -> list[Notice]:
    """Return what is told of a world's history from a place on."""
    held: Held | None = None
    found: list[Notice] = []
    for place, envelope in enumerate(world.history):
        outcome = step(held, envelope, world.rules)
        if place >= since and isinstance(outcome.verdict, Accepted):
            found += notices_of(envelope, outcome, ALL)
        held = outcome.after
    return found


def told_in(flow: str) -> list[str]:
    """Return the types that a flow that goes well tells, in the flow's order."""
    found: list[str] = []
    for each in FLOWS[flow]:
        for word in _SAID.findall(each.get("notification", "")):
            if word.endswith(" on failure") or word == "instance.update":
                continue
            one, _, other = word.partition("/")
            found += [one, *([one.rpartition(".")[0] + other] if other else [])]
    return found


@pytest.mark.parametrize("flow", WAYS)
def test_a_flow_is_told_in_novas_order(flow: str) -> None:
    world = begin(WAYS[flow])
    since = len(world.history) - 1
    wanted = told_in(flow)

    world.settle()

    ours = [n.event_type for n in told_of(world, since) if n.event_type in wanted]
    assert ours == wanted


def test_every_flow_that_tells_something_is_tried() -> None:
    telling = {flow for flow in FLOWS if told_in(flow)}

    assert telling == WAYS.keys() | RECORDED


# Actions without a flow.

#: The action, and the word that nova's types have for it.
ALONE: Final = {
    "swap_volume": "volume_swap",
    "attach_volume": "volume_attach",
    "detach_volume": "volume_detach",
    "attach_interface": "interface_attach",
    "detach_interface": "interface_detach",
    "trigger_crash_dump": "trigger_crash_dump",
}


def shown(notice: Notice) -> tuple[str, str | None, str | None, str | None, str | None]:
    """Return what is said, the states and the power that it shows, and on which host."""
    data = data_of({"payload": notice.payload})
    states = data["state"], data["task_state"], data["power_state"]
    return (notice.event_type, *states, data["host"])


@pytest.mark.parametrize("action", ALONE)
@pytest.mark.parametrize("ends", ["end", "error"])
def test_what_has_no_flow_is_told_by_its_start_and_by_how_it_ends(action: str, ends: str) -> None:
    row, word = ACTIONS[action], f"instance.{ALONE[action]}"
    assert (row["sets_task_state"], set(row["success"].values())) == (None, {"unchanged"})
    world = begin(action)
    since = len(world.history) - 1

    if ends == "end":
        world.settle()
    else:
        letter = world.letters[0]
        of = {fact.__name__: fact for fact in failures_of(type(letter.command).__name__)}
        world.fail(letter, next(of[name] for name in of if name != "CommandRefused"))

    types = [e for e in (f"{word}.start", f"{word}.{ends}") if e in TYPES]
    assert types[0] == f"{word}.start"
    assert {by for each in types for by in TYPES[each]["publisher_binaries"]} == {"nova-compute"}
    told = told_of(world, since)
    assert {n.publisher_id for n in told} == {"nova-compute:h1"}
    assert [shown(n)[:4] for n in told] == [(each, "active", None, "running") for each in types]


# The soft reboot.


Told = tuple[str | None, ...]


def told_on(stage: Stage) -> list[Notice]:
    """Return what is told of what was played."""
    return [n for p in stage.accepted() for n in notices_of(p.envelope, p.outcome, ALL)]


def hard_as_soft() -> list[Told]:
    """Return the recording of a hard reboot in the words of a soft one."""
    hard = ACTIONS["reboot_hard"]["task_state_sequence"]
    soft = dict(zip(hard, ACTIONS["reboot_soft"]["task_state_sequence"], strict=True))
    told = [(n["event_type"], data_of(n)) for n in notifications("reboot_hard")]
    return [(event, d["state"], soft[d["task_state"]]) for event, d in told]


def rebooted(action: str, *how: Act) -> list[Told]:
    """Return what is told of a reboot: types and states."""
    stage = server()
    stage.begin()
    for act in how:
        act(stage)
    ask(action)(stage)
    return [shown(n)[:3] for n in told_on(stage)]


def test_a_soft_reboot_is_told_as_a_hard_one_is_in_its_own_task_states() -> None:
    assert rebooted("reboot_soft") == hard_as_soft()


@pytest.mark.parametrize("action", ["reboot_soft", "reboot_hard"])
def test_a_reboot_that_failed_though_the_guest_runs_tells_its_error_and_its_end(
    action: str,
) -> None:
    """Nova swallows such a failure: it says what it was, and goes on to the end."""
    said = rebooted(action, breaks("host1", "RebootGuest", "no answer", FailureKind.IGNORE))

    error, update, end = said[-3:]
    pending = ACTIONS[action]["task_state_sequence"][-2]
    assert error == ("instance.reboot.error", "active", pending)
    assert update == ("instance.update", "active", None)
    assert end == ("instance.reboot.end", "active", None)


@pytest.mark.parametrize("action", ["reboot_soft", "reboot_hard"])
def test_a_reboot_that_left_the_guest_off_is_told_by_its_state_alone(action: str) -> None:
    """Nova puts it in error and raises: neither an error nor an end is sent."""
    said = rebooted(action, breaks("host1", "RebootGuest", "no answer"))

    assert said[-1] == ("instance.update", "error", None)
    assert [event for event, *_ in said if event != "instance.update"] == ["instance.reboot.start"]


# The revert.


def reverted(*before: Act) -> list[Told]:
    """Return what is told of a revert: types, states and hosts."""
    stage = server()
    for act in (*before, ask("resize", flavor=LARGE)):
        act(stage)
    stage.begin()
    ask("revert_resize")(stage)
    return [(*shown(n)[:3], shown(n)[4]) for n in told_on(stage)]


def test_a_revert_is_told_from_the_host_that_gives_up_to_the_one_that_takes_back() -> None:
    """Its start still shows the host that gave the guest up: nova saves the old one after it."""
    said = reverted()

    words = [each for each in said if each[0] != "instance.update"]
    assert words == [
        ("instance.exists", "resized", "resize_reverting", "host2"),
        ("instance.resize_revert.start", "resized", "resize_reverting", "host2"),
        ("instance.resize_revert.end", "active", None, "host1"),
    ]
    assert said[-2:] == [
        ("instance.update", "active", None, "host1"),
        ("instance.resize_revert.end", "active", None, "host1"),
    ]


def test_a_revert_of_a_stopped_guest_powers_it_off_before_its_end() -> None:
    words = [each for each in reverted(ask("stop")) if each[0] != "instance.update"]

    assert [each[:3] for each in words[2:]] == [
        ("instance.power_off.start", "active", "powering-off"),
        ("instance.power_off.end", "stopped", None),
        ("instance.resize_revert.end", "stopped", None),
    ]
