"""What hosts owe: clean-ups and fences that outlive their operation, and guests that turn up."""

from __future__ import annotations

from events import instance
from events.decisions import HostReturned
from statemachines.addressing import id_of
from statemachines.notes import SagaNote
from statemachines.verdict import Accepted, Duplicate, Rejected
from tests.answers import argument
from tests.beginnings import begin, built, resized
from tests.ends import check_end
from tests.hosts import World
from tests.story import must


def owing_both() -> World:
    """Return an instance to which h1 owes a fence and, for a delete, a clean-up."""
    world = begin("stop")
    must(world.lose("h1"))
    must(world.lose("h1"))
    must(world.request("delete"))
    world.settle(lost=frozenset({"h1"}))
    assert sorted(s.saga for s in world.here.sides) == ["debt", "fence"]
    return world


def test_a_host_that_is_back_is_asked_for_everything_it_owes() -> None:
    for word in ("returned", "found", "absent"):
        world = owing_both()
        if word == "returned":
            must(world.decide(HostReturned(host="h1")))
        elif word == "found":
            must(world.unasked("h1", instance.GuestFound(power_state=1)))
        else:
            must(world.unasked("h1", instance.GuestAbsent()))

        assert sorted(world.orders) == [("DestroyGuest", "h1"), ("RaiseGeneration", "h1")]
        world.settle()
        assert world.here.sides == ()
        assert world.here.claims == ()


def test_a_return_is_said_once() -> None:
    world = owing_both()
    must(world.decide(HostReturned(host="h1")))

    again = world.decide(HostReturned(host="h1"))

    assert isinstance(again.verdict, Duplicate)


def test_what_a_host_that_was_thought_lost_has_done_is_believed_while_it_is_waited_for() -> None:
    world = owing_both()
    asked = {s.saga: id_of(s, s.asked[-1]) for s in world.here.sides}

    must(world.says("h1", instance.GenerationRaised(), command_id=asked["fence"]))
    must(world.says("h1", instance.GuestDestroyed(), command_id=asked["debt"]))

    assert world.here.sides == ()
    assert world.here.claims == ()
    assert world.orders == []


def test_what_it_has_done_is_believed_when_it_was_asked_again_meanwhile() -> None:
    world = owing_both()
    asked = {s.saga: id_of(s, s.asked[-1]) for s in world.here.sides}
    must(world.decide(HostReturned(host="h1")))

    must(world.says("h1", instance.GenerationRaised(), command_id=asked["fence"]))
    must(world.says("h1", instance.GuestDestroyed(), command_id=asked["debt"]))

    assert world.here.sides == ()
    assert world.orders == []


def test_what_it_did_before_it_heard_of_the_generation_that_it_owes_is_only_evidence() -> None:
    world = owing_both()
    fence = next(s for s in world.here.sides if s.saga == "fence")

    old = world.next_of(
        "h1",
        instance.GenerationRaised(),
        command_id=id_of(fence, fence.asked[-1]),
        generation=fence.generation - 1,
    )

    assert isinstance(world.tell(old).verdict, Rejected)
    assert sorted(s.saga for s in world.here.sides) == ["debt", "fence"]


def test_a_host_that_goes_away_again_owes_on() -> None:
    world = owing_both()
    must(world.decide(HostReturned(host="h1")))
    world.settle(lost=frozenset({"h1"}))

    assert {s.step for s in world.here.sides} == {"owed"}
    assert world.orders == []
    world.come_back()
    check_end(world)


def test_a_new_fence_renews_the_one_that_is_owed() -> None:
    world = begin("stop")
    must(world.lose("h1"))
    must(world.lose("h1"))
    (first,) = world.here.sides
    must(world.request("stop"))

    must(world.lose("h1"))

    (second,) = world.here.sides
    assert second.saga_id == first.saga_id
    assert second.generation > first.generation
    assert world.orders == [("RaiseGeneration", "h1")]
    world.settle()
    notes = [n for n in world.noted(SagaNote) if isinstance(n, SagaNote)]
    assert [n.ending for n in notes if n.state.saga == "fence" and n.ending] == ["paid"]


def test_a_refusal_of_an_old_generation_is_answered_with_todays() -> None:
    world = begin("stop")
    must(world.lose("h1"))
    generation = world.letters[0].address.generation
    must(world.request("stop"))

    must(
        world.says(
            "h1",
            instance.CommandRefused(code="older-generation", reason="old"),
            command_id=world.letters[1].address.command_id,
        )
    )

    fence = next(x for x in world.letters if x.address.saga == "fence")
    assert fence.address.generation == generation + 1


def test_a_guest_at_a_foreign_host_is_destroyed_and_changes_no_ownership() -> None:
    world = built()

    outcome = world.unasked("h9", instance.GuestFound(power_state=1))

    assert isinstance(outcome.verdict, Accepted)
    assert world.orders == [("DestroyGuest", "h9")]
    assert world.here.host == "h1"
    world.settle()
    assert [c.host for c in world.here.claims] == ["h1"]


def test_a_guest_found_twice_is_destroyed_once() -> None:
    world = built()
    must(world.unasked("h9", instance.GuestFound(power_state=1)))
    must(world.unasked("h9", instance.GuestFound(power_state=1)))

    assert world.orders == [("DestroyGuest", "h9")]


def test_both_halves_of_a_waiting_resize_may_be_found() -> None:
    world = resized()
    for host in ("h1", "h2"):
        must(world.unasked(host, instance.GuestFound(power_state=4)))

    assert world.orders == []


def test_a_guest_found_in_the_middle_of_a_move_starts_nothing() -> None:
    world = begin("live_migrate")
    must(world.choose("h2"))

    must(world.unasked("h2", instance.GuestFound(power_state=1)))

    assert world.orders == [("CheckDestination", "h2")]


def test_the_owners_look_at_its_guest_is_its_power_state() -> None:
    world = built()
    must(world.unasked("h1", instance.GuestFound(power_state=4)))
    assert world.here.power_state == 4

    must(world.unasked("h1", instance.GuestAbsent()))

    assert world.here.power_state == 0


def test_a_host_that_owes_is_not_chosen_and_what_was_asked_does_not_change_when_it_pays() -> None:
    world = built()
    must(world.unasked("h2", instance.GuestFound(power_state=1)))
    must(world.request("live_migrate"))
    letter = world.letters[0]
    assert argument(letter, "excluded_hosts") == ("h1", "h2")

    must(world.says("h2", instance.GuestDestroyed()))

    assert world.letters[0] == letter
