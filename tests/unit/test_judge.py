"""Who may say what of an instance: requests, answers, decisions, and what nova reports."""

from __future__ import annotations

import re

import pytest

from conductor.step import Outcome
from events import decisions, instance, requests
from events.facts_nova import NovaReported
from events.values import replace
from statemachines.rules import REQUEST_AGE_US
from statemachines.verdict import Duplicate, Rejected
from tests.answers import sample
from tests.beginnings import begin, built
from tests.hosts import World
from tests.story import SMALL, must


def code(outcome: Outcome) -> str:
    """Return the code of a rejection."""
    assert isinstance(outcome.verdict, Rejected), outcome.verdict
    return outcome.verdict.code


def test_a_request_of_an_unknown_instance_is_novas_not_found() -> None:
    outcome = World().request("stop")

    assert code(outcome) == "unknown-instance"
    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.sentence.endswith("could not be found.")


def test_a_request_is_known_again_by_its_id_accepted_or_not() -> None:
    world = built()
    world.request("unpause", "req-1")
    assert isinstance(world.verdicts[-1], Rejected)

    assert world.request("unpause", "req-1").verdict == Duplicate()
    must(world.request("stop", "req-2"))
    assert world.request("stop", "req-2").verdict == Duplicate()


def test_the_ids_of_the_last_hour_are_kept_and_no_more() -> None:
    world = built()
    world.request("unpause", "req-1")
    world.now += REQUEST_AGE_US
    world.request("unpause", "req-2")

    assert [r.request_id for r in world.here.requests] == ["req-2"]


def test_a_request_that_was_asked_more_than_an_hour_before_is_too_old() -> None:
    world = built()
    envelope = world.envelope("api", sample(requests.ActionRequested), request_id="req-1")
    old = replace(envelope.meta, occurred_at=world.now - REQUEST_AGE_US - 1)

    assert code(world.tell(replace(envelope, meta=old))) == "too-old"


def test_what_nova_has_no_action_for_is_unknown_and_what_we_do_not_carry_out_unsupported() -> None:
    assert code(built().request("dance")) == "unknown-action"
    assert code(built().request("get_vnc_console")) == "unsupported"


def test_a_resize_names_its_flavor() -> None:
    assert code(built().request("resize")) == "bad-request"


def test_an_instance_without_a_host_is_not_ready() -> None:
    world = begin("create")
    world.no_valid_host()
    held = replace(world.here, vm_state="active", launched_at=1)

    for action in ("reboot_soft", "pause", "live_migrate", "stop"):
        world.held = held
        assert code(world.request(action)) == "no-host"


def test_only_the_owner_reports_the_power_state() -> None:
    world = built()
    must(world.unasked("h1", instance.PowerStateReported(power_state=4)))
    assert world.here.power_state == 4

    outcome = world.unasked("h2", instance.PowerStateReported(power_state=1))

    assert code(outcome) == "not-entitled"
    assert world.here.power_state == 4


def test_of_a_deleted_instance_no_power_state_is_reported() -> None:
    world = begin("delete")
    world.settle()

    assert code(world.unasked("h1", instance.PowerStateReported(power_state=1))) == "deleted"
    assert world.here.power_state == 0


def test_an_answer_counts_only_from_the_host_that_was_asked() -> None:
    world = begin("stop")
    command_id = world.outstanding("h1")

    outcome = world.says("h2", instance.GuestStopped(power_state=4), command_id=command_id)

    assert code(outcome) == "not-entitled"
    assert world.states == ("active", "powering-off")


def test_an_answer_counts_once() -> None:
    world = begin("delete")
    other = built()
    must(other.request("live_migrate"))
    command_id = world.outstanding("h1")
    must(world.says("h1", instance.GuestDestroyed()))

    outcome = world.says("h1", instance.GuestDestroyed(), command_id=command_id)

    assert code(outcome) == "not-asked"


def test_an_answer_to_a_command_that_nobody_sent_is_refused() -> None:
    world = begin("stop")

    outcome = world.says("h1", instance.GuestStopped(power_state=4), command_id="made-up")

    assert code(outcome) == "not-asked"


def test_an_answer_of_a_host_that_does_not_know_the_generation_is_refused() -> None:
    world = begin("stop")
    command_id = world.outstanding("h1")
    fact = instance.GuestStopped(power_state=4)

    outcome = world.tell(world.next_of("h1", fact, command_id=command_id, generation=0))

    assert code(outcome) == "older-generation"


