"""Live migration: nova's steps, its roll-backs, and who owns the guest when hosts die."""

from __future__ import annotations

from itertools import permutations

import pytest

from events import instance, migration
from statemachines.notes import SagaNote
from statemachines.verdict import Rejected
from tests.beginnings import begin, built
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

SOURCE, DESTINATION = "h1", "h2"
MIGRATING = ("active", "migrating")


def standing_at(step: str, **rules: str) -> World:
    """Return a world whose migration stands at a step."""
    world = begin("live_migrate", **rules)
    while world.saga.step != step:
        world.succeed(world.letters[0])
    return world.from_here()


def ending(world: World) -> str | None:
    """Return how the migration ended."""
    notes = [n for n in world.noted(SagaNote) if isinstance(n, SagaNote)]
    return next(
        (n.ending for n in notes if n.state.saga == "live_migration" and n.ending is not None), None
    )


def test_it_goes_through_novas_states() -> None:
    world = begin("live_migrate").from_here()

    world.settle()

    assert world.trace == [
        (*MIGRATING, "accepted"),
        (*MIGRATING, "queued"),
        (*MIGRATING, "preparing"),
        (*MIGRATING, "running"),
        ("active", None, "running"),
        ("active", None, "completed"),
    ]
    assert world.events == [
        ("conductor_live_migrate_instance", "Success"),
        ("compute_check_can_live_migrate_destination", "Success"),
        ("compute_check_can_live_migrate_source", "Success"),
        ("compute_live_migration", "Success"),
        ("compute_pre_live_migration", "Success"),
        ("compute_post_live_migration_at_destination", "Success"),
    ]
    assert world.actions == [("live-migration", None)]
    assert (world.here.host, world.here.node) == (DESTINATION, "h2-n")
    assert [c.host for c in world.here.claims] == [DESTINATION]


def test_progress_is_kept_in_the_migration() -> None:
    world = standing_at("migrate")
    fact = migration.LiveMigrationProgressed(
        memory_total=10,
        memory_processed=4,
        memory_remaining=6,
        disk_total=0,
        disk_processed=0,
        disk_remaining=0,
    )

    must(world.says(SOURCE, migration.LiveMigrationStarted(), fact))

    assert world.here.move is not None
    assert (world.here.move.memory_total, world.here.move.memory_remaining) == (10, 6)
    assert world.trace[-1] == (*MIGRATING, "running")


def test_post_copy_has_a_status_of_its_own() -> None:
    world = standing_at("migrate")

    must(world.says(SOURCE, migration.PostCopyStarted()))

    assert world.trace[-1] == (*MIGRATING, "running (post-copy)")


@pytest.mark.parametrize("first", ["source", "destination"])
def test_ownership_moves_at_the_first_of_handed_over_and_arrived(first: str) -> None:
    world = standing_at("migrate")
    command_id = world.outstanding(SOURCE)
    said = [
        lambda: world.says(SOURCE, migration.GuestHandedOver(), command_id=command_id),
        lambda: world.unasked(DESTINATION, migration.GuestArrived(power_state=1)),
    ]
    if first == "destination":
        said.reverse()

    must(said[0]())
    assert world.here.host == DESTINATION
    assert world.orders == [("FinishLiveMigration", DESTINATION)]
    must(said[1]())

    assert world.here.host == DESTINATION
    world.settle()
    assert ending(world) == "completed"


def test_failed_checks_try_other_hosts_until_the_retries_are_used_up() -> None:
    world = begin("live_migrate", migrate_max_retries="1")
    must(world.choose("h2"))
    must(world.says("h2", migration.DestinationCheckFailed(reason="cpu")))
    assert world.states == MIGRATING
    assert world.saga.excluded == ("h1", "h2")
    must(world.choose("h3"))
    must(world.says("h3", migration.DestinationChecked()))

    must(world.says(SOURCE, migration.SourceCheckFailed(reason="storage")))

    assert ending(world) == "max_retries"
    assert world.trace[-1] == ("active", None, "error")
    check_end(world)


@pytest.mark.parametrize(("retries", "tried"), [("0", 1), ("1", 2), ("-1", 3)])
def test_migrate_max_retries_counts_the_hosts_after_the_first(retries: str, tried: int) -> None:
    world = begin("live_migrate", migrate_max_retries=retries)
    while world.here.saga is not None:
        letter = world.letters[0]
        if letter.address.step == "schedule":
            world.schedule(letter)
        else:
            world.fail(letter, migration.DestinationCheckFailed)

    assert len(world.noted(SagaNote)) > 0
    hosts = {h for n in world.noted(SagaNote) if isinstance(n, SagaNote) for h in n.state.commanded}
    assert len(hosts - {SOURCE}) == tried
    check_end(world)


