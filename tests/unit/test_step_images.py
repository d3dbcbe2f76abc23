"""Snapshot, backup, snapshots of volumes: an image, or nothing of one."""

from __future__ import annotations

import pytest

from events import images
from events.decisions import HostReturned
from statemachines.verdict import Rejected
from tests.answers import argument, failures_of
from tests.beginnings import begin, built, from_volume, named_by
from tests.ends import check_end
from tests.images_seen import deletions, the_image
from tests.story import must

UPLOADS = ("snapshot", "snapshot_volume_backed", "backup")
OF_UPLOAD = pytest.mark.parametrize("action", UPLOADS)
OF_VOLUME = pytest.mark.parametrize("action", ["volume_snapshot_create", "volume_snapshot_delete"])


def test_a_snapshot_goes_through_novas_states() -> None:
    world = begin("snapshot").from_here()
    assert world.orders == [("SnapshotGuest", "h1")]
    assert argument(world.letters[0], "image_id") == the_image(world)
    assert argument(world.letters[0], "image_name") == "n"

    world.settle()

    assert world.trace == [
        ("active", "image_snapshot_pending", None),
        ("active", "image_snapshot", None),
        ("active", "image_pending_upload", None),
        ("active", "image_uploading", None),
        ("active", None, None),
    ]
    assert world.events == [("compute_snapshot_instance", "Success")]
    assert world.actions == [("createImage", None)]


def test_a_backup_goes_through_novas_states_and_then_deletes_what_is_too_many() -> None:
    world = begin("backup").from_here()

    must(world.says("h1", images.SnapshotStarted(), images.ImageUploadPending()))
    must(world.says("h1", images.ImageUploadStarted(), images.ImageUploaded(image_id="it")))
    assert world.orders == [("RotateBackups", "h1")]
    assert argument(world.letters[0], "rotation") == 1
    assert argument(world.letters[0], "backup_type") == "daily"
    must(world.says("h1", images.ImageDeleted(image_id="old"), images.BackupsRotated()))

    assert world.trace == [
        ("active", "image_backup", None),
        ("active", "image_pending_upload", None),
        ("active", "image_uploading", None),
        ("active", None, None),
    ]
    assert set(world.events) == {("compute_backup_instance", "Success")}
    assert world.actions == [("createBackup", None)]
    check_end(world)


def test_a_snapshot_of_volumes_has_no_task_and_no_other_operation_beside_it() -> None:
    world = begin("snapshot_volume_backed").from_here()
    assert world.orders == [("SnapshotVolumes", "h1")]
    refused = world.request("stop")

    world.settle()

    assert isinstance(refused.verdict, Rejected)
    assert refused.verdict.code == "saga-running"
    assert world.trace == [("active", None, None)]
    assert world.actions == [("createImage", None)]


@OF_UPLOAD
def test_a_failed_upload_keeps_the_state_and_leaves_no_image(action: str) -> None:
    command = "SnapshotVolumes" if action == "snapshot_volume_backed" else "SnapshotGuest"
    for fact in failures_of(command):
        world = begin(action)
        image = the_image(world)
        must(world.says("h1", images.SnapshotStarted(), images.ImageUploadStarted()))

        must(world.fail(world.letters[0], fact))

        assert world.states == ("active", None)
        assert world.actions[-1][1] == "Error"
        assert world.orders == [("DeleteImage", "h1")]
        assert deletions(world) == [image]
        world.settle()
        check_end(world)
        assert world.here.sides == ()


@OF_UPLOAD
def test_a_silent_upload_is_given_up_and_told_so_by_the_deletion(action: str) -> None:
    world = begin(action)
    image, generation = the_image(world), world.here.generation

    must(world.time_out("h1"))

    assert world.states == ("active", None)
    assert deletions(world) == [image]
    # The host refuses, or gives up, what an older generation asked.
    assert world.letters[0].address.generation == generation + 1
    late = world.says("h1", images.ImageDeleted(image_id=image))
    must(late)
    check_end(world)


@OF_UPLOAD
def test_a_late_image_of_an_upload_that_was_given_up_does_not_count(action: str) -> None:
    world = begin(action)
    upload = world.outstanding("h1")
    must(world.time_out("h1"))

    outcome = world.says("h1", images.ImageUploaded(image_id="late"), command_id=upload)

    assert isinstance(outcome.verdict, Rejected)
    assert len(deletions(world)) == 1


@OF_UPLOAD
def test_a_lost_host_owes_the_deletion_until_it_is_back(action: str) -> None:
    world = begin(action)
    image = the_image(world)

    must(world.lose("h1"))

    assert world.states == ("active", None)
    must(world.lose("h1"))
    assert world.orders == []
    check_end(world)
    must(world.decide(HostReturned(host="h1")))
    assert deletions(world) == [image]
    world.settle()
    assert world.here.sides == ()


