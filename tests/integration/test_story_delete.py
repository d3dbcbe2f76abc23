"""Delete in the middle of a resize while the source is down; the source comes back a week later.

The user's instance is gone at once. What the lost host still has is a debt of its tombstone, with
the room that it takes, until the host has answered.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from projections.rows import ClaimRow, InstanceRow
from tests.e2e.cloud import MEDIUM, SMALL
from tests.integration.theatre import DAY_S, S, Theatre, theatre

UID = str(uuid.UUID(int=2))
SOURCE = "host3"


def hosts_of_claims(stage: Theatre) -> list[str]:
    """Return where the instance takes room."""
    return [c.host for c in stage.table("claims") if isinstance(c, ClaimRow)]


def test_delete_in_the_middle_of_a_resize_while_the_source_is_down(tmp_path: Path) -> None:
    with theatre(tmp_path) as stage:
        destination = source_goes_down(stage)
        is_deleted(stage, destination)
        comes_back(stage)


def source_goes_down(stage: Theatre) -> str:
    """The source dies while it copies the guest."""
    # A guest on host3 is being resized: the source has begun to copy it …
    stage.cloud.request("create", UID, flavor=SMALL, host=SOURCE)
    stage.rest()
    begin = len(stage.said(UID))
    stage.cloud.request("resize", UID, flavor=MEDIUM)
    stage.until_said(UID, "ResizeStarted")

    # … when the source goes down.
    stage.switch_off(SOURCE, power=True)
    stage.rest()
    chosen = next(s.fact for s in stage.said(UID)[begin:] if s.name == "DestinationChosen")
    destination = str(getattr(chosen, "host", ""))
    assert stage.lines(UID, begin) == [
        "api: ActionRequested",
        "conductor: DestinationChosen",
        f"{destination}: ResizePrepared",
        f"{SOURCE}: ResizeStarted",
    ]
    assert sorted(hosts_of_claims(stage)) == sorted([SOURCE, destination])
    (row,) = stage.table("instances")
    assert isinstance(row, InstanceRow)
    assert (row.vm_state, row.task_state, row.host) == ("active", "resize_migrating", SOURCE)
    return destination


def is_deleted(stage: Theatre, destination: str) -> None:
    """One host answers, the other is lost: the instance is gone, and the host owes."""
    # The user deletes it. Both hosts are asked; one answers.
    before = len(stage.said(UID))
    stage.cloud.request("delete", UID)
    stage.until_said(UID, "GuestDestroyed")
    stage.rest()
    assert stage.lines(UID, before) == [
        "api: ActionRequested",
        f"{destination}: GuestDestroyed",
    ]
    sagas = {s._asdict()["saga"]: s._asdict() for s in stage.table("sagas")}
    assert sagas["resize"]["ending"] == "superseded"
    assert (sagas["delete"]["status"], sagas["delete"]["waits_for"]) == ("running", SOURCE)
    (move,) = [m._asdict() for m in stage.table("migrations")]
    assert move["status"] == "error"

    # The source counts as lost: the instance is deleted, and the source owes.
    stage.until(
        lambda: isinstance(r := stage.table("instances")[0], InstanceRow) and r.deleted == 1
    )
    stage.wait(5)
    (row,) = stage.table("instances")
    assert isinstance(row, InstanceRow)
    assert (row.vm_state, row.task_state, row.deleted) == ("deleted", None, 1)
    assert hosts_of_claims(stage) == [SOURCE]
    sagas = {s._asdict()["saga"]: s._asdict() for s in stage.table("sagas")}
    assert sagas["delete"]["ok"] == 1
    debt = sagas["debt"]
    assert (debt["status"], debt["step"], debt["waits_for"]) == ("running", "owed", SOURCE)
    assert debt["deadline_s"] == 0
    actions = {a._asdict()["action"]: a._asdict() for a in stage.table("instance_actions")}
    assert (actions["resize"]["message"], actions["delete"]["message"]) == ("Error", None)
    assert stage.world.half(destination, UID) is None
    assert stage.world.half(SOURCE, UID) is not None
    assert stage.count("outbox") == 0
    stage.proves_equal()


def comes_back(stage: Theatre) -> None:
    """A week later the source comes back, and pays."""
    # A week passes. Nothing is forgotten, nothing is tried in vain, and room stays taken.
    before = len(stage.said(UID))
    for _ in range(7):
        stage.clock.now += DAY_S * S
        for parts in stage.on.values():  # Their heartbeats come before anybody looks.
            for part in parts.turns:
                part.turn()
        stage.wait(5)
    assert stage.names(UID)[before:] == []
    assert hosts_of_claims(stage) == [SOURCE]

    # The source comes back, reports what it found, and is told to destroy it.
    stage.switch_on(SOURCE)
    stage.until(lambda: hosts_of_claims(stage) == [])
    stage.rest()
    lines = stage.lines(UID, before)
    assert f"{SOURCE}: GuestDestroyed" in lines
    assert {"conductor: HostReturned", f"{SOURCE}: GuestFound"} & set(lines)
    assert stage.world.half(SOURCE, UID) is None
    sagas = {s._asdict()["saga"]: s._asdict() for s in stage.table("sagas")}
    assert (sagas["debt"]["status"], sagas["debt"]["ending"]) == ("ended", "paid")
    (row,) = stage.table("instances")
    assert isinstance(row, InstanceRow)
    assert row.vm_state == "deleted"
    assert (stage.count("outbox"), stage.count("timers"), stage.count("reservations")) == (
        0,
        0,
        0,
    )
    stage.proves_equal()