def test_a_host_asked_for_by_name_is_the_only_one() -> None:
    world = built()
    must(world.request("live_migrate", host="h3"))
    must(world.choose("h3"))

    must(world.says("h3", migration.DestinationCheckFailed(reason="cpu")))

    assert ending(world) == "max_retries"


def test_no_valid_host_keeps_the_guest_as_it_is() -> None:
    world = begin("live_migrate")

    must(world.no_valid_host())

    assert world.trace[-1] == ("active", None, "error")
    check_end(world)


def test_an_answer_about_a_host_that_was_given_up_does_not_count_for_the_next() -> None:
    world = begin("live_migrate")
    must(world.choose("h2"))
    must(world.says("h2", migration.DestinationChecked()))
    command_id = world.outstanding(SOURCE)
    must(world.time_out(SOURCE))  # h2 is given up
    must(world.choose("h3"))
    must(world.says("h3", migration.DestinationChecked()))

    outcome = world.says(SOURCE, migration.SourceChecked(), command_id=command_id)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "older-attempt"
    assert world.saga.step == "check_source"


@pytest.mark.parametrize(
    ("step", "host", "fact"),
    [
        ("prepare", DESTINATION, migration.DestinationPrepareFailed(reason="no")),
        ("migrate", SOURCE, migration.LiveMigrationFailed(reason="no")),
    ],
)
def test_a_failure_before_the_hand_over_is_rolled_back_source_first(
    step: str, host: str, fact: object
) -> None:
    world = standing_at(step)
    must(world.says(host, fact))
    assert world.orders == [("RollbackSource", SOURCE)]
    must(world.says(SOURCE, migration.SourceRolledBack(power_state=1)))
    assert world.orders == [("RollbackDestination", DESTINATION)]

    must(world.says(DESTINATION, migration.DestinationRolledBack()))

    assert world.trace[-1] == ("active", None, "failed")
    assert ("compute_rollback_live_migration_at_destination", "Success") in world.events
    assert world.here.host == SOURCE
    assert [c.host for c in world.here.claims] == [SOURCE]
    check_end(world)


@pytest.mark.parametrize("word", ["handed over", "arrived"])
def test_a_guest_that_had_left_when_the_roll_back_came_is_at_home_where_it_went(word: str) -> None:
    world = standing_at("migrate")
    command_id = world.outstanding(SOURCE)
    must(world.time_out(SOURCE))
    assert world.orders == [("RollbackSource", SOURCE)]

    if word == "handed over":
        must(world.says(SOURCE, migration.GuestHandedOver(), command_id=command_id))
    else:
        must(world.unasked(DESTINATION, migration.GuestArrived(power_state=1)))

    assert world.orders == [("FinishLiveMigration", DESTINATION)]
    world.settle()
    assert ending(world) == "completed"
    assert world.trace[-1] == ("active", None, "completed")
    assert world.here.host == DESTINATION
    assert [c.host for c in world.here.claims] == [DESTINATION]
    assert world.actions == [] or world.actions[-1] == ("live-migration", None)


def test_a_destination_that_cannot_define_the_guest_is_its_home_all_the_same() -> None:
    world = standing_at("finish")
    must(world.says(DESTINATION, migration.LiveMigrationFinishFailed(power_state=1, reason="no")))
    assert world.orders == [("CleanUpSource", SOURCE)]

    must(world.says(SOURCE, migration.SourceCleanedUp()))

    assert world.trace[-1] == ("error", None, "error")
    assert world.here.host == DESTINATION
    assert [c.host for c in world.here.claims] == [DESTINATION]


def test_a_destination_that_dies_after_the_hand_over_keeps_the_guest() -> None:
    world = standing_at("finish")

    must(world.lose(DESTINATION))
    world.settle(lost=frozenset({DESTINATION}))

    assert world.trace[-1] == ("error", None, "error")
    assert world.here.host == DESTINATION
    assert [c.host for c in world.here.claims] == [DESTINATION]
    assert [s.saga for s in world.here.sides] == ["fence"]


