"""A verify that goes on from the last one that ended well, instead of from the start of the log.

What was folded then is not folded again: the log's own chain, which is compared where the rows
stand now, says that nothing before was exchanged for what is folded after it. All rows are read all
the same: one that the log has not changed since must have the digest that was kept, any other must
be what the fold says. Where anything does not fit, KeptUnusable says so, and the caller begins at
the start, which names the table, key and column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import cast

from conductor.replay import Replayed
from projections.kept import Kept, KeptUnusable, digest_of_row
from projections.rows import TABLES, Key, Row

#: Columns that name the instance of a row, the first that a table has.
_NAMES = ("instance_uuid", "uuid")
#: Tables of which the laws need every row.
_WHOLE = frozenset({"nodes", "claims"})


def instances_of(found: Replayed) -> frozenset[str]:
    """Name the instances of which the fold changed anything: each fact changes its state."""
    return frozenset(str(key[0]) for key in found.tables["instance_states"])


def unchanged(
    table: str,
    rows: Iterable[Sequence[tuple[object, ...]]],
    found: Replayed,
    kept: Kept,
    *,
    instances: Collection[object],
    there: dict[Key, Row],
) -> tuple[int, dict[Key, Row]]:
    """Return how many rows a table has, and those that the fold has changed.

    Every other row is as it was kept, or KeptUnusable is raised. Rows of the `instances` that
    changed, and every row of a table that the laws need whole, are left in `there`.
    """
    row_type, width = TABLES[table]
    changed, gone = found.tables[table], found.gone[table]
    touched = changed.keys() | gone
    column = next((row_type._fields.index(n) for n in _NAMES if n in row_type._fields), -1)
    every = table in _WHOLE or column < 0
    known, new, count = kept.digests(table), dict[Key, Row](), 0
    for some in rows:
        count += len(some)
        # Of most rows nothing is asked but which instance they are of, and their digest.
        old = [] if every else [row for row in some if row[column] not in instances]
        near = some if every else [row for row in some if row[column] in instances]
        mine = [(cast("Key", row[:width]), row_type._make(row)) for row in near]
        new.update((key, row) for key, row in mine if key in touched)
        old += [row for key, row in mine if key not in touched]
        if table in _WHOLE or not every:
            there.update(mine)
        if not known.issuperset(digests := list(map(digest_of_row, old))):
            other = next(row[:width] for row, d in zip(old, digests, strict=True) if d not in known)
            raise KeptUnusable(f"Expected row {other} of {table} as it was kept, but it is another")
    # A row has its key in it, so that no two have one digest: who is not there shows in the number.
    absent = len(known) - kept.count(table, (*changed, *gone)) - (count - len(new))
    if absent:
        raise KeptUnusable(f"Expected {absent} more rows of {table}, but they are not there")
    return count, new
