"""Evacuation while the old host is cut off but alive.

Its agent is well, its guest runs, and it hears nothing. Whatever was asked of it before is refused
when it hears again, its guest is found and destroyed, and only then is the evacuation completed.
Told step by step, with every fact in the log and every table.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, cast

from compute.wiring import Parts
from events.codec import encode_fact
from events.envelope import Meta
from events.errors import LogUnavailable
from events.instance import CommandRefused
from events.log import Log
from events.node import NodeForcedDown, NodeForcedUp
from events.seal import sealed_message
from events.topics import partition_of
from projections.rows import InstanceRow
from tests.e2e.cloud import SMALL
from tests.integration.theatre import Theatre, theatre

UID = str(uuid.UUID(int=1))
OLD, NEW = "host1", "host2"


class Wire:
    """What joins a host to the log, and can be cut."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.is_cut = False

    def writer(self) -> Any:
        return _End(self._log.writer(), self)

    def reader(self) -> Any:
        return _End(self._log.reader(), self)


class _End:
    def __init__(self, end: Any, wire: Wire) -> None:
        self._end, self._wire = end, wire

    def __getattr__(self, name: str) -> Any:
        if self._wire.is_cut and name != "close":
            raise LogUnavailable("Expected the log to answer, but the wire is cut")
        return getattr(self._end, name)


def instance(stage: Theatre) -> InstanceRow:
    """Return what is true now of the instance."""
    (row,) = stage.table("instances")
    assert isinstance(row, InstanceRow)
    return row


def moves(stage: Theatre) -> list[tuple[str, str, str | None]]:
    """Return status, source and destination of each migration."""
    found = [m._asdict() for m in stage.table("migrations")]
    return [(m["status"], m["source_compute"], m["dest_compute"]) for m in found]


def claims(stage: Theatre) -> list[str]:
    """Return the hosts on which room is claimed."""
    return sorted(c._asdict()["host"] for c in stage.table("claims"))


def say_of_old_host(stage: Theatre, fact: object) -> None:
    """Let an operator say something of the old host."""
    cloud = stage.cloud
    now = stage.clock.now_us()
    meta = Meta(source="api", instance_id=OLD, request_id=f"req-{now}", occurred_at=now)
    message = sealed_message(
        topic=cloud.topics.node_events,
        partition=partition_of(OLD, cloud.partitions),
        key=OLD,
        value=encode_fact(meta, fact),
        prev=b"",
        by=cloud.keyring.key("api", 1),
    )
    cloud.append(message)


def wired(stage: Theatre) -> tuple[Wire, Parts]:
    """Start the old host's agent anew, behind a wire that can be cut."""
    log = stage.cloud.log
    wire = Wire(log)
    stage.cloud.log = cast("Log", wire)
    stage.switch_on(OLD)
    stage.cloud.log = log
    return wire, stage.on[OLD]


def test_evacuation_while_the_old_host_is_cut_off_but_alive(tmp_path: Path) -> None:
    with theatre(tmp_path) as stage:
        wire, _ = wired(stage)
        stage.cloud.request("create", UID, flavor=SMALL, host=OLD)
        stage.rest()
        assert stage.world.running() == {UID: (OLD,)}
        is_cut_off(stage, wire)
        is_evacuated(stage)
        hears_again(stage, wire)


def is_cut_off(stage: Theatre, wire: Wire) -> None:
    """The host hears nothing any more; what is asked of it waits in its topic."""
    wire.is_cut = True
    stage.cloud.request("reboot_hard", UID)
    stage.until(lambda: stage.table("nodes")[0]._asdict()["status"] == "lost", 200)
    stage.until(lambda: instance(stage).task_state is None, 200)
    stage.wait(10)

    # Nobody knows what became of the guest, so it stays what it was; the host owes to hear of it.
    assert (instance(stage).vm_state, instance(stage).host) == ("active", OLD)
    sides = {s._asdict()["saga"]: s._asdict() for s in stage.table("sagas")}
    assert (sides["fence"]["step"], sides["fence"]["waits_for"]) == ("owed", OLD)
    assert stage.world.running() == {UID: (OLD,)}

    # Without a word for the host nothing is started elsewhere.
    stage.cloud.request("evacuate", UID, source_up=False)
    stage.rest()
    (refused,) = [r._asdict() for r in stage.table("rejections")]
    assert refused["code"] == "not-fenced"
    assert moves(stage) == []


