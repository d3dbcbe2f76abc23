"""What to do here so that the same happens as in a recording of nova: one line each.

A play is a list of acts; each act is done when everybody has come to rest, or where it says until
when. A recording that does not begin with a create has a guest built before, on the host named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from compute.fake_site import Failure, FailureKind
from compute.hypervisor import PowerState
from events.decisions import HostReturned, PeriodElapsed
from statemachines.dues import dues
from tests.recordings import Beginning, Words, beginning_of, words_of_nova, words_of_ours
from tests.stage import INSTANCE, Stage, said
from tests.story import LARGE, SMALL

Act = Callable[[Stage], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """How a recording is done again here."""

    acts: tuple[Act, ...]
    #: The host on which the guest was before; None where the recording begins with its create.
    on: str | None = None
    #: Which of the recording's servers, in the order of their first word.
    server: int = 0
    hosts: tuple[str, ...] = ("host1", "host2")
    settings: dict[str, str] = field(default_factory=dict)

    def perform(self) -> tuple[Stage, Beginning | None]:
        """Return the stage after the play, and where the guest stood before it."""
        stage = Stage(hosts=self.hosts, settings=self.settings)
        stage.settle()
        beginning = None
        if self.on is not None:
            build(self.on)(stage)
            beginning = beginning_of(stage.here)
            stage.begin()
        for act in self.acts:
            act(stage)
        return stage, beginning


def compare(name: str, play: Play) -> tuple[Words, Words]:
    """Return what nova said in a recording, and what we say when the same is done."""
    stage, beginning = play.perform()
    return words_of_nova(name, play.server, beginning), words_of_ours(stage, beginning)


# Acts.


def build(host: str) -> Act:
    """Have a guest built on a host."""
    arguments = {"name": "a", "image": "i"}
    return ask("create", flavor=SMALL, host=host, arguments=arguments)


def server(host: str = "host1", **settings: str) -> Stage:
    """Return a stage with a guest built on a host."""
    stage = Stage(settings=settings)
    build(host)(stage)
    assert stage.here.vm_state == "active"
    return stage


def ask(action: str, **fields: object) -> Act:
    """Ask for an action, and let it end."""

    def act(stage: Stage) -> None:
        stage.ask(action, **fields)
        stage.settle()

    return act


def ask_until(fact: str, action: str, **fields: object) -> Act:
    """Ask for an action, and let it come as far as a fact."""

    def act(stage: Stage) -> None:
        stage.ask(action, **fields)
        stage.until(said(fact))

    return act


def elapse() -> Act:
    """Let what falls due by itself have its time."""

    def act(stage: Stage) -> None:
        for due in dues(stage.held, stage.rules):
            stage.decide(PeriodElapsed(action=due.action, since=due.since))
        stage.settle()

    return act


def breaks(host: str, call: str, reason: str, kind: FailureKind = FailureKind.FAIL) -> Act:
    """Have a call of a host's driver fail from now on."""
    return lambda stage: stage.fails(host, call, Failure(kind=kind, reason=reason))


def dawdles(host: str, call: str, polls: int) -> Act:
    """Have a call of a host's driver take its time."""
    return lambda stage: stage.fails(host, call, Failure(kind=FailureKind.DELAY, delay_polls=polls))


def goes_off(host: str) -> Act:
    """Have a guest shut itself down, and let come what comes."""

    def act(stage: Stage) -> None:
        half = stage.cloud.world.half(host, INSTANCE)
        assert half is not None
        stage.cloud.world.change(half.becomes(power_state=PowerState.SHUTDOWN))
        stage.settle()

    return act


def disable(*hosts: str) -> Act:
    """Have the scheduler pass over hosts from now on."""
    return lambda stage: stage.enabled.difference_update(hosts)


def lose(host: str) -> Act:
    """Have a host be down, and recorded lost."""
    return lambda stage: stage.down.add(host)


def come_back(host: str) -> Act:
    """Have a lost host be there again, with what it had."""

    def act(stage: Stage) -> None:
        stage.down.discard(host)
        stage.decide(HostReturned(host=host))
        stage.settle()

    return act


def die(host: str) -> Act:
    """Have a host's agent die, start again with its troubles gone, and everything end."""

    def act(stage: Stage) -> None:
        stage.faults = {at: how for at, how in stage.faults.items() if at[0] != host}
        stage.hosts[host].die()
        stage.settle()

    return act


def busy(host: str) -> Act:
    """Have another guest's live migration take the one place that a host has."""

    def act(stage: Stage) -> None:
        journal = stage.hosts[host].journal
        with journal.transaction():
            journal.put_slot("6f1b7b3e-0000-4000-8000-00000000000b", is_aborted=False)

    return act


#: The volume of the recording.
_VOLUME: Final = "6ca404f3-d844-4169-bb96-bc792f37de98"
_RESIZE: Final = ask("resize", flavor=LARGE)
_IMAGE: Final = {"name": "an image"}
_BACKUP: Final = {"name": "a backup", "backup_type": "daily", "rotation": "1"}
_EVACUATE: Final = ask("evacuate", fenced_hosts=("host2",), source_up=False)
_CONFIRM: Final = ask("confirm_resize")
_NO_ROOM: Final = "Insufficient compute resources: no room."

