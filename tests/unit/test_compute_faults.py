"""Every call of the fake driver fails, in every way, and each command still ends exactly once."""

from __future__ import annotations

import pytest

from compute.endings import is_ending
from compute.fake_driver import FakeDriver, FakeOptions
from compute.fake_operations import CALLS
from compute.fake_site import Failure, FailureKind
from compute.hypervisor import PowerState
from compute.world import Attached, Half, MemoryWorld, Role
from events import commands as c
from events.attachments import VolumeDetached
from events.envelope import Address, Letter
from events.values import replace
from tests.parts import ACCELERATOR, EVERYTHING, MORE, NETWORK, OTHER_VOLUME, PORT, VOLUME
from tests.unit.compute_host import GUEST, LARGE, SMALL

BUILD = c.BuildGuest(flavor=SMALL, name="guest", image="image", attachments=EVERYTHING)
#: A command that makes the call, and what alpha and beta have of the guest before it.
SCENES: dict[str, tuple[object, Role | None, Role | None]] = {
    "BuildGuest": (BUILD, None, None),
    "EvacuateGuest": (
        c.EvacuateGuest(
            flavor=SMALL, name="g", image="i", source="beta", power_on=True, attachments=EVERYTHING
        ),
        None,
        None,
    ),
    "DestroyGuest": (c.DestroyGuest(evidence="deleted"), Role.GUEST, None),
    "StopGuest": (c.StopGuest(), Role.GUEST, None),
    "StartGuest": (c.StartGuest(attachments=EVERYTHING), Role.GUEST, None),
    "RebootGuest": (
        c.RebootGuest(hard=True, flavor=SMALL, attachments=EVERYTHING),
        Role.GUEST,
        None,
    ),
    "PauseGuest": (c.PauseGuest(), Role.GUEST, None),
    "UnpauseGuest": (c.UnpauseGuest(), Role.GUEST, None),
    "SuspendGuest": (c.SuspendGuest(), Role.GUEST, None),
    "ResumeGuest": (c.ResumeGuest(), Role.SAVED, None),
    "RescueGuest": (c.RescueGuest(rescue_image=""), Role.GUEST, None),
    "UnrescueGuest": (c.UnrescueGuest(attachments=EVERYTHING), Role.RESCUED, None),
    "SoftDeleteGuest": (c.SoftDeleteGuest(), Role.GUEST, None),
    "TriggerCrashDump": (c.TriggerCrashDump(), Role.GUEST, None),
    "SetAdminPassword": (c.SetAdminPassword(secret_ref="secrets/1"), Role.GUEST, None),
    "ReadDiagnostics": (c.ReadDiagnostics(), Role.GUEST, None),
    "TakePowerUpdate": (c.TakePowerUpdate(target_power_state="POWER_OFF"), Role.GUEST, None),
    "UndeleteGuest": (c.UndeleteGuest(attachments=EVERYTHING), Role.GUEST, None),
    "PrepareResize": (
        c.PrepareResize(source="beta", old_flavor=SMALL, new_flavor=LARGE),
        None,
        Role.GUEST,
    ),
    "ResizeGuest": (
        c.ResizeGuest(destination="beta", new_flavor=LARGE),
        Role.GUEST,
        Role.CLAIMED,
    ),
    "FinishResize": (
        c.FinishResize(source="beta", new_flavor=LARGE, power_on=True, attachments=EVERYTHING),
        Role.COPIED,
        None,
    ),
    "RestoreGuest": (
        c.RestoreGuest(old_flavor=SMALL, power_on=True, attachments=EVERYTHING),
        Role.KEPT,
        None,
    ),
    "ReleaseDestination": (c.ReleaseDestination(), Role.CLAIMED, Role.GUEST),
    "ConfirmResize": (c.ConfirmResize(destination="beta"), Role.KEPT, Role.GUEST),
    "RevertResize": (c.RevertResize(source="beta"), Role.GUEST, None),
    "FinishRevertResize": (
        c.FinishRevertResize(
            destination="beta", old_flavor=SMALL, power_on=True, attachments=EVERYTHING
        ),
        Role.KEPT,
        None,
    ),
    "CheckDestination": (c.CheckDestination(source="beta", flavor=SMALL), None, Role.GUEST),
    "CheckSource": (c.CheckSource(destination="beta"), Role.GUEST, None),
    "PrepareDestination": (
        c.PrepareDestination(source="beta", flavor=SMALL, attachments=EVERYTHING),
        None,
        Role.GUEST,
    ),
    "LiveMigrateGuest": (c.LiveMigrateGuest(destination="beta"), Role.GUEST, Role.INCOMING),
    "FinishLiveMigration": (
        c.FinishLiveMigration(source="beta", flavor=SMALL),
        Role.ARRIVED,
        None,
    ),
    "CleanUpSource": (c.CleanUpSource(destination="beta"), Role.LEFT, Role.GUEST),
    "RollbackDestination": (c.RollbackDestination(), Role.INCOMING, Role.GUEST),
    "AttachVolume": (c.AttachVolume(volume=MORE.volumes[0]), Role.GUEST, None),
    "DetachVolume": (c.DetachVolume(volume_id=VOLUME), Role.GUEST, None),
    "SwapVolume": (
        c.SwapVolume(old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME),
        Role.GUEST,
        None,
    ),
    "AttachInterface": (c.AttachInterface(port=MORE.ports[0]), Role.GUEST, None),
    "DetachInterface": (c.DetachInterface(port_id=PORT), Role.GUEST, None),
    "AddFixedIp": (c.AddFixedIp(port_id=PORT, network_id=NETWORK), Role.GUEST, None),
    "RemoveFixedIp": (c.RemoveFixedIp(port_id=PORT, fixed_ip="10.0.0.5"), Role.GUEST, None),
    "InjectNetworkInfo": (c.InjectNetworkInfo(ports=EVERYTHING.ports), Role.GUEST, None),
    "RollbackSource": (c.RollbackSource(), Role.GUEST, Role.INCOMING),
    "SnapshotGuest": (
        c.SnapshotGuest(image_id="one", image_name="n", backup_type=None),
        Role.GUEST,
        None,
    ),
    "SnapshotVolumes": (c.SnapshotVolumes(image_id="one", image_name="n"), Role.GUEST, None),
    "RotateBackups": (c.RotateBackups(backup_type="daily", rotation=1), Role.GUEST, None),
    "DeleteImage": (c.DeleteImage(image_id="one"), Role.GUEST, None),
    "CreateVolumeSnapshot": (
        c.CreateVolumeSnapshot(volume_id="v", snapshot_id="s"),
        Role.GUEST,
        None,
    ),
    "DeleteVolumeSnapshot": (
        c.DeleteVolumeSnapshot(volume_id="v", snapshot_id="s"),
        Role.GUEST,
        None,
    ),
    "ShelveGuest": (c.ShelveGuest(image_id="one", image_name="n"), Role.GUEST, None),
    "OffloadGuest": (c.OffloadGuest(shelved_image=None), Role.GUEST, None),
    "StartShelvedGuest": (c.StartShelvedGuest(attachments=EVERYTHING), Role.GUEST, None),
    "RebuildGuest": (
        c.RebuildGuest(flavor=SMALL, name="g", image="i", power_on=False, attachments=EVERYTHING),
        Role.GUEST,
        None,
    ),
    "UnshelveGuest": (
        c.UnshelveGuest(flavor=SMALL, name="g", shelved_image=None, attachments=EVERYTHING),
        None,
        None,
    ),
}
RUNNING = (Role.GUEST, Role.ARRIVED, Role.RESCUED)


