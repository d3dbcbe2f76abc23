"""Nova bugs behind the reports, each as a test that begins with what an operator would have said.

Those of evacuation (1978983, 1922053) are in `test_step_evacuate` and `test_step_evacuate_ends`,
that of a host's record (1853009) is in `test_node`.
"""

from __future__ import annotations

from typing import Final

import pytest

from events import instance, migration, requests
from statemachines.held import SagaState
from statemachines.verdict import Accepted
from tests.beginnings import begin, built
from tests.ends import check_end
from tests.hosts import World
from tests.plays import ask, ask_until, breaks, die, server
from tests.stage import said
from tests.story import LARGE, must

SAME_HOST: Final = ("h1",)


def room(world: World) -> list[tuple[str, int]]:
    """Return what is counted of the instance: (host, memory)."""
    return sorted((c.host, c.memory_mb) for c in world.here.claims)


def test_1837955_a_reschedule_ran_out_of_hosts_and_the_build_is_scheduling_for_ever() -> None:
    """The re-schedule ran out of hosts, and the server has been `scheduling` ever since."""
    world = begin("create")
    must(world.choose("h1"))
    must(world.says("h1", instance.BuildAccepted(node="h1")))
    must(world.says("h1", instance.BuildRescheduled(reason="no memory")))

    must(world.no_valid_host())

    assert world.states == ("error", None)
    assert (world.here.host, room(world)) == (None, [])
    check_end(world)


@pytest.mark.parametrize("role", ["source", "destination"])
def test_1662626_a_clean_up_failed_and_the_server_is_migrating_for_ever(role: str) -> None:
    """The clean-up after a failed migration failed too, and the server is MIGRATING for ever."""
    stage = server()
    breaks("host1", "LiveMigrateGuest.copy", "the link broke")(stage)
    call = "RollbackSource" if role == "source" else "RollbackDestination"
    breaks("host1" if role == "source" else "host2", call, "the clean-up failed")(stage)
    ask("live_migrate")(stage)
    saga = stage.here.saga
    assert saga is not None
    assert saga.needs_operator is not None
    assert "the clean-up failed" in saga.needs_operator  # Loud, and a person leads it out:

    stage.faults.clear()
    stage.api(requests.SagaRetried(saga_id=saga.saga_id, user_id="admin", reason="mended"))
    stage.settle()

    assert stage.is_at_rest
    assert (stage.here.vm_state, stage.halves) == ("active", {"host1": "guest"})
    assert [c.host for c in stage.here.claims] == ["host1"]


def test_1339823_a_compute_was_restarted_and_the_server_is_migrating_for_ever() -> None:
    """The source's compute was restarted in a live migration; the server is MIGRATING for ever."""
    stage = server()
    ask_until("LiveMigrationProgressed", "live_migrate")(stage)

    die("host1")(stage)

    assert stage.is_at_rest
    assert (stage.here.vm_state, stage.halves) == ("active", {"host1": "guest"})
    assert [c.host for c in stage.here.claims] == ["host1"]


# Capacity: 1790204 and the audits that race with moves.


def test_1790204_a_resize_to_the_same_host_counts_both_sizes_and_one_when_it_is_confirmed() -> None:
    """A resize on the same host claimed too much, and the wrong size stayed counted."""
    for action, memory in (("confirm_resize", LARGE.memory_mb), ("revert_resize", 2048)):
        world = built(allow_resize_to_same_host="true")
        must(world.request("resize", flavor=LARGE))
        world.schedule(world.letters[0], SAME_HOST)
        world.settle()
        assert world.here.host == "h1"
        assert room(world) == [("h1", 2048), ("h1", LARGE.memory_mb)]

        must(world.request(action))
        world.settle()

        assert room(world) == [("h1", memory)]
        check_end(world)


