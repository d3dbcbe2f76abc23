"""What notifications tell of an evacuation.

Only `instance.evacuate` sets it apart from a rebuild. It is done when the instance changes hosts,
the very last thing that happens; until then a failure leaves the instance at its lost host. A lost
host that comes back completes its open records without a word about any instance: that shows in
its service alone, which can't be let up again by force before it has done so.

Source:  nova/compute/api.py (evacuate), nova/conductor/manager.py (rebuild_instance) and
nova/compute/manager.py (rebuild_instance, _destroy_evacuated_instances) of nova 34.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from events.facts_nova import NovaReported
from events.nova import publisher_host
from events.values import replace
from statemachines.shadow_moves import (
    EVACUATION,
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

_FLIGHT: Final = frozenset({Status.ACCEPTED, Status.PRE_MIGRATING})
_REBUILD: Final = frozenset(
    {Task.REBUILDING, Task.REBUILD_BLOCK_DEVICE_MAPPING, Task.REBUILD_SPAWNING}
)
_CLAIMED: Final = frozenset({Task.REBUILD_BLOCK_DEVICE_MAPPING, Task.REBUILD_SPAWNING})


def updated(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    """Read an `instance.update` that counts."""
    move = pick(moves, EVACUATION, fact)
    if move is None:
        return moves
    if is_own(move, fact) and _has_moved(move, fact):
        return put(moves, replace(with_status(move, Status.DONE), dest_compute=fact.host), fact)
    if move.status not in _FLIGHT:
        return moves
    was = change.task_state or fact.old_task_state
    if is_own(move, fact):
        spawned = Task.REBUILD_SPAWNING in (was, fact.old_task_state)
        move = _went_on(marked(move, Mark.SPAWNED) if spawned else move, fact)
    elif fact.request_id is None and fact.task_state is None and was in _REBUILD:
        # Only the host of the snapshot, the lost one, clears this at its start; before that it
        # completes every open evacuation away from it.
        move = with_status(move, Status.COMPLETED)
    return put(moves, move, fact)


def _has_moved(move: ShadowMigration, fact: NovaReported) -> bool:
    """Say whether the destination has taken the instance over, which it does last of all."""
    if fact.state == VmState.ERROR or fact.host in (None, move.source_compute):
        return False
    # A failure that was only inferred, from updates out of order, was none.
    is_inferred = move.status_provenance is not Provenance.TOLD
    return move.status in _FLIGHT or (move.status is Status.FAILED and is_inferred)


def _went_on(move: ShadowMigration, fact: NovaReported) -> ShadowMigration:
    if fact.task_state in _CLAIMED:
        return with_status(move, Status.PRE_MIGRATING)
    if fact.state == VmState.ERROR and fact.task_state not in _REBUILD:
        return _given_up(move)
    if fact.task_state is None and Mark.SPAWNED not in move.marks:
        return _given_up(move)
    return move


def _given_up(move: ShadowMigration) -> ShadowMigration:
    """The destination writes failed, the conductor error."""
    handed_over = Mark.SCHEDULED in move.marks or move.status is Status.PRE_MIGRATING
    return with_status(move, Status.FAILED if handed_over else Status.ERROR)


def _evacuated(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """The API has made a record, after its update and before it asks the conductor."""
    move = pick(moves, EVACUATION, fact)
    if move is not None and is_own(move, fact) and fact.request_id is not None:
        return moves
    return begin(moves, fact, Type.EVACUATION, Status.ACCEPTED)


def _scheduled(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    """The conductor hands over; it publishes under the name of the host that is to rebuild."""
    move = pick(moves, EVACUATION, fact)
    if move is None or not is_own(move, fact) or move.status not in _FLIGHT:
        return moves
    move = replace(marked(move, Mark.SCHEDULED), dest_compute=publisher_host(fact))
    return put(moves, move, fact)


def _claimed(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    move = pick(moves, EVACUATION, fact)
    if move is None or not is_own(move, fact) or move.status not in _FLIGHT:
        return moves
    move = replace(move, dest_compute=publisher_host(fact))
    return put(moves, with_status(move, Status.PRE_MIGRATING, Provenance.TOLD), fact)


def _spawned(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    move = pick(moves, EVACUATION, fact)
    if move is None or not is_own(move, fact):
        return moves
    return put(moves, marked(move, Mark.SPAWNED), fact)


def _failed(moves: Moves, _change: Change, fact: NovaReported) -> Moves:
    move = pick(moves, EVACUATION, fact)
    if move is None or not is_own(move, fact):
        return moves
    if move.status not in _FLIGHT | {Status.FAILED, Status.ERROR}:
        return moves
    return put(moves, with_status(move, Status.FAILED, Provenance.TOLD), fact)


def _refused(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    """The conductor gave up; its word names no request, so the last update's must be ours."""
    move = pick(moves, EVACUATION, fact)
    if move is None or change.request_id != move.request_id:
        return moves
    if move.status not in _FLIGHT | {Status.FAILED, Status.ERROR}:
        return moves
    return put(moves, with_status(move, Status.ERROR, Provenance.TOLD), fact)


def host_returned(moves: Moves, host: str) -> Moves:
    """Return the migrations after a service that was forced down is let up again.

    The API refuses that while the host has evacuations that are done, so it has completed them.
    Of those that were never finished this says nothing.
    """
    return tuple(
        _returned(m) if m.migration_type in EVACUATION and m.source_compute == host else m
        for m in moves
    )


def _returned(move: ShadowMigration) -> ShadowMigration:
    if move.status is Status.DONE:
        return with_status(move, Status.COMPLETED)
    return unknown(move) if move.status in _FLIGHT else move


def deleted(move: ShadowMigration) -> ShadowMigration:
    """Return what becomes of the record when the instance goes under it.

    The destination that finds the instance gone writes failed.
    """
    return with_status(move, Status.FAILED) if move.status in _FLIGHT else move


RULES: Final = MappingProxyType(
    {
        "instance.evacuate": _evacuated,
        "instance.rebuild_scheduled": _scheduled,
        "instance.rebuild.start": _claimed,
        "instance.rebuild.end": _spawned,
        "instance.rebuild.error": _failed,
        "compute_task.rebuild_server.error": _refused,
    }
)
