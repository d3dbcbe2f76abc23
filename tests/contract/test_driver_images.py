"""What every driver does with images, shelving and unshelving."""

from __future__ import annotations

from abc import abstractmethod

import pytest

from compute.hypervisor import Guest
from compute.image_store import ImageStatus, ImageStore
from events import commands as c
from events import images as g
from events import instance as i
from events import standby as s
from events.requests import Flavor
from tests.contract.driver_stage import ONE, DriverStage, InAFile, InMemory
from tests.parts import EVERYTHING, VOLUME

SMALL = Flavor(name="m1.small", vcpus=1, memory_mb=512, disk_gb=1)
UPLOADS = [g.ImageUploadPending(), g.ImageUploadStarted()]


class ImageContract(DriverStage):
    """Images on two hosts that share an image service."""

    @property
    @abstractmethod
    def images(self) -> ImageStore:
        """The image service."""

    def built(self) -> None:
        """Have a guest on alpha."""
        build = c.BuildGuest(flavor=SMALL, name="guest", image="image")
        assert self.do("alpha", build)[-1] == i.GuestBuilt(power_state=1)

    def snapshot(self, image_id: str, backup_type: str | None = None) -> list[object]:
        command = c.SnapshotGuest(image_id=image_id, image_name="n", backup_type=backup_type)
        return self.do("alpha", command)

    def known(self) -> dict[str, str]:
        return {image.image_id: image.status.value for image in self.images.all()}

    def test_a_snapshot_is_told_in_nova_s_order_and_is_complete(self) -> None:
        self.built()

        assert self.snapshot("one") == [
            g.SnapshotStarted(),
            *UPLOADS,
            g.ImageUploaded(image_id="one"),
        ]
        assert self.known() == {"one": "active"}
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_an_image_is_seen_by_every_host_and_by_a_new_process(self) -> None:
        self.built()
        self.snapshot("one")

        self.driver("beta")
        image = self.images.get("one")

        assert image is not None
        assert (image.status, image.host, image.instance_id) == (ImageStatus.ACTIVE, "alpha", ONE)

    def test_what_is_deleted_is_gone_and_what_is_not_there_is_deleted_too(self) -> None:
        self.built()
        self.snapshot("one")
        for _ in range(2):
            deleted = self.do("beta", c.DeleteImage(image_id="one"))
            assert deleted == [g.ImageDeleted(image_id="one")]
            assert self.known() == {}

    def test_a_suspended_guest_that_was_shelved_unheard_can_be_resumed(self) -> None:
        self.built()
        self.do("alpha", c.SuspendGuest())
        shelved = self.do("alpha", c.ShelveGuest(image_id="one", image_name="n"))
        assert shelved[-1] == g.GuestShelved(power_state=4, image_id="one")

        assert self.do("alpha", c.ResumeGuest()) == [s.GuestResumed(power_state=1)]

    def test_an_upload_that_dies_leaves_half_an_image_that_a_deletion_clears_away(self) -> None:
        self.built()
        letter = self.begin("alpha", c.ShelveGuest(image_id="one", image_name="n"))
        for _ in range(2):
            self.hosts["alpha"].poll()
        assert self.known() == {"one": "saving"}

        (ending,) = self.driver("alpha").outcome_of(letter)

        assert isinstance(ending, g.GuestShelveFailed)
        assert ending.power_state == 4
        self.do("alpha", c.DeleteImage(image_id="one"))
        assert self.known() == {}

    def test_the_oldest_backups_of_the_type_go(self) -> None:
        self.built()
        for number, kind in enumerate(("daily", "weekly", "daily", "daily")):
            self.snapshot(f"{kind}{number}", kind)
        self.snapshot("by hand")

        said = self.do("alpha", c.RotateBackups(backup_type="daily", rotation=1))

        assert said == [
            g.ImageDeleted(image_id="daily0"),
            g.ImageDeleted(image_id="daily2"),
            g.BackupsRotated(),
        ]
        assert set(self.known()) == {"weekly1", "daily3", "by hand"}

    @pytest.mark.parametrize("rotation", [2, 7])
    def test_no_backup_goes_where_there_are_no_more_than_asked_for(self, rotation: int) -> None:
        self.built()
        for number in range(2):
            self.snapshot(f"{number}", "daily")

        said = self.do("alpha", c.RotateBackups(backup_type="daily", rotation=rotation))

        assert said == [g.BackupsRotated()]
        assert len(self.known()) == 2

    def test_a_rotation_of_nothing_leaves_no_backup(self) -> None:
        self.built()
        self.snapshot("one", "daily")

        self.do("alpha", c.RotateBackups(backup_type="daily", rotation=0))

        assert self.known() == {}

    def test_volumes_are_snapshotted_together(self) -> None:
        self.built()

        said = self.do("alpha", c.SnapshotVolumes(image_id="one", image_name="n"))

        assert said[-1] == g.ImageUploaded(image_id="one")
        assert self.known() == {"one": "active"}

    def test_a_snapshot_of_one_volume_comes_and_goes(self) -> None:
        self.built()
        create = c.CreateVolumeSnapshot(volume_id="v", snapshot_id="s")
        delete = c.DeleteVolumeSnapshot(volume_id="v", snapshot_id="s")

        assert self.do("alpha", create) == [g.VolumeSnapshotCreated(snapshot_id="s")]
        assert self.do("alpha", delete) == [g.VolumeSnapshotDeleted(snapshot_id="s")]
        assert self.do("alpha", delete) == [g.VolumeSnapshotDeleted(snapshot_id="s")]
        assert self.known() == {}

    def test_an_image_is_not_deleted_in_the_name_of_a_volume(self) -> None:
        self.built()
        self.snapshot("one")

        (said,) = self.do("alpha", c.DeleteVolumeSnapshot(volume_id="v", snapshot_id="one"))

        assert isinstance(said, g.VolumeSnapshotDeleteFailed)
        assert self.known() == {"one": "active"}

    def shelved(self) -> None:
        self.built()
        said = self.do("alpha", c.ShelveGuest(image_id="one", image_name="n"))
        assert said == [*UPLOADS, g.GuestShelved(power_state=4, image_id="one")]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 4),)

    def test_a_suspended_guest_that_was_shelved_is_booted_without_its_memory(self) -> None:
        self.built()
        self.do("alpha", c.SuspendGuest())
        self.do("alpha", c.ShelveGuest(image_id="one", image_name="n"))

        assert self.kinds("alpha", c.StartShelvedGuest())[-1] == "ShelvedGuestStarted"
        self.do("alpha", c.StopGuest())
        assert self.kinds("alpha", c.ResumeGuest()) == ["GuestResumeFailed"]

    def test_an_offload_that_fails_on_the_way_leaves_a_guest(self) -> None:
        build = c.BuildGuest(flavor=SMALL, name="n", image="image", attachments=EVERYTHING)
        self.do("alpha", build)
        offload = c.OffloadGuest(shelved_image=None, attached=EVERYTHING)
        letter = self.begin("alpha", offload)
        for _ in range(2):
            self.hosts["alpha"].poll()

        said = [type(fact).__name__ for fact in self.driver("alpha").outcome_of(letter)]

        # What it has, what it has let go, though nobody may have heard of that, and the end.
        assert said == ["AcceleratorBound", "VolumeDetached", "PortUnbound", "GuestOffloadFailed"]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 4),)
        assert self.kinds("alpha", c.OffloadGuest(shelved_image=None))[-1] == "GuestOffloaded"
        assert self.hosts["alpha"].guests() == ()

    def rebuild(self, *, power_on: bool = True) -> c.RebuildGuest:
        return c.RebuildGuest(flavor=SMALL, name="n", image="other", power_on=power_on)

    def test_a_rebuild_is_told_in_nova_s_order(self) -> None:
        self.built()

        assert self.do("alpha", self.rebuild()) == [
            g.RebuildDisksPreparing(),
            g.RebuildSpawning(),
            g.GuestRebuilt(power_state=1),
        ]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_a_guest_that_was_off_is_off_after_a_rebuild(self) -> None:
        self.built()

        said = self.do("alpha", self.rebuild(power_on=False))

        assert said[2:] == [
            g.RebuildSpawned(power_state=1),
            g.RebuildPoweringOff(),
            g.GuestRebuilt(power_state=4),
        ]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 4),)

    @pytest.mark.parametrize(
        ("polls", "ending"),
        [
            (0, "GuestRebuildFaulted"),
            (1, "GuestRebuildFailed"),
            (2, "GuestRebuildFailed"),
            (3, "GuestRebuilt"),
        ],
    )
    def test_the_new_guest_is_told_from_the_old_one_after_a_crash(
        self, polls: int, ending: str
    ) -> None:
        self.built()
        letter = self.begin("alpha", self.rebuild())
        for _ in range(polls):
            self.hosts["alpha"].poll()

        assert type(self.driver("alpha").outcome_of(letter)[-1]).__name__ == ending

    def test_what_a_rebuild_left_nothing_of_is_rebuilt(self) -> None:
        self.built()
        letter = self.begin("alpha", self.rebuild())
        self.hosts["alpha"].poll()
        self.driver("alpha").outcome_of(letter)
        self.hosts["alpha"] = self.driver("alpha")
        assert self.hosts["alpha"].guests() == ()

        assert self.do("alpha", self.rebuild())[-1] == g.GuestRebuilt(power_state=1)

    def test_a_shelved_guest_is_started_where_it_was_kept(self) -> None:
        self.shelved()

        assert self.do("alpha", c.StartShelvedGuest()) == [
            g.ShelvedGuestStarting(),
            g.ShelvedGuestStarted(power_state=1),
        ]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_an_offloaded_guest_is_made_again_elsewhere(self) -> None:
        self.shelved()
        offload = c.OffloadGuest(shelved_image="one")
        for _ in range(2):
            assert self.do("alpha", offload) == [g.GuestOffloaded(power_state=4)]
            assert self.hosts["alpha"].guests() == ()

        unshelve = c.UnshelveGuest(flavor=SMALL, name="n", shelved_image="one")

        assert self.do("beta", unshelve) == [
            g.UnshelveAccepted(node="beta"),
            g.GuestUnshelved(power_state=1),
        ]
        assert self.hosts["beta"].guests() == (Guest(ONE, 1),)
        assert self.known() == {"one": "active"}

    def test_without_its_image_a_guest_is_neither_offloaded_nor_made(self) -> None:
        self.shelved()
        self.do("alpha", c.DeleteImage(image_id="one"))

        (kept,) = self.do("alpha", c.OffloadGuest(shelved_image="one"))
        unshelve = c.UnshelveGuest(flavor=SMALL, name="n", shelved_image="one")
        (missing,) = self.do("beta", unshelve)

        assert isinstance(kept, g.GuestOffloadFailed)
        assert self.hosts["alpha"].guests() == (Guest(ONE, 4),)
        assert isinstance(missing, g.ShelvedImageMissing)
        assert self.hosts["beta"].guests() == ()

    def test_half_an_image_is_none(self) -> None:
        self.built()
        self.begin("alpha", c.ShelveGuest(image_id="one", image_name="n"))
        for _ in range(2):
            self.hosts["alpha"].poll()

        unshelve = c.UnshelveGuest(flavor=SMALL, name="n", shelved_image="one")
        (missing,) = self.do("beta", unshelve)

        assert isinstance(missing, g.ShelvedImageMissing)

    def test_a_guest_that_let_a_volume_go_before_a_crash_was_unshelved_all_the_same(self) -> None:
        self.shelved()
        self.do("alpha", c.OffloadGuest(shelved_image="one"))
        unshelve = c.UnshelveGuest(
            flavor=SMALL, name="n", shelved_image="one", attachments=EVERYTHING
        )
        letter = self.begin("beta", unshelve)
        while not self.hosts["beta"].guests():
            self.hosts["beta"].poll()
        self.do("beta", c.DetachVolume(volume_id=VOLUME))

        said = self.driver("beta").outcome_of(letter)

        assert said[-1] == g.GuestUnshelved(power_state=1)
        assert "VolumeAttached" not in {type(fact).__name__ for fact in said}
        assert self.driver("beta").guests() == (Guest(ONE, 1),)

    def test_what_a_guest_holds_is_let_go_at_the_offload_and_taken_hold_of_again(self) -> None:
        build = c.BuildGuest(flavor=SMALL, name="n", image="image", attachments=EVERYTHING)
        self.do("alpha", build)

        assert self.kinds("alpha", c.OffloadGuest(shelved_image=None)) == [
            *("VolumeDetached", "PortUnbound", "AcceleratorUnbound"),
            "GuestOffloaded",
        ]
        unshelve = c.UnshelveGuest(
            flavor=SMALL, name="n", shelved_image=None, attachments=EVERYTHING
        )
        assert self.kinds("beta", unshelve) == [
            "UnshelveAccepted",
            *("AcceleratorBound", "PortBound", "VolumeAttached"),
            "GuestUnshelved",
        ]


class TestFakeDriverInMemory(InMemory, ImageContract):
    """The fake driver in a world that lives as long as its object."""

    @property
    def images(self) -> ImageStore:
        return self.shared.images


class TestFakeDriverInAFile(InAFile, ImageContract):
    """The fake driver in a world that several processes see."""

    @property
    def images(self) -> ImageStore:
        return self.opened[-1].images
