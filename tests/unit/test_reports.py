"""Fifteen reports of nova's operators, each as a test that begins with what they would have said.

The numbers are those of the bugs and pages in which it was said. What is told here of nova is
undone by the rules of the house, not by a special case; so every test plays the real step and real
agents, and looks at the guest as well as at the rows. The nova bugs that such reports led to are in
`test_reports_bugs`; evacuation has its own in `test_step_evacuate`.
"""

from __future__ import annotations

from typing import Final

import pytest

from compute.limits import Bounds
from conductor.bodies import HELD_CODEC
from events import instance, migration, requests
from events.instance import BuildAccepted, BuildRescheduled, GuestBuilt
from statemachines.held import Held
from statemachines.notes import ActionNote
from statemachines.resume import resume
from statemachines.sagas import SAGAS
from statemachines.verdict import Accepted, Duplicate
from tests.beginnings import ACTIONS, begin, built
from tests.plays import ask, ask_until, breaks, dawdles, die, server
from tests.stage import Stage
from tests.story import LARGE, SMALL, must
from tests.unit.compute_host import BUILD, GUEST, OTHER, Host

#: A call that is under way when the agent dies.
AT_WORK: Final = 60


# 1. blueprint recover-stuck-state


@pytest.mark.parametrize(
    ("action", "host", "call", "under_way"),
    [
        ("stop", "host1", "StopGuest", "ActionRequested"),
        ("reboot_hard", "host1", "RebootGuest", "RebootStarted"),
        ("pause", "host1", "PauseGuest", "ActionRequested"),
        ("suspend", "host1", "SuspendGuest", "ActionRequested"),
        ("rescue", "host1", "RescueGuest", "ActionRequested"),
        ("resize", "host1", "ResizeGuest.copy", "ResizeStarted"),
        ("resize", "host2", "FinishResize", "ResizeFinishing"),
        ("live_migrate", "host1", "LiveMigrateGuest.copy", "LiveMigrationStarted"),
        ("delete", "host1", "DestroyGuest", "ActionRequested"),
    ],
)
def test_01_a_compute_was_restarted_and_the_server_is_stuck_in_its_task_for_ever(
    action: str, host: str, call: str, under_way: str
) -> None:
    """A compute was restarted in the middle of something, and the server hangs in it for ever."""
    stage = server()
    stage.begin()
    dawdles(host, call, AT_WORK)(stage)
    ask_until(under_way, action, flavor=LARGE if action == "resize" else None)(stage)
    stage.until(lambda s: s.hosts[host].parts.journal.open_tasks() != [])

    die(host)(stage)

    assert stage.is_at_rest
    assert len(stage.halves) == len({c.host for c in stage.here.claims})


# 2. wiki VMStateCleanupService


@pytest.mark.parametrize("action", ACTIONS)
def test_02_nothing_ever_gives_up_and_nobody_can_see_at_which_step_it_hangs(action: str) -> None:
    """The host says nothing, nobody can see where it hangs, and nothing ever gives up."""
    world = begin(action)

    for _ in range(100):
        if not world.letters:
            break
        letter = world.letters[0]
        assert (letter.address.step, letter.address.attempt) != ("", 0)
        world.time_out_of(letter)

    left = [s for s in (world.here.saga, *world.here.sides) if s is not None]
    for saga in left:
        waits = saga.needs_operator or SAGAS[saga.saga].steps[saga.step].patient
        assert waits, f"Expected an end, a person or a debt, but {saga}"
    if world.here.saga is not None:
        must(
            world.api(
                requests.SagaResolved(
                    saga_id=world.here.saga.saga_id, user_id="admin", reason="seen to"
                )
            )
        )
        assert world.here.saga is None


# 3. bug 1859496


def test_03_the_conductor_was_restarted_in_a_build_and_deleting_it_leaked_its_room() -> None:
    """The conductor died in a build: the server stays in BUILD, and deleting it leaks its room."""
    stage = Stage()
    stage.settle()
    ask_until("BuildAccepted", "create", flavor=SMALL)(stage)

    _start_another_conductor(stage)
    stage.settle()

    assert (stage.here.vm_state, stage.is_at_rest) == ("active", True)
    assert sum(p.name == "GuestBuilt" for p in stage.accepted()) == 1
    ask("delete")(stage)
    assert (stage.here.vm_state, stage.here.claims, stage.halves) == ("deleted", (), {})


def _start_another_conductor(stage: Stage) -> None:
    """Forget everything but the stored state, and send again what is outstanding by it."""
    held = HELD_CODEC.decode(HELD_CODEC.encode(stage.here))
    assert isinstance(held, Held)
    stage.held = held
    for letter in resume(held):
        stage.send(letter)


