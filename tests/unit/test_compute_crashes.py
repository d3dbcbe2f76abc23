"""An agent that dies before, within and after every commit, and after every turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from compute.endings import ENDINGS
from compute.hypervisor import PowerState
from compute.memory_journal import MemoryJournal
from compute.world import Role
from events import commands as c
from events.envelope import Letter
from events.instance import CommandRefused
from tests.unit.compute_host import GUEST, LARGE, SMALL, Cloud, Host, settle


class Died(BaseException):
    """The process is gone."""


class CrashPoints:
    """Counts the points that a run passes, and kills the process at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.passed = 0
        self._kill_at = kill_at

    def point(self) -> None:
        self.passed += 1
        if self.passed - 1 == self._kill_at:
            raise Died


class MortalJournal(MemoryJournal):
    """A journal whose process may die before and after each commit, and within."""

    def __init__(self, points: CrashPoints, *, forgets_begun: bool = False) -> None:
        super().__init__(forgets_begun=forgets_begun)
        self.points = points

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.points.point()
        with super().transaction():
            yield
            self.points.point()
        self.points.point()


def arrange(name: str, points: CrashPoints, *, forgets_begun: bool = False) -> Host:
    """Return a host that is asked to do one thing; its partner is in the world."""
    cloud = Cloud()
    Host("beta", cloud=cloud)
    host = Host(cloud=cloud, journal=MortalJournal(points, forgets_begun=forgets_begun))
    role, power, partner = SCENES[name][1:]
    if role:
        host.has(role, power)
    if partner:
        beta = Host("beta", cloud=cloud)
        beta.has(partner, PowerState.PAUSED)
    return host


