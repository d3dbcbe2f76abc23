from __future__ import annotations

from compute.fake_site import Failure, FailureKind
from compute.limits import Bounds
from events import commands as c
from events import instance as i
from tests.unit.compute_host import (
    GUEST,
    OTHER,
    SMALL,
    Host,
)

BUILD = c.BuildGuest(flavor=SMALL, name="guest", image="image")


def test_a_build_is_told_step_by_step_and_ends_once() -> None:
    host = Host()
    letter = host.ask(BUILD)

    host.settle()

    assert host.answers(letter) == [
        i.BuildAccepted(node="alpha"),
        i.NetworkAllocationStarted(),
        i.BlockDevicesPreparing(),
        i.GuestSpawning(),
        i.GuestBuilt(power_state=1),
    ]
    assert host.cloud.world.running() == {GUEST: ("alpha",)}


def test_a_command_that_comes_twice_is_done_once_and_answered_with_the_same_bytes() -> None:
    host = Host()
    host.has()
    letter = host.ask(c.StopGuest())
    host.settle()
    host.send(letter)
    host.settle()

    first, second = host.records()[-2:]

    assert first.value == second.value
    assert first.headers == second.headers
    assert host.cloud.world.executions() == {letter.address.command_id: 1}


def test_a_command_that_comes_again_while_it_runs_is_not_begun_again() -> None:
    host = Host()
    letter = host.ask(BUILD)
    host.send(letter)

    host.settle()

    assert host.kinds().count("GuestBuilt") == 1
    assert host.cloud.world.executions() == {letter.address.command_id: 1}


def test_commands_of_one_instance_are_done_one_after_the_other() -> None:
    host = Host()
    for command in (BUILD, c.StopGuest(), c.StartGuest()):
        host.ask(command)

    host.settle()

    assert host.kinds()[-3:] == ["GuestBuilt", "GuestStopped", "GuestStarted"]


def test_an_older_generation_is_refused() -> None:
    host = Host()
    host.has()
    host.ask(c.StopGuest(), generation=5)
    host.settle()
    letter = host.ask(c.StartGuest(), generation=4)
    host.settle()

    (answer,) = host.answers(letter)

    assert isinstance(answer, i.CommandRefused)
    assert answer.code == "older-generation"
    assert host.said()[-1][0].generation == 5


def test_a_command_for_the_scheduler_is_unknown_to_a_host() -> None:
    host = Host()
    letter = host.ask(c.ChooseDestination(flavor=SMALL, forced_host=None, excluded_hosts=()))
    host.settle()

    (answer,) = host.answers(letter)

    assert isinstance(answer, i.CommandRefused)
    assert answer.code == "unknown-command"


def test_facts_are_sent_again_from_a_number_on() -> None:
    host = Host()
    host.ask(BUILD)
    host.settle()
    host.ask(c.ResendFacts(from_sequence=4))
    host.settle()

    assert [meta.sequence for meta, _ in host.said()] == [1, 2, 3, 4, 5, 4, 5]
    values = [r.value for r in host.records()]
    assert values[5:] == values[3:5]


def test_a_higher_generation_cancels_what_runs_and_says_so_first() -> None:
    host = Host()
    build = host.ask(BUILD)
    for _ in range(4):
        host.parts.agent.turn()
    raised = host.ask(c.RaiseGeneration(), generation=2)
    host.settle()

    refused = host.answers(build)[-1]

    assert isinstance(refused, i.CommandRefused)
    assert refused.code == "superseded"
    assert host.answers(raised) == [i.GenerationRaised()]
    assert host.kinds()[-3:] == ["CommandRefused", "GuestAbsent", "GenerationRaised"]
    assert host.cloud.world.running() == {}


def test_a_destruction_cancels_what_runs_and_what_waits() -> None:
    host = Host()
    build = host.ask(BUILD)
    stop = host.ask(c.StopGuest())
    for _ in range(4):
        host.parts.agent.turn()
    destroy = host.ask(c.DestroyGuest(evidence="deleted"))
    host.settle()

    for letter in (build, stop):
        ending = host.answers(letter)[-1]
        assert isinstance(ending, i.CommandRefused)
        assert ending.code == "superseded"
    assert host.answers(destroy) == [i.GuestDestroyed()]
    assert host.half() is None


def test_a_rollback_does_not_cancel_a_destruction() -> None:
    host = Host(faults=lambda *_: Failure(kind=FailureKind.DELAY, delay_polls=5))
    host.has()
    destroy = host.ask(c.DestroyGuest(evidence="deleted"))
    host.ask(c.RollbackSource())

    host.settle()

    assert host.answers(destroy) == [i.GuestDestroyed()]
    assert host.kinds()[-1] == "SourceRollbackFailed"


def test_a_new_attempt_goes_on_with_what_has_begun() -> None:
    host = Host()
    first = host.ask(BUILD, attempt=1)
    for _ in range(4):
        host.parts.agent.turn()
    second = host.ask(BUILD, attempt=2)
    host.settle()
    host.send(first)
    host.settle()

    assert host.answers(second)[-1] == i.GuestBuilt(power_state=1)
    assert i.GuestBuilt(power_state=1) not in host.answers(first)
    assert host.cloud.world.executions() == {first.address.command_id: 1}
    values = [r.value for r in host.records()]
    assert values[-1] == values[-2]


def test_a_new_attempt_at_what_is_achieved_asks_the_driver() -> None:
    host = Host()
    host.has()
    first = host.ask(c.RebootGuest(hard=False, flavor=SMALL), attempt=1)
    host.settle()
    second = host.ask(c.RebootGuest(hard=False, flavor=SMALL), attempt=2)
    host.settle()

    assert host.answers(second) == [i.GuestRebooted(power_state=1)]
    assert host.cloud.world.executions() == {first.address.command_id: 1}


def test_a_new_attempt_at_what_failed_begins_again() -> None:
    failures = [Failure(reason="once")]
    host = Host(faults=lambda *_: failures.pop() if failures else None)
    host.has()
    first = host.ask(c.StopGuest(), attempt=1)
    host.settle()
    second = host.ask(c.StopGuest(), attempt=2)
    host.settle()

    assert host.answers(first) == [i.GuestStopFailed(power_state=1, reason="once")]
    assert host.answers(second) == [i.GuestStopped(power_state=4)]


def test_an_attempt_that_comes_behind_a_later_one_is_refused() -> None:
    host = Host()
    host.has()
    host.ask(c.StopGuest(), attempt=2)
    late = host.ask(c.StopGuest(), attempt=1)
    host.settle()

    (answer,) = host.answers(late)

    assert isinstance(answer, i.CommandRefused)
    assert answer.code == "superseded"


def test_as_many_guests_are_built_at_once_as_may_be() -> None:
    host = Host(bounds=Bounds(max_concurrent_builds=1))
    first = host.ask(BUILD)
    second = host.ask(BUILD, instance_id=OTHER)
    for _ in range(6):
        host.parts.agent.turn()
    halfway = host.cloud.world.executions()
    host.settle()

    assert halfway == {first.address.command_id: 1}
    assert host.answers(first)[-1] == i.GuestBuilt(power_state=1)
    assert host.answers(second)[-1] == i.GuestBuilt(power_state=1)
