"""What becomes of each action, against nova's table of actions and its flows.

Which states an action is allowed in stands in `test_permissions`; here it is carried out, and fails
in every way that its host may answer, and what it leaves is what nova's table says. What is not the
same is named with the words of nova's own note, or with the row of the README that says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest

from events import migration
from statemachines.recording import SCHEDULER
from statemachines.refused import UNSUPPORTED
from statemachines.sagas import BY_ACTION, IMMEDIATE
from statemachines.states import MigrationStatus, TaskState
from statemachines.verdict import Rejected
from tests.answers import failures_of
from tests.beginnings import WAYS, begin, built
from tests.hosts import World
from tests.story import must

ROOT: Final = Path(__file__).parents[2]
NOVA: Final = json.loads((ROOT / "tests/data/nova-states.json").read_text())
ACTIONS: Final[dict[str, dict[str, Any]]] = {entry["action"]: entry for entry in NOVA["actions"]}
FLOWS: Final[dict[str, dict[str, Any]]] = {flow["operation"]: flow for flow in NOVA["flows"]}
SEQUENCES: Final = NOVA["migration_status_sequences"]
OF_SAGA: Final = pytest.mark.parametrize("action", [a for a in ACTIONS if a in BY_ACTION])
_IRONIC: Final = "driver-specific; used by ironic"
#: Where the success says "unchanged" of a state that its driver changes.
BY_DRIVER: Final[dict[str, tuple[str, str]]] = {
    "external_event_power_update_on": ("active", _IRONIC),
    "external_event_power_update_off": ("stopped", _IRONIC),
}
#: What a failure leaves that is not the row's general word: the vm_state, and where it is said.
OTHERWISE: Final[dict[tuple[str, str], tuple[str, str]]] = {
    ("reboot_soft", "GuestRebootIgnored"): ("active", "if the guest is still running"),
    ("reboot_hard", "GuestRebootIgnored"): ("active", "if the guest is running"),
    ("rebuild", "GuestRebuildFaulted"): ("active", "InstanceFaultRollback keeps vm_state"),
    ("resize", "NoValidHost"): ("active", "scheduling failure"),
    ("resize", "ResizeFaulted"): ("active", "InstanceFaultRollback"),
    ("migrate", "NoValidHost"): ("active", "same rules as resize"),
    ("migrate", "ResizeFaulted"): ("active", "same rules as resize"),
    ("unshelve", "ShelvedImageMissing"): ("error", "shelved image missing: vm_state error"),
    ("suspend", "GuestSuspendFaulted"): ("active", "InstanceFaultRollback"),
    ("resume", "GuestResumeFaulted"): ("suspended", "InstanceFaultRollback"),
    ("unrescue", "GuestUnrescueFaulted"): ("active", "NotImplementedError"),
    ("live_migrate", "LiveMigrationFinishFailed"): ("error", "failure after switch-over"),
    ("evacuate", "EvacuationClaimFailed"): ("active", "claim or late group-policy failure"),
    # The guest was shelved before: what fails then is the offload, which leaves it so.
    ("shelve", "GuestOffloadFailed"): ("shelved", "shelved/None when"),
}
#: Failures of what comes behind the point of no return; they wait for a person and say so.
BEHIND: Final = ("SourceCleanUpFailed",)


def just_begun(action: str) -> tuple[World, str]:
    """Return a world in which an action was just accepted, and the vm_state before it."""
    world = begin(action, migrate_max_retries="0")
    assert world.last is not None
    earlier = world.last.before
    return world, world.here.vm_state if earlier is None else earlier.vm_state


def tasks_from(world: World, start: int) -> list[str | None]:
    """Return the task_states from a place of the trace on, each as often as it was entered."""
    return [task for task, _ in groupby(t for _, t, _ in world.trace[start:])]


def statuses_from(world: World, start: int) -> list[str]:
    """Return the statuses of a migration from a place of the trace on."""
    return [s for s, _ in groupby(s for _, _, s in world.trace[start:] if s is not None)]


# What an action that goes well leaves.


@OF_SAGA
def test_what_goes_well_leaves_the_states_and_the_power_that_nova_leaves(action: str) -> None:
    told = ACTIONS[action]["success"]
    world, earlier = just_begun(action)

    world.settle()

    states = told["vm_state"] if isinstance(told["vm_state"], list) else [told["vm_state"]]
    if action in BY_DRIVER:
        state, note = BY_DRIVER[action]
        assert states == ["unchanged"]
        assert note in told["note"]
        states = [state]
    assert world.here.vm_state in [earlier if each == "unchanged" else each for each in states]
    assert world.here.task_state is None
    if "expected_power_state" in told:
        assert world.here.power_state == told["expected_power_state"]


@pytest.mark.parametrize(
    ("key", "begins"),
    [("task_state_sequence", a) for a, row in ACTIONS.items() if "task_state_sequence" in row]
    + [
        ("task_state_sequence_when_shelved", "unshelve_kept"),
        ("task_state_sequence_when_shelved_offloaded", "unshelve"),
    ],
)
def test_its_task_states_follow_each_other_as_novas_do(key: str, begins: str) -> None:
    world = begin(begins)
    start = len(world.trace) - 1

    world.settle()

    assert tasks_from(world, start) == ACTIONS[begins.removesuffix("_kept")][key]


@pytest.mark.parametrize("action", sorted(IMMEDIATE))
def test_what_takes_effect_at_once_leaves_the_states_alone(action: str) -> None:
    arguments = {
        "update_instance_metadata": {"metadata": '{"a": "b"}'},
        "delete_instance_metadata": {"key": "a"},
        "update_tags": {"tags": '["a"]'},
    }
    world = built()
    must(world.request("update_instance_metadata", arguments=arguments["update_instance_metadata"]))
    before = (*world.states, world.here.power_state)

    must(world.request(action, arguments=arguments.get(action, {})))

    assert set(ACTIONS[action]["success"].values()) == {"unchanged"}
    assert (*world.states, world.here.power_state) == before
    assert world.orders == []


@pytest.mark.parametrize("action", sorted(UNSUPPORTED))
def test_what_is_not_carried_out_is_refused_by_its_name_and_leaves_all_as_it_is(
    action: str,
) -> None:
    world = built()
    before = world.here

    verdict = world.request(action).verdict

    assert isinstance(verdict, Rejected)
    assert verdict.code == "unsupported"
    assert action.replace("_", " ") in verdict.sentence.replace("_", " ")
    assert (world.here.vm_state, world.here.task_state) == (before.vm_state, before.task_state)
    assert world.orders == []


def test_every_one_of_the_59_was_tried() -> None:
    assert len(ACTIONS) == 59
    assert ACTIONS.keys() == BY_ACTION.keys() | IMMEDIATE | UNSUPPORTED.keys()


# What one that fails leaves.


def failing(action: str) -> Iterator[tuple[str, World]]:
    """Yield each failure of the action's own commands, and the world where it kept happening."""
    world, _ = just_begun(action)
    own = BY_ACTION[action].name
    for _ in range(30):
        letters = [each for each in world.letters if each.address.saga == own]
        if not letters:
            return
        for word in words_of(type(letters[0].command).__name__, letters[0].address.host):
            other = world.fork()
            keep_failing(other, own, letters[0].address.step, word)
            yield word, other
        world.succeed(letters[0])


