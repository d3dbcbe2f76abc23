"""The auditor: proves that the rows say what the log says, and names every difference.

It takes one snapshot of rows and checkpoints, folds the log to exactly those positions, and
compares every table that is a function of the log; then it asks whether the conservation laws hold.
It only reads. Whether the rules are right otherwise is the tests' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import repeat
from operator import attrgetter
from typing import Any, Final, Protocol, cast

from conductor.bodies import HELD_CODEC, NODE_CODEC, RULES_CODEC, StateCodec
from conductor.conservation import Violation, violations_of
from conductor.further import Rows, changed_rows, check_unchanged, instances_of
from conductor.replay import Replay, Replayed, Tables
from conductor.scheduler_options import SchedulerOptions
from events.errors import BadRecord
from events.log import TopicPartition
from projections.digests import Entries
from projections.kept import Keeper, Kept, KeptUnusable, NotKept, Said
from projections.rows import TABLES, Key, Row
from projections.store import Checkpoint

#: Bodies are compared decoded: a newer code may write the same state in a newer form.
_BODIES: Final[dict[str, StateCodec[Any]]] = {"instance_states": HELD_CODEC, "nodes": NODE_CODEC}
#: Differences that are listed; more are counted.
LISTED_MAX: Final = 1_000


class Snapshot(Rows, Protocol):
    """Rows and checkpoints of one moment."""

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint."""
        ...

    def digested(self) -> AbstractContextManager[Callable[[], Entries]]:
        """Give what returns a mark and a digest of every row; nothing is read until it has."""
        ...


class Snapshots(Protocol):
    """A database of which one can see one moment."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Show one moment."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs: what the log says, and what the database says."""

    table: str
    key: Key
    column: str
    log: object
    database: object


@dataclass(slots=True)
class Audit:
    """What the auditor found."""

    differences: list[Difference] = field(default_factory=list)
    difference_count: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    odd: list[tuple[str, int, int]] = field(default_factory=list)
    #: Conservation laws that the rows break.
    violations: list[Violation] = field(default_factory=list)
    #: Facts that an earlier verify had folded, from whose end this one went on.
    went_on_after: int = 0
    #: Why this one began at the start of the log; empty where it did not.
    from_start: str = ""
    #: Why the next one can't go on from this one, which is well; empty where it can.
    not_kept: str = ""

    @property
    def is_well(self) -> bool:
        """Do the rows say what the log says, and keep every law?"""
        return self.is_equal and not self.violations

    @property
    def is_equal(self) -> bool:
        """Do the rows say what the log says?"""
        return self.difference_count == 0

    def add(self, difference: Difference) -> None:
        """Note one difference; beyond the bound it is only counted."""
        self.difference_count += 1
        if len(self.differences) < LISTED_MAX:
            self.differences.append(difference)


def verify(
    store: Snapshots,
    replay: Replay,
    options: SchedulerOptions | None = None,
    keeper: Keeper | None = None,
) -> Audit:
    """Compare every row with the fold of the log at the same positions, and ask for the laws.

    `options` say how much of a host may be taken. With a keeper it goes on from the last verify
    that ended well, where that is possible, and keeps what the next can go on from.

    Raises LogCutOff, PositionLost, LogUnavailable where the log can't be read that far, StoreError.
    """
    with store.snapshot() as snapshot:
        if keeper is None:
            return _from_start(snapshot, replay, options)
        # The database makes them while the log is folded.
        with snapshot.digested() as digests:
            try:
                with keeper.last() as kept:
                    return _further(snapshot, replay, options, _Keeping(keeper, digests), kept)
            except KeptUnusable as why:
                audit = _from_start(snapshot, replay, options, _Keeping(keeper, digests))
                audit.from_start = str(why)
                return audit


@dataclass(frozen=True, slots=True)
class _Keeping:
    """Where is kept what was found, and what returns the digests of all rows."""

    keeper: Keeper
    digests: Callable[[], Entries]


def _from_start(
    snapshot: Snapshot,
    replay: Replay,
    options: SchedulerOptions | None,
    keeping: _Keeping | None = None,
) -> Audit:
    audit, rows = _begun(snapshot)
    found = replay.fold_to(audit.positions)
    _take(audit, found, rows)
    entries = {} if keeping is None else keeping.digests()
    tables: Tables = {}
    for table in TABLES:
        tables[table] = compare(audit, table, found.tables[table], snapshot.values(table))
        audit.rows[table] = len(tables[table])
    audit.violations = violations_of(tables, options)
    if keeping is not None and audit.is_well and rows:
        about = (found.checkpoints, audit.counts, audit.odd)
        _keep(audit, keeping.keeper, Said(*about, tables, found.gone, entries))
    return audit


