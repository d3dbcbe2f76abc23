"""What notifications tell of a resize or cold migration, its confirm and its revert.

The statuses follow the instance's task_state and the events of the two computes; a failure is seen
by what the flow's own request does to the instance (error, or its task cleared before its time). A
task cleared under no request is nova-compute starting again: it leaves the record as it is.

Source:  nova/compute/manager.py (prep_resize … finish_revert_resize),
nova/conductor/tasks/migrate.py and nova/compute/resource_tracker.py of nova 34.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.facts_nova import NovaReported
from events.nova import publisher_host
from events.values import replace
from statemachines.shadow_moves import (
    COLD,
    MIGRATIONS_MAX,
    Change,
    Mark,
    Moves,
    Provenance,
    Rule,
    ShadowMigration,
    begin,
    is_own,
    pick,
    put,
    unknown,
    with_status,
)
from statemachines.states import MigrationStatus as Status
from statemachines.states import MigrationType as Type
from statemachines.states import TaskState as Task
from statemachines.states import VmState

#: How far along a status is; a late notification never leads back.
_RANK: Final[Mapping[Status, int]] = MappingProxyType(
    {
        Status.PRE_MIGRATING: 0,
        Status.MIGRATING: 1,
        Status.POST_MIGRATING: 2,
        Status.FINISHED: 3,
        Status.CONFIRMING: 4,
        Status.REVERTING: 4,
        Status.CONFIRMED: 5,
        Status.REVERTED: 5,
        Status.ERROR: 6,
        Status.FAILED: 6,
    }
)
_FLIGHT: Final = frozenset({Status.PRE_MIGRATING, Status.MIGRATING, Status.POST_MIGRATING})
#: Between the request to confirm or revert and its end, and before that the move itself.
_UNDERWAY: Final = _FLIGHT | {Status.CONFIRMING, Status.REVERTING}
_BROKEN: Final = frozenset({Status.ERROR, Status.FAILED})

_BY_TASK: Final[Mapping[str, Status]] = MappingProxyType(
    {
        Task.RESIZE_MIGRATING: Status.MIGRATING,
        Task.RESIZE_MIGRATED: Status.POST_MIGRATING,
        Task.RESIZE_FINISH: Status.POST_MIGRATING,
        Task.RESIZE_REVERTING: Status.REVERTING,
    }
)
_TASKS: Final = frozenset({Task.RESIZE_PREP, *_BY_TASK})
#: The host of the snapshot is the destination from here on.
_AT_DESTINATION: Final = frozenset({Task.RESIZE_MIGRATED, Task.RESIZE_FINISH})


def updated(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    """Read an `instance.update` that counts."""
    moves = _begun(moves, change, fact)
    move = pick(moves, COLD, fact)
    if move is None:
        return moves
    return put(moves, _ended(_advanced(move, fact), change, fact), fact)


def _begun(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    if fact.task_state == Task.RESIZE_PREP:
        return _requested(moves, change, fact)
    if pick(moves, COLD, fact) is None:
        return _met_midway(moves, change, fact)
    return moves


def _requested(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    """A move was asked for; the same task_state said again is no second one."""
    move = pick(moves, COLD, fact)
    if move is None:
        return begin(moves, fact, Type.RESIZE, Status.PRE_MIGRATING)
    if is_own(move, fact) and fact.request_id is not None:
        return moves
    if move.status in _FLIGHT and change.task_state == Task.RESIZE_PREP:
        return moves
    if move.status is Status.PRE_MIGRATING:
        # The conductor takes up a record that an earlier one left, if it is of the same type.
        again = replace(
            with_status(move, Status.PRE_MIGRATING),
            request_id=fact.request_id,
            dest_compute=None,
            marks=(Mark.REUSED,),
        )
        return put(moves, again, fact)
    return begin(moves, fact, Type.RESIZE, Status.PRE_MIGRATING)


def _met_midway(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    """The first that is heard of an instance says that a move was under way.

    These states are set by computes that hold the record, so there is one; of resize_prep, which
    the API sets before there is a record, that can't be said.
    """
    status = _BY_TASK.get(fact.task_state or "")
    if fact.state == VmState.RESIZED and fact.task_state is None:
        status = Status.FINISHED
    if status is None and not change.known and fact.task_state is None:
        status = _BY_TASK.get(fact.old_task_state or "")
    return moves if status is None else _begin_midway(moves, fact, status)


def _begin_midway(moves: Moves, fact: NovaReported, status: Status) -> Moves:
    """A record that nobody announced; which end of it the snapshot's host is, its status says."""
    moves = begin(moves, fact, Type.RESIZE, status)
    if _RANK[status] < _RANK[Status.POST_MIGRATING]:
        return moves
    return (*moves[:-1], replace(moves[-1], source_compute=None, dest_compute=fact.host))