def test_hosts_say_no_decisions_and_the_conductor_says_no_facts() -> None:
    world = begin("stop")
    timed_out = decisions.StepTimedOut(saga_id=world.saga.saga_id, step="ask", attempt=1, host="h1")

    assert code(world.unasked("h1", timed_out)) == "not-asked"
    assert code(world.decide(instance.GuestStopped(power_state=4))) == "not-entitled"
    assert code(world.api(timed_out)) == "not-entitled"
    assert code(world.tell(world.envelope("nova", timed_out))) == "not-entitled"


def test_a_decision_is_made_once() -> None:
    world = begin("create")
    first = world.choose("h1")
    assert first.commands != ()
    said = decisions.DestinationChosen(
        saga_id=world.saga.saga_id, step="schedule", attempt=1, host="h2", node="h2"
    )

    assert world.decide(said).verdict == Duplicate()
    assert world.saga.destination == "h1"


def test_a_decision_about_an_older_attempt_or_an_ended_saga_is_too_late() -> None:
    world = begin("stop")
    saga_id = world.saga.saga_id
    must(world.time_out("h1"))
    late = decisions.StepTimedOut(saga_id=saga_id, step="ask", attempt=1, host="h1")

    assert world.decide(late).verdict == Duplicate()
    world.settle()
    assert world.decide(late).verdict == Duplicate()


def test_an_operator_has_no_say_while_a_saga_goes_on_by_itself() -> None:
    world = begin("stop")
    word = {"saga_id": world.saga.saga_id, "user_id": "op", "reason": "no patience"}

    for kind in (requests.SagaRetried, requests.SagaResolved):
        assert code(world.api(kind(**word))) == "not-waiting"
    assert code(world.api(requests.SagaCompensated(**word))) == "nothing-to-undo"
    missing = requests.SagaRetried(saga_id="none", user_id="op", reason="?")
    assert code(world.api(missing)) == "unknown-saga"


def report() -> NovaReported:
    """Return a report of nova's."""
    fact = sample(NovaReported)
    assert isinstance(fact, NovaReported)
    return fact


def test_what_nova_reports_makes_an_instance_novas_and_hosts_have_no_say_in_it() -> None:
    world = World()
    must(world.tell(world.envelope("nova", report())))
    assert world.here.origin == "nova"

    assert code(world.unasked("h1", instance.GuestFound(power_state=1))) == "not-ours"
    assert code(world.request("stop")) == "not-ours"
    assert code(world.request("create", flavor=SMALL)) == "exists"


def test_what_nova_reports_about_one_of_ours_is_refused() -> None:
    world = built()

    assert code(world.tell(world.envelope("nova", report()))) == "not-shadow"


@pytest.mark.parametrize("source", ["compute/h1", "api", "conductor"])
def test_only_nova_reports_for_nova(source: str) -> None:
    world = built()
    if source == "compute/h1":
        outcome = world.unasked("h1", report())
    else:
        outcome = world.tell(world.envelope(source, report(), request_id="req-1"))

    assert code(outcome) in ("not-asked", "not-entitled")


def test_what_was_set_aside_is_the_folders_business_and_changes_no_state() -> None:
    world = built()
    before = world.here

    must(
        world.decide(
            decisions.RecordSetAside(topic="t", partition=1, offset=3, reason="it died twice")
        )
    )

    assert replace(world.here, updated_at=before.updated_at) == before


def test_a_refused_request_is_named_by_its_id_and_by_what_it_asks_for() -> None:
    world = begin("stop")
    world.settle()

    verdict = world.request("resize").verdict

    assert isinstance(verdict, Rejected)
    (asked,) = re.findall(
        r"^Expected request (\S+) to resize instance (\S+), but", verdict.sentence
    )
    assert world.last is not None
    assert asked == (world.history[-1].meta.request_id, world.instance_id)
    assert verdict.sentence.endswith(", but it names no flavor")


def test_every_rejection_has_a_sentence_with_the_instance_in_it() -> None:
    world = begin("stop")
    outcomes = [
        world.unasked("h1", instance.GuestStopped(power_state=4)),
        world.unasked("h2", instance.PowerStateReported(power_state=4)),
        world.request("dance"),
        world.request("start"),
        world.decide(instance.GuestAbsent()),
    ]

    for outcome in outcomes:
        assert isinstance(outcome.verdict, Rejected)
        assert world.instance_id in outcome.verdict.sentence
