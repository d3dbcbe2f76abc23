"""What every driver does with volumes, ports and accelerators."""

from __future__ import annotations

import pytest

from compute.endings import is_success
from events import attachments as a
from events import commands as c
from events import instance as i
from events import migration as m
from events.requests import Flavor
from tests.contract.driver_stage import DriverStage, InAFile, InMemory
from tests.parts import ACCELERATOR, EVERYTHING, PORT, VOLUME

SMALL = Flavor(name="m1.small", vcpus=1, memory_mb=512, disk_gb=1)
LARGE = Flavor(name="m1.large", vcpus=2, memory_mb=1024, disk_gb=1)
BUILD = c.BuildGuest(flavor=SMALL, name="guest", image="image", attachments=EVERYTHING)


class AttachmentsContract(DriverStage):
    """Nova's order of taking hold and letting go."""

    def everything(self) -> list[str]:
        """Build a guest that holds one of everything; return what was said, in short."""
        return self.kinds("alpha", BUILD)

    def test_a_build_takes_hold_of_accelerators_ports_and_volumes_in_nova_s_order(self) -> None:
        assert self.everything() == [
            "BuildAccepted",
            "AcceleratorBound",
            "NetworkAllocationStarted",
            "PortBound",
            "BlockDevicesPreparing",
            "VolumeAttached",
            "GuestSpawning",
            "GuestBuilt",
        ]

    def test_a_destruction_lets_go_of_volumes_then_ports_then_accelerators(self) -> None:
        self.everything()

        assert self.do("alpha", c.DestroyGuest(evidence="deleted")) == [
            a.VolumeDetached(volume_id=VOLUME),
            a.PortUnbound(port_id=PORT),
            a.AcceleratorUnbound(accelerator_id=ACCELERATOR),
            i.GuestDestroyed(),
        ]

    def test_a_resize_lets_go_at_the_source_and_takes_hold_at_the_destination(self) -> None:
        self.everything()
        self.do("beta", c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=LARGE))

        assert self.kinds("alpha", c.ResizeGuest(destination="beta", new_flavor=LARGE)) == [
            "ResizeStarted",
            *("VolumeDetached", "PortUnbound", "AcceleratorUnbound"),
            "ResizeCopied",
            "ResizeMigrated",
        ]
        finish = c.FinishResize(
            source="alpha", new_flavor=LARGE, power_on=True, attachments=EVERYTHING
        )
        assert self.kinds("beta", finish) == [
            "ResizeFinishing",
            *("AcceleratorBound", "PortBound", "VolumeAttached"),
            "ResizeFinished",
        ]

    def test_a_resize_that_is_undone_takes_hold_again_before_the_guest_runs(self) -> None:
        self.everything()
        self.do("beta", c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=LARGE))
        self.do("alpha", c.ResizeGuest(destination="beta", new_flavor=LARGE))

        restore = c.RestoreGuest(old_flavor=SMALL, power_on=True, attachments=EVERYTHING)
        assert self.kinds("alpha", restore) == [
            *("AcceleratorBound", "PortBound", "VolumeAttached"),
            "GuestRestored",
        ]

    def test_a_live_migration_binds_first_then_activates_then_lets_go(self) -> None:
        self.everything()
        prepare = c.PrepareDestination(source="alpha", flavor=SMALL, attachments=EVERYTHING)
        waiting = a.PortBound(port_id=PORT, active=False)
        assert waiting in self.do("beta", prepare)
        assert self.do("alpha", c.LiveMigrateGuest(destination="beta"))[-1] == m.GuestHandedOver()

        finish = c.FinishLiveMigration(source="alpha", flavor=SMALL)
        assert a.PortBound(port_id=PORT, active=True) in self.do("beta", finish)
        assert self.kinds("alpha", c.CleanUpSource(destination="beta")) == [
            *("VolumeDetached", "PortUnbound", "AcceleratorUnbound"),
            "SourceCleanedUp",
        ]
        reboot = c.RebootGuest(hard=True, flavor=SMALL, attachments=EVERYTHING)
        assert self.kinds("beta", reboot) == ["RebootPending", "RebootStarted", "GuestRebooted"]

    def test_an_evacuation_takes_hold_at_the_destination_and_turns_the_traffic(self) -> None:
        self.everything()
        evacuate = c.EvacuateGuest(
            flavor=SMALL,
            name="guest",
            image="image",
            source="alpha",
            power_on=False,  # One of the two halves has to be off in a world.
            attachments=EVERYTHING,
        )

        assert self.kinds("beta", evacuate) == [
            "EvacuationClaimed",
            "EvacuationDisksPreparing",
            *("AcceleratorBound", "PortBound", "VolumeAttached"),
            "EvacuationSpawning",
            "EvacuationPoweringOff",
            "GuestEvacuated",
        ]
        destroyed = self.kinds("alpha", c.DestroyGuest(evidence="moved"))
        assert destroyed[:3] == ["VolumeDetached", "PortUnbound", "AcceleratorUnbound"]

    def test_a_live_migration_that_is_undone_lets_go_at_the_destination_alone(self) -> None:
        self.everything()
        prepare = c.PrepareDestination(source="alpha", flavor=SMALL, attachments=EVERYTHING)
        self.do("beta", prepare)

        assert self.kinds("beta", c.RollbackDestination()) == [
            *("VolumeDetached", "PortUnbound", "AcceleratorUnbound"),
            "DestinationRolledBack",
        ]
        assert self.kinds("alpha", c.RollbackSource()) == ["SourceRolledBack"]
        destroyed = self.kinds("alpha", c.DestroyGuest(evidence="deleted"))
        assert destroyed[:3] == ["VolumeDetached", "PortUnbound", "AcceleratorUnbound"]

    def test_the_outcome_of_a_build_that_died_says_what_it_let_go_of(self) -> None:
        letter = self.begin("alpha", BUILD)
        while VOLUME not in str(self.hosts["alpha"].poll()):
            pass

        outcome = self.driver("alpha").outcome_of(letter)

        assert [type(fact).__name__ for fact in outcome] == [
            *("VolumeDetached", "PortUnbound", "AcceleratorUnbound"),
            "BuildRescheduled",
        ]

    def test_the_outcome_of_a_build_that_was_achieved_says_what_it_took_hold_of(self) -> None:
        letter = self.begin("alpha", BUILD)
        said = self.until_it_ends("alpha", letter)

        assert self.driver("alpha").outcome_of(letter) == tuple(said)

    def test_a_destruction_that_died_in_the_middle_has_not_succeeded(self) -> None:
        self.everything()
        letter = self.begin("alpha", c.DestroyGuest(evidence="deleted"))
        self.hosts["alpha"].poll()

        outcome = self.driver("alpha").outcome_of(letter)

        assert isinstance(outcome[-1], i.GuestDestroyFailed)
        assert a.PortBound(port_id=PORT, active=True) in outcome

    @pytest.mark.parametrize(
        "command",
        [
            c.RevertResize(source="beta", attached=EVERYTHING),
            c.ResizeGuest(destination="beta", new_flavor=LARGE, attached=EVERYTHING),
            c.OffloadGuest(shelved_image=None, attached=EVERYTHING),
            c.DestroyGuest(evidence="undone", attached=EVERYTHING),
        ],
    )
    def test_what_a_command_that_died_had_let_go_is_said_by_its_outcome(
        self, command: object
    ) -> None:
        self.everything()
        letter = self.begin("alpha", command)
        while VOLUME not in str(self.hosts["alpha"].poll()):
            pass

        *said, ending = self.driver("alpha").outcome_of(letter)

        assert not is_success(command, ending)
        assert said == [
            a.AcceleratorBound(accelerator_id=ACCELERATOR),
            a.PortBound(port_id=PORT, active=True),
            a.VolumeDetached(volume_id=VOLUME),
        ]


class TestFakeDriverInMemory(InMemory, AttachmentsContract):
    """The fake driver in a world that lives as long as its object."""


class TestFakeDriverInAFile(InAFile, AttachmentsContract):
    """The fake driver in a world that several processes see."""
