"""What notifications tell of a live migration.

The source drives it; its end shows in the instance (task cleared, host moved, error) and in the
events around it, which carry old snapshots and come before or after the change that they close.
A rollback ends as failed, after an abort as cancelled; what breaks past the rollback is an error.

Source:  nova/compute/manager.py (_do_live_migration, _post_live_migration,
_rollback_live_migration, live_migration_abort, _reset_live_migration) and
nova/conductor/manager.py (_live_migrate) of nova 34.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from events.facts_nova import NovaReported
from events.nova import publisher_host
from events.values import replace
from statemachines.shadow_moves import (
    LIVE,
    Change,
    Mark,
    Moves,
    Provenance,
    ShadowMigration,
    begin,
    is_own,
    marked,
    pick,
    put,
    unknown,
    with_status,
)
from statemachines.states import MigrationStatus as Status
from statemachines.states import MigrationType as Type
from statemachines.states import TaskState as Task
from statemachines.states import VmState

_FLIGHT: Final = frozenset(
    {
        Status.ACCEPTED,
        Status.QUEUED,
        Status.PREPARING,
        Status.RUNNING,
        Status.RUNNING_POST_COPY,
    }
)
#: The source has nothing running yet.
_BEFORE_RUNNING: Final = frozenset({Status.ACCEPTED, Status.QUEUED, Status.PREPARING})


def updated(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    """Read an `instance.update` that counts."""
    if fact.task_state == Task.MIGRATING:
        return _requested(moves, change, fact)
    move = pick(moves, LIVE, fact)
    if move is None:
        return moves
    if fact.state == VmState.ERROR and is_own(move, fact) and _breaks(move):
        # The driver raised, the far end failed after the switch, or the conductor gave up: in
        # each case the record is put in error beside the instance, whatever was written before.
        return put(moves, with_status(_arrived(move, fact), Status.ERROR), fact)
    was = change.task_state or fact.old_task_state
    if fact.task_state is None and was == Task.MIGRATING and _is_open(move):
        move = _left(_arrived(move, fact), fact)
    return put(moves, move, fact)


def _breaks(move: ShadowMigration) -> bool:
    # In a stream that names no requests a later error is anybody's.
    return move.request_id is not None or _is_open(move)


def _requested(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    move = pick(moves, LIVE, fact)
    if move is not None:
        if is_own(move, fact) and fact.request_id is not None:
            return moves
        if _is_open(move) and change.task_state == Task.MIGRATING:
            # Somebody else's request (a lock, a name) saved the instance meanwhile.
            return moves
    return begin(moves, fact, Type.LIVE_MIGRATION, Status.ACCEPTED)


def _is_open(move: ShadowMigration) -> bool:
    return move.status in _FLIGHT or (move.status is Status.ERROR and Mark.PRE_FAILED in move.marks)


def _arrived(move: ShadowMigration, fact: NovaReported) -> ShadowMigration:
    if fact.host in (None, move.source_compute):
        return move
    return replace(marked(move, Mark.ARRIVED), dest_compute=fact.host)


def _left(move: ShadowMigration, fact: NovaReported) -> ShadowMigration:
    """The instance is no longer migrating; why, the marks and the request say."""
    if Mark.ARRIVED in move.marks:
        # The source closes the record when it has cleaned up: `live_migration_post.end`.
        return _running(move)
    if move.abort_request_id is not None and fact.request_id == move.abort_request_id:
        # Taken out of the queue by the abort itself.
        return with_status(move, Status.CANCELLED)
    if is_own(move, fact):
        return _undone(move)
    # Another request (reset-state) touches no record. Under none, the source started again.
    return _restarted(move) if fact.request_id is None else move


def _undone(move: ShadowMigration) -> ShadowMigration:
    if Mark.ABORT_DONE in move.marks:
        return with_status(move, Status.CANCELLED)
    if Mark.ROLLBACK in move.marks or move.status not in (Status.ACCEPTED, Status.QUEUED):
        return with_status(move, Status.FAILED)
    # Nothing was heard of source or destination: the conductor refused.
    return with_status(move, Status.ERROR)


def _restarted(move: ShadowMigration) -> ShadowMigration:
    """The source's start-up aborts what was running, and leaves any other record as it is."""
    if Mark.RESTARTED in move.marks:
        return with_status(move, Status.ERROR)
    if move.status is Status.RUNNING:
        # It was not aborted, so it was not running yet.
        return with_status(move, Status.PREPARING, Provenance.UNKNOWN)
    return unknown(move)


def _running(move: ShadowMigration) -> ShadowMigration:
    return with_status(move, Status.RUNNING) if move.status in _BEFORE_RUNNING else move


def _of(moves: Moves, fact: NovaReported, status: Status) -> tuple[Moves, ShadowMigration]:
    """The migration that an event belongs to; begun where nobody announced it."""
    move = pick(moves, LIVE, fact)
    if move is None or not (_is_open(move) or is_own(move, fact)):
        moves = begin(moves, fact, Type.LIVE_MIGRATION, status)
        move = moves[-1]
    return moves, move


