"""Every way a resize or cold migration can go, and what the shadow then says.

Each story follows the steps of nova's code; its end is what nova's API would answer, or, where no
notification tells that, the last that was known, and that nobody told.
"""

from __future__ import annotations

import pytest

from statemachines.shadow_moves import Provenance
from tests.unit.shadow_story import Move, Story, ends, provenance


def prepared(dest: str = "b", wanted: str = "large", story: Story | None = None) -> Story:
    story = (story or Story()).asks("resize_prep").schedules(wanted)
    return claimed(story, dest, wanted)


def claimed(story: Story, dest: str, wanted: str = "large") -> Story:
    size = {"nova_object.data": {"flavorid": "2" if wanted == "large" else "1", "name": wanted}}
    story.says("exists", dest).says("resize_prep.start", dest, new_flavor=size)
    return story.saves("resize_prep").says("resize_prep.end", dest, new_flavor=size)


def migrated(story: Story, dest: str = "b") -> Story:
    story.saves("resize_migrating").says("resize.start", "a")
    return story.saves("resize_migrated", host=dest, node=dest).says("resize.end", "a")


def resized(wanted: str = "large", story: Story | None = None) -> Story:
    story = migrated(prepared("b", wanted, story))
    story.saves("resize_finish", flavor=wanted).says("resize_finish.start", "b")
    return story.saves(None, state="resized").says("resize_finish.end", "b")


def reverting(story: Story | None = None) -> Story:
    return (story or resized()).asks("resize_reverting").says("exists", "b")


def restoring(story: Story | None = None) -> Story:
    story = reverting(story).says("resize_revert.start", "a")
    return story.saves("resize_reverting", host="a", node="a", flavor="small")


def test_a_resize_waits_finished_until_it_is_confirmed() -> None:
    ends(resized(), "resized", None, "b", ("resize", "finished", "a", "b"))


def test_the_same_flavor_makes_it_a_migration() -> None:
    ends(resized("small"), "resized", None, "b", ("migration", "finished", "a", "b"))


def test_a_revert_ends_reverted_at_home() -> None:
    story = restoring().saves("resize_reverting").saves(None, state="active")
    story.says("resize_revert.end", "a")

    ends(story, "active", None, "a", ("resize", "reverted", "a", "b"))


def test_a_revert_of_a_stopped_server_goes_through_powering_off() -> None:
    story = restoring(resized(story=Story("stopped", power=4))).saves("powering-off")
    story.says("power_off.start", "a").saves(None, state="stopped", power=4)
    story.says("power_off.end", "a").says("resize_revert.end", "a")

    ends(story, "stopped", None, "a", ("resize", "reverted", "a", "b"))


def test_a_revert_that_breaks_on_the_destination_is_an_error() -> None:
    story = reverting().saves("resize_reverting", state="error").saves(None)

    ends(story, "error", None, "b", ("resize", "error", "a", "b"))


def test_a_revert_that_breaks_on_the_source_is_an_error_though_it_was_reverted() -> None:
    story = restoring().saves("resize_reverting", state="error").saves(None)

    ends(story, "error", None, "a", ("resize", "error", "a", "b"))


def test_a_revert_that_nobody_goes_on_with_stays_reverting() -> None:
    story = reverting()

    ends(story, "resized", "resize_reverting", "b", ("resize", "reverting", "a", "b"))


def test_a_claim_that_fails_is_tried_on_the_next_host() -> None:
    story = Story().asks("resize_prep").schedules("large").says("resize_prep.start", "b")
    story.saves("resize_prep").saves("resize_prep")
    old = story.seen()
    claimed(story, "c")
    story.saves("resize_migrating").says("resize.error", "b", row=old)
    story.says("resize_prep.end", "b", row=old).says("resize.start", "a")
    story.saves("resize_migrated", host="c").says("resize.end", "a")
    story.saves("resize_finish", flavor="large").says("resize_finish.start", "c")
    story.saves(None, state="resized").says("resize_finish.end", "c")

    ends(story, "resized", None, "c", ("resize", "finished", "a", "c"))


def test_a_claim_that_fails_with_no_host_left_ends_in_error_after_the_conductor_said_active() -> (
    None
):
    story = Story().asks("resize_prep").schedules("large").says("resize_prep.start", "b")
    old = story.saves("resize_prep").saves("resize_prep").seen()
    story.refuses("migrate_server", "large").says("resize.error", "b", row=old)
    story.says("resize_prep.end", "b", row=old).saves(None, state="error").saves(None)

    ends(story, "error", None, "a", ("resize", "error", "a", None))


def test_a_claim_that_fails_on_a_named_host_is_tried_nowhere() -> None:
    story = Story().asks("resize_prep").schedules().says("resize_prep.start", "b")
    story.saves("resize_prep").says("resize_prep.end", "b")
    story.saves("resize_prep", state="error").saves(None)

    ends(story, "error", None, "a", ("migration", "error", "a", None))


def test_a_group_policy_violation_keeps_the_state_of_the_instance() -> None:
    story = prepared().saves(None)

    ends(story, "active", None, "a", ("resize", "error", "a", None))


