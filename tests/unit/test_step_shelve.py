"""Shelve and offload: through nova's states, and out of every corner that nova leaves."""

from __future__ import annotations

import pytest

from events import images, migration
from events.ids import SagaId, image_id
from statemachines.verdict import Rejected
from tests.answers import argument, failures_of
from tests.beginnings import begin, named_by, offloaded, resized, shelved, stopped
from tests.ends import check_end
from tests.images_seen import claims, deletions, place, the_image
from tests.story import must

OFF = 4


def test_a_shelved_guest_stays_on_its_host_where_the_setting_says_so() -> None:
    world = begin("shelve", shelved_offload_time="-1").from_here()
    image = the_image(world)
    assert argument(world.letters[0], "image_id") == image
    assert argument(world.letters[0], "image_name") == "a-shelved"

    must(world.says("h1", images.ImageUploadPending(), images.ImageUploadStarted()))
    must(world.says("h1", images.GuestShelved(power_state=OFF, image_id=image)))

    assert world.trace == [
        ("active", "shelving", None),
        ("active", "shelving_image_pending_upload", None),
        ("active", "shelving_image_uploading", None),
        ("shelved", None, None),
    ]
    assert world.orders == []
    assert (world.here.host, world.here.power_state) == ("h1", OFF)
    assert (world.here.shelved_image, world.here.shelved_host) == (image, "h1")
    assert claims(world) == ["h1"]
    assert world.events == [("compute_shelve_instance", "Success")]
    assert world.actions == [("shelve", None)]
    check_end(world)


def test_a_shelved_guest_is_offloaded_at_once_by_default() -> None:
    world = begin("shelve").from_here()
    image = the_image(world)
    must(world.says("h1", images.GuestShelved(power_state=OFF, image_id=image)))
    assert world.states == ("shelved", "shelving_offloading")
    assert world.orders == [("OffloadGuest", "h1")]
    assert argument(world.letters[0], "shelved_image") == image
    assert world.here.host == "h1"

    must(world.says("h1", images.GuestOffloaded(power_state=OFF)))

    assert world.trace[-2:] == [
        ("shelved", "shelving_offloading", None),
        ("shelved_offloaded", None, None),
    ]
    assert place(world) == [None, None]
    assert claims(world) == []
    assert world.here.power_state == OFF
    assert world.here.shelved_image == image
    assert {name for name, _ in world.events} == {"compute_shelve_instance"}
    check_end(world)


@pytest.mark.parametrize("shelved_offload_time", ["-1", "0", "3600"])
def test_a_volume_backed_guest_has_no_image_and_is_always_offloaded(
    shelved_offload_time: str,
) -> None:
    world = begin("shelve_volume_backed", shelved_offload_time=shelved_offload_time).from_here()
    assert world.orders == [("OffloadGuest", "h1")]
    assert argument(world.letters[0], "shelved_image") is None

    world.settle()

    assert world.trace == [("active", "shelving", None), ("shelved_offloaded", None, None)]
    assert (world.here.host, claims(world), world.here.shelved_image) == (None, [], None)
    assert world.events == [("compute_shelve_offload_instance", "Success")]


def test_a_stopped_guest_is_shelved_too() -> None:
    world = stopped()
    must(world.request("shelve"))
    world.settle()

    assert world.states == ("shelved_offloaded", None)


def test_a_shelve_that_fails_keeps_the_state_and_leaves_no_image() -> None:
    for fact in failures_of("ShelveGuest"):
        world = begin("shelve")
        image = the_image(world)
        must(world.says("h1", images.ImageUploadStarted()))

        must(world.fail(world.letters[0], fact))

        assert world.states == ("active", None)
        assert world.here.shelved_image is None
        assert deletions(world) == [image]
        assert world.actions[-1] == ("shelve", "Error")
        world.settle()
        check_end(world)
        assert world.here.sides == ()


