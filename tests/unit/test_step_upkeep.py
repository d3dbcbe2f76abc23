"""Crash dump, diagnostics, password, power update: a guest is asked or told something."""

from __future__ import annotations

import pytest

from events import upkeep
from events.commands import SetAdminPassword
from events.instance import CommandRefused
from statemachines.attachment_actions import AT_ONCE_MAX
from statemachines.notes import FaultNote
from statemachines.refused import SECRETS, UNSUPPORTED
from statemachines.request_arguments import CROSS_CELL
from statemachines.sagas import BY_ACTION, IMMEDIATE
from statemachines.verdict import Rejected
from tests.beginnings import after, begin, built, paused, resized, stopped
from tests.ends import check_end
from tests.hosts import World
from tests.story import LARGE, must


def refusal(world: World, action: str, **arguments: str) -> Rejected:
    """Ask for what must be refused, and return the refusal."""
    verdict = world.request(action, arguments=arguments).verdict
    assert isinstance(verdict, Rejected), verdict
    return verdict


# Crash dump.


def test_a_crash_dump_leaves_the_states_alone_and_has_novas_words() -> None:
    world = begin("trigger_crash_dump").from_here()
    assert world.orders == [("TriggerCrashDump", "h1")]

    world.settle()

    assert world.trace == [("active", None, None)]
    assert world.actions == [("trigger_crash_dump", None)]
    assert world.events == [("compute_trigger_crash_dump", "Success")]
    check_end(world)


@pytest.mark.parametrize(
    ("world", "host"),
    [(paused(), "h1"), (after("rescue"), "h1"), (resized(), "h2")],
    ids=["paused", "rescued", "resized"],
)
def test_it_goes_to_the_host_that_the_guest_is_on(world: World, host: str) -> None:
    must(world.request("trigger_crash_dump"))

    assert world.orders == [("TriggerCrashDump", host)]


def test_a_crash_dump_that_fails_is_a_fault_and_changes_nothing() -> None:
    world = begin("trigger_crash_dump").from_here()

    must(world.says("h1", upkeep.CrashDumpFailed(reason="no such device")))

    assert world.states == ("active", None)
    assert world.actions == [("trigger_crash_dump", "Error")]
    assert [n.message for n in world.notes if isinstance(n, FaultNote)] == ["no such device"]


@pytest.mark.parametrize("how", ["lost", "silent"])
def test_a_crash_dump_that_was_not_heard_is_not_done_later(how: str) -> None:
    world = begin("trigger_crash_dump")
    must(world.lose("h1") if how == "lost" else world.time_out("h1"))

    assert world.states == ("active", None)
    assert world.orders == [("RaiseGeneration", "h1")]
    world.settle(lost=frozenset({"h1"}))
    check_end(world)


def test_a_crash_dump_beside_a_newer_operation_needs_no_fence() -> None:
    world = begin("trigger_crash_dump")
    dump = world.letters[0]
    must(world.request("stop"))
    generation = world.here.generation

    must(world.time_out_of(dump))

    assert world.here.generation == generation
    assert world.orders == [("StopGuest", "h1")]
    world.settle()
    assert world.states == ("stopped", None)
    check_end(world)


def test_a_refused_crash_dump_is_over() -> None:
    world = begin("trigger_crash_dump")

    must(world.says("h1", CommandRefused(code="older-generation", reason="3 < 4")))

    assert world.here.sides == ()
    check_end(world)


def test_what_may_be_asked_at_once_has_a_bound() -> None:
    world = built()
    for _ in range(AT_ONCE_MAX):
        must(world.request("get_diagnostics"))

    assert refusal(world, "trigger_crash_dump").code == "too-many-actions"


# Diagnostics.


@pytest.mark.parametrize("task", [None, "reboot_soft", "live_migrate"])
def test_diagnostics_are_a_fact_and_leave_everything_as_it_was(task: str | None) -> None:
    world = built() if task is None else begin(task)
    states, saga = world.states, world.here.saga
    must(world.request("get_diagnostics"))
    (letter,) = [x for x in world.letters if type(x.command).__name__ == "ReadDiagnostics"]

    world.succeed(letter)

    assert (world.states, world.here.saga) == (states, saga)
    assert [s for s in world.here.sides if s.saga == "get_diagnostics"] == []
    assert isinstance(world.history[-1].fact, upkeep.DiagnosticsRead)


def test_a_guest_that_does_not_run_has_no_diagnostics() -> None:
    world = stopped()
    must(world.request("get_diagnostics"))

    must(world.says("h1", upkeep.DiagnosticsReadFailed(reason="power state 4")))

    assert world.actions[-1][1] == "Error"
    check_end(world)


