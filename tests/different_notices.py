"""What is notified here otherwise than by nova, on purpose: line by line, by recording."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.different_words import AS_LIBVIRT


class Differs(NamedTuple):
    """Lines that nova says and we don't (-), or we say and nova doesn't (+), and why."""

    lines: list[str]
    row: str


_HAND_OVER: Final = "After a live migration the host changes"
_DELETE: Final = "A build that ends while its delete waits"
_TWO_WRITERS: Final = "Conductor and compute both write"
_CRASH: Final = "A compute service that dies leaves what it had begun"
_POWER: Final = "While an evacuation builds, power_state"
_SAVES: Final = "Several saves lead to one state"
_TOLD: Final = "A destination whose storage is shared"


def _after_hand_over(state: str, power: str, source: str, destination: str) -> Differs:
    """The update at the hand-over, and what follows shown as it is by then."""
    return Differs(
        [
            f"+ instance.update {state}/migrating {power} {destination}",
            f"- nova-compute:{destination} instance.live_migration_post_dest.start"
            f" {state}/migrating {power} {source}",
            f"+ nova-compute:{destination} instance.live_migration_post_dest.start"
            f" {state}/migrating {power} {destination}",
            f"- nova-compute:{source} instance.live_migration_post.end"
            f" {state}/migrating {power} {source}",
            f"+ nova-compute:{source} instance.live_migration_post.end"
            f" {state}/None {power} {destination}",
        ],
        _HAND_OVER,
    )


def _evacuation() -> Differs:
    """Nova shows no guest while one is made; the last word of the old host stands here."""
    return Differs(
        [
            "- instance.update active/rebuilding pending host2",
            "- instance.update active/rebuild_block_device_mapping pending host2",
            "+ instance.update active/rebuild_block_device_mapping running host2",
            "- instance.update active/rebuild_spawning pending host2",
            "+ instance.update active/rebuild_spawning running host2",
        ],
        _POWER,
    )


_PENDING: Final = AS_LIBVIRT + "an image that waits to be uploaded"


def _pending(task: str) -> Differs:
    return Differs([f"+ instance.update active/{task} running host1"], _PENDING)


DIFFERENT: Final[dict[str, Differs]] = {
    "snapshot": _pending("image_pending_upload"),
    "backup": _pending("image_pending_upload"),
    "shelve_offload_only": _pending("shelving_image_pending_upload"),
    "shelve_unshelve": _pending("shelving_image_pending_upload"),
    "unshelve_no_host": _pending("shelving_image_pending_upload"),
    "evacuate_active": _evacuation(),
    "evacuate_then_old_host_returns": _evacuation(),
    "init_building_spawning_crash": Differs(
        [
            "- instance.update error/None pending host2",
            "+ nova-compute:host2 instance.shutdown.start building/spawning pending host2",
            "+ nova-compute:host2 instance.shutdown.end building/spawning pending host2",
            "+ instance.update building/spawning pending None",
            "+ nova-compute:host2 instance.create.error building/spawning pending None",
            "+ instance.update building/scheduling pending None",
            "+ instance.update building/None pending None",
            "+ nova-compute:host1 instance.create.start building/None pending None",
            "+ instance.update building/None pending host1",
            "+ instance.update building/networking pending host1",
            "+ instance.update building/block_device_mapping pending host1",
            "+ instance.update building/spawning pending host1",
            "+ instance.update active/None running host1",
            "+ nova-compute:host1 instance.create.end active/None running host1",
        ],
        _CRASH,
    ),
    "init_resize_finish_crash": Differs(
        [
            "+ instance.update active/resize_finish pending host2",
            "+ nova-compute:host2 instance.resize_finish.start active/resize_finish pending host2",
            "+ instance.update resized/None running host2",
            "+ nova-compute:host2 instance.resize_finish.end resized/None running host2",
        ],
        _CRASH,
    ),
    "init_migrating_crash": Differs(
        [
            "- nova-compute:host2 instance.live_migration_abort.start"
            " active/migrating running host2",
            "- nova-compute:host2 instance.live_migration_abort.end active/migrating running host2",
            "+ nova-compute:host2 instance.live_migration_rollback.start"
            " active/migrating running host2",
            "+ nova-compute:host1 instance.live_migration_rollback_dest.start"
            " active/migrating running host2",
            "+ nova-compute:host1 instance.live_migration_rollback_dest.end"
            " active/migrating running host2",
            "+ nova-compute:host2 instance.live_migration_rollback.end active/None running host2",
        ],
        _CRASH,
    ),
    "delete_while_building": Differs(
        [
            "- nova-compute:host2 instance.create.error active/None running host2",
            "- instance.update active/None running host2",
        ],
        _DELETE,
    ),
    "resize_prep_fail": Differs(
        [
            "- instance.update active/None running host2",
            "- nova-conductor compute_task.migrate_server.error active/None None None",
            "+ nova-conductor compute_task.migrate_server.error error/None None None",
        ],
        _TWO_WRITERS,
    ),
    "live_ok": _after_hand_over("active", "running", "host1", "host2"),
    "live_force": _after_hand_over("active", "running", "host1", "host2"),
    "live_paused": _after_hand_over("paused", "paused", "host2", "host1"),
    "power_sync": Differs(["- instance.update active/None shutdown host1"], _SAVES),
    "live_rollback": Differs(
        [
            "+ nova-compute:host1 instance.live_migration_rollback_dest.start"
            " active/migrating running host2",
            "+ nova-compute:host1 instance.live_migration_rollback_dest.end"
            " active/migrating running host2",
        ],
        _TOLD,
    ),
}
