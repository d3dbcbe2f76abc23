"""The tombstone of a deleted instance: what is left of its state."""

from __future__ import annotations

from events.values import replace
from statemachines.attachments import left_over
from statemachines.owing import TABLE_OF
from statemachines.recording import UNCONFIRMED, set_migration_status
from statemachines.run import Run
from statemachines.saga import Owe
from statemachines.sides import end_with_guest
from statemachines.states import MigrationStatus


def bury(run: Run) -> None:
    """Leave the tombstone of a deleted instance; clean-ups owed outlive it."""
    end_with_guest(run)
    move = run.held.move
    if move is not None and move.status in UNCONFIRMED:
        # Nova confirms a resize before it deletes the instance.
        set_migration_status(run, MigrationStatus.CONFIRMED)
    owing = {s.target for s in run.held.sides if s.saga == TABLE_OF[Owe.DESTROY].name}
    run.held = replace(
        left_over(run.held),
        power_state=0,
        metadata={},
        tags=(),
        deleted_at=run.now,
        claims=tuple(c for c in run.held.claims if c.host in owing),
        # Their turn will never come; the fold leaves a row for each.
        parked=tuple(p for p in run.held.parked if p.reason != "early"),
    )