PLAYS: Final[dict[str, Play]] = {
    "attach_detach_volume": Play(
        on="host1",
        acts=(
            ask("attach_volume", arguments={"volume_id": _VOLUME}),
            ask("detach_volume", arguments={"volume_id": _VOLUME}),
        ),
    ),
    "create_delete": Play(acts=(build("host1"), ask("delete"))),
    "create_no_valid_host": Play(acts=(disable("host1", "host2"), ask("create", flavor=SMALL))),
    "create_servers_interleaved": Play(acts=(build("host1"),)),
    "create_spawn_abort": Play(
        acts=(
            breaks("host1", "BuildGuest.spawn", "bad image", FailureKind.ABORT),
            build("host1"),
        )
    ),
    "delete_of_stopped": Play(on="host2", acts=(ask("stop"), ask("delete"))),
    "delete_while_building": Play(
        acts=(
            dawdles("host2", "BuildGuest.spawn", 50),
            ask_until("GuestSpawning", "create", flavor=SMALL, host="host2"),
            ask("delete"),
        )
    ),
    "stop_start": Play(on="host1", acts=(ask("stop"), ask("start"))),
    "reboot_hard": Play(on="host1", acts=(ask("reboot_hard"),)),
    "pause_unpause": Play(on="host1", acts=(ask("pause"), ask("unpause"))),
    "suspend_resume": Play(on="host1", acts=(ask("suspend"), ask("resume"))),
    "rescue_unrescue": Play(on="host1", acts=(ask("rescue"), ask("unrescue"))),
    "power_sync": Play(on="host1", acts=(goes_off("host1"),)),
    "soft_delete_restore": Play(on="host2", acts=(ask("soft_delete"), ask("restore"))),
    "lock_unlock": Play(
        on="host1",
        acts=(ask("lock"), ask("stop", is_admin=False), ask("unlock"), ask("stop")),
    ),
    "reset_state_error": Play(on="host1", acts=(ask("reset_state", arguments={"state": "error"}),)),
    "resize_confirm": Play(on="host1", acts=(_RESIZE, _CONFIRM)),
    "auto_confirm": Play(
        on="host2", settings={"resize_confirm_window": "1"}, acts=(_RESIZE, elapse())
    ),
    "cold_confirm": Play(on="host1", acts=(ask("migrate"), _CONFIRM)),
    "cold_migrate_targeted_host": Play(
        on="host3",
        hosts=("host1", "host2", "host3"),
        acts=(ask("migrate", host="host2"), _CONFIRM),
    ),
    "resize_stopped_confirm": Play(on="host2", acts=(ask("stop"), _RESIZE, _CONFIRM)),
    "resize_no_valid_host": Play(on="host2", acts=(disable("host1"), _RESIZE)),
    "resize_prep_fail": Play(
        on="host2", acts=(breaks("host1", "PrepareResize", _NO_ROOM), _RESIZE)
    ),
    "confirm_fail": Play(
        on="host2", acts=(_RESIZE, breaks("host2", "ConfirmResize", "Exception"), _CONFIRM)
    ),
    "snapshot": Play(on="host1", acts=(ask("snapshot", arguments=_IMAGE),)),
    "backup": Play(on="host1", acts=(ask("backup", arguments=_BACKUP),)),
    "shelve_offload_only": Play(on="host1", acts=(ask("shelve"),)),
    "shelve_unshelve": Play(
        on="host1", settings={"shelved_offload_time": "-1"}, acts=(ask("shelve"), ask("unshelve"))
    ),
    "unshelve_no_host": Play(
        on="host1", acts=(ask("shelve"), disable("host1", "host2"), ask("unshelve"))
    ),
    "rebuild_new_image": Play(on="host1", acts=(ask("rebuild", arguments={"image": "other"}),)),
    "evacuate_active": Play(on="host2", acts=(lose("host2"), _EVACUATE)),
    "evacuate_no_host": Play(on="host2", acts=(lose("host2"), disable("host1"), _EVACUATE)),
    "evacuate_then_old_host_returns": Play(
        on="host2", acts=(lose("host2"), _EVACUATE, come_back("host2"))
    ),
    "init_building_spawning_crash": Play(
        acts=(
            dawdles("host2", "BuildGuest.spawn", 50),
            ask_until("GuestSpawning", "create", flavor=SMALL),
            die("host2"),
        )
    ),
    "init_resize_finish_crash": Play(
        on="host1",
        acts=(
            dawdles("host2", "FinishResize", 50),
            ask_until("ResizeFinishing", "resize", flavor=LARGE),
            die("host2"),
        ),
    ),
    "init_migrating_crash": Play(
        on="host2", acts=(ask_until("LiveMigrationStarted", "live_migrate"), die("host2"))
    ),
    "live_ok": Play(on="host1", acts=(ask("live_migrate"),)),
    "live_paused": Play(on="host2", acts=(ask("pause"), ask("live_migrate"))),
    "live_force": Play(
        on="host1",
        acts=(
            ask_until("LiveMigrationStarted", "live_migrate"),
            ask("live_migrate_force_complete"),
        ),
    ),
    "live_no_host": Play(on="host1", acts=(disable("host2"), ask("live_migrate"))),
    "live_precheck_fail_targeted": Play(
        on="host2",
        acts=(
            breaks("host1", "CheckDestination", "Migration pre-check error: cpu differs"),
            ask("live_migrate", host="host1"),
        ),
    ),
    "live_rollback": Play(
        on="host2",
        acts=(breaks("host2", "LiveMigrateGuest.copy", "the driver failed"), ask("live_migrate")),
    ),
    "live_queued_abort_alone": Play(
        on="host1",
        acts=(
            busy("host1"),
            ask_until("LiveMigrationQueued", "live_migrate"),
            ask("live_migrate_abort"),
        ),
    ),
}
