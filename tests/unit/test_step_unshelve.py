"""Unshelve: on the host that kept the guest, or on any; never in two places, never stuck."""

from __future__ import annotations

import pytest

from events import images, instance
from events.values import replace
from statemachines.verdict import Rejected
from tests.answers import argument, failures_of
from tests.beginnings import begin, built, from_volume, named_by, offloaded
from tests.ends import check_end
from tests.images_seen import claims, deletions, place
from tests.story import must


def test_a_guest_that_was_kept_is_started_where_it_is_and_its_image_deleted() -> None:
    world = begin("unshelve_kept").from_here()
    image = world.here.shelved_image
    assert world.orders == [("StartShelvedGuest", "h1")]

    must(world.says("h1", images.ShelvedGuestStarting()))
    must(world.says("h1", images.ShelvedGuestStarted(power_state=1)))

    assert world.trace == [
        ("shelved", "unshelving", None),
        ("shelved", "powering-on", None),
        ("active", None, None),
    ]
    assert world.here.power_state == 1
    assert deletions(world) == [image]
    assert world.here.shelved_image is None
    assert world.events == [("compute_start_instance", "Success")]
    assert world.actions == [("unshelve", None)]
    world.settle()
    check_end(world)
    assert world.here.sides == ()


def test_a_kept_guest_that_can_not_be_started_stays_shelved_with_its_image() -> None:
    for fact in failures_of("StartShelvedGuest"):
        world = begin("unshelve_kept")
        must(world.fail(world.letters[0], fact))

        assert world.states == ("shelved", None)
        assert world.here.shelved_image is not None
        assert world.here.host == "h1"
        check_end(world)


def test_an_offloaded_guest_is_made_again_on_the_host_that_is_chosen() -> None:
    world = begin("unshelve").from_here()
    image = world.here.shelved_image
    assert world.states == ("shelved_offloaded", "unshelving")
    must(world.choose("h3"))
    assert world.orders == [("UnshelveGuest", "h3")]
    assert argument(world.letters[0], "shelved_image") == image
    assert place(world) == [None, None]
    assert claims(world) == ["h3"]

    must(world.says("h3", images.UnshelveAccepted(node="n3")))
    assert place(world) == ["h3", "n3"]
    assert world.here.shelved_image == image
    world.succeed(world.letters[0])

    assert world.trace == [
        ("shelved_offloaded", "unshelving", None),
        ("shelved_offloaded", "spawning", None),
        ("active", None, None),
    ]
    assert world.here.power_state == 1
    assert deletions(world) == [image]
    assert [name for name, _ in world.events] == [
        "schedule_instances",
        "get_image_info",
        "compute_unshelve_instance",
    ]
    world.settle()
    check_end(world)
    assert claims(world) == ["h3"]


def test_a_host_that_only_said_the_ending_owns_the_guest_all_the_same() -> None:
    world = begin("unshelve")
    must(world.choose("h2"))

    must(world.says("h2", images.GuestUnshelved(power_state=1)))

    assert (world.here.host, world.here.power_state) == ("h2", 1)
    assert world.states == ("active", None)


def test_without_a_host_it_stays_offloaded() -> None:
    world = begin("unshelve").from_here()

    must(world.no_valid_host())

    assert world.trace == [
        ("shelved_offloaded", "unshelving", None),
        ("shelved_offloaded", None, None),
    ]
    assert world.actions == [("unshelve", "Error")]
    assert world.events == [("schedule_instances", "Error")]
    assert world.here.shelved_image is not None
    check_end(world)


def test_an_unshelve_goes_to_the_host_that_was_asked_for() -> None:
    world = offloaded()
    must(world.request("unshelve", host="h4"))

    assert argument(world.letters[0], "forced_host") == "h4"