def test_a_source_that_dies_in_the_copy_leaves_the_word_to_the_destination() -> None:
    world = standing_at("migrate")
    must(world.lose(SOURCE))
    assert world.orders[0] == ("FinishLiveMigration", DESTINATION)
    has_it, has_not = world.fork(), world.fork()

    must(has_it.says(DESTINATION, migration.LiveMigrationFinished(power_state=1)))
    has_it.settle(lost=frozenset({SOURCE}))
    must(has_not.says(DESTINATION, migration.LiveMigrationFinishFailed(power_state=0, reason="no")))
    has_not.settle(lost=frozenset({SOURCE}))

    assert has_it.trace[-1] == ("active", None, "completed")
    assert has_it.here.host == DESTINATION
    assert has_not.trace[-1] == ("error", None, "error")
    assert has_not.here.host == SOURCE
    for each in (has_it, has_not):
        each.come_back()
        check_end(each)


def test_a_guest_that_came_is_not_rolled_back_because_it_could_not_be_defined() -> None:
    world = standing_at("migrate")
    must(world.lose(SOURCE))
    must(world.unasked(DESTINATION, migration.GuestArrived(power_state=1)))

    must(world.says(DESTINATION, migration.LiveMigrationFinishFailed(power_state=1, reason="no")))
    world.settle(lost=frozenset({SOURCE}))

    assert world.trace[-1] == ("error", None, "error")
    assert world.here.host == DESTINATION
    assert ending(world) == "stranded"


def test_with_both_hosts_away_in_the_copy_nothing_is_destroyed_and_a_person_is_asked() -> None:
    world = standing_at("migrate")
    must(world.lose(SOURCE))

    must(world.lose(DESTINATION))

    assert world.saga.needs_operator is not None
    assert [s.saga for s in world.here.sides] == ["fence"]
    assert sorted(c.host for c in world.here.claims) == [SOURCE, DESTINATION]


def test_a_source_lost_before_the_copy_keeps_the_guest() -> None:
    world = standing_at("queue")

    must(world.lose(SOURCE))
    world.settle(lost=frozenset({SOURCE}))

    assert world.trace[-1] == ("active", None, "error")
    assert world.here.host == SOURCE
    check_end(world)


def test_a_paused_guest_is_migrated_too() -> None:
    world = begin("pause")
    world.settle()
    must(world.request("live_migrate"))
    world.settle()

    assert world.states == ("paused", None)
    assert world.here.host == DESTINATION


def test_words_that_are_not_the_ones_asked_for_do_not_move_a_guest() -> None:
    for step, host in (("prepare", DESTINATION), ("queue", SOURCE), ("check_source", SOURCE)):
        world = standing_at(step)
        for fact in (migration.GuestHandedOver(), migration.GuestArrived(power_state=1)):
            outcome = world.says(host, fact)
            assert isinstance(outcome.verdict, Rejected)
        assert world.here.host == SOURCE


def test_a_foreign_host_may_say_nothing_of_a_migration() -> None:
    world = standing_at("migrate")
    command_id = world.outstanding(SOURCE)

    unasked = world.unasked("h9", migration.GuestArrived(power_state=1))
    stolen = world.says("h9", migration.GuestHandedOver(), command_id=command_id)

    assert isinstance(unasked.verdict, Rejected)
    assert unasked.verdict.code == "not-asked"
    assert isinstance(stolen.verdict, Rejected)
    assert stolen.verdict.code == "not-entitled"
    assert world.here.host == SOURCE


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_in_which_hosts_are_heard_does_not_matter(order: tuple[int, ...]) -> None:
    world = standing_at("migrate")
    command_id = world.outstanding(SOURCE)
    source = [migration.LiveMigrationStarted(), migration.GuestHandedOver()]
    said = [
        lambda: world.says(SOURCE, source.pop(0), command_id=command_id),
        lambda: world.says(SOURCE, source.pop(0), command_id=command_id),
        lambda: world.unasked(DESTINATION, migration.GuestArrived(power_state=1)),
    ]
    for n in order:
        must(said[n]())

    world.settle()

    assert world.trace[-1] == ("active", None, "completed")
    assert world.here.host == DESTINATION


def test_a_refusal_at_every_step_ends_the_migration() -> None:
    steps = ("check_destination", "check_source", "queue", "prepare", "migrate", "finish")
    for step in steps:
        world = standing_at(step)
        world.fail(world.letters[0], instance.CommandRefused)
        world.settle()
        check_end(world)
