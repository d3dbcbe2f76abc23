"""The reports of nova's operators from the tenth to the fifteenth; see `test_reports`."""

from __future__ import annotations

import pytest

from compute.world import Role
from conductor.rows import instance_row
from events import migration
from statemachines.notes import MigrationNote
from statemachines.resume import resume
from statemachines.verdict import Rejected
from tests.beginnings import begin
from tests.plays import ask, breaks, come_back, lose, server
from tests.stage import INSTANCE, Stage, said
from tests.story import LARGE, SMALL, must

# 10. bug 2091138


def test_10_progress_of_long_migrations_floods_the_bus_and_times_hosts_out() -> None:
    """Progress of long live migrations floods the queue, and computes time out of it."""
    world = begin("live_migrate")
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    must(world.says("h1", migration.LiveMigrationStarted()))
    sent = set(world.ever_sent)
    progress = migration.LiveMigrationProgressed(
        memory_total=100,
        memory_processed=50,
        memory_remaining=50,
        disk_total=0,
        disk_processed=0,
        disk_remaining=0,
    )

    for _ in range(200):
        outcome = world.says("h1", progress)

        assert outcome.commands == ()
        assert [type(note) for note in outcome.notes] == [MigrationNote]
    assert world.ever_sent == sent  # Nobody is asked, so nobody waits for an answer.
    world.settle()
    assert world.here.host == "h2"


# 11. bug 1855927


def test_11_the_source_was_down_at_confirm_and_the_resize_is_confirming_for_ever() -> None:
    """The source was down when I confirmed; it says confirming, and nobody can go on from there."""
    stage = server()
    ask("resize", flavor=LARGE)(stage)
    lose("host1")(stage)

    ask("confirm_resize")(stage)

    assert (stage.here.vm_state, stage.here.task_state) == ("active", None)
    assert stage.here.move is not None
    assert stage.here.move.status == "confirmed"
    assert [s.saga for s in stage.here.sides] == ["debt"]
    come_back("host1")(stage)
    assert (stage.halves, stage.here.sides) == ({"host2": "guest"}, ())
    assert [c.host for c in stage.here.claims] == ["host2"]


# 12. bugs 1821594, 1825537


@pytest.mark.parametrize("call", ["ConfirmResize", "FinishResize"])
def test_12_a_confirm_or_a_finish_failed_and_its_room_is_leaked(call: str) -> None:
    """Confirm failed (or the finish of a resize): the migration is open, the room is gone."""
    stage = server()
    breaks("host1" if call == "ConfirmResize" else "host2", call, "disk trouble")(stage)
    ask("resize", flavor=LARGE)(stage)
    if call == "ConfirmResize":
        ask("confirm_resize")(stage)

    assert stage.here.vm_state == "error"
    assert stage.here.move is not None
    assert stage.here.move.status == "error"
    stage.faults.clear()
    ask("delete")(stage)
    assert (stage.here.vm_state, stage.here.claims, stage.halves) == ("deleted", (), {})


# 13. bug 1308342


def test_13_the_broker_crashed_and_the_server_is_deleting_for_ever() -> None:
    """The broker crashed while it was being deleted: deleting for ever, and delete is refused."""
    stage = server()
    stage.hosts["host1"].writer.is_away = True
    stage.ask("delete")
    for _ in range(20):
        stage.turn()
    assert stage.here.task_state == "deleting"

    stage.ask("delete")  # And again, while it hangs: it goes on, and says so.
    for _ in range(20):
        stage.turn()
    refused = stage.played[-1].outcome.verdict
    assert isinstance(refused, Rejected)
    assert refused.code == "already-running"
    stage.hosts["host1"].writer.is_away = False
    stage.settle()

    assert (stage.here.vm_state, stage.here.claims, stage.halves) == ("deleted", (), {})


def test_13_what_could_not_be_deleted_can_be_deleted_again() -> None:
    """It was deleting for ever; force-delete was opened up for it, a delete is still refused."""
    stage = server()
    breaks("host1", "DestroyGuest", "the disk is busy")(stage)
    ask("delete")(stage)
    assert (stage.here.vm_state, stage.here.task_state) == ("error", None)
    stage.faults.clear()

    ask("delete")(stage)

    assert (stage.here.vm_state, stage.here.claims, stage.halves) == ("deleted", (), {})


# 14. an issue of cubecos, 2026


@pytest.mark.parametrize("dies", [None, "after the hand-over"])
def test_14_the_migration_is_completed_and_the_row_still_names_the_source(dies: str | None) -> None:
    """The migration is completed, host and task say otherwise, and my drain script waits."""
    stage = server()
    stage.begin()
    stage.ask("live_migrate")
    if dies:
        stage.until(said("GuestHandedOver"))
        lose("host1")(stage)
        for letter in resume(stage.held):
            if letter.address.host == "host1":
                stage.send(letter)
    stage.settle()

    row = instance_row(stage.here)
    assert (row.host, row.task_state, row.vm_state) == ("host2", None, "active")
    assert stage.here.move is not None
    assert stage.here.move.status == "completed"
    for played in stage.accepted():
        after = played.outcome.after
        assert after is not None
        if after.move is not None and after.move.status == "completed":
            assert (after.host, after.task_state) == ("host2", None)


# 15. a change to genestack, 2026


def test_15_a_compute_kept_its_connection_and_heard_no_answers_any_more() -> None:
    """It kept its connection and heard nothing: servers sat in BUILD until it was restarted."""
    stage = Stage()
    stage.settle()
    stage.down.add("host2")  # Takes no turns: the conductor asks, and nobody hears.
    stage.enabled = {"host2"}
    stage.ask("create", flavor=SMALL)
    stage.down.clear()
    stage.cloud.clock.now_s += 3_600  # Long enough to doubt everything that was read before.

    stage.settle()

    assert (stage.here.vm_state, stage.here.host) == ("active", "host2")
    half = stage.hosts["host2"].half(INSTANCE)
    assert half is not None
    assert half.role is Role.GUEST
