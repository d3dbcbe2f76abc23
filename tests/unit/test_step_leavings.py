"""What a stranded move left behind: kept while it may be all of the guest, then cleaned up."""

from __future__ import annotations

import pytest

from events import instance, migration
from statemachines.conservation import broken_laws
from tests.beginnings import begin
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

SOURCE, DESTINATION = "h1", "h2"


def stranded() -> World:
    """Return a guest whose resize failed at the destination, the old disks at the source."""
    world = begin("resize")
    while world.saga.step != "finish":
        world.succeed(world.letters[0])
    must(world.says(DESTINATION, migration.ResizeFinishFailed(power_state=0, reason="no disk")))
    assert world.states == ("error", None)
    assert broken_laws(world.here) == ()
    return world


@pytest.mark.parametrize("action", ["reboot_hard", "stop", "rescue"])
def test_a_guest_that_is_well_again_leaves_nothing_elsewhere(action: str) -> None:
    world = stranded()
    must(world.request(action))
    while world.here.saga is not None:
        world.succeed(world.letters[0])

    assert world.orders == [("DestroyGuest", SOURCE)]
    assert broken_laws(world.here) == ()
    world.settle()
    assert [c.host for c in world.here.claims] == [DESTINATION]
    check_end(world)


def test_of_two_sizes_on_one_host_a_guest_that_is_well_again_keeps_its_own() -> None:
    world = begin("resize_same_host")
    while world.saga.step != "finish":
        world.succeed(world.letters[0])
    must(world.says(SOURCE, migration.ResizeFinishFailed(power_state=0, reason="no disk")))
    assert world.states == ("error", None)
    assert [c.host for c in world.here.claims] == [SOURCE, SOURCE]

    must(world.request("reboot_hard"))
    world.settle()

    assert world.states == ("active", None)
    (claim,) = world.here.claims
    assert (claim.host, claim.vcpus) == (SOURCE, world.here.flavor.vcpus)
    check_end(world)


def test_an_operation_that_fails_again_leaves_the_old_disks_alone() -> None:
    world = stranded()
    must(world.request("reboot_hard"))

    must(world.says(DESTINATION, instance.GuestRebootFailed(power_state=0, reason="no disk")))

    assert world.states == ("error", None)
    assert world.letters == ()
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]


def reset_without_a_guest() -> World:
    """Return a guest that was called active by an operator, and that no host says it has."""
    world = begin("resize")
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    must(world.request("reset_state", arguments={"state": "active"}))
    for host in (SOURCE, DESTINATION):
        must(world.unasked(host, instance.GuestAbsent()))
        must(world.says(host, instance.GenerationRaised()))
    assert world.states == ("active", None)
    return world


def test_while_no_host_says_that_it_has_the_guest_nothing_is_destroyed() -> None:
    world = reset_without_a_guest()

    assert world.letters == ()
    assert broken_laws(world.here) == ()
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]


@pytest.mark.parametrize(
    "fact", [instance.PowerStateReported(power_state=1), instance.GuestFound(power_state=1)]
)
def test_as_soon_as_the_owner_says_that_it_has_it_the_others_clean_up(fact: object) -> None:
    world = reset_without_a_guest()

    must(world.unasked(SOURCE, fact))

    assert world.orders == [("DestroyGuest", DESTINATION)]
    assert broken_laws(world.here) == ()
    world.settle()
    assert [c.host for c in world.here.claims] == [SOURCE]