def test_the_power_state_after_a_failed_shelve_is_the_drivers() -> None:
    world = begin("shelve")

    must(world.says("h1", images.GuestShelveFailed(power_state=OFF, reason="disk full")))

    assert world.here.power_state == OFF


@pytest.mark.parametrize("moment", ["shelving", "uploading"])
@pytest.mark.parametrize("trouble", ["lost", "silent"])
def test_a_shelving_host_that_is_lost_or_silent_leaves_the_guest_and_owes_the_image(
    moment: str, trouble: str
) -> None:
    world = begin("shelve")
    image = the_image(world)
    if moment == "uploading":
        must(world.says("h1", images.ImageUploadPending(), images.ImageUploadStarted()))

    must(world.lose("h1") if trouble == "lost" else world.time_out("h1"))

    assert world.states == ("active", None)
    assert deletions(world) == [image]
    world.settle()
    check_end(world)


def test_an_offload_that_fails_leaves_the_guest_shelved_with_its_image() -> None:
    for fact in failures_of("OffloadGuest"):
        world = begin("shelve_offload").from_here()
        assert world.orders == [("OffloadGuest", "h1")]

        must(world.fail(world.letters[0], fact))

        assert world.trace == [
            ("shelved", "shelving_offloading", None),
            ("shelved", None, None),
        ]
        assert world.here.host == "h1"
        assert world.here.shelved_image is not None
        assert world.events == [("compute_shelve_offload_instance", "Error")]
        assert world.actions == [("shelveOffload", "Error")]
        check_end(world)


def test_an_offload_on_a_lost_host_stays_shelved_and_may_be_asked_again() -> None:
    world = begin("shelve_offload")
    must(world.lose("h1"))
    assert world.states == ("shelved", None)
    world.settle(lost=frozenset({"h1"}))
    check_end(world)
    world.come_back()

    must(world.request("shelve_offload"))
    world.settle()

    assert world.states == ("shelved_offloaded", None)


def test_an_offload_at_once_that_fails_ends_shelved_not_stuck() -> None:
    for fact in failures_of("OffloadGuest"):
        world = begin("shelve")
        world.succeed(world.letters[0])
        must(world.fail(world.letters[0], fact))

        assert world.states == ("shelved", None)
        assert world.here.host == "h1"
        check_end(world)


def test_a_delete_of_an_offloaded_guest_deletes_its_image_at_the_host_that_made_it() -> None:
    world = offloaded()
    image = world.here.shelved_image

    must(world.request("delete"))

    assert world.states == ("deleted", None)
    assert world.orders == [("DeleteImage", "h1")]
    assert deletions(world) == [image]
    world.settle()
    check_end(world)
    assert world.here.sides == ()


def test_a_delete_of_an_offloaded_guest_does_not_wait_for_a_lost_host() -> None:
    world = offloaded()
    must(world.request("delete"))
    world.settle(lost=frozenset({"h1"}))

    assert world.states == ("deleted", None)
    check_end(world)
    world.come_back()
    assert world.here.sides == ()


@pytest.mark.parametrize("step", ["shelve", "offload"])
@pytest.mark.parametrize("winner", ["delete", "reset_state"])
def test_a_winner_takes_a_shelve_over_at_each_step(step: str, winner: str) -> None:
    world = begin("shelve")
    image = the_image(world)
    if step == "offload":
        world.succeed(world.letters[0])
    assert world.saga.step == step

    must(world.request(winner, **named_by(winner)))
    world.settle()

    check_end(world)
    assert world.here.sides == ()
    told = [
        e.fact
        for e in world.history
        if isinstance(e.fact, images.ImageDeleted)  # Said by the host that was asked.
    ]
    is_deleted = winner == "delete" or step == "shelve"
    assert len(told) == int(is_deleted)
    assert world.here.shelved_image == (None if is_deleted else image)


