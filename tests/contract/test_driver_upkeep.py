from __future__ import annotations

import pytest

from compute.hypervisor import Guest
from events import commands as c
from events import instance as i
from events import upkeep as u
from events.requests import Flavor
from tests.contract.driver_stage import ONE, DriverStage, InAFile, InMemory

SMALL = Flavor(name="m1.small", vcpus=1, memory_mb=512, disk_gb=1)
BUILD = c.BuildGuest(flavor=SMALL, name="guest", image="image")
PASSWORD = c.SetAdminPassword(secret_ref="secrets/1")


class UpkeepContract(DriverStage):
    """What every driver does for a guest that lives on as it was."""

    def built(self) -> None:
        assert self.do("alpha", BUILD)[-1] == i.GuestBuilt(power_state=1)

    def test_a_running_guest_dumps_takes_a_password_and_lives_on(self) -> None:
        self.built()

        assert self.do("alpha", c.TriggerCrashDump()) == [u.CrashDumpTriggered()]
        assert self.do("alpha", PASSWORD) == [u.AdminPasswordSet()]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_diagnostics_say_what_a_running_guest_is_made_of(self) -> None:
        self.built()

        (said,) = self.do("alpha", c.ReadDiagnostics())

        assert isinstance(said, u.DiagnosticsRead)
        assert (said.state, said.num_cpus, said.num_disks, said.num_nics) == ("running", 1, 1, 0)
        assert said.memory_maximum_mb == 512

    @pytest.mark.parametrize("is_there", [False, True])
    def test_a_guest_that_does_not_run_is_not_asked(self, is_there: bool) -> None:
        if is_there:
            self.built()
            self.do("alpha", c.StopGuest())

        assert self.kinds("alpha", c.TriggerCrashDump()) == ["CrashDumpFailed"]
        assert self.kinds("alpha", PASSWORD) == ["AdminPasswordSetFailed"]
        assert self.kinds("alpha", c.ReadDiagnostics()) == ["DiagnosticsReadFailed"]

    def test_what_was_done_to_the_machines_power_is_taken_over(self) -> None:
        self.built()
        off = c.TakePowerUpdate(target_power_state="POWER_OFF")
        on = c.TakePowerUpdate(target_power_state="POWER_ON")

        assert self.do("alpha", off) == [u.PowerUpdateTaken(power_state=4)]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 4),)
        assert self.do("alpha", on) == [u.PowerUpdateTaken(power_state=1)]

    def test_a_dump_that_died_is_not_vouched_for(self) -> None:
        self.built()
        letter = self.begin("alpha", c.TriggerCrashDump())

        (outcome,) = self.driver("alpha").outcome_of(letter)

        assert isinstance(outcome, u.CrashDumpFailed)


class TestUpkeepInMemory(InMemory, UpkeepContract):
    """The fake driver in a world that lives as long as its object."""


class TestUpkeepInAFile(InAFile, UpkeepContract):
    """The fake driver in a world that several processes see."""
