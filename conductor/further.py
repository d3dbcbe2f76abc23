"""A verify that goes on from the last one that ended well, instead of from the start of the log.

What was folded then is not folded again: the log's own chain, which is compared where the rows
stand now, says that nothing before was exchanged for what is folded after it. Every row has a
digest all the same: one that the log has not changed since must have the one that was kept, and
any other is read, and must be what the fold says. Where anything does not fit, KeptUnusable says
so, and the caller begins at the start, which names the table, key and column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
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
    mine = {cast("Key", row[:width]): row_type._make(row) for some in values for row in some}
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
    stand, known = by_mark(entries), by_mark(kept.entries(table))
    count = sum(map(len, entries)) // ENTRY_BYTES
    if count != len(stand):
        raise KeptUnusable(f"Expected {count} rows of {table}, but some have one key")
    there = 0
    for key in found.tables[table].keys() | found.gone[table]:
        mark = mark_of(key)
        there += stand.pop(mark, None) is not None
        known.pop(mark, None)
    if stand != known:
        others = len(stand.items() ^ known.items())
        raise KeptUnusable(
            f"Expected every row of {table} that the log has not changed since as it was kept,"
            f" but {others} digests are others, absent or new"
        )
    if there != len(changed):
        raise KeptUnusable(
            f"Expected {there} rows of {table} that the log has changed since to be of the"
            f" instances that it speaks of, but {len(changed)} are"
        )
    return count
