from __future__ import annotations

import pytest

from compute.endings import AGENTS_OWN, ENDINGS, is_ending, is_success
from compute.hypervisor import Guest
from events import commands as c
from events import instance as i
from events import migration as m
from events.requests import Flavor
from events.values import replace
from tests.contract.driver_stage import ONE, TWO, DriverStage, InAFile, InMemory
from tests.parts import EVERYTHING, NETWORK, OTHER_VOLUME, PORT, VOLUME

SMALL = Flavor(name="m1.small", vcpus=1, memory_mb=512, disk_gb=1)
LARGE = Flavor(name="m1.large", vcpus=2, memory_mb=1024, disk_gb=1)
BUILD = c.BuildGuest(flavor=SMALL, name="guest", image="image")

EVERY_COMMAND = (
    BUILD,
    c.EvacuateGuest(flavor=SMALL, name="guest", image="image", source="beta", power_on=True),
    c.DestroyGuest(evidence="deleted"),
    c.StopGuest(),
    c.StartGuest(),
    c.RebootGuest(hard=False, flavor=SMALL),
    c.PauseGuest(),
    c.UnpauseGuest(),
    c.SuspendGuest(),
    c.ResumeGuest(),
    c.RescueGuest(rescue_image="rescue"),
    c.UnrescueGuest(),
    c.SoftDeleteGuest(),
    c.UndeleteGuest(),
    c.TriggerCrashDump(),
    c.SetAdminPassword(secret_ref="secrets/1"),
    c.ReadDiagnostics(),
    c.TakePowerUpdate(target_power_state="POWER_OFF"),
    c.PrepareResize(source="beta", old_flavor=SMALL, new_flavor=LARGE),
    c.ResizeGuest(destination="beta", new_flavor=LARGE),
    c.FinishResize(source="beta", new_flavor=LARGE, power_on=True),
    c.RestoreGuest(old_flavor=SMALL, power_on=True),
    c.ReleaseDestination(),
    c.ConfirmResize(destination="beta"),
    c.RevertResize(source="beta"),
    c.FinishRevertResize(destination="beta", old_flavor=SMALL, power_on=True),
    c.CheckDestination(source="beta", flavor=SMALL),
    c.CheckSource(destination="beta"),
    c.PrepareDestination(source="beta", flavor=SMALL),
    c.LiveMigrateGuest(destination="beta"),
    c.FinishLiveMigration(source="beta", flavor=SMALL),
    c.CleanUpSource(destination="beta"),
    c.RollbackDestination(),
    c.RollbackSource(),
    c.AttachVolume(volume=EVERYTHING.volumes[0]),
    c.DetachVolume(volume_id=VOLUME),
    c.SwapVolume(old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME),
    c.AttachInterface(port=EVERYTHING.ports[0]),
    c.DetachInterface(port_id=PORT),
    c.AddFixedIp(port_id=PORT, network_id=NETWORK),
    c.RemoveFixedIp(port_id=PORT, fixed_ip="10.0.0.5"),
    c.InjectNetworkInfo(ports=EVERYTHING.ports),
    c.AbortLiveMigration(),
    c.ForceCompleteLiveMigration(),
    c.SnapshotGuest(image_id="snapshot", image_name="n", backup_type=None),
    c.SnapshotVolumes(image_id="volumes", image_name="n"),
    c.RotateBackups(backup_type="daily", rotation=1),
    c.DeleteImage(image_id="snapshot"),
    c.CreateVolumeSnapshot(volume_id="v", snapshot_id="s"),
    c.DeleteVolumeSnapshot(volume_id="v", snapshot_id="s"),
    c.ShelveGuest(image_id="shelved", image_name="n"),
    c.OffloadGuest(shelved_image=None),
    c.StartShelvedGuest(),
    c.RebuildGuest(flavor=SMALL, name="guest", image="other", power_on=False),
    c.UnshelveGuest(flavor=SMALL, name="guest", shelved_image=None),
)
#: What a resize asks whose source and destination are one host.
RESIZES_HERE = (
    c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=LARGE),
    c.ResizeGuest(destination="alpha", new_flavor=LARGE),
    c.FinishResize(source="alpha", new_flavor=LARGE, power_on=True),
)


