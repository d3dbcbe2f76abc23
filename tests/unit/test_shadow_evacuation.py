"""Every way an evacuation can go, and some operations that move nothing.

Each story follows the steps of nova's code; its end is what nova's API would answer, or, where no
notification tells that, the last that was known, and that nobody told.
"""

from __future__ import annotations

import pytest

from statemachines.shadow_moves import Provenance
from tests.unit.shadow_story import Move, Story, ends, provenance


def evacuating(story: Story | None = None) -> Story:
    story = (story or Story()).service("a", forced_down=True).asks("rebuilding")
    return story.says("evacuate", "s", "nova-api").schedules()


def handed_over(story: Story | None = None) -> Story:
    return evacuating(story).says("rebuild_scheduled", "b", "nova-conductor").saves("rebuilding")


def spawning(story: Story | None = None) -> Story:
    story = handed_over(story).says("rebuild.start", "b").saves("rebuilding", power=0)
    return story.saves("rebuild_block_device_mapping").saves("rebuild_spawning")


def evacuated(story: Story | None = None) -> Story:
    story = spawning(story).saves(None, state="active", power=1).says("rebuild.end", "b")
    return story.saves(None, host="b", node="b")


def test_an_evacuation_is_done_when_the_host_changes() -> None:
    ends(evacuated(), "active", None, "b", ("evacuation", "done", "a", "b"))


def test_an_evacuation_that_ends_stopped_goes_through_powering_off() -> None:
    story = spawning(Story("stopped", power=4)).saves(None, state="active", power=1)
    story.saves("powering-off").says("power_off.start", "b")
    story.saves(None, state="stopped", power=4).says("power_off.end", "b")
    story.says("rebuild.end", "b").saves(None, host="b")

    ends(story, "stopped", None, "b", ("evacuation", "done", "a", "b"))


def test_an_evacuation_out_of_error_is_no_failure() -> None:
    ends(
        evacuated(Story("error")),
        "active",
        None,
        "b",
        ("evacuation", "done", "a", "b"),
    )


def test_a_lost_host_that_comes_back_completes_its_evacuation() -> None:
    story = evacuated().service("a", forced_down=False)

    ends(story, "active", None, "b", ("evacuation", "completed", "a", "b"))


def test_a_service_that_was_never_forced_down_says_nothing_by_being_up() -> None:
    story = Story().asks("rebuilding").says("evacuate", "s", "nova-api")
    story.says("rebuild_scheduled", "b", "nova-conductor").says("rebuild.start", "b")
    story.saves("rebuild_spawning").saves(None).saves(None, host="b")
    story.service("a", forced_down=False, disabled=True)

    ends(story, "active", None, "b", ("evacuation", "done", "a", "b"))


def test_a_destination_that_cannot_claim_fails_the_evacuation_and_nothing_else() -> None:
    story = handed_over().saves(None).says("rebuild.error", "b")

    ends(story, "active", None, "a", ("evacuation", "failed", "a", "b"))


def test_a_destination_that_cannot_spawn_leaves_the_instance_in_error_at_its_lost_host() -> None:
    story = spawning().says("rebuild.error", "b")
    story.saves("rebuild_spawning", state="error").saves(None)

    ends(story, "error", None, "a", ("evacuation", "failed", "a", "b"))


@pytest.mark.parametrize("state", ["active", "error"], ids=["forced host", "no host"])
def test_a_conductor_that_refuses_an_evacuation_puts_the_record_in_error(state: str) -> None:
    story = evacuating().refuses("rebuild_server", state=state)

    ends(story, state, None, "a", ("evacuation", "error", "a", None))


def test_a_destination_that_dies_leaves_the_evacuation_where_it_was() -> None:
    ends(spawning(), "active", "rebuild_spawning", "a", ("evacuation", "pre-migrating", "a", "b"))


def test_an_evacuation_may_be_repeated() -> None:
    story = spawning().says("rebuild.error", "b").saves(None, state="error")
    evacuated(story)

    failed: Move = ("evacuation", "failed", "a", "b")
    ends(story, "active", None, "b", failed, ("evacuation", "done", "a", "b"))


def test_a_lost_host_that_starts_during_an_evacuation_completes_the_record() -> None:
    story = spawning().saves(None, state="error", by=None)

    ends(story, "error", None, "a", ("evacuation", "completed", "a", "b"))


def test_a_rebuild_that_fails_later_is_no_evacuation() -> None:
    story = evacuated().asks("rebuilding").says("rebuild_scheduled", "b", "nova-conductor")
    story.says("rebuild.start", "b").says("rebuild.error", "b").saves(None, state="error")

    ends(story, "error", None, "b", ("evacuation", "done", "a", "b"))


def test_an_unfinished_evacuation_of_a_host_that_is_let_up_is_nobodys_word() -> None:
    story = spawning().service("a", forced_down=False)

    ends(story, "active", "rebuild_spawning", "a", ("evacuation", "pre-migrating", "a", "b"))
    assert provenance(story) is Provenance.UNKNOWN


def test_a_build_that_is_tried_again_has_no_host_between() -> None:
    story = Story("building", "scheduling", 0).saves(None, host=None)
    story.says("create.start", "a").saves(None, host="a").saves("spawning")
    story.says("create.error", "a").saves("scheduling", host=None)
    story.saves(None).says("create.start", "b").saves(None, host="b").saves("spawning")
    story.saves(None, state="active", power=1).says("create.end", "b")

    ends(story, "active", None, "b")


def test_a_delete_by_the_api_of_a_lost_host_ends_deleted_whatever_was_saved() -> None:
    story = Story().asks("soft-deleting").says("delete.start", "s", "nova-api")
    story.saves(None, state="soft-delete").says("delete.end", "s", "nova-api")

    ends(story, "deleted", None, "a")


def test_a_delete_that_fails_leaves_an_instance_in_error() -> None:
    story = Story().asks("deleting").says("delete.start", "a").saves(None, state="error")

    ends(story, "error", None, "a")
    assert not story.shadow().is_deleted


def test_an_unshelve_without_its_image_stays_unshelving_in_error() -> None:
    story = Story("shelved_offloaded", power=4)
    story.row.update(host=None, node=None)
    story.asks("unshelving").saves("unshelving", state="error")

    ends(story, "error", "unshelving", None)
