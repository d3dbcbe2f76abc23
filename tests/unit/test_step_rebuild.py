"""Rebuild: a guest made anew where it is, from the same image or another."""

from __future__ import annotations

import pytest

from events import images, instance
from events.values import replace
from statemachines.verdict import Rejected
from tests.answers import argument, failures_of
from tests.beginnings import begin, built, from_volume, named_by, stopped
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

NEW = {"image": "other"}


def chosen(world: World) -> World:
    """Let the scheduler say that the guest's own host may have the new image."""
    must(world.choose("h1"))
    return world


def test_a_rebuild_from_another_image_goes_through_novas_states() -> None:
    world = begin("rebuild").from_here()
    assert world.here.image == "other"
    (letter,) = world.letters
    assert type(letter.command).__name__ == "ChooseDestination"
    assert argument(letter, "forced_host") == "h1"
    assert argument(letter, "excluded_hosts") == ()
    assert argument(letter, "claims_nothing") is True

    chosen(world)
    assert world.orders == [("RebuildGuest", "h1")]
    assert argument(world.letters[0], "image") == "other"
    assert argument(world.letters[0], "power_on") is True
    world.succeed(world.letters[0])

    assert world.trace == [
        ("active", "rebuilding", None),
        ("active", "rebuild_block_device_mapping", None),
        ("active", "rebuild_spawning", None),
        ("active", None, None),
    ]
    assert world.events == [("rebuild_server", "Success"), ("compute_rebuild_instance", "Success")]
    assert world.actions == [("rebuild", None)]
    assert (world.here.host, len(world.here.claims)) == ("h1", 1)
    assert world.here.image == "other"
    assert world.here.launched_at == world.now
    check_end(world)


def test_a_rebuild_from_the_same_image_asks_no_scheduler() -> None:
    world = begin("rebuild_same_image").from_here()
    assert world.orders == [("RebuildGuest", "h1")]
    assert argument(world.letters[0], "image") == built().here.image

    world.settle()

    assert world.states == ("active", None)
    assert [name for name, _ in world.events] == ["rebuild_server", "compute_rebuild_instance"]


def test_a_stopped_guest_ends_stopped_by_way_of_powering_off() -> None:
    world = stopped()
    must(world.request("rebuild"))
    world.from_here()
    assert argument(world.letters[0], "power_on") is False

    must(world.says("h1", images.RebuildDisksPreparing(), images.RebuildSpawning()))
    must(world.says("h1", images.RebuildSpawned(power_state=1), images.RebuildPoweringOff()))
    assert argument(world.letters[0], "power_on") is False  # Asked again it is asked the same.
    must(world.says("h1", images.GuestRebuilt(power_state=4)))

    assert world.trace == [
        ("stopped", "rebuilding", None),
        ("stopped", "rebuild_block_device_mapping", None),
        ("stopped", "rebuild_spawning", None),
        ("active", None, None),
        ("active", "powering-off", None),
        ("stopped", None, None),
    ]
    assert world.here.power_state == 4
    check_end(world)


def test_a_host_that_only_said_the_ending_left_a_stopped_guest_stopped() -> None:
    world = stopped()
    must(world.request("rebuild"))
    must(world.says("h1", images.GuestRebuilt(power_state=4)))

    assert world.states == ("stopped", None)


def test_an_instance_in_error_is_active_after_it() -> None:
    world = built()
    must(world.request("reset_state", arguments={"state": "error"}))
    world.settle()
    must(world.request("rebuild"))
    world.settle()

    assert world.states == ("active", None)
    check_end(world)


def test_without_leave_of_the_scheduler_the_old_image_is_back_and_it_is_an_error() -> None:
    world = begin("rebuild")
    must(world.no_valid_host())

    assert world.states == ("error", None)
    assert world.here.image == built().here.image
    assert world.here.host == "h1"
    assert world.actions[-1] == ("rebuild", "Error")
    check_end(world)