@OF_UPLOAD
@pytest.mark.parametrize("winner", ["delete", "reset_state"])
def test_a_winner_takes_over_and_no_image_is_left(action: str, winner: str) -> None:
    world = begin(action)
    image = the_image(world)
    must(world.says("h1", images.SnapshotStarted(), images.ImageUploadStarted()))

    must(world.request(winner, **named_by(winner, state="error")))

    assert deletions(world) == [image]
    assert world.actions[1][1] == "Error"
    world.settle()
    check_end(world)
    assert world.here.sides == ()
    assert world.here.vm_state == ("deleted" if winner == "delete" else "error")


def test_a_winner_leaves_a_backup_that_is_complete() -> None:
    world = begin("backup")
    must(world.says("h1", images.ImageUploaded(image_id="it")))
    assert world.saga.step == "rotate"

    must(world.request("delete"))

    assert deletions(world) == []


def test_a_rotation_that_fails_leaves_the_new_backup_and_an_error() -> None:
    world = begin("backup")
    must(world.says("h1", images.ImageUploaded(image_id="it")))

    must(world.says("h1", images.BackupRotationFailed(reason="no")))

    assert world.states == ("active", None)
    assert world.actions[-1] == ("createBackup", "Error")
    assert deletions(world) == []


def test_a_deletion_that_fails_is_asked_again_and_then_waits_with_patience() -> None:
    world = begin("snapshot")
    must(world.says("h1", images.SnapshotFailed(reason="No space left on device")))
    for _ in range(4):
        must(world.says("h1", images.ImageDeleteFailed(reason="the store is away")))

    assert world.orders == []
    (side,) = world.here.sides
    assert (side.saga, side.step) == ("delete_image", "owed")
    must(world.decide(HostReturned(host="h1")))
    world.settle()
    assert world.here.sides == ()


@pytest.mark.parametrize(
    "arguments",
    [
        {"backup_type": "daily", "rotation": "1"},
        {"name": "n", "rotation": "1"},
        {"name": "n", "backup_type": "daily"},
        {"name": "n", "backup_type": "daily", "rotation": "-1"},
        {"name": "n", "backup_type": "daily", "rotation": "many"},
        {"name": "n", "backup_type": "daily", "rotation": "1001"},
        {"name": "n", "backup_type": "daily", "rotation": "9" * 5000},
        {"name": "n", "backup_type": "daily", "rotation": "²"},
        {"name": "n" * 256, "backup_type": "daily", "rotation": "1"},
    ],
)
def test_a_backup_that_says_not_what_it_wants_is_refused(arguments: dict[str, str]) -> None:
    world = built()

    outcome = world.request("backup", arguments=arguments)

    assert isinstance(outcome.verdict, Rejected)
    assert outcome.verdict.code == "bad-request"
    assert world.states == ("active", None)


@OF_VOLUME
def test_a_snapshot_of_one_volume_is_asked_of_the_host_and_changes_no_state(action: str) -> None:
    world = begin(action).from_here()
    assert argument(world.letters[0], "volume_id") == "v"
    assert argument(world.letters[0], "snapshot_id") == "s"

    world.settle()

    assert world.trace == [("active", None, None)]
    assert world.actions == [(action, None)]


@OF_VOLUME
def test_a_snapshot_of_one_volume_that_fails_is_an_error_of_the_action(action: str) -> None:
    for fact in (
        images.VolumeSnapshotCreateFailed(reason="no")
        if action == "volume_snapshot_create"
        else images.VolumeSnapshotDeleteFailed(reason="no"),
    ):
        world = begin(action)
        must(world.says("h1", fact))

        assert world.states == ("active", None)
        assert world.actions[-1] == (action, "Error")
        check_end(world)


def test_a_merge_is_refused_unless_the_guest_is_active() -> None:
    world = begin("stop")
    world.settle()
    arguments = {"volume_id": "v", "snapshot_id": "s", "merge_target": "base"}

    refused = world.request("volume_snapshot_delete", arguments=arguments)
    arguments.pop("merge_target")
    must(world.request("volume_snapshot_delete", arguments=arguments))
    must(world.says("h1", images.VolumeSnapshotDeleted(snapshot_id="s")))

    assert isinstance(refused.verdict, Rejected)
    assert refused.verdict.code == "vm-state"
    created = from_volume()
    must(created.request("volume_snapshot_create", arguments=arguments))
    must(created.says("h1", images.VolumeSnapshotCreated(snapshot_id="s")))
    check_end(created)