def words_of(command: str, host: str) -> tuple[str, ...]:
    """Name the failures that a host, or the scheduler, may answer a command with."""
    if host == SCHEDULER:
        return ("NoValidHost",)
    found = tuple(fact.__name__ for fact in failures_of(command))
    return tuple(word for word in found if word not in ("CommandRefused", *BEHIND))


def keep_failing(world: World, saga: str, step: str, word: str) -> None:
    """Answer a step with a failure as often as it is asked, and everything else well."""
    for _ in range(60):
        if not world.letters:
            return
        letter = world.letters[0]
        if (letter.address.saga, letter.address.step) != (saga, step):
            world.succeed(letter)
        elif word == "NoValidHost":
            world.no_valid_host()
        else:
            of = {fact.__name__: fact for fact in failures_of(type(letter.command).__name__)}
            world.fail(letter, of[word])
    raise AssertionError(f"Expected an end, but {world.orders}")


@OF_SAGA
def test_what_fails_leaves_the_states_that_nova_leaves(action: str) -> None:
    told = ACTIONS[action]["failure"]
    text = json.dumps(ACTIONS[action])
    _, earlier = just_begun(action)
    general = earlier if told["vm_state"] == "unchanged" else told["vm_state"]
    seen = set()

    for word, world in failing(action):
        seen.add(word)
        expected, said_where = OTHERWISE.get((action, word), (general, ""))
        assert said_where in text
        assert world.states == (expected, None), word

    assert {word for of, word in OTHERWISE if of == action} <= seen
    assert seen or action == "reset_state", "a reset has nothing that could fail but a refusal"


