"""What every driver does with a guest that is not itself for a while."""

from __future__ import annotations

import pytest

from compute.hypervisor import Guest
from events import commands as c
from events import instance as i
from events import standby as s
from events.requests import Flavor
from tests.contract.driver_stage import ONE, DriverStage, InAFile, InMemory

SMALL = Flavor(name="m1.small", vcpus=1, memory_mb=512, disk_gb=1)
BUILD = c.BuildGuest(flavor=SMALL, name="guest", image="image")


class StandbyContract(DriverStage):
    """Suspend and resume, rescue and unrescue, soft delete and its taking back."""

    def built(self) -> None:
        assert self.do("alpha", BUILD)[-1] == i.GuestBuilt(power_state=1)

    def test_a_guest_is_saved_to_disk_and_loaded_again(self) -> None:
        self.built()

        assert self.do("alpha", c.SuspendGuest()) == [s.GuestSuspended(power_state=4)]
        assert self.driver("alpha").guests() == (Guest(ONE, 4),)
        assert self.do("alpha", c.ResumeGuest()) == [s.GuestResumed(power_state=1)]
        assert self.kinds("alpha", c.ResumeGuest()) == ["GuestResumed"]

    def test_a_guest_that_does_not_run_is_not_saved(self) -> None:
        self.built()
        self.do("alpha", c.StopGuest())

        assert self.kinds("alpha", c.SuspendGuest()) == ["GuestSuspendFailed"]
        assert self.kinds("alpha", c.ResumeGuest()) == ["GuestResumeFailed"]

    def test_a_hard_reboot_gives_up_the_memory_that_was_saved(self) -> None:
        self.built()
        self.do("alpha", c.SuspendGuest())

        assert self.do("alpha", c.RebootGuest(hard=True, flavor=SMALL))[-1] == i.GuestRebooted(
            power_state=1
        )
        assert self.kinds("alpha", c.SuspendGuest()) == ["GuestSuspended"]

    @pytest.mark.parametrize("is_off", [False, True])
    def test_a_guest_is_rescued_and_comes_back_running(self, is_off: bool) -> None:
        self.built()
        if is_off:
            self.do("alpha", c.StopGuest())

        rescue = c.RescueGuest(rescue_image="rescue")
        assert self.do("alpha", rescue) == [s.GuestRescued(power_state=1)]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)
        assert self.do("alpha", c.UnrescueGuest()) == [s.GuestUnrescued(power_state=1)]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    @pytest.mark.parametrize("before", [c.SuspendGuest(), c.RescueGuest(rescue_image="rescue")])
    def test_a_stop_leaves_an_ordinary_guest_that_is_off(self, before: object) -> None:
        self.built()
        self.do("alpha", before)

        assert self.kinds("alpha", c.StopGuest()) == ["GuestStopped"]
        assert self.kinds("alpha", c.ResumeGuest()) == ["GuestResumeFailed"]
        assert self.kinds("alpha", c.UnrescueGuest()) == ["GuestUnrescueFailed"]
        assert self.do("alpha", c.StartGuest())[-1] == i.GuestStarted(power_state=1)

    @pytest.mark.parametrize("before", [c.StopGuest(), c.SuspendGuest(), c.PauseGuest()])
    def test_a_guest_is_put_aside_and_comes_back_running(self, before: object) -> None:
        self.built()
        self.do("alpha", before)

        assert self.do("alpha", c.SoftDeleteGuest()) == [s.GuestSoftDeleted(power_state=4)]
        assert self.driver("alpha").guests() == (Guest(ONE, 4),)
        assert self.do("alpha", c.UndeleteGuest()) == [s.GuestUndeleted(power_state=1)]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_disks_that_came_and_never_ran_are_put_aside_and_can_be_brought_back(self) -> None:
        self.built()
        self.do("beta", c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=SMALL))
        self.do("alpha", c.ResizeGuest(destination="beta", new_flavor=SMALL))

        assert self.do("beta", c.SoftDeleteGuest()) == [s.GuestSoftDeleted(power_state=4)]
        assert self.driver("beta").guests() == (Guest(ONE, 4),)
        assert self.do("beta", c.UndeleteGuest()) == [s.GuestUndeleted(power_state=1)]

    def test_disks_that_their_owner_kept_are_put_aside_and_can_be_brought_back(self) -> None:
        self.built()
        self.do("beta", c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=SMALL))
        self.do("alpha", c.ResizeGuest(destination="beta", new_flavor=SMALL))

        assert self.do("alpha", c.SoftDeleteGuest()) == [s.GuestSoftDeleted(power_state=4)]
        assert self.driver("alpha").guests() == (Guest(ONE, 4),)
        assert self.do("alpha", c.UndeleteGuest()) == [s.GuestUndeleted(power_state=1)]

    def test_without_a_guest_there_is_nothing_to_put_aside_and_nothing_to_bring_back(self) -> None:
        assert self.do("alpha", c.SoftDeleteGuest()) == [s.GuestSoftDeleted(power_state=0)]
        assert self.kinds("alpha", c.UndeleteGuest()) == ["GuestUndeleteFailed"]

    def test_what_is_no_guest_has_no_power_state(self) -> None:
        self.built()
        prepare = c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=SMALL)
        self.do("beta", prepare)
        self.do("alpha", c.ResizeGuest(destination="beta", new_flavor=SMALL))

        for host in ("alpha", "beta"):  # The old disks, and the new ones: neither is a guest.
            (failed,) = self.do(host, c.StopGuest())
            assert isinstance(failed, i.GuestStopFailed)
            assert failed.power_state == 0


class TestStandbyInMemory(InMemory, StandbyContract):
    pass


class TestStandbyInAFile(InAFile, StandbyContract):
    pass