def _further(
    snapshot: Snapshot,
    replay: Replay,
    options: SchedulerOptions | None,
    keeping: _Keeping,
    kept: Kept,
) -> Audit:
    """Go on from what was kept; raises KeptUnusable where anything does not fit."""
    audit, rows = _begun(snapshot)
    found = replay.fold_to(audit.positions, kept)
    _take(audit, found, rows)
    audit.went_on_after = sum(c.next_offset for c in kept.checkpoints)
    audit.counts = Counter(kept.counts) + found.counts
    audit.odd = kept.odd + found.odd
    tables: Tables = {}
    instances = instances_of(found)
    entries = keeping.digests()
    for table in TABLES:
        there = tables.setdefault(table, {})
        new = changed_rows(table, snapshot, found, instances, there)
        audit.rows[table] = check_unchanged(table, entries[table], found, kept, new)
        compare(audit, table, found.tables[table], [list(new.values())])
    claims = tables["claims"]
    tables["claims"] = {key: row for key, row in claims.items() if key[0] in instances}
    audit.violations = violations_of(tables, options, claims)
    if audit.is_well:
        about = (found.checkpoints, audit.counts, audit.odd)
        _keep(audit, keeping.keeper, Said(*about, found.tables, found.gone, entries), kept)
    return audit


def _keep(audit: Audit, keeper: Keeper, said: Said, after: Kept | None = None) -> None:
    """Keep what was found for the next one; a disk that is full does not change what was found."""
    try:
        keeper.keep(said, after=after)
    except NotKept as why:
        audit.not_kept = str(why)


def _begun(snapshot: Snapshot) -> tuple[Audit, Mapping[TopicPartition, Checkpoint]]:
    rows = {TopicPartition(c.topic, c.partition): c for c in snapshot.checkpoints}
    audit = Audit(positions={tp: c.next_offset for tp, c in rows.items()})
    return audit, rows


def _take(audit: Audit, found: Replayed, rows: Mapping[TopicPartition, Checkpoint]) -> None:
    """Take what the fold counted, and compare where it came with where the rows stand."""
    audit.counts, audit.odd = found.counts, found.odd
    for checkpoint in found.checkpoints:
        tp = TopicPartition(checkpoint.topic, checkpoint.partition)
        if tp in rows:
            _compare_checkpoints(audit, checkpoint, rows[tp])


def compare(
    audit: Audit, table: str, wanted: dict[Key, Row], rows: Iterable[Sequence[tuple[object, ...]]]
) -> dict[Key, Row]:
    """Note every difference of one table, by key; return the rows that the database has.

    They come many at a time and are compared as many at a time, in whatever order. What is equal is
    returned as the very rows of the log: the table itself, where all are.
    """
    row_type, width = TABLES[table]
    there, absent, found = wanted, dict(wanted), list[Difference]()
    for some in rows:
        keys = [cast("Key", row[:width]) for row in some]
        ours = list(map(absent.pop, keys, repeat(None)))
        if ours == some:
            continue
        there = dict(wanted) if there is wanted else there
        for key, mine, values in zip(keys, ours, some, strict=True):
            if mine == values:
                continue
            there[key] = row = row_type._make(values)
            if mine is None:
                found.append(Difference(table, key, "*", None, "a row that the log does not know"))
            else:
                found += _compare_rows(table, key, mine, row)
    found += (Difference(table, key, "*", f"a {row_type.__name__}", None) for key in absent)
    for each in sorted(found, key=attrgetter("key")):
        audit.add(each)
    return {key: row for key, row in there.items() if key not in absent} if absent else there


def _compare_rows(table: str, key: Key, wanted: Row, row: Row) -> Iterator[Difference]:
    for column, ours, theirs in zip(wanted._fields, wanted, row, strict=True):
        if ours == theirs:
            continue
        if column == "body":
            yield from _compare_bodies(table, key, ours, theirs)
        else:
            yield Difference(table, key, column, ours, theirs)


def _compare_bodies(table: str, key: Key, ours: object, theirs: object) -> Iterator[Difference]:
    """Yield each field of a state that differs, as `body.generation`."""
    mine, other = _decoded(table, ours), _decoded(table, theirs)
    if isinstance(mine, str) or isinstance(other, str):
        yield Difference(table, key, "body", str(mine), str(other))
        return
    for name in mine.__struct_fields__:
        said, stands = getattr(mine, name), getattr(other, name)
        if said != stands:
            yield Difference(table, key, f"body.{name}", repr(said), repr(stands))


def _decoded(table: str, body: object) -> Any:
    """Return a state, or what to say of a body that is none."""
    if not isinstance(body, bytes):
        return repr(body)
    try:
        return _BODIES[table].decode(body)
    except BadRecord as bad:
        return str(bad)


def _compare_checkpoints(audit: Audit, ours: Checkpoint, row: Checkpoint) -> None:
    key: Key = (row.topic, row.partition)
    if row.next_offset == 0:
        return
    if row.topic_id != ours.topic_id:
        audit.add(Difference("checkpoints", key, "topic_id", ours.topic_id, row.topic_id))
    if row.chain != ours.chain:
        audit.add(Difference("checkpoints", key, "chain", ours.chain.hex(), row.chain.hex()))
    said = RULES_CODEC.decode(ours.rules) if ours.rules else None  # None where it was cut whole.
    if row.rules and (stands := RULES_CODEC.decode(row.rules)) != said:
        audit.add(Difference("checkpoints", key, "rules", repr(said), repr(stands)))