Scene = tuple[object, Role | None, PowerState, Role | None]
ON, OFF = PowerState.RUNNING, PowerState.SHUTDOWN
SCENES: dict[str, Scene] = {
    "evacuate": (
        c.EvacuateGuest(flavor=SMALL, name="g", image="i", source="beta", power_on=True),
        None,
        ON,
        None,
    ),
    "build": (c.BuildGuest(flavor=SMALL, name="g", image="i"), None, ON, None),
    "destroy": (c.DestroyGuest(evidence="deleted"), Role.GUEST, ON, None),
    "stop": (c.StopGuest(), Role.GUEST, ON, None),
    "start": (c.StartGuest(), Role.GUEST, OFF, None),
    "reboot": (c.RebootGuest(hard=True, flavor=SMALL), Role.GUEST, ON, None),
    "pause": (c.PauseGuest(), Role.GUEST, ON, None),
    "unpause": (c.UnpauseGuest(), Role.GUEST, PowerState.PAUSED, None),
    "suspend": (c.SuspendGuest(), Role.GUEST, ON, None),
    "resume": (c.ResumeGuest(), Role.SAVED, OFF, None),
    "rescue": (c.RescueGuest(rescue_image=""), Role.GUEST, ON, None),
    "unrescue": (c.UnrescueGuest(), Role.RESCUED, ON, None),
    "crash dump": (c.TriggerCrashDump(), Role.GUEST, ON, None),
    "set password": (c.SetAdminPassword(secret_ref="secrets/1"), Role.GUEST, ON, None),
    "diagnostics": (c.ReadDiagnostics(), Role.GUEST, ON, None),
    "power update": (c.TakePowerUpdate(target_power_state="POWER_OFF"), Role.GUEST, ON, None),
    "soft delete": (c.SoftDeleteGuest(), Role.GUEST, ON, None),
    "undelete": (c.UndeleteGuest(), Role.GUEST, OFF, None),
    "prepare resize": (
        c.PrepareResize(source="beta", old_flavor=SMALL, new_flavor=LARGE),
        None, ON, Role.GUEST,
    ),
    "resize": (
        c.ResizeGuest(destination="beta", new_flavor=LARGE), Role.GUEST, ON, Role.CLAIMED,
    ),
    "finish resize": (
        c.FinishResize(source="beta", new_flavor=LARGE, power_on=True), Role.COPIED, OFF, Role.KEPT,
    ),
    "restore": (c.RestoreGuest(old_flavor=SMALL, power_on=True), Role.KEPT, OFF, None),
    "release": (c.ReleaseDestination(), Role.CLAIMED, OFF, Role.GUEST),
    "confirm": (c.ConfirmResize(destination="beta"), Role.KEPT, OFF, Role.GUEST),
    "revert": (c.RevertResize(source="beta"), Role.GUEST, ON, Role.KEPT),
    "finish revert": (
        c.FinishRevertResize(destination="beta", old_flavor=SMALL, power_on=False),
        Role.KEPT, OFF, None,
    ),
    "check destination": (c.CheckDestination(source="beta", flavor=SMALL), None, ON, Role.GUEST),
    "check source": (c.CheckSource(destination="beta"), Role.GUEST, ON, None),
    "queue": (c.QueueLiveMigration(destination="beta"), Role.GUEST, ON, None),
    "prepare destination": (
        c.PrepareDestination(source="beta", flavor=SMALL), None, ON, Role.GUEST,
    ),
    "live migrate": (c.LiveMigrateGuest(destination="beta"), Role.GUEST, ON, Role.INCOMING),
    "finish live migration": (
        c.FinishLiveMigration(source="beta", flavor=SMALL), Role.ARRIVED, ON, Role.LEFT,
    ),
    "clean up source": (c.CleanUpSource(destination="beta"), Role.LEFT, OFF, Role.GUEST),
    "roll back destination": (c.RollbackDestination(), Role.INCOMING, OFF, Role.GUEST),
    "roll back source": (c.RollbackSource(), Role.GUEST, ON, Role.INCOMING),
    "snapshot": (
        c.SnapshotGuest(image_id="one", image_name="n", backup_type=None), Role.GUEST, ON, None,
    ),
    "snapshot volumes": (
        c.SnapshotVolumes(image_id="one", image_name="n"), Role.GUEST, ON, None,
    ),
    "rotate backups": (c.RotateBackups(backup_type="daily", rotation=0), Role.GUEST, ON, None),
    "delete image": (c.DeleteImage(image_id="one"), Role.GUEST, ON, None),
    "shelve": (c.ShelveGuest(image_id="one", image_name="n"), Role.GUEST, ON, None),
    "offload": (c.OffloadGuest(shelved_image=None), Role.GUEST, OFF, None),
    "start shelved": (c.StartShelvedGuest(), Role.GUEST, OFF, None),
    "unshelve": (c.UnshelveGuest(flavor=SMALL, name="g", shelved_image=None), None, ON, None),
    "rebuild": (
        c.RebuildGuest(flavor=SMALL, name="g", image="i", power_on=True), Role.GUEST, ON, None,
    ),
    "rebuild stopped": (
        c.RebuildGuest(flavor=SMALL, name="g", image="i", power_on=False), Role.GUEST, OFF, None,
    ),
    "create volume snapshot": (
        c.CreateVolumeSnapshot(volume_id="v", snapshot_id="s"), Role.GUEST, ON, None,
    ),
    "delete volume snapshot": (
        c.DeleteVolumeSnapshot(volume_id="v", snapshot_id="s"), Role.GUEST, ON, None,
    ),
    "raise generation": (c.RaiseGeneration(), Role.GUEST, ON, None),
}  # fmt: skip


def live(host: Host, turns_max: int = 300) -> int:
    """Let a host work until it is quiet, starting it again whenever it dies; count the deaths."""
    deaths = 0
    for _ in range(turns_max):
        try:
            settle([host])
        except Died:
            deaths += 1
            host.die()
        else:
            return deaths
    raise AssertionError("Expected quiet, but the host died over and over")


def endings(host: Host, letter: Letter[object]) -> list[object]:
    """Return the different facts that ended a command, by their bytes."""
    known = (*ENDINGS[type(letter.command)], CommandRefused)
    own = letter.address.command_id
    found = {
        meta.sequence: fact
        for meta, fact in host.said()
        if meta.command_id == own and isinstance(fact, known)
    }
    return list(found.values())


def points_of(name: str) -> int:
    points = CrashPoints(None)
    host = arrange(name, points)
    host.ask(SCENES[name][0])
    live(host)
    return points.passed


