"""What an operator ends by hand (`regente saga resolve`): asked for, never guessed at."""

from __future__ import annotations

import pytest

from events import instance, migration, requests
from events.requests import Flavor
from statemachines.conservation import broken_laws, missing_room, stray_room
from tests.beginnings import ACTIONS, begin, migrating
from tests.ends import check_end
from tests.hosts import World
from tests.story import LARGE, SMALL, must
from tests.unit.test_step_laws import happen, plans

SOURCE, DESTINATION = "h1", "h2"


def resolve(world: World) -> None:
    """Let an operator end the primary saga."""
    word = requests.SagaResolved(saga_id=world.saga.saga_id, user_id="op", reason="seen to")
    must(world.api(word))
    assert world.here.saga is None


def waiting(action: str) -> list[World]:
    """Return a world for each place at which an operation can come to wait for a person."""
    found, reached = [], set()
    queue = [begin(action, migrate_max_retries="1")]
    while queue:
        world = queue.pop()
        if world.here.saga is not None and world.here.saga.needs_operator is not None:
            found.append(world)
            continue
        for letter in world.letters[:1]:
            for plan in (None, *plans(letter)):
                saga, address = world.here.saga, letter.address
                stand = (saga and (saga.step, saga.outcome), world.here.host, len(world.here.sides))
                key = (address.saga, address.step, min(address.attempt, 5), plan, stand)
                if key in reached:
                    continue
                reached.add(key)
                other = world.fork()
                other.succeed(letter) if plan is None else happen(other, letter, plan)
                queue.append(other)
    return found


def waiting_at(action: str, step: str, owner: str | None) -> World:
    """Return a world in which an operation waits for a person at a step."""
    return next(w for w in waiting(action) if w.saga.step == step and w.here.host == owner)


@pytest.mark.parametrize("action", ACTIONS)
def test_whatever_an_operator_resolves_no_room_is_taken_that_nobody_answers_for(
    action: str,
) -> None:
    for world in waiting(action):
        resolve(world)
        assert broken_laws(world.here) == ()

        world.settle()
        world.come_back()

        assert stray_room(world.here) == ()
        check_end(world)


@pytest.mark.parametrize("action", ACTIONS)
def test_whoever_was_asked_something_unanswered_hears_of_a_newer_generation(action: str) -> None:
    for world in waiting(action):
        saga = world.saga

        resolve(world)

        told = [x.address for x in world.letters if x.address.saga in ("fence", "debt")]
        assert set(saga.pending) <= {address.host for address in told}
        fences = [a for a in told if a.saga == "fence" and a.host in saga.pending]
        assert all(address.generation > saga.generation for address in fences)


def in_post_copy() -> World:
    """Return a guest that runs at its destination, and whose source never said that it left."""
    world = migrating()
    must(world.says(SOURCE, migration.PostCopyStarted()))
    while world.saga.needs_operator is None:
        must(world.time_out_of(world.letters[0]))
    return world


def test_a_guest_in_post_copy_is_at_home_where_it_runs_and_nothing_of_it_is_destroyed() -> None:
    world = in_post_copy()

    resolve(world)

    assert world.here.host == DESTINATION
    assert ("DestroyGuest", DESTINATION) not in world.orders
    must(world.unasked(DESTINATION, instance.GuestFound(power_state=1)))
    world.settle()
    assert world.states == ("active", None)
    assert [c.host for c in world.here.claims] == [DESTINATION]
    check_end(world)


def test_a_guest_in_post_copy_that_its_destination_has_not_keeps_what_the_source_has() -> None:
    world = in_post_copy()

    resolve(world)
    must(world.unasked(DESTINATION, instance.GuestAbsent()))
    world.settle()

    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]