class HypervisorContract(DriverStage):
    """What every driver does; two hosts that can migrate guests to each other."""

    def built(self, host: str = "alpha") -> None:
        assert self.do(host, BUILD)[-1] == i.GuestBuilt(power_state=1)

    def test_every_command_for_a_driver_is_tried_here(self) -> None:
        assert {type(each) for each in EVERY_COMMAND} == set(ENDINGS) - AGENTS_OWN

    @pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda each: type(each).__name__)
    @pytest.mark.parametrize("has_guest", [False, True])
    def test_every_command_ends_exactly_once(self, command: object, has_guest: bool) -> None:
        if has_guest:
            self.built()
        letter = self.begin("alpha", command)
        said = [r.fact for _ in range(20) for r in self.hosts["alpha"].poll() if r.command_id]

        assert [is_ending(letter.command, fact) for fact in said].count(True) == 1
        assert is_ending(letter.command, said[-1])

    def test_an_idle_driver_says_nothing(self) -> None:
        self.built()

        assert self.hosts["alpha"].poll() == []
        assert self.hosts["beta"].poll() == []

    def test_a_build_is_told_in_nova_s_order(self) -> None:
        said = self.do("alpha", BUILD)

        assert isinstance(said[0], i.BuildAccepted)
        assert [type(fact) for fact in said[1:]] == [
            i.NetworkAllocationStarted,
            i.BlockDevicesPreparing,
            i.GuestSpawning,
            i.GuestBuilt,
        ]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_guests_are_listed_by_instance(self) -> None:
        self.do("alpha", BUILD, TWO)
        self.do("alpha", BUILD, ONE)

        assert [guest.instance_id for guest in self.hosts["alpha"].guests()] == [ONE, TWO]

    def test_guests_are_found_by_a_new_process(self) -> None:
        self.built()
        self.do("alpha", c.StopGuest())

        assert self.driver("alpha").guests() == (Guest(ONE, 4),)

    def test_power_goes_off_and_on(self) -> None:
        self.built()

        assert self.do("alpha", c.StopGuest()) == [i.GuestStopped(power_state=4)]
        assert self.do("alpha", c.StartGuest()) == [i.GuestStarted(power_state=1)]
        assert self.do("alpha", c.PauseGuest()) == [i.GuestPaused(power_state=3)]
        assert self.do("alpha", c.UnpauseGuest()) == [i.GuestUnpaused(power_state=1)]

    def test_a_reboot_is_told_in_nova_s_order(self) -> None:
        self.built()

        assert self.do("alpha", c.RebootGuest(hard=True, flavor=SMALL)) == [
            i.RebootPending(),
            i.RebootStarted(),
            i.GuestRebooted(power_state=1),
        ]

    def test_destroying_leaves_nothing_and_what_is_not_there_is_destroyed_too(self) -> None:
        self.built()
        for _ in range(2):
            assert self.do("alpha", c.DestroyGuest(evidence="deleted")) == [i.GuestDestroyed()]
            assert self.hosts["alpha"].guests() == ()

    def resized(self, *, power_on: bool = True) -> None:
        prepare = c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=LARGE)
        assert self.kinds("beta", prepare) == ["ResizePrepared"]
        assert self.kinds("alpha", c.ResizeGuest(destination="beta", new_flavor=LARGE)) == [
            "ResizeStarted",
            "ResizeCopied",
            "ResizeMigrated",
        ]
        assert self.hosts["alpha"].guests() == ()
        finish = c.FinishResize(source="alpha", new_flavor=LARGE, power_on=power_on)
        assert self.kinds("beta", finish) == ["ResizeFinishing", "ResizeFinished"]
        assert self.hosts["beta"].guests() == (Guest(ONE, 1 if power_on else 4),)

    def test_a_resize_is_confirmed(self) -> None:
        self.built()
        self.resized()

        assert self.kinds("alpha", c.ConfirmResize(destination="beta")) == ["ResizeConfirmed"]
        assert self.hosts["beta"].guests() == (Guest(ONE, 1),)

    @pytest.mark.parametrize(
        ("power_on", "expected"),
        [
            (True, ["RevertStarted", "RevertFinished"]),
            (False, ["RevertStarted", "RevertPoweringOff", "RevertFinished"]),
        ],
    )
    def test_a_resize_is_reverted(self, power_on: bool, expected: list[str]) -> None:
        self.built()
        self.resized(power_on=power_on)

        assert self.kinds("beta", c.RevertResize(source="alpha")) == ["ResizeReverted"]
        finish = c.FinishRevertResize(destination="beta", old_flavor=SMALL, power_on=power_on)
        assert self.kinds("alpha", finish) == expected
        assert self.hosts["beta"].guests() == ()
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1 if power_on else 4),)

    def test_a_resize_is_undone_before_it_is_finished(self) -> None:
        self.built()
        prepare = c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=LARGE)
        self.do("beta", prepare)
        self.do("alpha", c.ResizeGuest(destination="beta", new_flavor=LARGE))

        assert self.kinds("beta", c.ReleaseDestination()) == ["DestinationReleased"]
        restored = self.do("alpha", c.RestoreGuest(old_flavor=SMALL, power_on=True))
        assert restored == [m.GuestRestored(power_state=1)]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def resized_here(self, commands: tuple[object, ...]) -> list[str]:
        """Do to a guest on alpha what a resize that stays there asks; return how each ended."""
        self.built()
        return [self.kinds("alpha", command)[-1] for command in commands]

    def test_a_resize_that_stays_on_its_host_is_confirmed(self) -> None:
        said = self.resized_here((*RESIZES_HERE, c.ConfirmResize(destination="alpha")))

        assert said == ["ResizePrepared", "ResizeMigrated", "ResizeFinished", "ResizeConfirmed"]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_a_resize_that_stays_on_its_host_is_reverted(self) -> None:
        finish = c.FinishRevertResize(destination="alpha", old_flavor=SMALL, power_on=True)
        said = self.resized_here((*RESIZES_HERE, c.RevertResize(source="alpha"), finish))

        assert said[-2:] == ["ResizeReverted", "RevertFinished"]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_a_resize_that_stays_on_its_host_is_undone(self) -> None:
        restore = c.RestoreGuest(old_flavor=SMALL, power_on=True)
        said = self.resized_here((*RESIZES_HERE[:2], restore))

        assert said == ["ResizePrepared", "ResizeMigrated", "GuestRestored"]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def ready_to_leave(self) -> None:
        self.built()
        for host, command, expected in (
            ("beta", c.CheckDestination(source="alpha", flavor=SMALL), "DestinationChecked"),
            ("alpha", c.CheckSource(destination="beta"), "SourceChecked"),
            ("beta", c.PrepareDestination(source="alpha", flavor=SMALL), "DestinationPrepared"),
        ):
            assert self.kinds(host, command) == [expected]

    def test_a_guest_migrates_live(self) -> None:
        self.ready_to_leave()

        said = self.kinds("alpha", c.LiveMigrateGuest(destination="beta"))

        assert said[0] == "LiveMigrationStarted"
        assert set(said[1:-1]) == {"LiveMigrationProgressed"}
        assert said[-1] == "GuestHandedOver"
        (arrived,) = self.hosts["beta"].poll()
        assert (arrived.fact, arrived.command_id) == (m.GuestArrived(power_state=1), None)
        finish = c.FinishLiveMigration(source="alpha", flavor=SMALL)
        assert self.do("beta", finish) == [m.LiveMigrationFinished(power_state=1)]
        assert self.kinds("alpha", c.CleanUpSource(destination="beta")) == ["SourceCleanedUp"]
        assert self.hosts["alpha"].guests() == ()
        assert self.hosts["beta"].guests() == (Guest(ONE, 1),)

    def test_an_abort_ends_the_copy_and_the_roll_back_leaves_the_guest_at_home(self) -> None:
        self.ready_to_leave()
        migrate = self.begin("alpha", c.LiveMigrateGuest(destination="beta"))
        self.hosts["alpha"].poll()
        abort = self.begin("alpha", c.AbortLiveMigration())
        reports = [r for _ in range(5) for r in self.hosts["alpha"].poll()]

        answers = {r.command_id: r.fact for r in reports}
        assert answers[abort.address.command_id] == m.AbortTaken()
        assert isinstance(answers[migrate.address.command_id], m.LiveMigrationAborted)
        assert self.kinds("beta", c.RollbackDestination()) == ["DestinationRolledBack"]
        assert self.do("alpha", c.RollbackSource()) == [m.SourceRolledBack(power_state=1)]
        assert self.hosts["alpha"].guests() == (Guest(ONE, 1),)

    def test_a_forced_copy_ends_with_the_hand_over(self) -> None:
        self.ready_to_leave()
        migrate = self.begin("alpha", c.LiveMigrateGuest(destination="beta"))
        self.hosts["alpha"].poll()
        self.hosts["alpha"].begin(self.letter("alpha", c.ForceCompleteLiveMigration()))

        assert self.until_it_ends("alpha", migrate)[-1] == m.GuestHandedOver()

    def test_after_the_hand_over_nothing_is_rolled_back(self) -> None:
        self.ready_to_leave()
        self.do("alpha", c.LiveMigrateGuest(destination="beta"))

        assert self.kinds("beta", c.RollbackDestination()) == ["DestinationRollbackFailed"]
        assert self.kinds("alpha", c.RollbackSource()) == ["SourceRollbackFailed"]
        assert self.hosts["beta"].guests() == (Guest(ONE, 1),)

    def test_a_cancelled_operation_says_nothing_more(self) -> None:
        letter = self.begin("alpha", BUILD)
        self.hosts["alpha"].poll()

        assert self.hosts["alpha"].cancel(letter.address.command_id)
        assert [r for _ in range(10) for r in self.hosts["alpha"].poll()] == []
        assert self.hosts["alpha"].guests() == ()

    def test_what_does_not_run_is_not_cancelled(self) -> None:
        letter = self.begin("alpha", BUILD)
        self.until_it_ends("alpha", letter)

        assert not self.hosts["alpha"].cancel(letter.address.command_id)
        assert not self.hosts["alpha"].cancel("nobody's")

    def test_the_outcome_of_what_was_achieved_is_told_from_its_beginning(self) -> None:
        letter = self.letter("alpha", BUILD)
        self.hosts["alpha"].begin(letter)
        said = self.until_it_ends("alpha", letter)

        assert self.driver("alpha").outcome_of(letter) == tuple(said)

    @pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda each: type(each).__name__)
    @pytest.mark.parametrize("polls", range(6))
    def test_the_outcome_of_what_died_is_one_ending_and_starts_nothing(
        self, command: object, polls: int
    ) -> None:
        if not isinstance(command, c.BuildGuest | c.UnshelveGuest):
            self.built()
        letter = self.begin("alpha", command)
        for _ in range(polls):
            self.hosts["alpha"].poll()
        before = self.driver("alpha").guests()

        outcome = self.driver("alpha").outcome_of(letter)

        assert [is_ending(command, fact) for fact in outcome].count(True) == 1
        assert is_ending(command, outcome[-1])
        assert len(outcome) == 1 or is_success(command, outcome[-1])
        assert self.driver("alpha").guests() == before

    def test_what_still_runs_has_no_outcome_and_goes_on_under_the_new_id(self) -> None:
        self.begin("alpha", BUILD)
        self.hosts["alpha"].poll()
        later = self.letter("alpha", BUILD)

        assert self.hosts["alpha"].outcome_of(later) == ()
        assert self.until_it_ends("alpha", later)[-1] == i.GuestBuilt(power_state=1)

    def test_what_another_saga_asked_of_the_same_guest_goes_on_under_its_own_id(self) -> None:
        self.built()
        first = self.begin("alpha", c.DestroyGuest(evidence="deleted"))
        other = self.letter("alpha", c.DestroyGuest(evidence="deleted"))
        other = replace(other, address=replace(other.address, saga_id="another"))

        assert isinstance(self.hosts["alpha"].outcome_of(other)[-1], i.GuestDestroyFailed)
        assert self.until_it_ends("alpha", first)[-1] == i.GuestDestroyed()


class TestFakeDriverInMemory(InMemory, HypervisorContract):
    """The fake driver in a world that lives as long as its object."""


class TestFakeDriverInAFile(InAFile, HypervisorContract):
    """The fake driver in a world that several processes see."""