def _advanced(move: ShadowMigration, fact: NovaReported) -> ShadowMigration:
    task = fact.task_state
    if fact.state == VmState.RESIZED and task is None:
        move = _finished(move, fact)
    elif task is not None and task in _BY_TASK:
        move = _forward(move, _BY_TASK[task])
        if task == Task.RESIZE_REVERTING:
            move = _reverting(move, fact)
    if task in _AT_DESTINATION and move.status is Status.POST_MIGRATING:
        move = replace(move, dest_compute=fact.host)
    return move


def _finished(move: ShadowMigration, fact: NovaReported) -> ShadowMigration:
    if move.status not in _FLIGHT:
        return move
    flavor = fact.flavor.flavor_id if fact.flavor else None
    move = _typed(move, flavor) if Mark.REUSED not in move.marks else move
    return replace(_forward(move, Status.FINISHED), dest_compute=fact.host)


def _reverting(move: ShadowMigration, fact: NovaReported) -> ShadowMigration:
    if move.status is not Status.REVERTING:
        return move
    move = replace(move, request_id=fact.request_id) if fact.request_id else move
    if fact.host == move.source_compute != move.dest_compute and move.dest_compute:
        # The destination has let go before the source takes the instance back.
        return _forward(move, Status.REVERTED)
    return move


def _ended(move: ShadowMigration, change: Change, fact: NovaReported) -> ShadowMigration:
    """What the update says of an end before its time, if it says so."""
    if fact.state == VmState.ERROR and _breaks(move, fact):
        return _broken(move)
    cleared = fact.task_state is None and fact.state != VmState.RESIZED
    was = change.task_state or fact.old_task_state
    if not cleared or was not in _TASKS or move.status not in _UNDERWAY:
        return move
    met_midway = not change.known and fact.request_id is None
    if is_own(move, fact) and not met_midway:
        # No error and nothing to show: the flow gave up and kept the vm_state.
        return _broken(move)
    # Under no request: the compute started again and cleared the task, nothing else. Under
    # another one (reset-state): nobody touched the record, and its flow may go on.
    return unknown(move) if fact.request_id is None else move


def _breaks(move: ShadowMigration, fact: NovaReported) -> bool:
    if not is_own(move, fact) or move.status in _BROKEN:
        return False
    # What ended under no request (auto-confirm) can't be told from a later act of nova's own.
    return move.request_id is not None or move.status in _UNDERWAY


def _broken(move: ShadowMigration) -> ShadowMigration:
    if move.status is Status.PRE_MIGRATING:
        # The destination is written by the claim, and what fails here is the claim.
        move = replace(move, dest_compute=None)
    return with_status(move, Status.ERROR)


def _forward(
    move: ShadowMigration, status: Status, provenance: Provenance = Provenance.INFERRED
) -> ShadowMigration:
    return with_status(move, status, provenance) if _RANK[move.status] <= _RANK[status] else move


def _typed(move: ShadowMigration, wanted: str | None) -> ShadowMigration:
    """Resize or migration: that depends on the flavor alone."""
    if wanted is None or move.old_flavor_id is None:
        return move
    if move.type_provenance is not Provenance.UNKNOWN:
        return move
    kind = Type.MIGRATION if wanted == move.old_flavor_id else Type.RESIZE
    return replace(
        move,
        migration_type=kind,
        type_provenance=Provenance.INFERRED,
        new_flavor_id=wanted,
    )


def _settled(moves: Moves, move: ShadowMigration, fact: NovaReported) -> Moves:
    """Say of which type it is, now that the wanted flavor is told."""
    wanted = fact.new_flavor.flavor_id if fact.new_flavor else None
    if wanted is None or move.old_flavor_id is None:
        return moves
    if Mark.REUSED not in move.marks:
        return put(moves, _typed(move, wanted), fact)
    fresh = replace(move, marks=(), type_provenance=Provenance.UNKNOWN)
    fresh = _typed(fresh, wanted)
    if fresh.migration_type is move.migration_type:
        return put(moves, fresh, fact)
    # Not of the same type: the old record stays as it was left, this is another one.
    moves = put(moves, unknown(replace(move, marks=(), request_id=None)), fact)
    return (*moves[1 - MIGRATIONS_MAX :], replace(fresh, number=moves[-1].number + 1))