@pytest.mark.parametrize(
    ("action", "step", "owner"),
    [
        ("live_migrate", "roll_back_destination", SOURCE),
        ("live_migrate", "clean_source", "h3"),
        ("resize", "release_destination", SOURCE),
        ("confirm_resize", "clean_source", DESTINATION),
    ],
)
def test_nothing_is_destroyed_elsewhere_before_the_owner_says_that_it_has_the_guest(
    action: str, step: str, owner: str
) -> None:
    has_it = waiting_at(action, step, owner)
    (elsewhere,) = has_it.saga.pending
    resolve(has_it)
    has_not = has_it.fork()
    destroy = ("DestroyGuest", elsewhere)
    assert destroy not in has_it.orders

    for world, fact in (
        (has_it, instance.GuestFound(power_state=1)),
        (has_not, instance.GuestAbsent()),
    ):
        must(world.unasked(owner, fact))
        for host in (owner, elsewhere):
            must(world.says(host, instance.GenerationRaised()))

    assert destroy in has_it.orders
    assert destroy not in has_not.orders
    for world in (has_it, has_not):
        world.settle()
    assert [c.host for c in has_it.here.claims] == [owner]
    assert {c.host for c in has_not.here.claims} == {owner, elsewhere}


def test_a_resize_that_its_destination_did_not_finish_is_an_error_and_keeps_the_old_disks() -> None:
    world = waiting_at("resize", "finish", DESTINATION)

    resolve(world)
    must(world.unasked(DESTINATION, instance.GuestAbsent()))  # Disks that came are no guest.
    world.settle()

    assert world.states == ("error", None)
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]


def test_a_build_that_could_not_be_undone_is_on_no_host_and_its_half_is_owed() -> None:
    world = begin("create")
    must(world.choose(SOURCE))
    must(world.says(SOURCE, instance.BuildAccepted(node=SOURCE)))
    must(world.time_out(SOURCE))
    while world.saga.needs_operator is None:
        must(world.says(SOURCE, instance.GuestDestroyFailed(reason="busy")))

    resolve(world)

    assert world.states == ("error", None)
    assert world.here.host is None
    assert world.orders == [("DestroyGuest", SOURCE)]
    world.settle()
    assert world.here.claims == ()


def test_an_unshelving_that_could_not_be_undone_is_owed_before_it_may_be_asked_again() -> None:
    world = waiting_at("unshelve", "undo", None)

    resolve(world)

    assert world.states == ("shelved_offloaded", None)
    assert [c.host for c in world.here.claims] == [SOURCE]
    assert world.orders == [("DestroyGuest", SOURCE)]
    world.settle()
    assert world.here.claims == ()


@pytest.mark.parametrize(("said", "size"), [((), SMALL), ((migration.ResizeFinishing(),), LARGE)])
def test_a_resize_on_its_own_host_keeps_the_room_of_the_size_that_it_has(
    said: tuple[object, ...], size: Flavor
) -> None:
    world = begin("resize_same_host")
    while world.saga.step != "finish":
        world.succeed(world.letters[0])
    for fact in said:
        must(world.says(SOURCE, fact))
    while world.saga.needs_operator is None:
        must(world.time_out_of(world.letters[0]))

    resolve(world)

    assert world.here.flavor == size
    assert [c.memory_mb for c in world.here.claims] == [size.memory_mb]


def test_a_confirm_that_is_resolved_leaves_no_instance_that_nobody_can_confirm() -> None:
    world = waiting_at("confirm_resize", "clean_source", DESTINATION)

    resolve(world)

    assert world.states == ("active", None)
    must(world.request("stop"))


def test_what_a_host_does_that_comes_back_after_the_operators_word_was_refused() -> None:
    world = begin("revert_resize")
    revert = world.letters[0].address
    must(world.lose(DESTINATION))

    resolve(world)

    assert [(c, h) for c, h in world.orders if h == DESTINATION] == [
        ("RaiseGeneration", DESTINATION)
    ]
    assert world.letters[0].address.generation > revert.generation
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]


@pytest.mark.parametrize("has_guest", [True, False])
def test_a_revert_that_is_resolved_keeps_what_both_have_until_somebody_says_which_stays(
    has_guest: bool,
) -> None:
    world = begin("revert_resize")
    must(world.lose(DESTINATION))
    resolve(world)
    word = instance.GuestFound(power_state=1) if has_guest else instance.GuestAbsent()
    must(world.unasked(DESTINATION, word))
    world.settle()
    world.come_back()

    # In error nobody vouches for the guest: the laws take both hosts' room for right.
    assert world.states == ("error", None)
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]
    assert (broken_laws(world.here), stray_room(world.here), missing_room(world.here)) == (
        *((),) * 3,
    )

    must(world.request("reset_state", arguments={"state": "active"}))
    world.settle()
    kept = [DESTINATION] if has_guest else [SOURCE, DESTINATION]
    assert sorted(c.host for c in world.here.claims) == kept
