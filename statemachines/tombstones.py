"""Tombstones: evacuations that are done, whose old host has not left nothing of the guest yet.

More than one may stand at a time: a guest that is evacuated twice before the first host is back
leaves one for each. A tombstone falls, and its migration is `completed`, when its host has paid.
"""

from __future__ import annotations

from events.values import replace
from statemachines.notes import MigrationNote
from statemachines.run import Run
from statemachines.states import MigrationStatus


def raise_tombstone(run: Run) -> str:
    """Remember the last migration until its source has paid; return that source."""
    held, move = run.held, run.held.move
    assert move is not None, f"Expected a move of instance {held.instance_id}, but none"
    others = tuple(t for t in held.tombstones if t.migration_id != move.migration_id)
    run.held = replace(held, tombstones=(*others, move))
    return move.source


def fell_tombstones(run: Run, host: str) -> None:
    """Leave every evacuation away from a host completed: nothing is expected of it any more."""
    fallen = [t for t in run.held.tombstones if t.source == host]
    if not fallen:
        return
    kept = tuple(t for t in run.held.tombstones if t.source != host)
    run.held = replace(run.held, tombstones=kept)
    for old in fallen:
        move = replace(old, status=str(MigrationStatus.COMPLETED), updated_at=run.now)
        current = run.held.move
        if current is not None and current.migration_id == move.migration_id:
            run.held = replace(run.held, move=move)
        run.notes.append(MigrationNote(move=move))