@pytest.mark.parametrize("accepted", [False, True])
def test_an_unshelve_that_fails_leaves_no_host_and_the_image(accepted: bool) -> None:
    world = begin("unshelve")
    must(world.choose("h2"))
    if accepted:
        must(world.says("h2", images.UnshelveAccepted(node="h2")))

    must(world.says("h2", images.GuestUnshelveFailed(reason="no space left")))

    assert world.states == ("shelved_offloaded", None)
    assert (world.here.host, claims(world)) == (None, [])
    assert world.here.shelved_image is not None
    assert deletions(world) == []
    assert world.actions[-1] == ("unshelve", "Error")
    check_end(world)


def test_a_missing_image_leaves_an_error_without_a_task() -> None:
    world = begin("unshelve")
    must(world.choose("h2"))

    must(world.says("h2", images.ShelvedImageMissing(reason="could not be found")))

    assert world.states == ("error", None)
    assert (world.here.host, claims(world)) == (None, [])
    check_end(world)


def test_an_unshelve_that_is_silent_is_undone_before_it_ends() -> None:
    world = begin("unshelve")
    must(world.choose("h2"))
    must(world.says("h2", images.UnshelveAccepted(node="h2")))

    must(world.time_out("h2"))

    assert world.orders == [("DestroyGuest", "h2")]
    must(world.says("h2", instance.GuestDestroyed()))
    assert world.states == ("shelved_offloaded", None)
    assert (world.here.host, claims(world)) == (None, [])
    check_end(world)


@pytest.mark.parametrize("accepted", [False, True])
def test_a_guest_that_may_run_on_a_lost_host_is_made_nowhere_else(accepted: bool) -> None:
    world = begin("unshelve")
    must(world.choose("h2"))
    if accepted:
        must(world.says("h2", images.UnshelveAccepted(node="h2")))

    must(world.lose("h2"))

    assert world.states == ("shelved_offloaded", None)
    assert world.here.host is None
    assert claims(world) == ["h2"]
    world.settle(lost=frozenset({"h2"}))
    check_end(world)
    refused = world.request("unshelve")
    assert isinstance(refused.verdict, Rejected)
    assert refused.verdict.code == "host-owes"
    assert "h2" in refused.verdict.sentence
    vouched = world.fork()
    must(vouched.request("unshelve", fenced_hosts=("h2",)))
    vouched.settle(lost=frozenset({"h2"}))
    assert vouched.states == ("active", None)
    assert vouched.here.host != "h2"
    world.come_back()
    assert claims(world) == []
    must(world.request("unshelve"))
    world.settle()
    assert world.states == ("active", None)


@pytest.mark.parametrize("step", ["schedule", "unshelve", "accepted"])
@pytest.mark.parametrize("winner", ["delete", "reset_state"])
def test_a_winner_takes_an_unshelve_over_at_each_step(step: str, winner: str) -> None:
    world = begin("unshelve")
    image = world.here.shelved_image
    if step != "schedule":
        must(world.choose("h2"))
    if step == "accepted":
        must(world.says("h2", images.UnshelveAccepted(node="h2")))

    must(world.request(winner, **named_by(winner)))
    world.settle()

    check_end(world)
    if winner == "delete":
        assert world.states == ("deleted", None)
        assert claims(world) == []
        assert world.here.shelved_image is None
    else:
        # It may be all that is left of the guest.
        assert world.here.shelved_image == image


def test_an_unshelve_without_an_image_of_an_image_backed_guest_is_an_error_at_once() -> None:
    world = offloaded()
    world.held = replace(world.here, shelved_image=None)

    must(world.request("unshelve"))

    assert world.states == ("error", None)
    check_end(world)


def test_a_volume_backed_guest_comes_back_without_an_image() -> None:
    world = from_volume()
    must(world.request("shelve"))
    world.settle()
    must(world.request("unshelve"))
    must(world.choose("h2"))
    assert argument(world.letters[0], "shelved_image") is None

    world.settle()

    assert world.states == ("active", None)
    assert world.here.host == "h2"
    assert world.here.sides == ()
    assert built().here.image
