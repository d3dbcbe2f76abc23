"""Abort and force-complete: small sagas beside the live migration that they steer."""

from __future__ import annotations

import pytest

from events import migration
from statemachines.verdict import Rejected
from tests.beginnings import begin, migrating
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

SOURCE, DESTINATION = "h1", "h2"
ABORT = "live_migrate_abort"
FORCE = "live_migrate_force_complete"


def standing_at(step: str) -> World:
    """Return a world whose migration stands at a step."""
    world = begin("live_migrate")
    while world.saga.step != step:
        world.succeed(world.letters[0])
    return world


def test_an_abort_of_a_running_copy_ends_cancelled() -> None:
    world = migrating()
    must(world.request(ABORT))
    assert ("AbortLiveMigration", SOURCE) in world.orders
    aborted = world.outstanding(SOURCE)
    copied = next(x for x in world.letters if x.address.step == "migrate").address.command_id

    must(world.says(SOURCE, migration.AbortTaken(), command_id=aborted))
    must(world.says(SOURCE, migration.LiveMigrationAborted(reason="asked"), command_id=copied))
    world.settle()

    assert world.trace[-1] == ("active", None, "cancelled")
    assert world.actions[-2:] == [("live-migration", None), ("live_migration_cancel", None)]
    assert ("compute_live_migration_abort", "Success") in world.events
    check_end(world)


def test_an_abort_in_the_queue_ends_cancelled_at_once() -> None:
    world = standing_at("queue")
    queued = world.outstanding(SOURCE)
    must(world.says(SOURCE, migration.LiveMigrationQueued()))
    must(world.request(ABORT))
    abort = world.outstanding(SOURCE)

    must(world.says(SOURCE, migration.LiveMigrationDequeued(reason="asked"), command_id=queued))
    must(world.says(SOURCE, migration.AbortTaken(), command_id=abort))

    assert world.trace[-1] == ("active", None, "cancelled")
    assert world.orders == []
    check_end(world)


def test_an_abort_in_preparation_rolls_back_when_that_is_done() -> None:
    world = standing_at("prepare")
    must(world.request(ABORT))
    must(world.says(SOURCE, migration.AbortTaken()))

    must(world.says(DESTINATION, migration.DestinationPrepared()))

    assert world.orders == [("RollbackSource", SOURCE)]
    world.settle()
    assert world.trace[-1] == ("active", None, "cancelled")
    check_end(world)


def test_an_abort_that_comes_too_late_fails_and_the_guest_moves() -> None:
    world = migrating()
    copied = world.outstanding(SOURCE)
    must(world.request(ABORT))
    abort = world.outstanding(SOURCE)
    must(world.says(SOURCE, migration.GuestHandedOver(), command_id=copied))

    must(world.says(SOURCE, migration.AbortFailed(reason="too late"), command_id=abort))
    world.settle()

    assert world.trace[-1] == ("active", None, "completed")
    assert world.actions[-1] == ("live_migration_cancel", "Error")


def test_an_abort_after_the_hand_over_still_goes_to_the_source() -> None:
    world = migrating()
    must(world.says(SOURCE, migration.GuestHandedOver()))

    must(world.request(ABORT))

    assert ("AbortLiveMigration", SOURCE) in world.orders


def test_a_second_abort_is_refused_while_the_first_goes_on() -> None:
    world = migrating()
    must(world.request(ABORT))

    outcome = world.request(ABORT)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "already-running"


@pytest.mark.parametrize("step", ["check_destination", "check_source"])
def test_an_abort_before_the_queue_is_refused_as_nova_does(step: str) -> None:
    outcome = standing_at(step).request(ABORT)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "migration-status"


def test_a_force_complete_leaves_the_migration_as_it_is() -> None:
    world = migrating()
    copied = world.outstanding(SOURCE)
    must(world.request(FORCE))

    must(world.says(SOURCE, migration.ForceCompleteTaken()))
    must(world.says(SOURCE, migration.PostCopyStarted(), command_id=copied))

    assert list(world.trace[-1]) == ["active", "migrating", "running (post-copy)"]
    assert world.actions[-1] == ("live_migration_force_complete", None)
    assert ("compute_live_migration_force_complete", "Success") in world.events
    world.settle()
    assert world.trace[-1] == ("active", None, "completed")


def test_a_force_complete_that_fails_changes_nothing_else() -> None:
    world = migrating()
    must(world.request(FORCE))

    must(world.says(SOURCE, migration.ForceCompleteFailed(reason="nothing to force")))

    assert world.trace[-1] == ("active", "migrating", "running")
    assert world.actions[-1] == ("live_migration_force_complete", "Error")


def test_a_force_complete_while_it_is_prepared_is_refused() -> None:
    outcome = standing_at("prepare").request(FORCE)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "migration-status"