def _wanted(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """The scheduler is asked for a host; its request names the flavor."""
    move = pick(moves, COLD, fact)
    if move is None or move.status is not Status.PRE_MIGRATING:
        return moves
    return _settled(moves, move, fact)


def _prepared(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """A destination, the first or an alternate, begins its claim."""
    moves, move = _of(moves, fact, Status.PRE_MIGRATING)
    if move.status not in _FLIGHT and not is_own(move, fact):
        moves = begin(moves, fact, Type.RESIZE, Status.PRE_MIGRATING)
        move = moves[-1]
    if move.status is Status.PRE_MIGRATING:
        move = replace(move, dest_compute=publisher_host(fact))
    return _settled(put(moves, move, fact), move, fact)


def _claim_failed(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """One destination could not; whether another is tried is not said here."""
    move = pick(moves, COLD, fact)
    if move is None or move.dest_compute != publisher_host(fact):
        return moves
    if move.status not in (Status.PRE_MIGRATING, Status.ERROR):
        return moves
    return put(moves, replace(move, dest_compute=None), fact)


def _refused(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """The conductor found no way: it says so after it has cleared the task."""
    move = pick(moves, COLD, fact)
    if move is None or move.status not in (Status.PRE_MIGRATING, Status.ERROR):
        return moves
    moves = _settled(moves, move, fact)
    move = pick(moves, COLD, fact)
    assert move is not None, "Expected the migration that was just settled, but there is none"
    return put(moves, with_status(move, Status.ERROR, Provenance.TOLD), fact)


def _step(status: Status, provenance: Provenance = Provenance.TOLD) -> Rule:
    """A rule: the event is published at exactly this status."""

    def rule(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
        moves, move = _of(moves, fact, status)
        move = _forward(move, status, provenance)
        if fact.event_type.startswith("instance.resize."):
            move = replace(move, source_compute=publisher_host(fact))
        if status is not Status.MIGRATING and fact.host:
            move = replace(move, dest_compute=fact.host)
        return put(moves, move, fact)

    return rule


def _closing(status: Status, provenance: Provenance = Provenance.TOLD) -> Rule:
    """A rule: a confirm or revert is here; it goes on in the course of its own request."""

    def rule(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
        moves, move = _of(moves, fact, Status.FINISHED)
        if move.source_compute is None:
            move = replace(move, source_compute=publisher_host(fact))
        forward = _forward(move, status, provenance)
        if forward is not move and fact.request_id is not None:
            forward = replace(forward, request_id=fact.request_id)
        elif forward is not move and status is Status.CONFIRMING:
            forward = replace(forward, request_id=None)
        return put(moves, forward, fact)

    return rule


def _of(moves: Moves, fact: NovaReported, status: Status) -> tuple[Moves, ShadowMigration]:
    """The migration that a compute's event belongs to; begun where nobody announced it."""
    move = pick(moves, COLD, fact)
    if move is None:
        moves = _begin_midway(moves, fact, status)
        move = moves[-1]
    return moves, move


def deleted(move: ShadowMigration) -> ShadowMigration:
    """Return what becomes of the record when the instance goes under it.

    Each further step of a move saves the instance first, finds it gone and puts the record in
    error. A finished move is confirmed before the delete goes on; if that was not heard, it is
    not known.
    """
    if move.status in _UNDERWAY:
        return with_status(move, Status.ERROR)
    return unknown(move) if move.status is Status.FINISHED else move


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "scheduler.select_destinations.start": _wanted,
        "scheduler.select_destinations.end": _wanted,
        "compute_task.migrate_server.error": _refused,
        "instance.resize_prep.start": _prepared,
        "instance.resize.error": _claim_failed,
        "instance.resize.start": _step(Status.MIGRATING),
        "instance.resize.end": _step(Status.POST_MIGRATING),
        "instance.resize_finish.start": _step(Status.POST_MIGRATING),
        "instance.resize_finish.end": _step(Status.FINISHED),
        "instance.resize_confirm.start": _closing(Status.CONFIRMING),
        "instance.resize_confirm.end": _closing(Status.CONFIRMED),
        "instance.resize_revert.start": _closing(Status.REVERTED, Provenance.INFERRED),
        "instance.resize_revert.end": _closing(Status.REVERTED),
    }
)
