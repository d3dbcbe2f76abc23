"""Delete: from every state, at every step of every other operation, whatever hosts are there."""

from __future__ import annotations

import pytest

from events import instance, requests
from events.decisions import HostReturned
from statemachines.notes import StepNote
from statemachines.verdict import Rejected
from tests.beginnings import ACTIONS, begin, built, named_by, resized, situations
from tests.ends import check_end
from tests.hosts import World
from tests.story import SMALL, must

MOST = 60


def destroyed(world: World) -> set[str]:
    """Name the hosts that were told to leave nothing since the delete was asked."""
    notes = [n for n in world.noted(StepNote) if isinstance(n, StepNote)]
    return {h for n in notes if n.step in ("destroy", "ask") for h in n.hosts}


def delete(world: World, *, lost: frozenset[str] = frozenset()) -> set[str]:
    """Delete an instance, with what hosts there are; name those that had to be told."""
    held = world.here
    told = {c.host for c in held.claims}
    told |= set() if held.saga is None else set(held.saga.commanded)
    told |= set() if held.host is None else {held.host}
    world.notes.clear()
    must(world.request("delete"))
    world.settle(lost=lost)
    return told


def test_delete_goes_through_novas_states() -> None:
    world = built().from_here()

    must(world.request("delete"))
    world.settle()

    assert world.trace == [
        ("active", None, None),
        ("active", "deleting", None),
        ("deleted", None, None),
    ]
    assert world.actions == [("delete", None)]
    assert world.events == [("compute_terminate_instance", "Success")]
    assert world.here.claims == ()
    assert world.here.deleted_at == world.now


@pytest.mark.parametrize("action", [a for a in ACTIONS if a != "delete"])
@pytest.mark.parametrize("lost", [None, "h1", "h2", "h3"])
def test_delete_at_every_moment_of_an_operation_leaves_nothing(
    action: str, lost: str | None
) -> None:
    hosts = frozenset[str]() if lost is None else frozenset({lost})
    world = begin(action)
    for _ in range(MOST):
        other = world.fork()
        told = delete(other, lost=hosts)

        assert other.states == ("deleted", None)
        assert destroyed(other) >= told
        assert {c.host for c in other.here.claims} <= hosts
        assert {s.target for s in other.here.sides if s.saga == "debt"} == told & hosts
        check_end(other)
        other.come_back()
        assert other.here.claims == ()
        assert other.here.sides == ()

        if not world.letters:
            return
        world.succeed(world.letters[0])


def test_delete_at_every_step_that_failures_lead_to_leaves_nothing() -> None:
    for (saga, _), world in situations().items():
        if saga == "delete" or world.here.vm_state == "deleted":
            continue
        other = world.fork()
        told = delete(other)

        assert other.states == ("deleted", None)
        owing = {s.target for s in other.here.sides}
        assert destroyed(other) | owing >= told
        other.come_back()
        assert other.here.claims == ()
        assert other.here.sides == ()
        check_end(other)


def test_delete_before_a_host_was_chosen_asks_nobody() -> None:
    world = World()
    must(world.request("create", flavor=SMALL))

    must(world.request("delete"))

    assert world.states == ("deleted", None)
    assert world.orders == []
    assert world.actions == [("create", "Error"), ("delete", None)]


def test_delete_confirms_a_resize_as_nova_does() -> None:
    world = resized()

    must(world.request("delete"))
    assert world.orders == [("DestroyGuest", "h1"), ("DestroyGuest", "h2")]
    world.settle()

    assert world.states == ("deleted", None)
    assert world.here.move is not None
    assert world.here.move.status == "confirmed"


def test_delete_during_a_confirm_confirms_it() -> None:
    world = begin("confirm_resize")

    must(world.request("delete"))
    world.settle()

    assert world.here.move is not None
    assert world.here.move.status == "confirmed"


def test_a_second_delete_is_refused_while_the_first_goes_on() -> None:
    world = begin("delete")

    outcome = world.request("force_delete")

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "already-running"


def test_a_delete_wins_over_a_saga_that_waits_for_a_person() -> None:
    world = resized()
    must(world.request("revert_resize"))
    must(world.lose("h2"))
    assert world.saga.needs_operator

    told = delete(world, lost=frozenset({"h2"}))

    assert world.states == ("deleted", None)
    assert told == {"h1", "h2"}
    assert [s.target for s in world.here.sides] == ["h2"]


def test_a_delete_that_no_host_carries_out_leaves_an_error_and_may_be_asked_again() -> None:
    world = begin("delete").from_here()
    for _ in range(4):
        world.says("h1", instance.GuestDestroyFailed(reason="busy"))

    assert world.states == ("error", None)
    assert world.actions == [("delete", "Error")]
    assert world.events[-1] == ("compute_terminate_instance", "Error")
    must(world.request("delete"))
    world.settle()
    assert world.states == ("deleted", None)


def test_nothing_may_be_asked_of_a_deleted_instance() -> None:
    world = begin("delete")
    world.settle()

    for action in ("start", "delete", "reset_state"):
        outcome = world.request(action, **named_by(action))
        assert isinstance(outcome.verdict, Rejected)
        assert outcome.verdict.code == "deleted"


def test_a_guest_found_after_the_delete_is_destroyed_even_by_its_owner() -> None:
    world = begin("delete")
    world.settle()

    must(world.unasked("h1", instance.GuestFound(power_state=1)))

    assert world.orders == [("DestroyGuest", "h1")]
    assert world.here.power_state == 0
    world.settle()
    assert world.here.sides == ()


def test_the_tombstone_keeps_debt_and_claim_until_the_host_is_back() -> None:
    world = begin("delete")
    world.settle(lost=frozenset({"h1"}))
    assert world.states == ("deleted", None)
    assert [c.host for c in world.here.claims] == ["h1"]

    must(world.decide(HostReturned(host="h1")))
    world.settle()

    assert world.here.claims == ()
    assert world.here.sides == ()


def test_a_debt_that_an_operator_resolves_gives_its_room_back() -> None:
    world = begin("delete")
    world.settle(lost=frozenset({"h1"}))
    debt = world.here.sides[0]

    must(world.api(requests.SagaResolved(saga_id=debt.saga_id, user_id="op", reason="scrapped")))

    assert world.here.claims == ()
    assert world.here.sides == ()


def test_a_debt_that_an_operator_retries_is_asked_at_once() -> None:
    world = begin("delete")
    world.settle(lost=frozenset({"h1"}))
    debt = world.here.sides[0]

    must(world.api(requests.SagaRetried(saga_id=debt.saga_id, user_id="op", reason="it is up")))

    assert world.orders == [("DestroyGuest", "h1")]