@pytest.mark.parametrize("action", ["rebuild", "rebuild_same_image"])
def test_a_rebuild_that_fails_leaves_an_error_and_may_be_asked_again(action: str) -> None:
    for fact in failures_of("RebuildGuest"):
        if fact is images.GuestRebuildFaulted:
            continue
        world = begin(action)
        if action == "rebuild":
            chosen(world)
        must(world.says("h1", images.RebuildDisksPreparing()))

        must(world.fail(world.letters[0], fact))
        while fact is instance.CommandRefused and world.here.saga is not None:
            assert world.orders == [("RebuildGuest", "h1")]  # Asked again, while its tries last.
            must(world.fail(world.letters[0], fact))

        assert world.states == ("error", None)
        assert world.here.host == "h1"
        check_end(world)
        must(world.request("rebuild", arguments=NEW))
        world.settle()
        assert world.states == ("active", None)


def test_a_rebuild_that_changed_nothing_leaves_the_guest_and_its_image_as_they_were() -> None:
    world = chosen(begin("rebuild"))

    must(world.says("h1", images.GuestRebuildFaulted(power_state=1, reason="busy")))

    assert world.states == ("active", None)
    assert world.here.image == built().here.image
    assert world.actions[-1] == ("rebuild", "Error")
    check_end(world)


@pytest.mark.parametrize("trouble", ["lost", "silent"])
@pytest.mark.parametrize("vm_state", ["active", "stopped", "error"])
def test_a_host_that_is_lost_or_silent_leaves_an_error_and_is_fenced(
    trouble: str, vm_state: str
) -> None:
    world = stopped() if vm_state == "stopped" else built()
    if vm_state == "error":
        must(world.request("reset_state", arguments={"state": "error"}))
        world.settle()
    must(world.request("rebuild"))

    must(world.lose("h1") if trouble == "lost" else world.time_out("h1"))

    assert world.states == ("error", None)
    assert world.orders == [("RaiseGeneration", "h1")]
    world.settle()
    check_end(world)


@pytest.mark.parametrize("winner", ["delete", "reset_state"])
def test_a_winner_takes_a_rebuild_over(winner: str) -> None:
    world = chosen(begin("rebuild"))
    must(world.says("h1", images.RebuildDisksPreparing()))

    must(world.request(winner, **named_by(winner)))
    world.settle()

    check_end(world)
    assert world.here.sides == ()
    assert world.states == ("deleted" if winner == "delete" else "active", None)


def test_the_power_state_is_the_drivers_after_a_failure() -> None:
    world = begin("rebuild_same_image")

    must(world.says("h1", images.GuestRebuildFailed(power_state=0, reason="no space left")))

    assert world.here.power_state == 0


def test_what_is_booted_from_a_volume_takes_no_image() -> None:
    world = from_volume()

    refused = world.request("rebuild", arguments=NEW)
    must(world.request("rebuild"))
    world.settle()

    assert isinstance(refused.verdict, Rejected)
    assert refused.verdict.code == "bad-request"
    assert world.states == ("active", None)
    assert [world.here.image] == [""]


def test_a_late_end_of_a_rebuild_that_was_given_up_does_not_count() -> None:
    world = begin("rebuild_same_image")
    rebuild = world.outstanding("h1")
    must(world.time_out("h1"))

    outcome = world.says("h1", images.GuestRebuilt(power_state=1), command_id=rebuild)

    assert isinstance(outcome.verdict, Rejected)
    assert world.states == ("error", None)
    # The fence has the host say what it has: nothing of that is lost.
    must(world.unasked("h1", instance.GuestFound(power_state=1)))
    assert world.here.power_state == 1


def test_the_traffic_of_its_ports_comes_back_to_a_guest_that_was_made_anew() -> None:
    world = built()
    idle = tuple(replace(port, active_host=None) for port in world.here.ports)
    world.held = replace(world.here, ports=idle)  # Another host had it, and gave it up.
    must(world.request("rebuild"))

    must(world.says("h1", images.GuestRebuilt(power_state=1)))

    assert {port.active_host for port in world.here.ports} == {"h1"}
    check_end(world)
