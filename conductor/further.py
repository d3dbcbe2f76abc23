"""A verify that goes on from the last one that ended well, instead of from the start of the log.

What was folded then is not folded again: the log's own chain, which is compared where the rows
stand now, says that nothing before was exchanged for what is folded after it. Every row has a
digest all the same: one that the log has not changed since must have the one that was kept, and
any other is read, and must be what the fold says. Where anything does not fit, KeptUnusable says
so, and the caller begins at the start, which names the table, key and column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol, cast

from conductor.replay import Replayed
from projections.digests import ENTRY_BYTES, by_mark, mark_of
from projections.kept import Kept, KeptUnusable
from projections.rows import TABLES, Key, Row

#: Columns that name the instance of a row, the first that a table has.
_NAMES = ("instance_uuid", "uuid", "resource_id")
#: Tables of which the laws need every row.
_WHOLE = frozenset({"nodes", "claims"})

Values = Iterator[list[tuple[object, ...]]]


class Rows(Protocol):
    """The rows of one moment."""

    def values(self, table: str) -> Values:
        """Yield the values of the rows of a table, many at a time, in whatever order."""
        ...

    def picked(self, table: str, column: str, names: Collection[str]) -> Values:
        """Yield the values of those rows of a table that have one of the names in a column."""
        ...


def instances_of(found: Replayed) -> frozenset[str]:
    """Name the instances of which the fold changed anything: each fact changes its state."""
    return frozenset(str(key[0]) for key in found.tables["instance_states"])


def changed_rows(
    table: str, rows: Rows, found: Replayed, instances: Collection[str], there: dict[Key, Row]
) -> dict[Key, Row]:
    """Return the rows of a table that the database has of those that the fold has touched.

    Rows of the `instances` that changed, and every row of a table that the laws need whole, are
    left in `there`.
    """
    row_type, width = TABLES[table]
    touched = found.tables[table].keys() | found.gone[table]
    column = next((name for name in _NAMES if name in row_type._fields), None)
    every = table in _WHOLE or column is None
    if every and not touched and table not in _WHOLE:
        return {}
    values = (
        rows.values(table) if column is None or every else rows.picked(table, column, instances)
    )
    mine: dict[Key, Row] = {}
    count = 0
    for some in values:
        count += len(some)
        mine.update((cast("Key", row[:width]), row_type._make(row)) for row in some)
    if len(mine) != count:
        raise KeptUnusable(f"Expected one row of {table} under a key, but some have two")
    if table in _WHOLE or not every:
        there.update(mine)
    return {key: row for key, row in mine.items() if key in touched}


def check_unchanged(
    table: str, entries: Sequence[bytes], found: Replayed, kept: Kept, changed: Collection[Key]
) -> int:
    """Return how many rows a table has; raises KeptUnusable where one is not as it should be.

    Every row that the fold has not touched must have the digest that was kept of it, and every such
    digest its row. Of those that the fold touched exactly those `changed` must be there.
    """
    touched = {mark_of(key): key for key in found.tables[table].keys() | found.gone[table]}
    changed, then = frozenset(changed), kept.entries(table)
    # Pages in which nothing was written since have the very value that was kept of them. Whatever
    # the fold has touched is hardly ever among their rows, and then all are looked through.
    same = frozenset(entries).intersection(then)
    present = _touched_there(table, entries, then, touched, same)
    if same and not (present == changed >= found.tables[table].keys()):
        present = _touched_there(table, entries, then, touched, frozenset())
    if present != changed:
        raise KeptUnusable(
            f"Expected the {len(present)} rows of {table} that the log has changed since to be of"
            f" the instances that it speaks of, but {len(present ^ changed)} are not, or not there"
        )
    return sum(map(len, entries)) // ENTRY_BYTES


def _touched_there(
    table: str,
    entries: Sequence[bytes],
    then: Sequence[bytes],
    touched: Mapping[bytes, Key],
    same: frozenset[bytes],
) -> frozenset[Key]:
    """Return which of the rows that the fold has touched are there, values of the `same` left out.

    Raises KeptUnusable where any other is not as it was.
    """
    read = [each for each in entries if each not in same]
    stand, known = by_mark(read), by_mark(each for each in then if each not in same)
    count = sum(map(len, read)) // ENTRY_BYTES
    if count != len(stand) or len(entries) - len(read) != len(same):
        raise KeptUnusable(f"Expected {count} rows of {table}, but some have one key")
    there = frozenset(key for mark, key in touched.items() if stand.pop(mark, None) is not None)
    for mark in touched:
        known.pop(mark, None)
    if stand != known:
        others = len(stand.items() ^ known.items())
        raise KeptUnusable(
            f"Expected every row of {table} that the log has not changed since as it was kept,"
            f" but {others} digests are others, absent or new"
        )
    return there