def half(host: str, role: Role) -> Half:
    power = PowerState.RUNNING if role in RUNNING else PowerState.PAUSED
    return Half(host=host, instance_id=GUEST, role=role, power_state=power, flavor=SMALL)


def attached(host: str) -> Attached:
    return Attached(
        host=host,
        instance_id=GUEST,
        volumes=(VOLUME,),
        ports=(PORT,),
        active_ports=(PORT,),
        accelerators=(ACCELERATOR,),
    )


def letter(command: object) -> Letter[object]:
    return Letter(
        command,
        Address(
            command_id="command",
            saga_id="saga",
            saga="test",
            step="doing",
            attempt=1,
            instance_id=GUEST,
            generation=1,
            host="alpha",
        ),
    )


class Stage:
    """A driver at which one call fails, and the world that it is in."""

    def __init__(self, call: str, failure: Failure | None) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self._call, self._failure = call, failure
        command, here, there = SCENES[call.partition(".")[0]]
        self.letter = letter(command)
        self.world = MemoryWorld()
        if here:
            self.world.change(half("alpha", here))
        if there:
            self.world.change(half("beta", there))
        # What is to be taken hold of is not there yet.
        if here and not hasattr(command, "attachments"):
            self.world.attach(attached("alpha"))
        self.driver = FakeDriver(host="alpha", world=self.world, faults=self.fault)

    def fault(self, host: str, call: str, instance_id: str) -> Failure | None:
        self.calls.append((host, call, instance_id))
        return self._failure if call == self._call else None

    def play(self) -> list[object]:
        said: list[object] = []
        self.driver.begin(self.letter)
        for _ in range(40):
            said += [r.fact for r in self.driver.poll() if r.command_id]
            assert all(len(hosts) <= 1 for hosts in self.world.running().values())
        return said


