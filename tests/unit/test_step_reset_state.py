"""Reset-state: the operator's word wins, and nothing of the old operation goes on behind it."""

from __future__ import annotations

import pytest

from events import images, instance, migration
from statemachines.verdict import Rejected
from tests.beginnings import ACTIONS, begin, built, resized
from tests.ends import check_end
from tests.hosts import World
from tests.story import LARGE, must

SOURCE, DESTINATION = "h1", "h2"


def left_by_its_source() -> World:
    """Return a live migration whose source was lost while the memory was being copied."""
    world = begin("live_migrate")
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    must(world.lose(SOURCE))
    assert world.saga.step == "adopt"
    return world


def reset(world: World, state: str = "active") -> None:
    """Ask for a state."""
    must(world.request("reset_state", arguments={"state": state}))


@pytest.mark.parametrize("state", ["active", "error"])
def test_it_sets_the_state_and_clears_the_task(state: str) -> None:
    world = built().from_here()
    reset(world, state)
    world.settle()

    assert world.states == (state, None)
    assert world.actions == [("resetState", None)]


@pytest.mark.parametrize("action", [a for a in ACTIONS if a not in ("reset_state", "delete")])
@pytest.mark.parametrize("lost", [None, "h1", "h2"])
def test_at_every_moment_of_an_operation_it_ends_in_the_state_that_was_asked_for(
    action: str, lost: str | None
) -> None:
    hosts = frozenset[str]() if lost is None else frozenset({lost})
    world = begin(action)
    for _ in range(60):
        other = world.fork()
        reset(other, "error")
        other.settle(lost=hosts)
        check_end(other)
        assert other.states == ("error", None)
        other.come_back()
        check_end(other)
        assert other.here.sides == ()
        if not world.letters:
            return
        world.succeed(world.letters[0])


def test_every_host_that_was_commanded_hears_the_new_generation() -> None:
    world = begin("resize")
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    generation = world.here.generation

    reset(world)

    assert world.orders == [("RaiseGeneration", SOURCE), ("RaiseGeneration", DESTINATION)]
    assert {x.address.generation for x in world.letters} == {generation + 1}
    assert world.here.move is not None
    assert world.here.move.status == "error"
    world.settle()
    assert [c.host for c in world.here.claims] == [SOURCE]


def test_an_old_answer_changes_nothing_any_more() -> None:
    world = begin("stop")
    command_id = world.outstanding(SOURCE)
    reset(world)

    outcome = world.says(SOURCE, instance.GuestStopped(power_state=4), command_id=command_id)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "step-past"
    world.settle()
    assert world.states == ("active", None)


def test_a_guest_that_had_left_before_the_reset_is_at_home_where_it_went() -> None:
    world = begin("live_migrate")
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    command_id = world.outstanding(SOURCE)
    reset(world)

    must(world.says(SOURCE, migration.GuestHandedOver(), command_id=command_id))
    world.settle()

    assert world.here.host == DESTINATION
    assert [c.host for c in world.here.claims] == [DESTINATION]
    assert world.here.sides == ()


@pytest.mark.parametrize("action", ["shelve", "shelve_offload", "shelve_volume_backed"])
@pytest.mark.parametrize("state", ["active", "error"])
@pytest.mark.parametrize("trouble", [None, "lost", "silent"])
def test_what_was_offloaded_before_the_reset_is_on_no_host_and_takes_no_room(
    action: str, state: str, trouble: str | None
) -> None:
    world = begin(action)
    while "offload" not in world.saga.step:
        world.succeed(world.letters[0])
    offloading = world.outstanding(SOURCE)
    reset(world, state)
    while trouble is not None and world.here.saga is not None:
        must(world.lose(SOURCE) if trouble == "lost" else world.time_out(SOURCE))

    must(world.says(SOURCE, images.GuestOffloaded(power_state=4), command_id=offloading))
    world.settle()
    world.come_back()

    assert world.states == ("shelved_offloaded", None)
    assert world.here.host is None
    assert world.here.claims == ()
    check_end(world)
    must(world.request("unshelve"))
    world.settle()
    assert world.states == ("active", None)


def test_what_a_revert_had_given_up_before_the_reset_is_at_home_where_its_disks_were_kept() -> None:
    world = resized()
    must(world.request("revert_resize"))
    given_up = world.outstanding(DESTINATION)
    reset(world)

    must(world.says(DESTINATION, migration.ResizeReverted(), command_id=given_up))
    world.settle()

    assert world.here.host == SOURCE
    assert [c.host for c in world.here.claims] == [SOURCE]
    assert world.here.sides == ()


def test_a_waiting_resize_is_given_up() -> None:
    world = resized()
    reset(world)
    world.settle()

    assert world.here.move is not None
    assert world.here.move.status == "error"
    assert [c.host for c in world.here.claims] == [DESTINATION]


def test_with_the_owner_away_nobody_else_destroys_what_it_has() -> None:
    world = resized()
    reset(world, "error")
    world.settle(lost=frozenset({DESTINATION}))

    assert [s.saga for s in world.here.sides] == ["fence"]
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]


def test_what_others_have_is_cleared_up_when_the_owner_is_back_and_has_its_guest() -> None:
    world = left_by_its_source()
    reset(world, "error")
    world.settle(lost=frozenset({SOURCE, DESTINATION}))
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]

    must(world.unasked(SOURCE, instance.GuestFound(power_state=4)))
    world.settle(lost=frozenset({DESTINATION}))
    assert [(s.saga, s.step) for s in world.here.sides if s.target == DESTINATION] == [
        ("fence", "owed"),
        ("debt", "owed"),
    ]

    world.come_back()
    assert world.states == ("error", None)
    assert [c.host for c in world.here.claims] == [SOURCE]
    assert all(v.hosts == (SOURCE,) for v in world.here.volumes)
    assert world.here.sides == ()


def test_what_others_have_stays_when_the_owner_is_back_and_has_nothing() -> None:
    world = left_by_its_source()
    reset(world, "error")
    world.settle(lost=frozenset({SOURCE}))

    must(world.unasked(SOURCE, instance.GuestAbsent()))
    world.settle()

    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]
    assert world.here.sides == ()


def test_nothing_is_cleared_up_where_an_operation_begins_before_the_owner_is_back() -> None:
    world = left_by_its_source()
    reset(world, "error")
    world.settle(lost=frozenset({SOURCE}))
    must(world.request("evacuate", source_up=False, fenced_hosts=(SOURCE,), host="h3"))

    must(world.unasked(SOURCE, instance.GuestFound(power_state=4)))
    while ("RaiseGeneration", SOURCE) in world.orders:
        world.succeed(world.letter(SOURCE))

    assert world.saga.saga == "evacuate"
    assert "debt" not in {s.saga for s in world.here.sides if s.target == "h3"}


def test_two_sizes_on_one_host_become_one() -> None:
    world = built(allow_resize_to_same_host="true")
    must(world.request("resize", flavor=LARGE))
    world.settle()
    reset(world)
    world.settle()

    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 4)]


def test_a_state_that_may_not_be_set_is_refused() -> None:
    outcome = built().request("reset_state", arguments={"state": "paused"})

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "bad-request"