# The statuses of a migration.


@pytest.mark.parametrize(
    ("begins", "kind", "way"),
    [
        ("live_migrate", "live-migration", "happy"),
        ("live_migrate_paused", "live-migration", "happy"),
        ("evacuate", "evacuation", "happy"),
        ("resize", "resize", "happy"),
        ("migrate", "migration", "happy"),
        ("migrate_stopped", "migration", "happy"),
        ("resize", "resize", "reverted"),
        ("migrate", "migration", "reverted"),
        ("resize_same_host", "resize", "happy"),
        ("resize_same_host", "resize", "reverted"),
    ],
)
def test_a_migration_goes_through_novas_statuses_in_novas_order(
    begins: str, kind: str, way: str
) -> None:
    world = begin(begins)
    start = len(world.trace) - 1
    world.settle()
    if kind in ("resize", "migration"):
        assert world.here.vm_state == "resized"
        must(world.request("confirm_resize" if way == "happy" else "revert_resize"))
        world.settle()

    assert statuses_from(world, start) == SEQUENCES[kind][way]


def test_a_migration_that_goes_over_to_post_copy_says_so_in_novas_order() -> None:
    world = begin("live_migrate")
    start = len(world.trace) - 1
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    must(world.says("h1", migration.LiveMigrationStarted(), migration.PostCopyStarted()))
    must(world.says("h1", migration.GuestHandedOver()))
    world.settle()

    assert statuses_from(world, start) == SEQUENCES["live-migration"]["with_post_copy"]


# The flows, step by step.

_WORDS: Final = {str(member) for kind in (TaskState, MigrationStatus) for member in kind}


def told_in(flow: str, of: str) -> list[str]:
    """Return the task_states, or the statuses, that a flow's steps name, in the flow's order."""
    found = []
    steps = FLOWS[flow]["steps"]
    for step in steps[: len(steps) - RESCHEDULED.get(flow, 0)]:
        told = step["instance"]["task_state"] if of == "task_state" else step[of]
        found += [w for w in re.findall(r"[\w-]+(?: \(post-copy\))?", told or "") if w in _WORDS]
    return [word for word, _ in groupby(found)]


#: What is asked beside a live migration has words of that one, which goes on.
BESIDE: Final = {"live-migration-abort", "live-migration-force-complete"}
#: Words of a flow for which another course of it is needed.
ELSEWHERE: Final = {
    "live-migration": ("running (post-copy)",),
    # Its last step is the periodic task that finds it again.
    "resize-confirm": ("finished",),
    # The first is of a guest that has no host yet, the others of one that was resized.
    "delete": ("scheduling", "confirming", "confirmed"),
    # Of a guest that is on its host still.
    "unshelve": ("powering-on",),
}
#: Steps of a flow that a build that goes well never sees: how many, at its end.
RESCHEDULED: Final = {"build": 2}


@pytest.mark.parametrize("flow", sorted(WAYS.keys() - BESIDE))
def test_a_flow_is_gone_through_in_novas_order(flow: str) -> None:
    world = begin(WAYS[flow])
    start = len(world.trace) - 1
    world.settle()
    apart = ELSEWHERE.get(flow, ())

    for of, ours in (
        ("task_state", [t for t in tasks_from(world, start) if t is not None]),
        ("migration_status", statuses_from(world, start)),
    ):
        told = [word for word, _ in groupby(w for w in told_in(flow, of) if w not in apart)]
        assert ours == told, of