def test_every_call_has_a_command_that_makes_it() -> None:
    for call in CALLS:
        stage = Stage(call, None)
        stage.play()

        assert ("alpha", call, GUEST) in stage.calls


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", FailureKind)
def test_a_call_that_fails_leads_to_one_ending_and_one_running_guest(
    call: str, kind: FailureKind
) -> None:
    stage = Stage(call, Failure(kind=kind, delay_polls=2))

    said = stage.play()

    command = stage.letter.command
    assert [is_ending(command, fact) for fact in said].count(True) == 1
    assert is_ending(command, said[-1])
    assert stage.world.executions() == {"command": 1}


@pytest.mark.parametrize("call", ["BuildGuest.spawn", "EvacuateGuest.spawn"])
def test_one_that_died_while_it_let_go_of_what_it_held_holds_nothing_afterwards(call: str) -> None:
    stage = Stage(call, Failure())
    stage.driver.begin(stage.letter)
    while not (said := [r.fact for r in stage.driver.poll() if isinstance(r.fact, VolumeDetached)]):
        pass
    assert said
    assert stage.world.half("alpha", GUEST) is not None

    outcome = FakeDriver(host="alpha", world=stage.world).outcome_of(stage.letter)

    assert [type(fact).__name__ for fact in outcome[:-1]] == ["PortUnbound", "AcceleratorUnbound"]
    assert stage.world.attached("alpha", GUEST) is None
    assert stage.world.half("alpha", GUEST) is None


@pytest.mark.parametrize(
    ("call", "kind", "expected"),
    [
        ("BuildGuest.claim", FailureKind.FAIL, "BuildRescheduled"),
        ("BuildGuest.spawn", FailureKind.FAIL, "BuildRescheduled"),
        ("BuildGuest.networks", FailureKind.ABORT, "BuildAborted"),
        ("ResizeGuest.copy", FailureKind.FAIL, "ResizeFailed"),
        ("ResizeGuest.copy", FailureKind.FAULT_ROLLBACK, "ResizeFaulted"),
        ("RebootGuest", FailureKind.FAIL, "GuestRebootFailed"),
        ("RebootGuest", FailureKind.IGNORE, "GuestRebootIgnored"),
        ("LiveMigrateGuest.copy", FailureKind.FAIL, "LiveMigrationFailed"),
        ("LiveMigrateGuest.copy", FailureKind.POST_COPY, "GuestHandedOver"),
        ("DestroyGuest", FailureKind.FAIL, "GuestDestroyFailed"),
        ("StopGuest", FailureKind.FAIL, "GuestStopFailed"),
        ("StartGuest", FailureKind.FAIL, "GuestStartFailed"),
        ("PauseGuest", FailureKind.FAIL, "GuestPauseFailed"),
        ("UnpauseGuest", FailureKind.FAIL, "GuestUnpauseFailed"),
        ("PrepareResize", FailureKind.FAIL, "ResizePrepareFailed"),
        ("FinishResize", FailureKind.FAIL, "ResizeFinishFailed"),
        ("RestoreGuest", FailureKind.FAIL, "GuestRestoreFailed"),
        ("ReleaseDestination", FailureKind.FAIL, "DestinationReleaseFailed"),
        ("ConfirmResize", FailureKind.FAIL, "ResizeConfirmFailed"),
        ("RevertResize", FailureKind.FAIL, "ResizeRevertFailed"),
        ("FinishRevertResize", FailureKind.FAIL, "RevertFinishFailed"),
        ("CheckDestination", FailureKind.FAIL, "DestinationCheckFailed"),
        ("CheckSource", FailureKind.FAIL, "SourceCheckFailed"),
        ("PrepareDestination", FailureKind.FAIL, "DestinationPrepareFailed"),
        ("FinishLiveMigration", FailureKind.FAIL, "LiveMigrationFinishFailed"),
        ("CleanUpSource", FailureKind.FAIL, "SourceCleanUpFailed"),
        ("RollbackDestination", FailureKind.FAIL, "DestinationRollbackFailed"),
        ("RollbackSource", FailureKind.FAIL, "SourceRollbackFailed"),
        ("SnapshotGuest.snapshot", FailureKind.FAIL, "SnapshotFailed"),
        ("SnapshotGuest.upload", FailureKind.FAIL, "SnapshotFailed"),
        ("SnapshotVolumes.upload", FailureKind.FAIL, "SnapshotFailed"),
        ("RotateBackups", FailureKind.FAIL, "BackupRotationFailed"),
        ("DeleteImage", FailureKind.FAIL, "ImageDeleteFailed"),
        ("CreateVolumeSnapshot", FailureKind.FAIL, "VolumeSnapshotCreateFailed"),
        ("DeleteVolumeSnapshot", FailureKind.FAIL, "VolumeSnapshotDeleteFailed"),
        ("ShelveGuest.upload", FailureKind.FAIL, "GuestShelveFailed"),
        ("OffloadGuest", FailureKind.FAIL, "GuestOffloadFailed"),
        ("StartShelvedGuest", FailureKind.FAIL, "ShelvedGuestStartFailed"),
        ("UnshelveGuest.claim", FailureKind.FAIL, "GuestUnshelveFailed"),
        ("UnshelveGuest.spawn", FailureKind.ABORT, "GuestUnshelveFailed"),
        ("RebuildGuest.power_off", FailureKind.FAULT_ROLLBACK, "GuestRebuildFaulted"),
        ("RebuildGuest.power_off", FailureKind.FAIL, "GuestRebuildFailed"),
        ("RebuildGuest.spawn", FailureKind.FAULT_ROLLBACK, "GuestRebuildFailed"),
        ("RebuildGuest.stop", FailureKind.FAIL, "GuestRebuildFailed"),
        ("AttachVolume", FailureKind.FAIL, "VolumeAttachFailed"),
        ("DetachVolume", FailureKind.FAIL, "VolumeDetachFailed"),
        ("SwapVolume", FailureKind.FAIL, "VolumeSwapFailed"),
        ("AttachInterface", FailureKind.FAIL, "InterfaceAttachFailed"),
        ("DetachInterface", FailureKind.FAIL, "InterfaceDetachFailed"),
        ("AddFixedIp", FailureKind.FAIL, "FixedIpAddFailed"),
        ("RemoveFixedIp", FailureKind.FAIL, "FixedIpRemoveFailed"),
        ("InjectNetworkInfo", FailureKind.FAIL, "NetworkInfoInjectFailed"),
        ("StopGuest", FailureKind.DELAY, "GuestStopped"),
    ],
)
def test_each_kind_of_failure_has_a_fact_of_its_own(
    call: str, kind: FailureKind, expected: str
) -> None:
    said = Stage(call, Failure(kind=kind)).play()

    assert type(said[-1]).__name__ == expected


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("ResizeGuest.migrate", FailureKind.FAULT_ROLLBACK),
        ("LiveMigrateGuest.switch", FailureKind.FAIL),
        ("RebootGuest", FailureKind.IGNORE),
    ],
)
def test_a_failure_that_leaves_the_guest_as_it_was_leaves_it_running(
    call: str, kind: FailureKind
) -> None:
    stage = Stage(call, Failure(kind=kind))
    stage.play()

    assert stage.world.running() == {GUEST: ("alpha",)}


