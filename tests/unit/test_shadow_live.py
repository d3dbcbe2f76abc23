"""Every way a live migration can go, and what the shadow then says.

Each story follows the steps of nova's code; its end is what nova's API would answer, or, where no
notification tells that, the last that was known, and that nobody told.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from statemachines.shadow_moves import Provenance
from tests.unit.shadow_story import Move, Story, ends, provenance


def asked(story: Story | None = None) -> Story:
    return (story or Story()).asks("migrating").schedules()


def preparing(story: Story | None = None) -> Story:
    return asked(story).says("live_migration_pre.start", "b")


def running(story: Story | None = None) -> Story:
    return preparing(story).says("live_migration_pre.end", "b")


def switching(story: Story | None = None) -> Story:
    return running(story).says("live_migration_post.start", "a")


def arriving() -> Story:
    return switching().says("live_migration_post_dest.start", "b")


def rolled_back(story: Story) -> Story:
    story.says("live_migration_rollback.start", "a").saves(None)
    return story.says("live_migration_rollback.end", "a")


def aborted(story: Story) -> Story:
    mine, story.request = story.request, "req-8"
    story.says("live_migration_abort.start", "a").says("live_migration_abort.end", "a")
    story.request = mine
    return story


def arrived() -> Story:
    story = arriving()
    story.saves(None, host="b", node="b")
    return story.says("live_migration_post_dest.end", "b")


def test_a_live_migration_is_completed_by_a_word_with_an_old_snapshot() -> None:
    story = arriving()
    old = story.seen()
    story.saves(None, host="b").says("live_migration_post_dest.end", "b")
    story.says("live_migration_post.end", "a", row=old)

    ends(story, "active", None, "b", ("live-migration", "completed", "a", "b"))


def test_a_source_that_dies_after_the_switch_leaves_the_record_running() -> None:
    ends(arrived(), "active", None, "b", ("live-migration", "running", "a", "b"))


def test_a_copy_that_fails_is_rolled_back_as_failed() -> None:
    ends(rolled_back(running()), "active", None, "a", ("live-migration", "failed", "a", "b"))


def test_a_preparation_that_fails_is_rolled_back_as_failed() -> None:
    story = preparing().says("live_migration_rollback.start", "a")
    ends(story, "active", "migrating", "a", ("live-migration", "error", "a", "b"))
    story.saves(None).says("live_migration_rollback.end", "a")

    ends(story, "active", None, "a", ("live-migration", "failed", "a", "b"))


@pytest.mark.parametrize("stage", [preparing, running], ids=["preparing", "running"])
def test_an_abort_ends_cancelled(stage: Callable[[], Story]) -> None:
    story = rolled_back(aborted(stage()))

    ends(story, "active", None, "a", ("live-migration", "cancelled", "a", "b"))


def test_a_word_of_the_abort_that_comes_after_the_rollback_still_tells_why() -> None:
    story = running()
    mine, story.request = story.request, "req-8"
    story.says("live_migration_abort.start", "a")
    story.request = mine
    rolled_back(story)
    story.request = "req-8"
    story.says("live_migration_abort.end", "a")

    ends(story, "active", None, "a", ("live-migration", "cancelled", "a", "b"))


def test_an_abort_takes_a_queued_migration_out_under_its_own_request() -> None:
    story = asked()
    story.request = "req-8"
    story.says("live_migration_abort.start", "a").saves(None)
    story.says("live_migration_abort.end", "a")

    ends(story, "active", None, "a", ("live-migration", "cancelled", "a", None))


def test_an_abort_that_comes_too_late_changes_nothing() -> None:
    story = running()
    mine, story.request = story.request, "req-8"
    story.says("live_migration_abort.start", "a")
    story.request = mine
    story.says("live_migration_post.start", "a").says("live_migration_post_dest.start", "b")
    story.saves(None, host="b").says("live_migration_post_dest.end", "b")
    story.says("live_migration_post.end", "a")

    ends(story, "active", None, "b", ("live-migration", "completed", "a", "b"))


def test_a_driver_that_raises_puts_instance_and_migration_in_error() -> None:
    story = running().saves(None, state="error")

    ends(story, "error", None, "a", ("live-migration", "error", "a", "b"))


def test_a_destination_that_fails_after_the_switch_keeps_the_instance_in_error() -> None:
    story = arriving().saves(None, state="error", host="b").saves(None)

    ends(story, "error", None, "b", ("live-migration", "error", "a", "b"))


def test_a_source_that_fails_after_the_switch_still_hands_the_host_over() -> None:
    story = switching().saves(None, host="b").saves(None, state="error")

    ends(story, "error", None, "b", ("live-migration", "error", "a", "b"))


def test_a_source_that_cannot_release_its_claim_is_in_error_though_it_was_completed() -> None:
    story = arrived().says("live_migration_post.end", "a").saves(None, state="error")

    ends(story, "error", None, "b", ("live-migration", "error", "a", "b"))


@pytest.mark.parametrize("state", ["active", "error"], ids=["foreseen", "unforeseen"])
def test_a_conductor_that_refuses_a_live_migration_puts_the_record_in_error(state: str) -> None:
    story = asked().refuses("migrate_server", state=state)

    ends(story, state, None, "a", ("live-migration", "error", "a", None))


def test_hosts_that_fail_their_check_are_tried_one_after_the_other() -> None:
    story = asked().schedules().says("live_migration_pre.start", "c")
    story.says("live_migration_pre.end", "c").says("live_migration_post.start", "a")
    story.saves(None, host="c").says("live_migration_post.end", "a")

    ends(story, "active", None, "c", ("live-migration", "completed", "a", "c"))


def test_a_source_that_restarts_aborts_what_was_running() -> None:
    story = running()
    story.request = None
    story.says("live_migration_abort.start", "a").says("live_migration_abort.end", "a")
    story.saves(None)

    ends(story, "active", None, "a", ("live-migration", "error", "a", "b"))
    assert provenance(story) is Provenance.INFERRED


@pytest.mark.parametrize(
    ("stage", "status", "dest"),
    [(asked, "accepted", None), (preparing, "preparing", "b"), (running, "preparing", "b")],
    ids=["queued", "preparing", "prepared"],
)
def test_a_source_that_restarts_leaves_a_record_that_did_not_run(
    stage: Callable[[], Story], status: str, dest: str | None
) -> None:
    story = stage().saves(None, by=None)

    ends(story, "active", None, "a", ("live-migration", status, "a", dest))
    assert provenance(story) is Provenance.UNKNOWN


def test_a_rollback_that_finds_the_task_reset_ends_in_error() -> None:
    story = running()
    mine = story.request
    story.asks(None, "active")
    ends(story, "active", None, "a", ("live-migration", "running", "a", "b"))
    story.request = mine
    story.says("live_migration_rollback.start", "a").saves(None, state="error")

    ends(story, "error", None, "a", ("live-migration", "error", "a", "b"))


def test_a_delete_breaks_a_live_migration() -> None:
    story = running().asks("deleting").says("delete.start", "a")
    story.saves(None, state="deleted", power=0).says("delete.end", "a")
    story.says("live_migration_post.start", "a")

    ends(story, "deleted", None, "a", ("live-migration", "error", "a", "b"))


def test_a_second_try_is_a_second_migration() -> None:
    story = switching(rolled_back(running())).saves(None, host="b")
    story.says("live_migration_post.end", "a")

    failed: Move = ("live-migration", "failed", "a", "b")
    ends(story, "active", None, "b", failed, ("live-migration", "completed", "a", "b"))


def test_a_lock_meanwhile_begins_no_second_live_migration() -> None:
    story = running()
    mine = story.request
    story.asks("migrating").says("lock", "s", "nova-api")
    story.request = mine
    rolled_back(story)

    ends(story, "active", None, "a", ("live-migration", "failed", "a", "b"))
