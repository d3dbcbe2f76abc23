"""A host dies in the middle of a step, is there again soon, and the operation comes to its end.

The real step and real agents with their journals and drivers; nobody asks for the operation again.
"""

from __future__ import annotations

from typing import Any

import pytest

from compute.fake_operations import CALLS
from events.instance import CommandRefused
from tests.plays import ask, ask_until, dawdles, die, lose, server
from tests.stage import Stage
from tests.story import LARGE

SOURCE, DESTINATION = "host1", "host2"
AT_WORK = 60
#: What was done before, what is asked then, who dies in which call, and what comes of it.
STEPS: dict[str, tuple[tuple[str, ...], str, str, str, tuple[str, str]]] = {
    "finish a resize": ((), "resize", DESTINATION, "FinishResize", ("resized", DESTINATION)),
    "finish a migration": ((), "migrate", DESTINATION, "FinishResize", ("resized", DESTINATION)),
    "give a resize up": (
        ("resize",),
        "revert_resize",
        DESTINATION,
        "RevertResize",
        ("active", SOURCE),
    ),
    "take a guest back": (
        ("resize",),
        "revert_resize",
        SOURCE,
        "FinishRevertResize",
        ("active", SOURCE),
    ),
    "confirm a resize": (
        ("resize",),
        "confirm_resize",
        SOURCE,
        "ConfirmResize",
        ("active", DESTINATION),
    ),
    "finish a live migration": (
        (),
        "live_migrate",
        DESTINATION,
        "FinishLiveMigration",
        ("active", DESTINATION),
    ),
    "rebuild": ((), "rebuild", SOURCE, "RebuildGuest.spawn", ("active", SOURCE)),
    "unshelve": (("shelve",), "unshelve", SOURCE, "UnshelveGuest.spawn", ("active", SOURCE)),
}


def fields_of(action: str) -> dict[str, Any]:
    return {"flavor": LARGE} if action == "resize" else {}


def in_the_middle(name: str) -> Stage:
    """Return a stage on which a host is at work at the call of a step."""
    before, action, host, call, _ = STEPS[name]
    assert call in CALLS
    stage = server()
    for each in before:
        ask(each, **fields_of(each))(stage)
    stage.begin()
    if action == "unshelve":
        stage.enabled = {host}
    dawdles(host, call, AT_WORK)(stage)
    stage.ask(action, **fields_of(action))
    journal = stage.hosts[host].journal
    kind = call.partition(".")[0]
    stage.until(lambda _: any(f"/{kind}" in task.purpose for task in journal.open_tasks()))
    for _ in range(20):
        stage.turn()
    return stage


@pytest.mark.parametrize("name", STEPS)
def test_what_a_host_died_in_is_asked_again_and_comes_to_its_end(name: str) -> None:
    *_, host, _, (vm_state, home) = STEPS[name]
    stage = in_the_middle(name)

    die(host)(stage)

    assert (stage.here.vm_state, stage.here.host) == (vm_state, home)
    assert stage.is_at_rest
    assert len(stage.halves) == len({c.host for c in stage.here.claims})
    refused = [p.envelope.fact for p in stage.played if p.name == "CommandRefused"]
    assert [f.code for f in refused if isinstance(f, CommandRefused)] == ["interrupted"]


@pytest.mark.parametrize("name", STEPS)
def test_a_host_that_dies_again_and_again_leaves_no_task_behind(name: str) -> None:
    *_, host, _, _ = STEPS[name]
    stage = in_the_middle(name)

    for _ in range(8):
        for _ in range(40):
            stage.turn()
        stage.hosts[host].die()
    die(host)(stage)

    saga = stage.here.saga
    assert saga is None or saga.needs_operator is not None
    if saga is None:
        assert stage.is_at_rest


def test_an_evacuation_in_which_the_new_host_died_is_asked_again() -> None:
    stage = server(SOURCE)
    lose(SOURCE)(stage)
    dawdles(DESTINATION, "EvacuateGuest.spawn", AT_WORK)(stage)
    ask_until("EvacuationSpawning", "evacuate", source_up=False, fenced_hosts=(SOURCE,))(stage)

    die(DESTINATION)(stage)

    assert (stage.here.vm_state, stage.here.host) == ("active", DESTINATION)
    assert stage.here.saga is None
    assert stage.halves[DESTINATION] == "guest"