def test_a_guest_shelved_again_keeps_only_the_newer_image() -> None:
    world = begin("shelve")
    world.succeed(world.letters[0])
    first = world.here.shelved_image
    must(world.request("reset_state", arguments={"state": "active"}))
    world.settle()
    must(world.request("shelve"))
    second = the_image(world)

    world.succeed(world.letters[0])

    assert deletions(world) == [first]
    assert world.here.shelved_image == second == image_id(SagaId(world.saga.saga_id))


@pytest.mark.parametrize("action", ["start", "stop", "resize", "rebuild", "pause", "live_migrate"])
def test_what_a_shelved_guest_can_not_do_is_refused(action: str) -> None:
    for world in (shelved(), offloaded()):
        outcome = world.request(action)
        assert isinstance(outcome.verdict, Rejected)
        assert outcome.verdict.code == "vm-state"


def test_what_a_failed_revert_left_elsewhere_is_cleared_away_when_the_guest_is_well_again() -> None:
    world = resized()
    must(world.request("revert_resize"))
    must(world.fail(world.letters[0], migration.ResizeRevertFailed))
    assert claims(world) == ["h1", "h2"]
    must(world.request("rebuild"))
    while world.here.saga is not None:
        world.succeed(world.letters[0])
    assert world.orders == [("DestroyGuest", "h1")]
    world.settle()
    assert claims(world) == ["h2"]
    must(world.request("shelve"))
    world.settle()

    assert world.states == ("shelved_offloaded", None)
    assert claims(world) == []
    assert world.here.sides == ()


@pytest.mark.parametrize("step", ["shelve", "shelve_offload", "shelve_volume_backed"])
@pytest.mark.parametrize("trouble", ["lost", "silent"])
def test_the_owner_is_believed_that_says_too_late_that_nothing_is_left(
    step: str, trouble: str
) -> None:
    world = begin(step)
    if step == "shelve":
        world.succeed(world.letters[0])
    image, asked = world.here.shelved_image, world.outstanding("h1")
    while world.here.saga is not None:
        must(world.lose("h1") if trouble == "lost" else world.time_out("h1"))
    assert world.here.host == "h1"

    must(world.says("h1", images.GuestOffloaded(power_state=OFF), command_id=asked))

    assert world.states == ("shelved_offloaded", None)
    assert place(world) == [None, None]
    assert claims(world) == []
    assert (world.here.shelved_image, world.here.shelved_host) == (image, "h1")
    world.come_back()
    check_end(world)
    must(world.request("unshelve"))
    world.settle()
    assert world.states == ("active", None)


def test_a_late_offload_of_a_host_that_owns_nothing_any_more_is_refused() -> None:
    world = begin("shelve_offload")
    asked = world.outstanding("h1")
    must(world.lose("h1"))
    must(world.request("delete"))
    world.settle()

    outcome = world.says("h1", images.GuestOffloaded(power_state=OFF), command_id=asked)

    assert isinstance(outcome.verdict, Rejected)
    assert world.states == ("deleted", None)


def test_a_late_offload_does_not_overtake_what_is_being_done_with_the_guest() -> None:
    world = begin("shelve_offload")
    asked = world.outstanding("h1")
    must(world.lose("h1"))
    must(world.request("unshelve"))

    outcome = world.says("h1", images.GuestOffloaded(power_state=OFF), command_id=asked)

    assert isinstance(outcome.verdict, Rejected)
    assert world.here.host == "h1"


def test_what_others_had_of_a_guest_is_cleared_away_with_a_late_offload() -> None:
    world = resized()
    must(world.request("revert_resize"))
    must(world.fail(world.letters[0], migration.ResizeRevertFailed))
    assert claims(world) == ["h1", "h2"]
    must(world.request("reset_state", arguments={"state": "active"}))
    world.settle()
    must(world.request("shelve"))
    world.succeed(world.letters[0])
    asked = world.outstanding("h2")
    must(world.lose("h2"))

    must(world.says("h2", images.GuestOffloaded(power_state=OFF), command_id=asked))
    world.come_back()

    assert world.states == ("shelved_offloaded", None)
    assert claims(world) == []
    assert world.here.sides == ()
