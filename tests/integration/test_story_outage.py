"""A two-hour outage of the conductor with 500 sagas waiting: none times out at birth.

Every deadline passed long before the next owner came. Nobody could have answered to anybody, so
nobody is late: the hosts get their time from the take-over on.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from events.decisions import StepHostLost, StepTimedOut
from events.node import NodeLost
from events.requests import Flavor
from projections.rows import InstanceRow, SagaRow
from tests.integration.theatre import DOWN_S, S, Theatre, theatre

TINY = Flavor(name="m1.tiny", vcpus=1, memory_mb=512, disk_gb=1)
COUNT = 500
UIDS = [str(uuid.UUID(int=n)) for n in range(1, COUNT + 1)]
OUTAGE_S = 7_200


def sagas(stage: Theatre) -> list[SagaRow]:
    """Return every saga that has not ended."""
    found = [row for row in stage.table("sagas") if isinstance(row, SagaRow)]
    return [row for row in found if row.status != "ended"]


def states(stage: Theatre) -> set[tuple[str, str | None]]:
    """Return the states in which the instances are."""
    found = [row for row in stage.table("instances") if isinstance(row, InstanceRow)]
    return {(row.vm_state, row.task_state) for row in found}


def test_none_of_500_sagas_times_out_at_birth_after_two_hours_without_a_conductor(
    tmp_path: Path,
) -> None:
    with theatre(tmp_path, step_max_s="300") as stage:
        # 500 builds are asked of the hosts, which have been cut off: nobody answers.
        hosts = list(stage.on)
        for host in hosts:
            stage.switch_off(host)
        messages = [
            stage.cloud.request_message("create", uid, flavor=TINY, arguments={"name": "a"})[1]
            for uid in UIDS
        ]
        stage.cloud.append(*messages)
        stage.until(lambda: (stage.count("outbox"), stage.count("timers")) == (0, COUNT), 50)
        assert {(s.step, s.status, s.deadline_s) for s in sagas(stage)} == {
            ("build", "running", 300)
        }
        assert len(sagas(stage)) == COUNT

        # The conductor is gone for two hours; every deadline passes.
        stage.lose_conductor()
        stage.clock.now += OUTAGE_S * S
        assert stage.count(f"timers WHERE due_at <= {stage.clock.now}") == COUNT

        # Another takes over: every due time has moved behind the take-over, and nobody is lost.
        took_over_at = stage.clock.now
        stage.take_over()
        stage.rest()
        assert stage.count(f"timers WHERE due_at < {took_over_at + DOWN_S * S}") == 0
        stage.wait(DOWN_S - 15)
        assert decisions(stage) == []
        assert {n._asdict()["status"] for n in stage.table("nodes")} == {"started"}

        # The hosts are there again, and each carries out what it was asked two hours ago.
        for host in hosts:
            stage.switch_on(host)
        stage.until(lambda: states(stage) == {("active", None)})
        stage.rest()

        assert decisions(stage) == []
        assert sagas(stage) == []
        assert len(stage.world.running()) == COUNT
        assert all(len(where) == 1 for where in stage.world.running().values())
        assert set(stage.world.executions().values()) == {1}
        assert (stage.count("outbox"), stage.count("timers"), stage.count("reservations")) == (
            0,
            0,
            0,
        )
        stage.proves_equal()


def decisions(stage: Theatre) -> list[object]:
    """Return every word of a conductor that something came too late."""
    facts = [said.fact for uid in UIDS for said in stage.said(uid)]
    facts += [said.fact for host in stage.cloud.hosts for said in stage.said_of_host(host)]
    return [fact for fact in facts if isinstance(fact, StepTimedOut | StepHostLost | NodeLost)]
