"""A migration as a shadow knows it, and the small steps by which the rules change it.

No notification of nova has a migration in it: not its id, type or status. So each value here
comes with its provenance. This file knows how a migration is found, begun and put back into the
row of migrations; it refuses to know which event means what.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Final

from msgspec import Struct

from events.facts_nova import NovaReported
from events.values import replace
from statemachines.states import MigrationStatus as Status
from statemachines.states import MigrationType as Type

#: Migrations of one instance that are kept in its state; the rows of older ones stand.
MIGRATIONS_MAX: Final = 32


class Provenance(StrEnum):
    """Where a value comes from that no payload has."""

    TOLD = "told"  # A notification is published at exactly that step and nowhere else.
    INFERRED = "inferred"  # It follows from the state of the instance and nova's flow.
    UNKNOWN = "unknown"  # No notification tells: what stands is the last that was known.


class Mark(StrEnum):
    """What a migration's flow has shown; later steps are read in its light."""

    REUSED = "reused"  # A record that a dead conductor left, taken up again if the type fits.
    PREPARED = "prepared"  # Live: the destination finished its preparation.
    ARRIVED = "arrived"  # Live: the destination has taken over.
    ROLLBACK = "rollback"  # Live: the source undoes.
    PRE_FAILED = "pre-failed"  # Live: the rollback follows a failed preparation.
    ABORT_DONE = "abort-done"  # Live: the source carried out an abort.
    RESTARTED = "restarted"  # Live: the source's own start-up aborted it.
    SCHEDULED = "scheduled"  # Evacuation: handed over to the destination.
    SPAWNED = "spawned"  # Evacuation: the guest is up; the host is yet to change.


class ShadowMigration(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One migration of an instance, as far as notifications let it be known."""

    #: From 1, in the order in which they began.
    number: int
    migration_type: Type
    type_provenance: Provenance = Provenance.INFERRED
    status: Status
    status_provenance: Provenance = Provenance.INFERRED
    source_compute: str | None = None
    dest_compute: str | None = None
    old_flavor_id: str | None = None
    new_flavor_id: str | None = None
    #: In whose course it goes on now: the move's request, then its confirm's or revert's.
    request_id: str | None = None
    abort_request_id: str | None = None
    marks: tuple[Mark, ...] = ()
    #: When it was first and last heard of, µs UTC; None where notifications carry no time.
    begun_at_us: int | None = None
    updated_at_us: int | None = None


Moves = tuple[ShadowMigration, ...]


class Change(Struct, frozen=True, kw_only=True, gc=False):
    """What the shadow knew of the instance before the fact at hand."""

    #: Had an update of it counted before?
    known: bool
    task_state: str | None
    #: Of the last update that counted.
    request_id: str | None


Rule = Callable[[Moves, Change, NovaReported], Moves]

COLD: Final = frozenset({Type.MIGRATION, Type.RESIZE})
LIVE: Final = frozenset({Type.LIVE_MIGRATION})
EVACUATION: Final = frozenset({Type.EVACUATION})


def pick(moves: Moves, types: Collection[Type], fact: NovaReported) -> ShadowMigration | None:
    """Return the migration of `types` that a fact concerns: of its request, else the newest."""
    of_type = [m for m in reversed(moves) if m.migration_type in types]
    if fact.request_id is not None:
        for move in of_type:
            if fact.request_id in (move.request_id, move.abort_request_id):
                return move
    return of_type[0] if of_type else None


def is_own(move: ShadowMigration, fact: NovaReported) -> bool:
    """Say whether a fact was said in the course of the migration's own request."""
    return fact.request_id == move.request_id


def begin(moves: Moves, fact: NovaReported, kind: Type, status: Status) -> Moves:
    """Return the migrations and one more, from the host that the snapshot names."""
    move = ShadowMigration(
        number=moves[-1].number + 1 if moves else 1,
        migration_type=kind,
        type_provenance=Provenance.UNKNOWN if kind in COLD else Provenance.INFERRED,
        status=status,
        source_compute=fact.host,
        old_flavor_id=fact.flavor.flavor_id if fact.flavor else None,
        request_id=fact.request_id,
        begun_at_us=time_of(fact),
        updated_at_us=time_of(fact),
    )
    return (*moves[1 - MIGRATIONS_MAX :], move)


def put(moves: Moves, move: ShadowMigration | None, fact: NovaReported) -> Moves:
    """Return the migrations with one in its new form; itself where nothing changed."""
    if move is None or move in moves:
        return moves
    moved = replace(move, updated_at_us=time_of(fact) or move.updated_at_us)
    return tuple(moved if m.number == move.number else m for m in moves)


def marked(move: ShadowMigration, *marks: Mark) -> ShadowMigration:
    """Return the migration with further marks."""
    fresh = tuple(m for m in marks if m not in move.marks)
    return replace(move, marks=(*move.marks, *fresh)) if fresh else move


def with_status(
    move: ShadowMigration, status: Status, provenance: Provenance = Provenance.INFERRED
) -> ShadowMigration:
    """Return the migration in a status; a better provenance of the same one is kept."""
    if move.status is status and move.status_provenance is Provenance.TOLD:
        return move
    return replace(move, status=status, status_provenance=provenance)


def unknown(move: ShadowMigration) -> ShadowMigration:
    """Return the migration with its last status, and that nobody said what became of it."""
    return replace(move, status_provenance=Provenance.UNKNOWN)


def time_of(fact: NovaReported) -> int | None:
    """When a fact was said, as well as it tells."""
    return fact.timestamp_us if fact.timestamp_us is not None else fact.updated_at_us
