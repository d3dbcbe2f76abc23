"""A live migration that came to its end after an operator had ended its saga."""

from __future__ import annotations

import pytest

from events import instance, migration
from events.start_up import GuestSeen
from statemachines.conservation import broken_laws
from statemachines.verdict import Rejected
from tests.beginnings import migrating
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

SOURCE, DESTINATION = "h1", "h2"


def given_up(state: str) -> tuple[World, str]:
    """Return a guest that was reset while its source was away, and the id of its last command."""
    world = migrating()
    copying = world.outstanding(SOURCE)
    must(world.request("reset_state", arguments={"state": state}))
    must(world.unasked(DESTINATION, instance.GuestAbsent()))
    must(world.says(DESTINATION, instance.GenerationRaised()))
    must(world.lose(SOURCE))
    assert (world.here.host, world.here.saga) == (SOURCE, None)
    return world, copying


def late(world: World, copying: str) -> None:
    """Let the source say that it handed the guest over, in the generation that it knew."""
    said = migration.GuestHandedOver()
    world.tell(world.next_of(SOURCE, said, command_id=copying, generation=2))


@pytest.mark.parametrize("state", ["active", "error"])
def test_the_guest_is_at_home_where_it_went(state: str) -> None:
    world, copying = given_up(state)

    late(world, copying)

    assert world.accepted
    assert (world.here.host, world.here.vm_state) == (DESTINATION, state)
    assert ("LookForGuest", DESTINATION) in world.orders
    must(world.says(DESTINATION, GuestSeen(power_state=1)))
    world.come_back()
    assert world.here.power_state == 1
    if state == "error":
        must(world.request("reboot_hard"))
        world.settle()
    assert (world.states, world.here.host) == (("active", None), DESTINATION)
    assert [c.host for c in world.here.claims] == [DESTINATION]
    assert broken_laws(world.here) == ()
    check_end(world)


@pytest.mark.parametrize("action", ["stop", "delete"])
def test_it_is_not_while_something_else_is_done_to_it_nor_when_it_is_deleted(action: str) -> None:
    world, copying = given_up("active")
    must(world.request(action))

    late(world, copying)

    assert isinstance(world.verdicts[-1], Rejected)
    assert world.here.host == SOURCE


def test_it_is_not_when_its_destination_has_nothing_left_of_it() -> None:
    world, copying = given_up("active")
    world.come_back()
    must(world.unasked(SOURCE, instance.GuestFound(power_state=1)))
    world.settle()
    assert [c.host for c in world.here.claims] == [SOURCE]

    late(world, copying)

    assert isinstance(world.verdicts[-1], Rejected)
    assert world.here.host == SOURCE


def test_who_was_to_be_the_destination_once_may_not_say_so() -> None:
    world, _ = given_up("active")

    world.unasked(DESTINATION, migration.GuestArrived(power_state=1))

    assert isinstance(world.verdicts[-1], Rejected)
    assert world.here.host == SOURCE
