"""What is said here otherwise than nova says it, on purpose: by recording and aspect.

A difference that is gone has to go from here too; each names the row of the README's table that
says why, or what nova's libvirt driver does and the recordings' driver does not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: Not our difference: nova's libvirt driver says it too, the recordings' driver does not.
AS_LIBVIRT: Final = "libvirt: "


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
_PENDING: Final = AS_LIBVIRT + "an image that waits to be uploaded"
_IMAGE: Final = "The conductor looks for the image of an unshelve"
_WINDOW: Final = "The action of an automatic confirm begins"
_CRASH: Final = "A compute service that dies leaves what it had begun"
_POWER: Final = "While an evacuation builds, power_state"
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

_DIED: Final = "the agent died while it was at it"
_RESIZING: Final = [
    ("active", None),
    ("active", "resize_prep"),
    ("active", "resize_migrating"),
    ("active", "resize_migrated"),
    ("active", "resize_finish"),
]

_SHELVING: Final = [
    ("active", None),
    ("active", "shelving"),
    ("active", "shelving_image_pending_upload"),
    ("active", "shelving_image_uploading"),
]
_OFFLOADED: Final = [
    *_SHELVING,
    ("shelved", "shelving_offloading"),
    ("shelved_offloaded", None),
]

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
    ("snapshot", "states"): Differs(
        [
            ("active", None),
            ("active", "image_snapshot_pending"),
            ("active", "image_snapshot"),
            ("active", "image_pending_upload"),
            ("active", "image_uploading"),
            ("active", None),
        ],
        _PENDING,
    ),
    ("backup", "states"): Differs(
        [
            ("active", None),
            ("active", "image_backup"),
            ("active", "image_pending_upload"),
            ("active", "image_uploading"),
            ("active", None),
        ],
        _PENDING,
    ),
    ("shelve_offload_only", "states"): Differs(_OFFLOADED, _PENDING),
    ("shelve_unshelve", "states"): Differs(
        [
            *_SHELVING,
            ("shelved", None),
            ("shelved", "unshelving"),
            ("shelved", "powering-on"),
            ("active", None),
        ],
        _PENDING,
    ),
    ("unshelve_no_host", "states"): Differs(
        [*_OFFLOADED, ("shelved_offloaded", "unshelving"), ("shelved_offloaded", None)], _PENDING
    ),
    ("unshelve_no_host", "events"): Differs(
        [
            ("shelve", "compute_shelve_instance", "Success", "host1"),
            ("unshelve", "schedule_instances", "Error", None),
        ],
        _IMAGE,
    ),
    ("unshelve_no_host", "details"): Differs([("schedule_instances", _NONE_UP)], _FILTERS),
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
    ("evacuate_active", "power"): Differs([(1, "active", None)], _POWER),
    ("evacuate_then_old_host_returns", "power"): Differs([(1, "active", None)], _POWER),
    ("evacuate_no_host", "details"): Differs([("rebuild_server", _NONE_ELSEWHERE)], _FILTERS),
    ("evacuate_no_host", "fault"): Differs((500, _NONE_ELSEWHERE), _FILTERS),
    ("init_building_spawning_crash", "states"): Differs(
        [*_BUILDING, *_BUILDING, ("active", None)], _CRASH
    ),
    ("init_building_spawning_crash", "power"): Differs(
        [(0, "building", "scheduling"), (1, "active", None)], _CRASH
    ),
    ("init_building_spawning_crash", "owners"): Differs(
        [
            (None, "building", "scheduling"),
            ("host2", "building", None),
            (None, "building", "scheduling"),
            ("host1", "building", None),
        ],
        _CRASH,
    ),
    ("init_building_spawning_crash", "events"): Differs(
        [
            ("create", "compute__do_build_and_run_instance", "Error", "host2"),
            ("create", "compute__do_build_and_run_instance", "Success", "host1"),
        ],
        _CRASH,
    ),
    ("init_building_spawning_crash", "details"): Differs(
        [("compute__do_build_and_run_instance", _DIED)], _CRASH
    ),
    ("init_resize_finish_crash", "states"): Differs([*_RESIZING, ("resized", None)], _CRASH),
    ("init_resize_finish_crash", "power"): Differs(
        [(1, "active", None), (0, "active", "resize_finish"), (1, "resized", None)], _CRASH
    ),
    ("init_resize_finish_crash", "migrations"): Differs(
        [("resize", "finished", "host1", "host2")], _CRASH
    ),
    ("init_resize_finish_crash", "events"): Differs(
        [
            ("resize", "conductor_migrate_server", "Success", None),
            ("resize", "cold_migrate", "Success", None),
            ("resize", "compute_prep_resize", "Success", "host2"),
            ("resize", "compute_resize_instance", "Success", "host1"),
            ("resize", "compute_finish_resize", "Success", "host2"),
        ],
        _CRASH,
    ),
    ("init_migrating_crash", "migrations"): Differs(
        [("live-migration", "failed", "host2", "host1")], _CRASH
    ),
    ("init_migrating_crash", "actions"): Differs([("live-migration", "Error")], _ERRORS),
    ("init_migrating_crash", "events"): Differs(
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
        _CRASH,
    ),
    ("power_sync", "power"): Differs([(1, "active", None), (4, "active", "powering-off")], _SAVES),
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
