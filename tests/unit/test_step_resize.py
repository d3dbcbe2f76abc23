"""Resize and cold migration up to `resized`: nova's steps, its failures, and one host alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from events import instance, migration
from statemachines.notes import MigrationNote, StepNote
from statemachines.verdict import Rejected
from tests.answers import argument
from tests.beginnings import begin, built
from tests.ends import check_end
from tests.hosts import World
from tests.story import LARGE, SMALL, must

OF_BOTH = pytest.mark.parametrize("action", ["resize", "migrate"])
SOURCE, DESTINATION = "h1", "h2"


def standing_at(action: str, step: str, **rules: str) -> World:
    """Return a world whose move stands at a step."""
    world = begin(action, **rules)
    while world.saga.step != step:
        world.succeed(world.letters[0])
    return world.from_here()


def status(world: World) -> str:
    """Return the status of the migration."""
    assert world.here.move is not None
    return world.here.move.status


@OF_BOTH
def test_it_goes_through_novas_states(action: str) -> None:
    world = begin(action).from_here()

    world.settle()

    assert world.trace == [
        ("active", "resize_prep", "pre-migrating"),
        ("active", "resize_migrating", "migrating"),
        ("active", "resize_migrating", "post-migrating"),
        ("active", "resize_migrated", "post-migrating"),
        ("active", "resize_finish", "post-migrating"),
        ("resized", None, "finished"),
    ]
    assert world.events == [
        ("conductor_migrate_server", "Success"),
        ("cold_migrate", "Success"),
        ("compute_prep_resize", "Success"),
        ("compute_resize_instance", "Success"),
        ("compute_finish_resize", "Success"),
    ]
    assert world.actions == [(action, None)]
    assert world.here.move is not None
    assert world.here.move.migration_type == ("resize" if action == "resize" else "migration")
    assert (world.here.move.source, world.here.move.destination) == (SOURCE, DESTINATION)
    assert world.here.host == DESTINATION
    assert world.here.flavor == (LARGE if action == "resize" else SMALL)
    assert sorted((c.host, c.vcpus) for c in world.here.claims) == [
        (SOURCE, 1),
        (DESTINATION, 4 if action == "resize" else 1),
    ]


def test_the_owner_changes_when_the_source_gave_the_guest_away() -> None:
    world = standing_at("resize", "migrate")
    must(world.says(SOURCE, migration.ResizeStarted(), migration.ResizeCopied()))
    assert world.here.host == SOURCE

    must(world.says(SOURCE, migration.ResizeMigrated()))

    assert (world.here.host, world.here.node) == (DESTINATION, "h2-n")


@OF_BOTH
def test_no_valid_host_keeps_the_state(action: str) -> None:
    world = begin(action).from_here()

    must(world.no_valid_host())

    assert world.trace == [
        ("active", "resize_prep", "pre-migrating"),
        ("active", None, "error"),
    ]
    check_end(world)


@OF_BOTH
def test_a_destination_that_cannot_is_given_up_while_attempts_last(action: str) -> None:
    world = begin(action, max_attempts="2")
    must(world.choose("h2"))
    must(world.says("h2", migration.ResizePrepareFailed(reason="full")))
    assert list(world.states) == ["active", "resize_prep"]
    assert [c.host for c in world.here.claims] == [SOURCE]
    must(world.choose("h3"))

    must(world.says("h3", migration.ResizePrepareFailed(reason="full")))

    assert world.states == ("error", None)
    assert status(world) == "error"
    check_end(world)


def test_a_destination_asked_for_by_name_is_the_only_one() -> None:
    world = built()
    must(world.request("migrate", host="h3"))
    must(world.choose("h3"))

    must(world.says("h3", migration.ResizePrepareFailed(reason="full")))

    assert world.states == ("error", None)


@pytest.mark.parametrize(
    ("fact", "vm_state"), [(migration.ResizeFailed, "error"), (migration.ResizeFaulted, "active")]
)
def test_a_source_that_fails_is_restored_and_the_destination_released(
    fact: type, vm_state: str
) -> None:
    world = standing_at("resize", "migrate")
    must(world.says(SOURCE, fact(reason="no space")))
    assert world.orders == [("RestoreGuest", SOURCE)]
    must(world.says(SOURCE, migration.GuestRestored(power_state=1)))
    assert world.orders == [("ReleaseDestination", DESTINATION)]

    must(world.says(DESTINATION, migration.DestinationReleased()))

    assert world.trace[-1] == (vm_state, None, "error")
    assert [c.host for c in world.here.claims] == [SOURCE]
    assert world.events == [("compute_resize_instance", "Error")]
    check_end(world)


def test_a_late_gave_away_during_the_restoration_is_evidence_only() -> None:
    world = standing_at("resize", "migrate")
    command_id = world.outstanding(SOURCE)
    must(world.time_out(SOURCE))
    assert world.orders == [("RestoreGuest", SOURCE)]

    outcome = world.says(SOURCE, migration.ResizeMigrated(), command_id=command_id)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "step-past"
    assert world.here.host == SOURCE
    world.settle()
    check_end(world)
    assert world.here.host == SOURCE


@pytest.mark.parametrize("code", ["draining", "interrupted"])
def test_a_destination_that_refuses_to_finish_is_asked_again_and_then_a_person(code: str) -> None:
    world = standing_at("resize", "finish")
    refused = instance.CommandRefused(code=code, reason="not now")
    must(world.says(DESTINATION, refused))
    done = world.fork()

    assert world.orders == [("FinishResize", DESTINATION)]
    done.settle()
    assert done.states == ("resized", None)
    assert done.events[-1] == ("compute_finish_resize", "Success")
    for _ in range(2):
        must(world.says(DESTINATION, refused))
    assert world.saga.needs_operator is not None


def test_a_destination_that_cannot_finish_is_the_guests_home_all_the_same() -> None:
    world = standing_at("resize", "finish")

    world.fail(world.letters[0], migration.ResizeFinishFailed)

    assert world.trace[-1] == ("error", None, "error")
    assert world.here.host == DESTINATION
    assert world.here.flavor == LARGE  # The size of its disks there, and of the room claimed.
    assert world.events[-1] == ("compute_finish_resize", "Error")
    # What the source kept may be all that is left of the guest: its room stays taken.
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]
    must(world.request("reset_state", arguments={"state": "active"}))
    world.settle()
    assert [c.host for c in world.here.claims] == [DESTINATION]


def test_a_lost_source_before_the_guest_left_keeps_it() -> None:
    world = standing_at("resize", "migrate")

    must(world.lose(SOURCE))

    assert world.orders == [("ReleaseDestination", DESTINATION), ("RaiseGeneration", SOURCE)]
    assert world.saga.generation == world.here.generation
    world.settle(lost=frozenset({SOURCE}))
    assert world.trace[-1] == ("error", None, "error")
    assert world.here.host == SOURCE
    world.come_back()
    check_end(world)


def test_every_change_of_a_migration_is_noted() -> None:
    world = begin("resize")
    world.settle()

    notes = [n.move for n in world.noted(MigrationNote) if isinstance(n, MigrationNote)]

    assert [m.status for m in notes][-1] == "finished"
    assert len({m.migration_id for m in notes}) == 1
    assert notes[-1] == world.here.move


# One host.


def same_host() -> World:
    """Return a resize that stays on its host, about to be confirmed or reverted."""
    world = built(allow_resize_to_same_host="true")
    must(world.request("resize", flavor=LARGE))
    assert argument(world.letters[0], "excluded_hosts") == ()
    world.settle(most=50)
    assert world.here.move is not None
    assert world.here.move.source == world.here.move.destination == SOURCE
    assert sorted(c.vcpus for c in world.here.claims) == [1, 4]
    return world


def test_a_resize_may_stay_only_where_the_rules_allow_it() -> None:
    world = begin("resize")
    cold = begin("migrate", allow_resize_to_same_host="true")

    assert world.saga.excluded == (SOURCE,)
    assert cold.saga.excluded == (SOURCE,)


def test_a_confirm_on_the_same_host_keeps_the_new_size_alone() -> None:
    world = same_host()
    must(world.request("confirm_resize"))
    world.settle()

    assert world.states == ("active", None)
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 4)]
    check_end(world)


def test_after_a_resize_to_the_same_size_on_the_same_host_the_next_move_keeps_its_room() -> None:
    world = built(allow_resize_to_same_host="true")
    must(world.request("resize", flavor=SMALL))
    must(world.choose("h1"))
    world.settle()
    must(world.request("confirm_resize"))
    world.settle()

    must(world.request("migrate"))

    assert [(c.host, c.vcpus) for c in world.here.claims] == [("h1", SMALL.vcpus)]


def test_what_was_unshelved_after_a_resize_on_one_host_keeps_its_room_in_the_next_move() -> None:
    world = same_host()
    for action in ("confirm_resize", "shelve", "unshelve"):
        must(world.request(action))
        world.settle()
    home = world.here.host

    must(world.request("migrate"))

    assert [(c.host, c.vcpus) for c in world.here.claims] == [(home, LARGE.vcpus)]


def test_a_revert_on_the_same_host_keeps_the_old_size_alone() -> None:
    world = same_host()
    must(world.request("revert_resize"))
    world.settle()

    assert world.states == ("active", None)
    assert world.here.flavor == SMALL
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 1)]
    check_end(world)


def test_a_confirm_on_a_lost_host_that_is_the_guests_own_destroys_nothing() -> None:
    world = same_host()
    must(world.request("confirm_resize"))

    must(world.lose(SOURCE))

    assert world.here.sides == ()
    assert world.saga.needs_operator is not None
    assert world.here.host == SOURCE


def test_a_lost_host_never_owes_the_destruction_of_the_guest_it_has() -> None:
    world = built(allow_resize_to_same_host="true")
    must(world.request("resize", flavor=LARGE))
    must(world.choose(SOURCE))

    must(world.lose(SOURCE))

    assert [s.saga for s in world.here.sides] == ["fence"]
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 1)]


def test_a_failed_confirm_on_the_same_host_frees_the_old_size() -> None:
    world = same_host()
    must(world.request("confirm_resize"))

    must(world.says(SOURCE, migration.ResizeConfirmFailed(reason="busy")))

    assert world.states == ("error", None)
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 4)]
    assert [s.saga for s in world.here.sides] == ["fence"]


def test_a_failed_revert_on_the_same_host_frees_the_old_size() -> None:
    world = same_host()
    must(world.request("revert_resize"))

    must(world.says(SOURCE, migration.ResizeRevertFailed(reason="busy")))

    assert world.states == ("error", None)
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 4)]


def keep_silent(world: World) -> World:
    """Let the deadline of what is outstanding pass, as often as it is asked again."""
    step = world.saga.step
    while world.here.saga is not None and world.saga.step == step:
        world.time_out_of(world.letters[0])
    return world


@pytest.mark.parametrize(
    ("step", "fail"),
    [
        ("prepare", keep_silent),
        ("migrate", keep_silent),
        ("migrate", lambda world: world.fail(world.letters[0], migration.ResizeFailed)),
        ("migrate", lambda world: world.lose(SOURCE)),
        ("restore_source", lambda world: world.lose(SOURCE)),
    ],
)
def test_what_undoes_a_resize_on_the_same_host_leaves_the_guest_there(
    step: str, fail: Callable[[World], object]
) -> None:
    world = standing_at("resize_same_host", "migrate" if step == "restore_source" else step)
    if step == "restore_source":
        world.fail(world.letters[0], migration.ResizeFailed)
    assert world.saga.step == step

    fail(world)
    world.settle(lost=frozenset({SOURCE}) if world.here.sides else frozenset())

    steps = {note.step for note in world.notes if isinstance(note, StepNote)}
    assert "release_destination" not in steps
    assert world.here.saga is None
    assert world.here.host == SOURCE
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 1)]