def is_evacuated(stage: Theatre) -> None:
    """An operator vouches for the host, and the guest is made anew on another one."""
    say_of_old_host(stage, NodeForcedDown(user_id="operator", reason="the rack is dark"))
    stage.until(lambda: stage.table("nodes")[0]._asdict()["status"] == "forced_down", 60)
    begin = len(stage.said(UID))
    stage.cloud.request(
        "evacuate", UID, host=NEW, host_seen="up", source_up=False, fenced_hosts=(OLD,)
    )
    stage.until_said(UID, "GuestEvacuated")
    stage.wait(30)

    assert stage.lines(UID, begin) == [
        "api: ActionRequested",
        "conductor: StepHostLost",
        "conductor: DestinationChosen",
        "host2: EvacuationClaimed",
        "host2: EvacuationDisksPreparing",
        "host2: EvacuationSpawning",
        "host2: GuestEvacuated",
    ]
    row = instance(stage)
    assert (row.vm_state, row.task_state, row.host) == ("active", None, NEW)
    assert moves(stage) == [("done", OLD, NEW)]
    assert claims(stage) == [OLD, NEW]
    actions = {a._asdict()["action"]: a._asdict() for a in stage.table("instance_actions")}
    assert (actions["evacuate"]["message"], actions["evacuate"]["finish_time"] is None) == (
        None,
        False,
    )
    events = {e._asdict()["event"]: e._asdict() for e in stage.table("instance_actions_events")}
    for name in ("rebuild_server", "compute_rebuild_instance"):
        assert events[name]["result"] == "Success"
    debts = [s._asdict() for s in stage.table("sagas") if s._asdict()["status"] == "running"]
    assert {(d["saga"], d["step"], d["waits_for"]) for d in debts} == {
        ("fence", "owed", OLD),
        ("debt", "owed", OLD),
    }
    # The word was wrong: the old guest still runs, where it can be seen by nobody.
    assert stage.world.running() == {UID: (OLD, NEW)}
    stage.proves_equal()


def hears_again(stage: Theatre, wire: Wire) -> None:
    """The old host refuses what it was asked before, and destroys its guest when it is told to."""
    begin = len(stage.said(UID))
    started = stage.world.executions()
    say_of_old_host(stage, NodeForcedUp(user_id="operator", reason="the light is on"))
    wire.is_cut = False
    stage.until_said(UID, "GuestDestroyed")
    stage.rest()

    # The reboot that waited in its topic was never begun: it heard the generation first.
    refusals = [s.fact for s in stage.said(UID)[begin:] if isinstance(s.fact, CommandRefused)]
    assert {refusal.code for refusal in refusals} == {"older-generation"}
    fresh = set(stage.world.executions()) - set(started)
    assert len(fresh) == 1, "Expected its destruction alone to take effect"
    assert "host1: GuestFound" in stage.lines(UID, begin)
    assert "host1: GuestDestroyed" in stage.lines(UID, begin)
    assert stage.world.running() == {UID: (NEW,)}
    assert stage.world.half(OLD, UID) is None

    # Only now the evacuation is completed, and its room is free.
    assert moves(stage) == [("completed", OLD, NEW)]
    assert claims(stage) == [NEW]
    assert {s._asdict()["status"] for s in stage.table("sagas")} == {"ended"}
    row = instance(stage)
    assert (row.vm_state, row.task_state, row.host) == ("active", None, NEW)
    assert stage.table("nodes")[0]._asdict()["status"] == "started"
    stage.proves_equal()
