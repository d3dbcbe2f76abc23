"""A live migration that takes too long: aborted, or completed by force; in post-copy neither."""

from __future__ import annotations

import pytest

from events import migration
from events.requests import SagaCompensated
from statemachines.rules import Rules
from statemachines.sagas import SAGAS
from statemachines.verdict import Rejected
from tests.beginnings import begin, built, paused
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

SOURCE, DESTINATION = "h1", "h2"
FORCE = "force_complete"


def copying(action: str = "abort") -> World:
    """Return a world whose guest is being copied, and the rule for a copy that takes too long."""
    world = begin("live_migrate", live_migration_timeout_action=action)
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    must(world.says(SOURCE, migration.LiveMigrationStarted()))
    return world.from_here()


def copy_id(world: World) -> str:
    """Return the command by which the guest is being copied."""
    return next(x for x in world.letters if x.address.step == "migrate").address.command_id


def too_long(world: World) -> None:
    """Let the time for the copy pass."""
    letter = next(x for x in world.letters if x.address.step == "migrate")
    must(world.time_out_of(letter))


def test_the_time_is_per_gib_of_memory_of_which_two_are_counted_at_least() -> None:
    step = SAGAS["live_migration"].steps["migrate"]

    assert (step.deadline, step.per_gib) == ("live_migration_completion_timeout", True)
    assert Rules().deadline_s(step.deadline, 2) == 1600


def test_by_default_a_copy_that_takes_too_long_is_aborted_as_a_user_would() -> None:
    world = copying()

    too_long(world)

    assert world.orders == [("RollbackSource", SOURCE)]
    world.settle()
    assert world.trace[-1] == ("active", None, "cancelled")
    assert world.here.host == SOURCE
    check_end(world)


def test_a_rule_has_it_completed_by_force_and_gives_it_another_time() -> None:
    world = copying(FORCE)

    too_long(world)

    assert world.orders == [("LiveMigrateGuest", SOURCE), ("ForceCompleteLiveMigration", SOURCE)]
    assert world.saga.attempt == 2
    assert world.trace[-1] == ("active", "migrating", "running")


def test_a_forced_copy_completes_and_nobody_asked_for_it() -> None:
    world = copying(FORCE)
    first = copy_id(world)
    too_long(world)
    forced = next(x for x in world.letters if x.address.step == "ask").address.command_id

    must(world.says(SOURCE, migration.ForceCompleteTaken(), command_id=forced))
    # The agent goes on with what it had begun and may answer under the first id or the second.
    must(world.says(SOURCE, migration.GuestHandedOver(), command_id=first))
    world.settle()

    assert world.trace[-1] == ("active", None, "completed")
    assert world.actions == [("live-migration", None)]
    assert "compute_live_migration_force_complete" not in dict(world.events)
    assert world.here.host == DESTINATION
    check_end(world)


def test_what_even_force_does_not_complete_is_undone_in_the_end() -> None:
    world = copying(FORCE)

    for _ in range(3):
        too_long(world)

    assert ("RollbackSource", SOURCE) in world.orders
    world.settle()
    assert world.trace[-1] == ("active", None, "cancelled")
    check_end(world)


def test_a_paused_guest_that_takes_too_long_stays_paused() -> None:
    world = paused()
    must(world.request("live_migrate"))
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])

    too_long(world)
    must(world.says(SOURCE, migration.SourceRolledBack(power_state=3)))
    world.settle()

    assert world.states == ("paused", None)
    assert world.here.host == SOURCE
    check_end(world)


# The point of no return.


@pytest.mark.parametrize("action", ["abort", FORCE])
def test_in_post_copy_no_time_out_turns_back(action: str) -> None:
    world = copying(action)
    first = copy_id(world)
    must(world.says(SOURCE, migration.PostCopyStarted()))

    too_long(world)
    too_long(world)

    assert world.orders == [("LiveMigrateGuest", SOURCE)]
    must(world.says(SOURCE, migration.GuestHandedOver(), command_id=first))
    world.settle()
    assert world.trace[-1] == ("active", None, "completed")
    assert world.here.host == DESTINATION


def test_a_post_copy_without_end_waits_for_a_person_and_is_never_undone() -> None:
    world = copying()
    first = copy_id(world)
    must(world.says(SOURCE, migration.PostCopyStarted()))
    for _ in range(3):
        too_long(world)
    assert world.saga.needs_operator is not None

    word = SagaCompensated(saga_id=world.saga.saga_id, user_id="o", reason="back")
    verdict = world.api(word).verdict

    assert isinstance(verdict, Rejected)
    assert verdict.code == "nothing-to-undo"
    assert verdict.sentence.endswith(
        "but live_migration has no way back from migrate: the guest runs at its destination: "
        "retry it"
    )
    assert world.saga.needs_operator is not None
    assert world.orders == []
    # What the source says then is heard all the same.
    must(world.says(SOURCE, migration.GuestHandedOver(), command_id=first))
    world.settle()
    assert world.trace[-1] == ("active", None, "completed")


@pytest.mark.parametrize("action", ["live_migrate_abort", "live_migrate_force_complete"])
def test_in_post_copy_neither_abort_nor_force_is_taken(action: str) -> None:
    world = copying()
    must(world.says(SOURCE, migration.PostCopyStarted()))

    outcome = world.request(action)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "migration-status"


def test_after_the_hand_over_a_time_out_asks_the_destination_again_and_nobody_else() -> None:
    world = copying()
    must(world.says(SOURCE, migration.GuestHandedOver()))

    for _ in range(3):
        must(world.time_out_of(world.letters[0]))
        assert {host for _, host in world.orders} <= {DESTINATION}

    assert world.saga.needs_operator is not None
    assert world.here.host == DESTINATION


# Before the copy.


def test_a_preparation_that_takes_too_long_is_undone_at_both_ends() -> None:
    world = begin("live_migrate")
    while world.saga.step != "prepare":
        world.succeed(world.letters[0])
    must(world.time_out_of(world.letters[0]))

    world.settle()

    assert world.trace[-1] == ("active", None, "failed")
    assert ("compute_rollback_live_migration_at_destination", "Success") in world.events
    check_end(world)


def test_a_queue_has_a_time_of_its_own() -> None:
    world = begin("live_migrate", live_migration_queue_timeout="60")
    while world.saga.step != "queue":
        world.succeed(world.letters[0])
    assert world.rules.deadline_s(SAGAS["live_migration"].steps["queue"].deadline) == 60

    must(world.time_out_of(world.letters[0]))
    world.settle()

    assert world.trace[-1] == ("active", None, "failed")
    check_end(world)


def test_a_check_that_takes_too_long_tries_another_host_and_excludes_the_first() -> None:
    world = built()
    must(world.request("live_migrate"))
    must(world.choose("h2"))

    must(world.time_out_of(world.letters[0]))

    assert world.saga.step == "schedule"
    assert world.saga.excluded == ("h1", "h2")