def test_a_resize_without_a_claim_at_the_destination_leaves_the_guest_running() -> None:
    stage = Stage("ResizeGuest", None)
    claimed = stage.world.half("beta", GUEST)
    assert claimed
    stage.world.change(gone=[claimed])

    said = stage.play()

    assert type(said[-1]).__name__ == "ResizeFaulted"
    assert stage.world.running() == {GUEST: ("alpha",)}


def test_a_copy_into_nothing_fails_and_the_guest_runs_on() -> None:
    stage = Stage("LiveMigrateGuest", None)
    stage.driver.begin(stage.letter)
    stage.driver.poll()
    incoming = stage.world.half("beta", GUEST)
    assert incoming
    stage.world.change(gone=[incoming])

    facts = [report.fact for _ in range(3) for report in stage.driver.poll()]

    assert type(facts[-1]).__name__ == "LiveMigrationFailed"
    assert stage.world.running() == {GUEST: ("alpha",)}


def test_post_copy_can_not_be_cancelled() -> None:
    stage = Stage("LiveMigrateGuest.copy", Failure(kind=FailureKind.POST_COPY))
    stage.driver.begin(stage.letter)
    stage.driver.poll()
    stage.driver.poll()

    assert stage.world.running() == {GUEST: ("beta",)}
    assert not stage.driver.cancel("command")


def test_a_frozen_guest_runs_again_when_the_copy_fails() -> None:
    stage = Stage("LiveMigrateGuest.switch", Failure())
    stage.driver = FakeDriver(
        host="alpha",
        world=stage.world,
        faults=stage.fault,
        options=FakeOptions(permits_post_copy=False, copy_polls=9),
    )
    stage.driver.begin(stage.letter)
    stage.driver.poll()
    force = letter(c.ForceCompleteLiveMigration())
    forced = replace(force, address=replace(force.address, command_id="force"))
    stage.driver.begin(forced)

    facts = [report.fact for _ in range(9) for report in stage.driver.poll()]

    assert type(facts[-1]).__name__ == "LiveMigrationFailed"
    assert stage.world.running() == {GUEST: ("alpha",)}