@pytest.mark.parametrize("scheduled", [True, False], ids=["no host", "before the scheduler"])
def test_a_conductor_that_refuses_a_resize_leaves_the_instance_as_it_was(scheduled: bool) -> None:
    story = Story().asks("resize_prep")
    if scheduled:
        story.schedules("large", found=False)
    story.refuses("migrate_server", "large")

    ends(story, "active", None, "a", ("resize", "error", "a", None))
    assert provenance(story) is Provenance.TOLD


def test_a_source_that_fails_puts_instance_and_migration_in_error() -> None:
    story = prepared().saves("resize_migrating").says("resize.start", "a")
    story.saves("resize_migrating", state="error").saves(None)

    ends(story, "error", None, "a", ("resize", "error", "a", "b"))


def test_a_source_that_can_undo_keeps_the_state_and_the_migration_is_in_error() -> None:
    story = prepared().saves("resize_migrating").says("resize.start", "a").saves(None)

    ends(story, "active", None, "a", ("resize", "error", "a", "b"))


def test_a_destination_that_fails_strands_the_instance_there() -> None:
    story = migrated(prepared()).saves("resize_finish", flavor="large")
    story.says("resize_finish.start", "b").saves("resize_finish", state="error", flavor="small")
    story.saves(None)

    ends(story, "error", None, "b", ("resize", "error", "a", "b"))


def test_a_source_that_restarts_while_it_copies_leaves_the_record_as_it_was() -> None:
    story = prepared().saves("resize_migrating").says("resize.start", "a").saves(None, by=None)

    ends(story, "active", None, "a", ("resize", "migrating", "a", "b"))
    assert provenance(story) is Provenance.UNKNOWN


def test_a_restart_met_midway_shows_that_there_is_a_record() -> None:
    story = Story(task="resize_migrating")
    story.request = None
    story.saves(None)

    ends(story, "active", None, "a", ("resize", "migrating", "a", None))
    assert provenance(story) is Provenance.UNKNOWN
    assert story.shadow().migrations[0].type_provenance is Provenance.UNKNOWN


def test_a_source_that_restarts_before_the_hand_over_leaves_a_record_that_is_taken_up_again() -> (
    None
):
    story = Story().asks("resize_prep").schedules("large").saves(None, by=None)
    assert provenance(story) is Provenance.UNKNOWN

    again = resized(story=story)

    ends(again, "resized", None, "b", ("resize", "finished", "a", "b"))


def test_a_record_of_the_other_type_is_not_taken_up() -> None:
    story = Story().asks("resize_prep").schedules("large").saves(None, by=None)
    resized("small", story)

    left: Move = ("resize", "pre-migrating", "a", None)
    ends(story, "resized", None, "b", left, ("migration", "finished", "a", "b"))


def test_a_confirm_that_nobody_goes_on_with_stays_confirming() -> None:
    story = resized()
    story.request = "req-7"
    story.says("resize_confirm.start", "a")

    ends(story, "resized", None, "b", ("resize", "confirming", "a", "b"))
    assert story.shadow().operation == "confirmResize"


@pytest.mark.parametrize("request_id", ["req-7", None], ids=["by a user", "by itself"])
def test_a_confirm_ends_confirmed(request_id: str | None) -> None:
    story = resized()
    story.request = request_id
    story.says("resize_confirm.start", "a").saves(None, state="active")
    story.says("resize_confirm.end", "a").saves(None)

    ends(story, "active", None, "b", ("resize", "confirmed", "a", "b"))


@pytest.mark.parametrize("request_id", ["req-7", None], ids=["by a user", "by itself"])
def test_a_confirm_that_breaks_is_an_error(request_id: str | None) -> None:
    story = resized()
    story.request = request_id
    story.says("resize_confirm.start", "a").saves(None).saves(None, state="error")

    ends(story, "error", None, "b", ("resize", "error", "a", "b"))


def test_a_confirm_that_cannot_release_its_claim_is_an_error_after_all() -> None:
    story = resized()
    story.request = "req-7"
    story.says("resize_confirm.start", "a").saves(None, state="active")
    story.says("resize_confirm.end", "a").saves(None, state="error")

    ends(story, "error", None, "b", ("resize", "error", "a", "b"))


def test_a_delete_of_a_resized_server_confirms_it_first() -> None:
    story = resized().asks("deleting").says("resize_confirm.start", "a")
    story.saves("deleting", state="active").says("resize_confirm.end", "a")
    story.says("delete.start", "b").saves(None, state="deleted", power=0).says("delete.end", "b")

    ends(story, "deleted", None, "b", ("resize", "confirmed", "a", "b"))


def test_a_delete_in_the_middle_of_a_move_breaks_it() -> None:
    story = prepared().saves("resize_migrating").says("resize.start", "a").asks("deleting")
    story.says("delete.start", "a").saves(None, state="deleted").says("delete.end", "a")

    ends(story, "deleted", None, "a", ("resize", "error", "a", "b"))


def test_a_reset_state_touches_no_migration() -> None:
    story = migrated(prepared()).saves("resize_finish", flavor="large").asks(None, "active")

    ends(story, "active", None, "b", ("resize", "post-migrating", "a", "b"))


def test_another_request_meanwhile_begins_no_second_move() -> None:
    story = Story().asks("resize_prep")
    mine = story.request
    story.asks("resize_prep")
    story.request = mine
    migrated(claimed(story, "b"))

    ends(story, "active", "resize_migrated", "b", ("resize", "post-migrating", "a", "b"))
