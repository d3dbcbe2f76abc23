"""Confirm and revert: nova's two ways out of `resized`."""

from __future__ import annotations

from events import instance, migration, requests
from events.decisions import HostReturned
from statemachines.verdict import Rejected
from tests.answers import argument
from tests.beginnings import begin, resized, stopped
from tests.ends import check_end
from tests.hosts import World
from tests.story import LARGE, SMALL, must

SOURCE, DESTINATION = "h1", "h2"


def of_stopped() -> World:
    """Return a guest that was off when it was resized."""
    world = stopped()
    must(world.request("resize", flavor=LARGE))
    while world.letters:
        letter = world.letters[0]
        if type(letter.command).__name__ == "FinishResize":
            assert argument(letter, "power_on") is False
            must(world.says(DESTINATION, migration.ResizeFinished(power_state=4)))
        else:
            world.succeed(letter)
    return world.from_here()


def test_a_confirm_goes_through_novas_states() -> None:
    world = begin("confirm_resize").from_here()

    world.settle()

    assert world.trace == [("resized", None, "confirming"), ("active", None, "confirmed")]
    assert world.events == [("compute_confirm_resize", "Success")]
    assert world.actions == [("confirmResize", None)]
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(DESTINATION, 4)]
    assert world.here.host == DESTINATION


def test_a_confirm_of_a_guest_that_is_off_ends_stopped() -> None:
    world = of_stopped()
    must(world.request("confirm_resize"))
    world.settle()

    assert world.states == ("stopped", None)


def test_a_confirm_whose_source_fails_is_novas_error_and_the_source_owes() -> None:
    world = begin("confirm_resize").from_here()

    must(world.says(SOURCE, migration.ResizeConfirmFailed(reason="busy")))

    assert world.trace[-1] == ("error", None, "error")
    assert world.events == [("compute_confirm_resize", "Error")]
    assert world.orders == [("DestroyGuest", SOURCE)]
    world.settle()
    check_end(world)
    assert [c.host for c in world.here.claims] == [DESTINATION]


def test_a_confirm_whose_source_is_lost_confirms_and_the_source_owes() -> None:
    world = begin("confirm_resize").from_here()

    must(world.lose(SOURCE))

    assert world.trace[-1] == ("active", None, "confirmed")
    assert argument(world.letters[0], "evidence") == "moved"
    must(world.lose(SOURCE))
    must(world.decide(HostReturned(host=SOURCE)))
    world.settle()
    assert [c.host for c in world.here.claims] == [DESTINATION]


def test_a_confirm_while_the_source_is_down_is_refused_as_nova_does() -> None:
    world = resized()

    outcome = world.request("confirm_resize", source_up=False)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "host-down"
    assert world.here.move is not None
    assert world.here.move.status == "finished"


def test_a_revert_goes_through_novas_states() -> None:
    world = begin("revert_resize").from_here()

    world.settle()

    assert world.trace == [
        ("resized", "resize_reverting", "reverting"),
        ("resized", "resize_reverting", "reverted"),
        ("active", None, "reverted"),
    ]
    assert world.events == [
        ("compute_revert_resize", "Success"),
        ("compute_finish_revert_resize", "Success"),
    ]
    assert world.actions == [("revertResize", None)]
    assert (world.here.host, world.here.flavor) == (SOURCE, SMALL)
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 1)]


def test_a_revert_of_a_guest_that_was_off_ends_stopped_by_way_of_powering_off() -> None:
    world = of_stopped()
    must(world.request("revert_resize"))
    world.succeed(world.letters[0])
    must(
        world.says(
            SOURCE,
            migration.RevertStarted(),
            migration.RevertPoweringOff(power_state=4),
            migration.RevertFinished(power_state=4),
        )
    )

    assert world.trace[-2:] == [
        ("active", "powering-off", "reverted"),
        ("stopped", None, "reverted"),
    ]


def test_a_source_that_was_restarted_in_the_middle_may_answer_with_the_ending_alone() -> None:
    world = begin("revert_resize")
    world.succeed(world.letters[0])

    must(world.says(SOURCE, migration.RevertFinished(power_state=1)))

    assert (world.here.host, world.here.flavor) == (SOURCE, SMALL)


def test_a_destination_that_cannot_give_up_is_novas_error() -> None:
    world = begin("revert_resize").from_here()

    must(world.says(DESTINATION, migration.ResizeRevertFailed(reason="busy")))

    assert world.trace[-1] == ("error", None, "error")
    assert world.here.host == DESTINATION


def test_a_source_that_cannot_take_back_is_novas_error_at_the_source() -> None:
    world = begin("revert_resize").from_here()
    world.succeed(world.letters[0])
    must(world.says(SOURCE, migration.RevertStarted()))

    must(world.says(SOURCE, migration.RevertFinishFailed(power_state=4, reason="no disk")))

    assert world.trace[-1] == ("error", None, "error")
    assert world.here.host == SOURCE
    assert [c.host for c in world.here.claims] == [SOURCE]


def test_a_lost_destination_of_a_revert_waits_for_a_person_for_the_guest_may_still_run() -> None:
    world = begin("revert_resize")
    must(world.lose(DESTINATION))
    assert world.saga.needs_operator is not None
    sentence = world.saga.needs_operator
    assert world.orders == []

    must(
        world.api(requests.SagaRetried(saga_id=world.saga.saga_id, user_id="op", reason="it is up"))
    )

    assert "revert_resize" in sentence
    assert world.orders == [("RevertResize", DESTINATION)]
    world.settle()
    assert world.states == ("active", None)


def test_a_refusal_is_asked_again_and_then_a_persons_business() -> None:
    world = begin("revert_resize")
    for _ in range(3):
        must(world.says(DESTINATION, instance.CommandRefused(code="draining", reason="full")))

    assert world.saga.needs_operator is not None
