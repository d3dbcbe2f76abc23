"""What must hold whenever nothing is going on any more."""

from __future__ import annotations

from statemachines.attachments import IN_USE
from statemachines.held import HeldAccelerator, HeldPort, HeldVolume
from statemachines.notes import ActionNote, EventNote, SagaNote
from statemachines.sagas import SAGAS
from tests.hosts import World

TERMINAL = {
    "live-migration": {"completed", "error", "failed", "cancelled"},
    "evacuation": {"done", "completed", "error", "failed"},
    "resize": {"finished", "confirmed", "reverted", "error", "failed"},
    "migration": {"finished", "confirmed", "reverted", "error", "failed"},
}


def check_end(world: World, *, resolved: bool = False) -> None:
    """Fail unless the story has come to a proper end, or waits where it may."""
    held = world.here
    waiting = held.saga is not None
    if held.saga is not None:
        assert held.saga.needs_operator, f"Expected an end, but {held.saga}"
    for side in held.sides:
        assert SAGAS[side.saga].steps[side.step].patient, (
            f"Expected {side.saga} to wait with patience, but {side}"
        )
    if waiting:
        return
    assert _open_rows(world) == []
    owing = {side.target for side in held.sides if side.saga == "debt"}
    assert {tombstone.source for tombstone in held.tombstones} <= owing, held.tombstones
    if held.move is not None:
        assert held.move.status in TERMINAL[held.move.migration_type], held.move.status
    assert held.task_state is None or held.vm_state == "error", (held.vm_state, held.task_state)
    if not resolved:
        check_claims(world)
        check_attachments(world)


def _open_rows(world: World) -> list[object]:
    """Name every row of history that still says that something is going on."""
    events: dict[int, EventNote] = {}
    actions: dict[str, ActionNote] = {}
    sagas: dict[str, SagaNote] = {}
    for note in world.notes:
        match note:
            case EventNote():
                events[note.row_id] = note
            case ActionNote():
                actions[note.request_id] = note
            case SagaNote():
                sagas[note.state.saga_id] = note
            case _:
                pass
    owed = {s.saga_id for s in world.here.sides}
    return [
        *(e for e in events.values() if e.finish_time is None),
        *(a for a in actions.values() if a.finish_time is None),
        *(s for s in sagas.values() if s.ending is None and s.state.saga_id not in owed),
    ]


def check_attachments(world: World) -> None:
    """Fail if anything is attached where nothing of the guest is, or missing where it runs."""
    held = world.here
    may = {c.host for c in held.claims} | {s.target for s in held.sides} | {held.host}
    parts: tuple[HeldVolume | HeldPort | HeldAccelerator, ...]
    parts = (*held.volumes, *held.ports, *held.accelerators)
    for part in parts:
        assert set(part.hosts) <= may, f"Expected {part} on {may} alone"
        belongs = getattr(part, "status", IN_USE) == IN_USE
        runs = held.vm_state in ("active", "paused", "resized")
        if belongs and runs and not world.was_reset:
            assert held.host in part.hosts, f"Expected {part} on {held.host}"
    for port in held.ports:
        assert port.active_host is None or port.active_host in port.hosts


def check_claims(world: World) -> None:
    """Fail unless every claim is the owner's, a waiting resize's, or that of a debt."""
    held = world.here
    may = {s.target for s in held.sides if s.saga == "debt"}
    if held.vm_state != "deleted":
        may.add(held.host)
    if held.vm_state == "resized" and held.move is not None:
        may |= {held.move.source, held.move.destination}
    if world.keeps_a_copy:
        return
    assert {c.host for c in held.claims} <= may, (held.claims, may)
    mine = [c for c in held.claims if c.host == held.host]
    if held.vm_state not in ("deleted", "resized"):
        assert len(mine) <= 1, mine