# 4. bug 1833581


def test_04_a_compute_was_restarted_while_builds_waited_for_their_turn() -> None:
    """Builds waited for the claim when the compute was restarted, and are BUILDING for ever."""
    host = Host(bounds=Bounds(max_concurrent_builds=1))
    first, waiting = host.ask(BUILD), host.ask(BUILD, instance_id=OTHER)
    while not any(isinstance(fact, BuildAccepted) for fact in host.answers(first)):
        for part in host.parts.turns:
            part.turn()
    assert host.half(OTHER) is None

    host.die()
    host.settle()

    assert isinstance(host.answers(waiting)[-1], GuestBuilt)
    assert isinstance(host.answers(first)[-1], BuildRescheduled)
    assert host.half(GUEST) is None  # Undone, and said so: another host may.


# 5. bug 1775934


def test_05_one_build_was_handled_twice_and_there_are_two_servers_of_one_uuid() -> None:
    """One message was handled twice by conductors, and the same server exists in two places."""
    stage = Stage()
    stage.settle()
    request_id = stage.ask("create", flavor=SMALL)
    stage.ask("create", flavor=SMALL, request_id=request_id)
    send = stage.send

    def twice(letter: object) -> None:
        send(letter)  # type: ignore[arg-type]  # a letter
        send(letter)  # type: ignore[arg-type]  # a letter

    stage.send = twice  # type: ignore[method-assign]  # the relay of a zombie sends as well
    stage.settle()

    assert [type(p.outcome.verdict) for p in stage.played if p.name == "ActionRequested"] == [
        Accepted,
        Duplicate,
    ]
    assert stage.halves == {"host2": "guest"}
    assert len(stage.here.claims) == 1


# 6. bug 1276214


def test_06_the_call_timed_out_and_nobody_can_know_what_became_of_it() -> None:
    """The API's call to the conductor timed out; the server is MIGRATING, and nobody knows more."""
    world = built()
    must(world.request("live_migrate", request_id="req-asked"))
    world.settle()

    again = world.request("live_migrate", request_id="req-asked")

    assert isinstance(again.verdict, Duplicate)
    notes = [n for n in world.notes if isinstance(n, ActionNote) and n.request_id == "req-asked"]
    assert (notes[-1].action, notes[-1].message) == ("live-migration", None)
    assert notes[-1].finish_time is not None
    assert (world.states, world.here.host) == (("active", None), "h2")


# 7. bug 1905944


def test_07_nova_gave_up_the_hypervisor_went_on_and_the_guest_is_on_the_other_host() -> None:
    """A hiccup in the monitor: nova gave up, the hypervisor went on, nova names the wrong host."""
    world = begin("live_migrate")
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    copying = world.letters[0]
    while world.saga.step == "migrate":
        world.time_out_of(world.letters[0])
    assert world.saga.step == "roll_back_source"

    handed_over = migration.GuestHandedOver()
    must(world.tell(world.next_of("h1", handed_over, command_id=copying.address.command_id)))
    world.settle()

    assert (world.here.host, world.states) == ("h2", ("active", None))
    assert [c.host for c in world.here.claims] == ["h2"]


# 8. bug 1628606


def test_08_after_a_late_error_a_reboot_started_a_second_guest_on_one_disk() -> None:
    """An error after the switch left it on the source; a hard reboot started it there too."""
    stage = server()
    breaks("host2", "FinishLiveMigration", "plugging failed")(stage)
    ask("live_migrate")(stage)
    assert (stage.here.vm_state, stage.here.host) == ("error", "host2")

    ask("reboot_hard")(stage)

    assert (stage.here.vm_state, stage.here.host) == ("active", "host2")
    assert stage.halves == {"host2": "guest"}


# 9. bug 2044235


@pytest.mark.parametrize("ending", ["failed", "refused", "silent"])
def test_09_an_odd_error_in_a_check_put_a_running_server_into_error(ending: str) -> None:
    """A check on the other host failed in an odd way, and my server, which runs, is in ERROR."""
    world = begin("live_migrate")
    world.succeed(world.letters[0])
    letter = world.letters[0]

    if ending == "failed":
        world.fail(letter, migration.DestinationCheckFailed)
    elif ending == "refused":
        world.fail(letter, instance.CommandRefused)
    else:
        world.time_out_of(letter)
    while world.letters and world.saga.step != "schedule":
        world.time_out_of(world.letters[0])
    world.settle(lost=frozenset())

    assert world.here.vm_state == "active"
    assert world.here.task_state is None
