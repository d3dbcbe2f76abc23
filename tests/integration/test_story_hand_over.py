"""The destination dies after the hand-over of a live migration.

The guest has left its source for good: whatever becomes of the destination, nothing starts it at
the source again. Told step by step, with every fact in the log and every table.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from compute.world import Role
from projections.rows import InstanceRow, SagaRow
from tests.e2e.cloud import SMALL
from tests.integration.theatre import Theatre, theatre

UID = str(uuid.UUID(int=1))
SOURCE, DESTINATION = "host3", "host2"


def instance(stage: Theatre) -> InstanceRow:
    """Return what is true now of the instance."""
    (row,) = stage.table("instances")
    assert isinstance(row, InstanceRow)
    return row


def running(stage: Theatre) -> tuple[str, ...]:
    """Return the hosts on which the guest runs."""
    return stage.world.running().get(UID, ())


def test_the_destination_dies_after_the_hand_over_of_a_live_migration(tmp_path: Path) -> None:
    with theatre(tmp_path) as stage:
        migrate_and_die(stage)
        is_lost(stage)
        comes_back(stage)


def migrate_and_die(stage: Theatre) -> None:
    """The source hands the guest over, and the destination loses its power."""
    # A guest runs on host3 and is migrated to host2.
    stage.cloud.request("create", UID, flavor=SMALL, host=SOURCE)
    stage.rest()
    begin = len(stage.said(UID))
    stage.cloud.request("live_migrate", UID, host=DESTINATION, host_seen="up")

    # The source hands the guest over, and at that moment the destination loses its power.
    stage.until_said(UID, "GuestHandedOver")
    assert running(stage) == (DESTINATION,)
    stage.switch_off(DESTINATION, power=True)
    stage.rest()
    assert stage.lines(UID, begin) == [
        "api: ActionRequested",
        "conductor: DestinationChosen",
        "host2: DestinationChecked",
        "host3: SourceChecked",
        "host3: LiveMigrationQueued",
        "host3: LiveMigrationAdmitted",
        "host2: DestinationPrepared",
        "host3: LiveMigrationStarted",
        "host3: LiveMigrationProgressed",
        "host3: GuestHandedOver",
    ]

    # The rows know the new owner already, and whom the saga waits for.
    assert (instance(stage).host, instance(stage).task_state) == (DESTINATION, "migrating")
    (saga,) = [
        r for r in stage.table("sagas") if isinstance(r, SagaRow) and r.saga == "live_migration"
    ]
    named = saga._asdict()
    assert (named["step"], named["waits_for"], named["status"]) == (
        "finish",
        DESTINATION,
        "running",
    )
    assert sorted(c._asdict()["host"] for c in stage.table("claims")) == [DESTINATION, SOURCE]
    assert (stage.count("outbox"), stage.count("timers")) == (0, 1)


def is_lost(stage: Theatre) -> None:
    """The host counts as lost: the guest is in error at its new home, the source is clean."""
    # After service_down_time the host counts as lost; the source is cleaned up: that is all.
    before = len(stage.said(UID))
    stage.until_said(UID, "SourceCleanedUp")
    stage.wait(5)
    assert stage.lines(UID, before) == [
        "conductor: StepHostLost",
        "host3: SourceCleanedUp",
    ]
    assert running(stage) == ()
    assert stage.world.half(SOURCE, UID) is None

    row = instance(stage)
    assert (row.vm_state, row.task_state, row.host) == ("error", None, DESTINATION)
    (move,) = [m._asdict() for m in stage.table("migrations")]
    assert (move["status"], move["source_compute"], move["dest_compute"]) == (
        "error",
        SOURCE,
        DESTINATION,
    )
    actions = {a._asdict()["action"]: a._asdict() for a in stage.table("instance_actions")}
    action = actions["live-migration"]
    assert (action["message"], action["finish_time"] is None) == ("Error", False)
    events = {e._asdict()["event"]: e._asdict() for e in stage.table("instance_actions_events")}
    assert [name for name, e in events.items() if e["finish_time"] is None] == []
    assert events["compute_post_live_migration_at_destination"]["result"] == "Error"
    (fault,) = [f._asdict() for f in stage.table("instance_faults")]
    assert fault["message"] == f"host {DESTINATION} is lost"
    assert [c._asdict()["host"] for c in stage.table("claims")] == [DESTINATION]
    sagas = {s._asdict()["saga"]: s._asdict() for s in stage.table("sagas")}
    assert sagas["live_migration"]["ending"] == "stranded"
    assert (sagas["fence"]["status"], sagas["fence"]["waits_for"]) == ("running", DESTINATION)
    steps = [s._asdict() for s in stage.table("saga_steps")]
    assert [s["step"] for s in steps if s["left_at"] is None] == ["owed"]
    assert stage.table("rejections") == []
    assert stage.table("parked") == []
    assert stage.table("quarantine") == []
    lost = {n._asdict()["host"]: n._asdict()["status"] for n in stage.table("nodes")}
    assert lost == {"host1": "started", DESTINATION: "lost", SOURCE: "started"}
    assert stage.count("outbox") == 0
    stage.proves_equal()


def comes_back(stage: Theatre) -> None:
    """Nothing changes until the host is back; then its user starts the guest again there."""
    # A day later nothing has changed; the source was never told to start it.
    stage.wait(3_600)
    assert running(stage) == ()
    assert instance(stage).host == DESTINATION

    # The host comes back: it hears of the new generation and says what it has.
    before = len(stage.said(UID))
    stage.switch_on(DESTINATION)
    stage.until_said(UID, "GenerationRaised")
    stage.rest()
    assert "host2: GuestFound" in stage.lines(UID, before)
    half = stage.world.half(DESTINATION, UID)
    assert half is not None
    assert half.role in (Role.ARRIVED, Role.GUEST)
    sagas = {s._asdict()["saga"]: s._asdict() for s in stage.table("sagas")}
    assert sagas["fence"]["ending"] == "paid"

    # Its user starts it again there, where its disk is.
    stage.cloud.request("reboot_hard", UID)
    stage.rest()
    row = instance(stage)
    assert (row.vm_state, row.task_state, row.host) == ("active", None, DESTINATION)
    assert running(stage) == (DESTINATION,)
    assert [c._asdict()["host"] for c in stage.table("claims")] == [DESTINATION]
    stage.proves_equal()