def _pre_started(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    moves, move = _of(moves, fact, Status.PREPARING)
    move = replace(move, dest_compute=publisher_host(fact))
    if move.status in _BEFORE_RUNNING:
        move = with_status(move, Status.PREPARING, Provenance.TOLD)
    return put(moves, move, fact)


def _pre_ended(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    moves, move = _of(moves, fact, Status.PREPARING)
    move = replace(marked(move, Mark.PREPARED), dest_compute=publisher_host(fact))
    return put(moves, _running(move), fact)


def _switching(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """The copy is done or ordered to be: so it has been running."""
    moves, move = _of(moves, fact, Status.RUNNING)
    return put(moves, _running(marked(move, Mark.PREPARED)), fact)


def _arriving(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    moves, move = _of(moves, fact, Status.RUNNING)
    move = replace(marked(move, Mark.PREPARED), dest_compute=publisher_host(fact))
    return put(moves, _running(move), fact)


def _completed(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """The source has closed the record, though its snapshot still says migrating."""
    moves, move = _of(moves, fact, Status.RUNNING)
    if _is_open(move) or move.status is Status.COMPLETED:
        move = with_status(move, Status.COMPLETED, Provenance.TOLD)
    return put(moves, move, fact)


def _rolling_back(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    moves, move = _of(moves, fact, Status.RUNNING)
    move = marked(move, Mark.ROLLBACK)
    if move.status in _BEFORE_RUNNING and Mark.PREPARED not in move.marks:
        # The preparation failed: error is written first, the rollback writes failed at its end.
        move = with_status(marked(move, Mark.PRE_FAILED), Status.ERROR)
    return put(moves, move, fact)


def _rolled_back(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    moves, move = _of(moves, fact, Status.RUNNING)
    status = Status.CANCELLED if Mark.ABORT_DONE in move.marks else Status.FAILED
    if _is_open(move) or move.status is status:
        move = with_status(move, status, Provenance.TOLD)
    return put(moves, marked(move, Mark.ROLLBACK), fact)


def _abort_begun(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    move = pick(moves, LIVE, fact)
    if move is None and fact.request_id is None:
        moves = begin(moves, fact, Type.LIVE_MIGRATION, Status.RUNNING)
        return put(moves, marked(moves[-1], Mark.RESTARTED), fact)
    if move is None or not _is_open(move):
        return moves
    if _is_start_up(move, fact):
        return put(moves, _running(marked(move, Mark.RESTARTED)), fact)
    move = replace(move, abort_request_id=fact.request_id)
    if change.task_state is None and change.request_id == fact.request_id:
        # The update that took it out of the queue was heard first.
        move = with_status(move, Status.CANCELLED)
    return put(moves, move, fact)


def _is_start_up(move: ShadowMigration, fact: NovaReported) -> bool:
    """Say whether an abort is the source's own, at its start, and nobody's request."""
    if Mark.RESTARTED in move.marks:
        return True
    return fact.request_id is None and move.request_id is not None


def _abort_ended(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    move = pick(moves, LIVE, fact)
    if move is None:
        return moves
    if _is_start_up(move, fact):
        ended = with_status(move, Status.ERROR) if _is_open(move) else move
        return put(moves, marked(ended, Mark.RESTARTED), fact)
    if move.abort_request_id != fact.request_id and not _is_open(move):
        return moves
    move = marked(move, Mark.ABORT_DONE)
    if move.status in (Status.FAILED, Status.CANCELLED):
        # The rollback was quicker than the word that it was asked for.
        move = with_status(move, Status.CANCELLED)
    return put(moves, move, fact)


def _refused(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """The conductor found no way, which it says before anything is handed to the source."""
    move = pick(moves, LIVE, fact)
    if move is None or move.status not in (Status.ACCEPTED, Status.ERROR):
        return moves
    return put(moves, with_status(move, Status.ERROR, Provenance.TOLD), fact)


def deleted(move: ShadowMigration) -> ShadowMigration:
    """Return what becomes of the record when the instance goes under it.

    Both ways out, taking over and rolling back, save the instance as migrating first; without it
    they raise, and the record is put in error.
    """
    return with_status(move, Status.ERROR) if _is_open(move) else move


RULES: Final = MappingProxyType(
    {
        "compute_task.migrate_server.error": _refused,
        "instance.live_migration_pre.start": _pre_started,
        "instance.live_migration_pre.end": _pre_ended,
        "instance.live_migration_force_complete.start": _switching,
        "instance.live_migration_force_complete.end": _switching,
        "instance.live_migration_post.start": _switching,
        "instance.live_migration_post_dest.start": _arriving,
        "instance.live_migration_post_dest.end": _arriving,
        "instance.live_migration_post.end": _completed,
        "instance.live_migration_rollback.start": _rolling_back,
        "instance.live_migration_rollback.end": _rolled_back,
        "instance.live_migration_abort.start": _abort_begun,
        "instance.live_migration_abort.end": _abort_ended,
    }
)
