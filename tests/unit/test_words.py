"""Our words against nova's: the same is done here as in each recording of a real nova.

What is not the same stands in `DIFFERENT`, with what is said here instead and the row of the
README's table that names it. A difference that is not there fails, and so does one that is gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.plays import PLAYS, compare
from tests.recordings import ASPECTS, api, differences

README: Final = Path(__file__).parents[2] / "README.md"
#: What notifications alone tell, where the API was not asked at the end.
TOLD_BY_NOTIFICATIONS: Final = ("states", "power", "owners")


class Differs(NamedTuple):
    """What is said here, and the beginning of the row that says why."""

    ours: object
    row: str


_ERRORS: Final = "An aborted build, a live migration that is rolled back"
_TWO_WRITERS: Final = "Conductor and compute both write"
_DELETE: Final = "A build that ends while its delete waits"
_SAVES: Final = "Several saves lead to one state"
_HAND_OVER: Final = "After a live migration the host changes"
_TOLD: Final = "A destination whose storage is shared"
_SEARCH: Final = "The event of a re-scheduled resize's first search"
_WINDOW: Final = "The action of an automatic confirm begins"
_FILTERS: Final = "`No valid host was found` names no filter"

_NONE_UP: Final = (
    "No valid host was found. There are not enough hosts available (0 hosts, ComputeFilter: 0)."
)
_NONE_ELSEWHERE: Final = (
    "No valid host was found. There are not enough hosts available"
    " (1 hosts, ComputeFilter: 1, DifferentHostFilter: 0)."
)
_NONE_OF_TWO: Final = (
    "No valid host was found. There are not enough hosts available"
    " (2 hosts, ComputeFilter: 2, DifferentHostFilter: 0)."
)
_BUILDING: Final = [
    ("building", "scheduling"),
    ("building", None),
    ("building", "networking"),
    ("building", "block_device_mapping"),
    ("building", "spawning"),
]
_TO_HOST2: Final = [("host1", "active", None), ("host2", "active", "migrating")]

DIFFERENT: Final[dict[tuple[str, str], Differs]] = {
    ("auto_confirm", "actions"): Differs([("resize", None), ("confirmResize", None)], _WINDOW),
    ("auto_confirm", "events"): Differs(
        [
            ("resize", "conductor_migrate_server", "Success", None),
            ("resize", "cold_migrate", "Success", None),
            ("resize", "compute_prep_resize", "Success", "host1"),
            ("resize", "compute_resize_instance", "Success", "host2"),
            ("resize", "compute_finish_resize", "Success", "host1"),
            ("confirmResize", "compute_confirm_resize", "Success", "host2"),
        ],
        _WINDOW,
    ),
    ("create_no_valid_host", "details"): Differs(
        [("conductor_schedule_and_build_instances", _NONE_UP)], _FILTERS
    ),
    ("create_no_valid_host", "fault"): Differs((500, _NONE_UP), _FILTERS),
    ("create_spawn_abort", "owners"): Differs(
        [
            (None, "building", "scheduling"),
            ("host1", "building", None),
            (None, "error", None),
        ],
        _SAVES,
    ),
    ("create_spawn_abort", "actions"): Differs([("create", "Error")], _ERRORS),
    ("create_spawn_abort", "events"): Differs(
        [("create", "compute__do_build_and_run_instance", "Error", "host1")], _ERRORS
    ),
    ("create_spawn_abort", "details"): Differs(
        [("compute__do_build_and_run_instance", "bad image")], _ERRORS
    ),
    ("delete_while_building", "states"): Differs(
        [*_BUILDING, ("building", "deleting"), ("deleted", None)], _DELETE
    ),
    ("delete_while_building", "power"): Differs([(0, "building", "scheduling")], _DELETE),
    ("delete_while_building", "actions"): Differs([("create", "Error"), ("delete", None)], _ERRORS),
    ("delete_while_building", "events"): Differs(
        [
            ("create", "compute__do_build_and_run_instance", "Error", "host2"),
            ("delete", "compute_terminate_instance", "Success", "host2"),
        ],
        _ERRORS,
    ),
    ("resize_no_valid_host", "details"): Differs(
        [("conductor_migrate_server", _NONE_ELSEWHERE), ("cold_migrate", _NONE_ELSEWHERE)],
        _FILTERS,
    ),
    ("resize_prep_fail", "states"): Differs(
        [("active", None), ("active", "resize_prep"), ("error", None)], _TWO_WRITERS
    ),
    ("resize_prep_fail", "events"): Differs(
        [
            ("resize", "conductor_migrate_server", "Success", None),
            ("resize", "cold_migrate", "Success", None),
            ("resize", "compute_prep_resize", "Error", "host1"),
            ("resize", "conductor_migrate_server", "Error", None),
            ("resize", "cold_migrate", "Error", None),
        ],
        _SEARCH,
    ),
    ("resize_prep_fail", "details"): Differs(
        [
            ("compute_prep_resize", "Insufficient compute resources: no room."),
            ("conductor_migrate_server", _NONE_OF_TWO),
            ("cold_migrate", _NONE_OF_TWO),
        ],
        _FILTERS,
    ),
    ("live_ok", "owners"): Differs(_TO_HOST2, _HAND_OVER),
    ("live_force", "owners"): Differs(_TO_HOST2, _HAND_OVER),
    ("live_paused", "owners"): Differs(
        [("host2", "active", None), ("host1", "paused", "migrating")], _HAND_OVER
    ),
    ("live_no_host", "details"): Differs(
        [("conductor_live_migrate_instance", _NONE_ELSEWHERE)], _FILTERS
    ),
    ("live_precheck_fail_targeted", "details"): Differs(
        [
            ("conductor_live_migrate_instance", "Migration pre-check error: cpu differs"),
            (
                "compute_check_can_live_migrate_destination",
                "Migration pre-check error: cpu differs",
            ),
        ],
        _FILTERS,
    ),
    ("live_rollback", "actions"): Differs([("live-migration", "Error")], _ERRORS),
    ("live_rollback", "events"): Differs(
        [
            ("live-migration", "conductor_live_migrate_instance", "Success", None),
            ("live-migration", "compute_check_can_live_migrate_destination", "Success", "host1"),
            ("live-migration", "compute_check_can_live_migrate_source", "Success", "host2"),
            ("live-migration", "compute_live_migration", "Success", "host2"),
            ("live-migration", "compute_pre_live_migration", "Success", "host1"),
            (
                "live-migration",
                "compute_rollback_live_migration_at_destination",
                "Success",
                "host1",
            ),
        ],
        _TOLD,
    ),
}


@pytest.mark.parametrize("name", sorted(PLAYS))
def test_the_words_are_novas_but_for_what_the_readme_names(name: str) -> None:
    theirs, ours = compare(name, PLAYS[name])
    aspects = ASPECTS if api(name) else TOLD_BY_NOTIFICATIONS

    found = differences(theirs, ours, aspects)
    intended = {aspect: d.ours for (of, aspect), d in DIFFERENT.items() if of == name}

    assert found == intended, f"nova says {[(a, getattr(theirs, a)) for a in found]}"


def test_every_difference_is_one_of_a_play_and_named_in_the_readme() -> None:
    left_cells = {
        line.split("|")[1].strip()
        for line in README.read_text().splitlines()
        if line.startswith("| ")
    }

    for (name, aspect), differs in DIFFERENT.items():
        assert name in PLAYS
        assert aspect in ASPECTS
        assert any(cell.startswith(differs.row) for cell in left_cells), differs.row