def check_laws(host: Host, letter: Letter[object]) -> None:
    """Exactly one ending; at most one effect; a chain without gaps; at most one running guest."""
    assert len(endings(host, letter)) == 1
    assert all(count == 1 for count in host.cloud.world.executions().values())
    sequences = [meta.sequence for meta, _ in host.said()]
    assert sorted(set(sequences)) == list(range(1, max(sequences) + 1))
    values = {r.value for r in host.records() if r.key == GUEST.encode()}
    assert len(values) == len(set(sequences))
    assert all(len(hosts) <= 1 for hosts in host.cloud.world.running().values())
    assert host.journal.open_tasks() == []


@pytest.mark.parametrize("name", SCENES)
def test_a_death_at_any_commit_leaves_one_answer_and_one_effect(name: str) -> None:
    for kill_at in range(points_of(name)):
        host = arrange(name, CrashPoints(kill_at))
        letter = host.ask(SCENES[name][0])

        deaths = live(host)

        assert deaths == 1
        check_laws(host, letter)


@pytest.mark.parametrize("name", SCENES)
def test_a_death_after_each_turn_leaves_one_answer_and_one_effect(name: str) -> None:
    for turns in range(12):
        host = arrange(name, CrashPoints(None))
        letter = host.ask(SCENES[name][0])
        for _ in range(turns):
            host.parts.agent.turn()
        host.die()

        live(host)

        check_laws(host, letter)


def test_what_was_said_before_a_death_is_not_said_again() -> None:
    host = arrange("build", CrashPoints(None))
    letter = host.ask(SCENES["build"][0])
    while host.cloud.world.running() != {GUEST: ("alpha",)}:
        turn_without_hearing(host)
    host.die()

    live(host)

    kinds = [type(fact).__name__ for fact in host.answers(letter)]
    assert kinds == [
        "BuildAccepted",
        "NetworkAllocationStarted",
        "BlockDevicesPreparing",
        "GuestSpawning",
        "GuestBuilt",
    ]


def turn_without_hearing(host: Host) -> None:
    """Let the driver finish before the agent hears of it, where the guest is about to run."""
    half = host.half()
    is_spawning = "GuestSpawning" in [entry.kind for entry in host.journal.unsent(100)]
    if half and is_spawning:
        host.driver.poll()
    else:
        host.parts.agent.turn()


def test_a_build_that_died_halfway_is_undone_and_rescheduled() -> None:
    host = arrange("build", CrashPoints(None))
    letter = host.ask(SCENES["build"][0])
    for _ in range(4):
        host.parts.agent.turn()
    host.die()

    live(host)

    assert type(host.answers(letter)[-1]).__name__ == "BuildRescheduled"
    assert host.kinds()[-1] == "GuestAbsent"
    assert host.half() is None


def test_a_guest_is_not_started_by_an_agent_that_only_looks() -> None:
    host = arrange("resize", CrashPoints(None))
    letter = host.ask(SCENES["resize"][0])
    for _ in range(5):
        host.parts.agent.turn()
    host.die()

    live(host)

    assert type(host.answers(letter)[-1]).__name__ == "ResizeFailed"
    assert host.cloud.world.running() == {}


def test_the_planted_bug_of_a_begun_that_is_not_synced_is_caught() -> None:
    def effects(kill_at: int) -> int:
        host = arrange("reboot", CrashPoints(kill_at), forgets_begun=True)
        letter = host.ask(SCENES["reboot"][0])
        live(host)
        return host.cloud.world.executions()[letter.address.command_id]

    assert max(effects(kill_at) for kill_at in range(points_of("reboot"))) == 2


def test_the_same_history_gives_the_same_bytes() -> None:
    def history() -> list[bytes | None]:
        host = arrange("live migrate", CrashPoints(7))
        host.ask(SCENES["live migrate"][0])
        live(host)
        return [record.value for record in host.records()]

    assert history() == history()


@pytest.mark.parametrize(
    "lose", [lambda h: None, lambda h: setattr(h.writer, "loses_answer", True)]
)
def test_a_death_between_append_and_mark_repeats_the_same_bytes(
    lose: Callable[[Host], None],
) -> None:
    host = arrange("stop", CrashPoints(None))
    letter = host.ask(SCENES["stop"][0])
    for _ in range(6):
        host.parts.agent.turn()
    lose(host)
    host.parts.emitter.turn()
    host.die()

    live(host)

    check_laws(host, letter)