def test_diagnostics_are_asked_twice_and_then_given_up() -> None:
    world = built()
    must(world.request("get_diagnostics"))

    must(world.time_out("h1"))
    must(world.time_out("h1"))

    assert (world.letters, world.here.sides) == ((), ())
    check_end(world)


# The password.


def test_a_password_is_set_by_its_reference_in_novas_states() -> None:
    world = begin("set_admin_password").from_here()
    assert world.letters[0].command == SetAdminPassword(secret_ref="secrets/1")

    world.settle()

    assert world.trace == [("active", "updating_password", None), ("active", None, None)]
    assert world.actions == [("changePassword", None)]
    assert world.events == [("compute_set_admin_password", "Success")]
    check_end(world)


@pytest.mark.parametrize("how", ["failed", "refused", "lost", "silent"])
def test_whatever_goes_wrong_the_state_is_kept_and_no_task_is_left(how: str) -> None:
    world = begin("set_admin_password")
    match how:
        case "failed":
            must(world.says("h1", upkeep.AdminPasswordSetFailed(reason="no agent in the guest")))
        case "refused":
            must(world.says("h1", CommandRefused(code="draining", reason="full")))
        case "lost":
            must(world.lose("h1"))
        case _:
            for _ in range(3):
                must(world.time_out("h1"))

    assert world.states == ("active", None)
    assert world.actions[-1] == ("changePassword", "Error")
    world.settle()
    check_end(world)


def test_a_password_without_a_reference_is_refused() -> None:
    assert refusal(built(), "set_admin_password").code == "bad-request"


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("action", ["set_admin_password", "rescue", "create", "rebuild"])
def test_a_request_that_names_a_secret_is_refused_and_not_repeated(action: str, name: str) -> None:
    refused = refusal(built(), action, **{name: "hunter2", "secret_ref": "secrets/1"})

    assert refused.code == "secret"
    assert name in refused.sentence
    assert "hunter2" not in refused.sentence


# Power updates.


@pytest.mark.parametrize(
    ("way", "before", "task", "then", "action", "event"),
    [
        ("on", "stopped", "powering-on", "active", "start", "POWER_ON"),
        ("off", "active", "powering-off", "stopped", "stop", "POWER_OFF"),
    ],
)
def test_a_power_update_leads_through_novas_states(
    way: str, before: str, task: str, then: str, action: str, event: str
) -> None:
    world = begin(f"external_event_power_update_{way}").from_here()
    assert getattr(world.letters[0].command, "target_power_state", None) == event

    world.settle()

    assert world.trace == [(before, task, None), (then, None, None)]
    assert world.actions == [(action, None)]
    assert world.events == [("compute_power_update", "Success")]
    check_end(world)


@pytest.mark.parametrize("way", ["on", "off"])
def test_a_power_update_that_fails_keeps_the_state(way: str) -> None:
    world = begin(f"external_event_power_update_{way}").from_here()

    must(world.says("h1", upkeep.PowerUpdateFailed(power_state=4, reason="x")))

    assert world.trace[-1] == ("stopped" if way == "on" else "active", None, None)
    assert world.actions[-1][1] == "Error"
    check_end(world)


def test_a_power_update_to_what_is_there_already_is_refused_as_in_nova() -> None:
    assert refusal(stopped(), "external_event_power_update_off").code == "vm-state"
    assert refusal(built(), "external_event_power_update_on").code == "vm-state"


# What is not carried out.


@pytest.mark.parametrize("action", sorted(UNSUPPORTED))
@pytest.mark.parametrize("world", [built(), begin("stop"), stopped()], ids=["a", "b", "c"])
def test_what_is_not_carried_out_is_refused_in_one_sentence_that_names_it(
    action: str, world: World
) -> None:
    before = world.here

    refused = refusal(world, action)

    assert refused.code == "unsupported"
    assert action in refused.sentence
    assert refused.sentence.count(".") == 1
    assert world.states == (before.vm_state, before.task_state)


@pytest.mark.parametrize("action", ["resize", "migrate"])
def test_a_move_to_another_cell_is_refused(action: str) -> None:
    world = built()

    outcome = world.request(action, flavor=LARGE, arguments={CROSS_CELL: "true"})

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "unsupported"
    assert f"cross-cell {action}" in outcome.verdict.sentence


def test_nothing_is_both_carried_out_and_refused() -> None:
    assert UNSUPPORTED.keys() & {*BY_ACTION, *IMMEDIATE} == set()
