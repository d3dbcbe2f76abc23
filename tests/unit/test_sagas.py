"""The sagas as tables: the load-time check, what an agent may answer, and nova's names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compute.endings import ENDINGS
from events.register import COMMANDS, FACTS
from events.values import replace
from statemachines.diagram import way_back
from statemachines.permissions import PERMISSIONS
from statemachines.rules import SETTINGS
from statemachines.saga import (
    Again,
    Choice,
    End,
    Ending,
    NeedsOperator,
    Next,
    Role,
    Saga,
    Step,
    To,
    branches,
    saga,
)
from statemachines.saga_check import faults_of
from statemachines.sagas import BY_ACTION, SAGAS, WINNERS, check

NOVA = json.loads(Path(__file__).parents[1].joinpath("data", "nova-states.json").read_text())
STEPS = [(table, step) for table in SAGAS.values() for step in table.steps.values()]
OF_STEP = pytest.mark.parametrize(
    ("table", "step"), STEPS, ids=[f"{t.name}.{s.name}" for t, s in STEPS]
)


def small(**changes: Any) -> Saga:
    """Return a saga of one sound step, but for the changes to it."""
    on: dict[str, Next] = {
        "GuestStopped": End("done"),
        "CommandRefused": End("done"),
        "StepHostLost": End("done"),
    }
    step = Step(
        name="ask",
        command="StopGuest",
        to=Role.OWNER,
        on=on,
        exhausted=End("done"),
        no_way_back="it is small",
    )
    return saga(
        name="small",
        first=To("ask"),
        steps=(replace(step, **changes),),
        endings=(Ending(name="done", ok=True),),
    )


def without(fact: str) -> dict[str, Next]:
    """Return the ways of a sound step but one."""
    return {k: v for k, v in small().steps["ask"].on.items() if k != fact}


def test_no_saga_can_get_stuck() -> None:
    assert check() == ()


def test_a_sound_saga_has_no_faults() -> None:
    assert faults_of(small()) == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"on": without("StepHostLost")}, "Expected a way for StepHostLost"),
        ({"on": without("CommandRefused")}, "Expected a way for CommandRefused"),
        ({"command": None}, "Expected a command or patience"),
        ({"deadline": ""}, "Expected a deadline"),
        ({"exhausted": To("nowhere")}, "Expected a step nowhere"),
        ({"exhausted": End("never")}, "Expected an ending never"),
        ({"exhausted": To("ask", outcome="never")}, "Expected an ending never"),
        ({"compensate": To("nowhere")}, "Expected a step nowhere"),
        ({"no_way_back": ""}, "Expected a way back, or why there is none, but neither"),
        ({"compensate": End("done")}, "Expected a way back, or why there is none, but both"),
        (
            {
                "compensate": Choice("in_post_copy", NeedsOperator(), End("done")),
                "no_way_back": "",
            },
            "Expected a way back, or why there is none, but neither",
        ),
        ({"compensate": Again()}, "Expected a way back, but another attempt"),
        ({"deadline": "someday"}, "Expected a setting as deadline, but someday"),
        ({"retries": -1}, "Expected 0 to 10 retries, but -1"),
        ({"retries": 11}, "Expected 0 to 10 retries, but 11"),
        ({"exhausted": Again()}, "Expected a way out when the retries are used up"),
        ({"exhausted": NeedsOperator()}, "Expected an ending resolved for its operator"),
        ({"exhausted": End()}, "Expected an outcome after StepTimedOut, but none"),
        ({"exhausted": To("ask")}, "no ending can be reached if StepTimedOut keeps happening"),
        (
            {"on": {**without("StepHostLost"), "StepHostLost": To("ask")}},
            "no ending can be reached if StepHostLost keeps happening",
        ),
        (
            {
                "on": {**without("CommandRefused"), "CommandRefused": Again()},
                "exhausted": To("ask"),
            },
            "no ending can be reached if CommandRefused keeps happening",
        ),
    ],
)
def test_a_planted_mistake_is_found(changes: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in faults_of(small(**changes)))


def test_a_first_way_that_leads_nowhere_is_found() -> None:
    assert faults_of(replace(small(), first=To("nowhere"))) != ()


SOUND: dict[str, Next] = {"CommandRefused": End("done"), "StepHostLost": End("done")}
ASK: dict[str, Next] = {**SOUND, "GuestStopped": End("done"), "GuestStopFailed": To("undo")}
UNDO: dict[str, Next] = {**SOUND, "GuestStarted": End("done"), "GuestStartFailed": End("done")}


def pair(ask: dict[str, Any], undo: dict[str, Any]) -> tuple[str, ...]:
    """Return the faults of a saga that stops a guest and, where that fails, starts it again."""
    first = replace(small().steps["ask"], on=ASK)
    second = replace(first, name="undo", command="StartGuest", on=UNDO)
    steps = (replace(first, **ask), replace(second, **undo))
    endings = (Ending(name="done", ok=True),)
    return faults_of(saga(name="pair", first=To("ask"), steps=steps, endings=endings))


def test_a_saga_whose_failure_is_undone_has_no_faults() -> None:
    assert pair({}, {}) == ()


@pytest.mark.parametrize(
    ("ask", "undo", "fault"),
    [
        (
            {},
            {"on": {**UNDO, "GuestStartFailed": To("ask")}},
            "step ask: no ending can be reached if after GuestStopFailed there GuestStartFailed"
            " keeps happening in undo",
        ),
        (
            {"on": {**ASK, "StepHostLost": To("undo")}},
            {"on": {**UNDO, "CommandRefused": To("ask")}},
            "step ask: no ending can be reached if after StepHostLost there CommandRefused keeps"
            " happening in undo",
        ),
        (
            {"exhausted": To("undo")},
            {"on": {**UNDO, "CommandRefused": Choice("same_host", End("done"), To("ask"))}},
            "step ask: no ending can be reached if after StepTimedOut there CommandRefused keeps"
            " happening in undo",
        ),
        (
            {"exhausted": To("undo")},
            {"exhausted": To("ask")},
            "step ask: no ending can be reached if StepTimedOut keeps happening",
        ),
        ({"on": {**ASK, "GuestStopFailed": End("done")}}, {}, "step undo: Expected a way there"),
    ],
)
def test_a_pair_of_failures_that_leads_round_is_named(
    ask: dict[str, Any], undo: dict[str, Any], fault: str
) -> None:
    found = pair(ask, undo)

    assert any(fault in each for each in found)


def test_three_failures_that_lead_round_are_found() -> None:
    failures = ("GuestStopFailed", "GuestStartFailed", "GuestPauseFailed")
    steps = tuple(
        Step(
            name=f"step{n}",
            command="StopGuest",
            to=Role.OWNER,
            on={**SOUND, failure: To(f"step{(n + 1) % 3}")},
            exhausted=End("done"),
            no_way_back="it goes round",
        )
        for n, failure in enumerate(failures)
    )
    endings = (Ending(name="done", ok=True),)
    table = saga(name="three", first=To("step0"), steps=steps, endings=endings)

    assert "three: step step0: failures that keep happening may lead back to it" in faults_of(table)


def test_a_destination_that_was_given_up_is_not_waited_for() -> None:
    choose = Step(
        name="choose",
        command="ChooseDestination",
        to=Role.SCHEDULER,
        on={"DestinationChosen": To("build"), "NoValidHost": End("done")},
        exhausted=End("done"),
        no_way_back="nothing was done",
    )
    build = Step(
        name="build",
        command="BuildGuest",
        to=Role.DESTINATION,
        on={**SOUND, "GuestBuilt": End("done")},
        exhausted=To("clear", give_up=True),
        no_way_back="it is given up",
    )
    clear = replace(build, name="clear", exhausted=End("done"))
    endings = (Ending(name="done", ok=True),)
    table = saga(name="t", first=To("choose"), steps=(choose, build, clear), endings=endings)

    assert faults_of(table) == (
        "t: step clear: Expected a destination by then, but none is chosen",
    )


def test_two_steps_of_one_name_are_refused() -> None:
    step = small().steps["ask"]

    with pytest.raises(AssertionError, match="distinct steps"):
        saga(name="twice", first=To("ask"), steps=(step, step), endings=())


@OF_STEP
def test_every_answer_that_an_agent_may_give_leads_somewhere(table: Saga, step: Step) -> None:
    if step.command is None or step.to is Role.SCHEDULER:
        return
    endings = {fact.__name__ for fact in ENDINGS[COMMANDS[step.command]]}

    assert endings <= step.on.keys()


@OF_STEP
def test_every_word_of_a_step_is_known(table: Saga, step: Step) -> None:
    assert {*step.on, *step.progress} <= FACTS.keys()
    assert step.command is None or step.command in COMMANDS
    assert step.patient or step.deadline in SETTINGS


@OF_STEP
def test_no_rule_turns_back_behind_the_point_of_no_return(table: Saga, step: Step) -> None:
    if step.patient:
        assert step.compensate is None
    if step.after_no_return:
        ways = [way for next_ in (*step.on.values(), step.exhausted) for way in branches(next_)]
        assert not any(isinstance(way, To) and table.steps[way.step].goes_back for way in ways)


@OF_STEP
def test_a_step_from_which_an_operator_may_go_back_leads_there_by_what_was_done(
    table: Saga, step: Step
) -> None:
    """What is left out of a way back is owed; a way back that is begun has an outcome."""
    for way in () if step.compensate is None else branches(step.compensate):
        if step.goes_back:
            assert isinstance(way, To | End)
            assert way.owe is not None
        elif isinstance(way, To):
            assert way.outcome is not None
            assert not table.endings[way.outcome].ok


def test_every_ending_is_reached_or_an_operators() -> None:
    unreached = []
    for table in SAGAS.values():
        named = {e for way in ways(table) for e in endings_of(way)}
        unreached += [f"{table.name}:{e}" for e in table.endings if e not in {*named, "resolved"}]

    assert unreached == []


def ways(table: Saga) -> Iterator[To | End | Again | NeedsOperator]:
    """Yield every way of a saga."""
    nexts = [table.first]
    for step in table.steps.values():
        nexts += [*step.on.values(), step.exhausted]
        nexts += [] if step.compensate is None else [step.compensate]
    for next_ in nexts:
        yield from branches(next_)


def endings_of(way: To | End | Again | NeedsOperator) -> Iterator[str]:
    """Yield the ending that a way names, or notes."""
    match way:
        case End(ending=str(name)):
            yield name
        case To(outcome=str(name)):
            yield name
        case _:
            return


def test_every_saga_can_be_resolved_by_an_operator() -> None:
    assert [t.name for t in SAGAS.values() if "resolved" not in t.endings] == []


def test_the_winners_are_the_deletes_reset_state_and_evacuate() -> None:
    assert {"delete", "soft_delete", "force_delete", "reset_state", "evacuate"} == WINNERS


def test_every_action_event_is_one_of_novas_flow_of_that_action() -> None:
    events: dict[str, set[str]] = {}
    for flow in NOVA["flows"]:
        names = {n for text in flow.get("action_events", []) for n in re.findall(r"\w{6,}", text)}
        for action in re.split(r" / ", flow.get("instance_action", "")):
            events.setdefault(action, set()).update(names)

    unknown = [
        f"{action}: {event}"
        for action, table in BY_ACTION.items()
        for step in table.steps.values()
        for event in (*step.action_events, *step.failure_events)
        if (name := PERMISSIONS[action].instance_action) in events
        and event not in events[str(name)]
    ]

    assert unknown == []


def test_every_primary_saga_with_a_flow_of_novas_shows_all_its_events() -> None:
    missing = []
    for flow in NOVA["flows"]:
        for action, table in BY_ACTION.items():
            told = flow.get("instance_action", "nobody").partition(" / ")[0]
            if str(PERMISSIONS[action].instance_action) != told:
                continue
            if flow["operation"] == "cross-cell-resize":
                continue
            # Two flows under one name of an action.
            if (flow["operation"] == "soft-delete") != (action == "soft_delete"):
                continue
            shown = {
                e
                for step in table.steps.values()
                for e in (*step.action_events, *step.failure_events)
            }
            for text in flow["action_events"]:
                if not any(name in shown for name in re.findall(r"\w+", text)):
                    missing.append(f"{action}: {text}")

    assert missing == []


@pytest.mark.parametrize(
    ("name", "step", "told"),
    [
        ("create", "build", "to clear"),
        ("create", "undo", "to aborted, once it waits for a person"),
        ("delete", "destroy", "none: its hosts may have destroyed the guest already"),
        (
            "live_migration",
            "migrate",
            "to [not in_post_copy] roll_back_source; "
            "else none: the guest runs at its destination: retry it",
        ),
    ],
)
def test_an_operator_is_told_where_a_step_may_go_back_to(name: str, step: str, told: str) -> None:
    assert way_back(SAGAS[name], SAGAS[name].steps[step]) == told
