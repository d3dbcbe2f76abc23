"""The auditor: proves that the rows say what the log says, and names every difference.

It takes one snapshot of rows and checkpoints, folds the log to exactly those positions, and
compares every table that is a function of the log; then it asks whether the conservation laws hold.
It only reads. Whether the rules are right otherwise is the tests' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from conductor.bodies import HELD_CODEC, NODE_CODEC, RULES_CODEC, StateCodec
from conductor.conservation import Violation, violations_of
from conductor.replay import Replay, Tables
from conductor.scheduler_options import SchedulerOptions
from events.errors import BadRecord
from events.log import TopicPartition
from projections.rows import TABLES, Key, Row
from projections.store import Checkpoint

#: Bodies are compared decoded: a newer code may write the same state in a newer form.
_BODIES: Final[dict[str, StateCodec[Any]]] = {"instance_states": HELD_CODEC, "nodes": NODE_CODEC}
#: Differences that are listed; more are counted.
LISTED_MAX: Final = 1_000


class Snapshot(Protocol):
    """Rows and checkpoints of one moment."""

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint."""
        ...

    def read(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table in key order."""
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

    @property
    def is_equal(self) -> bool:
        """Do the rows say what the log says?"""
        return self.difference_count == 0

    def add(self, difference: Difference) -> None:
        """Note one difference; beyond the bound it is only counted."""
        self.difference_count += 1
        if len(self.differences) < LISTED_MAX:
            self.differences.append(difference)


def verify(store: Snapshots, replay: Replay, options: SchedulerOptions | None = None) -> Audit:
    """Compare every row with the fold of the log at the same positions, and ask for the laws.

    `options` say how much of a host may be taken.

    Raises LogCutOff, PositionLost, LogUnavailable where the log can't be read that far, StoreError.
    """
    audit = Audit()
    with store.snapshot() as snapshot:
        rows = {TopicPartition(c.topic, c.partition): c for c in snapshot.checkpoints}
        audit.positions = {tp: c.next_offset for tp, c in rows.items()}
        found = replay.fold_to(audit.positions)
        audit.counts, audit.odd = found.counts, found.odd
        for checkpoint in found.checkpoints:
            tp = TopicPartition(checkpoint.topic, checkpoint.partition)
            if tp in rows:
                _compare_checkpoints(audit, checkpoint, rows[tp])
        tables: Tables = {}
        for table in TABLES:
            tables[table] = {}
            audit.rows[table] = compare(
                audit, table, found.tables, snapshot.read(table), tables[table]
            )
        audit.violations = violations_of(tables, options)
    return audit


def compare(
    audit: Audit, table: str, tables: Tables, rows: Iterable[Row], there: dict[Key, Row]
) -> int:
    """Note every difference of one table; return how many rows the database has.

    They are left in `there`, those that are equal as the very rows of the log.
    """
    expected = dict(tables[table])
    row_type, width = TABLES[table]
    count = 0
    for row in rows:
        count += 1
        key = cast("Key", row[:width])
        wanted = expected.pop(key, None)
        there[key] = wanted if wanted == row and wanted is not None else row
        if wanted is None:
            audit.add(Difference(table, key, "*", None, "a row that the log does not know"))
        elif wanted != row:
            _compare_rows(audit, table, key, wanted, row)
    for key in expected:
        audit.add(Difference(table, key, "*", f"a {row_type.__name__}", None))
    return count


def _compare_rows(audit: Audit, table: str, key: Key, wanted: Row, row: Row) -> None:
    for column, ours, theirs in zip(wanted._fields, wanted, row, strict=True):
        if ours == theirs:
            continue
        if column == "body" and _same_body(table, ours, theirs):
            continue
        if column == "body":
            audit.add(Difference(table, key, column, _shown(table, ours), _shown(table, theirs)))
        else:
            audit.add(Difference(table, key, column, ours, theirs))


def _same_body(table: str, ours: object, theirs: object) -> bool:
    if not isinstance(ours, bytes) or not isinstance(theirs, bytes):
        return False
    codec = _BODIES[table]
    try:
        return bool(codec.decode(ours) == codec.decode(theirs))
    except BadRecord:
        return False


def _shown(table: str, body: object) -> str:
    if not isinstance(body, bytes):
        return repr(body)
    try:
        return repr(_BODIES[table].decode(body))
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
    if row.rules and RULES_CODEC.decode(row.rules) != RULES_CODEC.decode(ours.rules):
        shown = repr(RULES_CODEC.decode(ours.rules)), repr(RULES_CODEC.decode(row.rules))
        audit.add(Difference("checkpoints", key, "rules", *shown))