@pytest.mark.parametrize("action", ["resize", "migrate", "live_migrate", "confirm_resize"])
def test_audits_that_race_with_a_move_change_nothing_that_is_counted(action: str) -> None:
    """The periodic audit ran in the middle of a move, and the host's usage was wrong after it.

    Bugs 1896463, 1944759, 1953359, 1879878, 1849165: here nobody counts anew; room is claims, and
    what a host says of power or of guests that it finds is no claim.
    """
    world = begin(action)

    for _ in range(40):
        if not world.letters:
            break
        before = room(world)
        for host in ("h1", "h2"):
            world.unasked(host, instance.PowerStateReported(power_state=1))
        assert room(world) == before
        world.succeed(world.letters[0])

    if world.here.vm_state != "resized":
        assert room(world) == [(world.here.host, world.here.flavor.memory_mb)]
    check_end(world)


# Delete in the middle: OSSA-2015-015, OSSA-2015-017, 1848343.


@pytest.mark.parametrize(
    ("action", "fact"),
    [
        ("resize", fact)
        for fact in (
            "DestinationChosen",
            "ResizePrepared",
            "ResizeStarted",
            "ResizeCopied",
            "ResizeMigrated",
            "ResizeFinishing",
            "ResizeFinished",
        )
    ]
    + [
        ("live_migrate", fact)
        for fact in (
            "DestinationChosen",
            "LiveMigrationQueued",
            "DestinationPrepared",
            "LiveMigrationStarted",
            "LiveMigrationProgressed",
            "GuestHandedOver",
            "LiveMigrationFinished",
        )
    ],
)
def test_1848343_deleted_in_the_middle_of_a_move_it_left_disks_and_allocations(
    action: str, fact: str
) -> None:
    """Users delete servers in the middle of moves, and fill the other host with what is left."""
    stage = server()
    stage.begin()
    stage.ask(action, flavor=LARGE if action == "resize" else None)
    stage.until(said(fact))

    stage.ask("delete")
    stage.settle()

    assert (stage.here.vm_state, stage.here.sides) == ("deleted", ())
    assert stage.halves == {}
    assert stage.here.claims == ()
    assert stage.here.move is not None
    assert stage.here.move.status in ("error", "completed", "confirmed")


# Manuals.


def test_a_live_migration_that_never_ends_is_ended_by_its_deadline() -> None:
    """A vendor's manual has a section on it: the never-ending live migration."""
    world = begin("live_migrate", live_migration_completion_timeout="1")
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    must(world.says("h1", migration.LiveMigrationStarted()))

    while world.saga.step == "migrate":
        world.time_out_of(world.letters[0])
    world.settle()

    assert (world.states, world.here.host) == (("active", None), "h1")
    assert world.here.move is not None
    assert world.here.move.status in ("cancelled", "failed")
    check_end(world)


def test_a_failed_live_migration_may_be_tried_again_without_a_reset_state() -> None:
    """A site's manual: reset-state before you try a failed live migration again."""
    stage = server()
    breaks("host1", "LiveMigrateGuest.copy", "the link broke")(stage)
    ask("live_migrate")(stage)
    assert (stage.here.vm_state, stage.here.host) == ("active", "host1")
    stage.faults.clear()

    ask("live_migrate")(stage)

    assert isinstance(stage.accepted()[-1].outcome.verdict, Accepted)
    assert (stage.here.host, stage.halves) == ("host2", {"host2": "guest"})


def test_a_silent_host_holds_up_nobody_else() -> None:
    """The conductor waited for answers that could not come any more, and did nothing else (574)."""
    waiting, other = begin("stop"), built()
    saga: SagaState = waiting.saga

    must(other.request("live_migrate"))
    other.settle()
    must(waiting.request("delete"))  # Not even of the same instance.

    assert other.here.host == "h2"
    assert waiting.saga.saga == "delete"
    assert waiting.saga.saga_id != saga.saga_id
    waiting.settle()
    assert waiting.here.vm_state == "deleted"


def test_a_build_that_dawdles_is_given_up_by_its_deadline_and_tried_elsewhere() -> None:
    """BUILD for an hour with all hosts up: the messaging layer, said the vendor."""
    world = begin("create", instance_build_timeout="60")
    world.schedule(world.letters[0])
    must(world.says("h1", instance.BuildAccepted(node="h1")))

    world.time_out_of(world.letters[0])
    world.settle()

    assert (world.states, world.here.host) == (("active", None), "h2")
    assert room(world) == [("h2", world.here.flavor.memory_mb)]
