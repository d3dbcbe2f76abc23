"""What is never lost and never made of nothing: each law, and what breaks it."""

from __future__ import annotations

import pytest

from conductor.step import step
from events.values import replace
from statemachines.conservation import (
    broken_laws,
    doubled_room,
    may_claim,
    missing_room,
    stray_room,
)
from statemachines.held import Claim, Held
from tests.beginnings import ACTIONS, begin, built, resized, situations
from tests.story import LARGE, must

STRAY = Claim(
    host="h9", saga_id="s", vcpus=1, memory_mb=1, disk_gb=1, created_at=1_700_000_000_000_000
)


def with_claim(held: Held, claim: Claim = STRAY) -> Held:
    """Return a state that takes room where it should not."""
    return replace(held, claims=(*held.claims, claim))


@pytest.mark.parametrize("action", ACTIONS)
def test_an_operation_keeps_every_law_after_each_fact(action: str) -> None:
    world = begin(action)
    world.settle()
    held: Held | None = None

    for envelope in world.history:
        held = step(held, envelope, world.rules).after
        assert held is not None
        assert (*broken_laws(held), *stray_room(held), *missing_room(held)) == ()
        assert doubled_room(held) == ()


def test_every_step_of_every_saga_keeps_every_law() -> None:
    states = [world.here for world in situations().values()]

    assert [each for each in states if broken_laws(each) or stray_room(each)] == []
    assert [each for each in states if doubled_room(each)] == []


def test_room_where_nothing_of_the_guest_should_be_is_named() -> None:
    (sentence,) = stray_room(with_claim(built().here))

    assert "room on h9 to be released or confirmed, but it is active on h1" in sentence


def test_an_owner_without_room_for_its_guest_is_named_while_nothing_is_done_to_it() -> None:
    held, moving = built().here, begin("migrate").here

    (sentence,) = missing_room(replace(held, claims=()))

    assert "room for (1, 2048, 20) on h1, where it is active, but none" in sentence
    assert missing_room(held) == missing_room(replace(moving, claims=())) == ()


def test_an_owner_with_room_of_another_size_only_is_named() -> None:
    held = built().here

    (sentence,) = missing_room(replace(held, flavor=LARGE))

    assert "room for (4, 8192, 80) on h1, where it is active, but [(1, 2048, 20)]" in sentence


def test_room_is_claimed_once_by_a_saga_on_a_host() -> None:
    held = built().here

    (sentence,) = broken_laws(with_claim(held, held.claims[0]))

    assert "one claim per host and saga" in sentence


def test_two_sizes_on_one_host_are_named_where_no_resize_is_open() -> None:
    world = begin("resize_same_host")
    while world.saga.step != "finish":
        assert doubled_room(world.here) == ()
        world.succeed(world.letters[0])
    world.settle()
    both = world.here.claims
    assert (world.here.vm_state, [claim.host for claim in both]) == ("resized", ["h1", "h1"])
    assert doubled_room(world.here) == ()
    must(world.request("confirm_resize"))
    world.settle()
    assert doubled_room(world.here) == ()

    (sentence,) = doubled_room(replace(world.here, claims=both))

    assert "room for (4, 8192, 80) alone on h1" in sentence
    assert "[(1, 2048, 20), (4, 8192, 80)]" in sentence


def test_both_ends_of_a_resize_that_waits_may_take_room_until_it_is_confirmed() -> None:
    world = resized()
    both = world.here.claims
    assert {claim.host for claim in both} == {"h1", "h2"} <= may_claim(world.here)
    must(world.request("confirm_resize"))
    world.settle()

    (sentence,) = stray_room(replace(world.here, claims=both))

    assert "room on h1" in sentence


def test_a_host_that_owes_takes_room_until_it_has_paid() -> None:
    world = built()
    must(world.request("delete"))
    world.lose_of(world.letters[0])
    assert (world.here.vm_state, len(world.here.claims)) == ("deleted", 1)
    assert broken_laws(world.here) == ()

    (sentence,) = broken_laws(replace(world.here, sides=()))

    assert "room on h1" in sentence


def test_a_migration_that_nobody_works_on_and_nobody_waits_for_is_named() -> None:
    world = resized()
    assert broken_laws(world.here) == ()

    (sentence,) = broken_laws(replace(world.here, vm_state="active", claims=()))

    assert "a migration that is over" in sentence
