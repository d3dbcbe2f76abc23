"""Rows and checkpoints of one moment, read many at a time: what an auditor compares.

Knows how rows are read back and how their digest is made; compares nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, Table, select

from projections.digests import Entries, made_beside, made_here
from projections.rows import TABLES, Row
from projections.sql_write import all_checkpoints
from projections.store import Checkpoint
from projections.tables import ROWS, row_of
from projections.transactions import snapshotting

#: Rows that are fetched at a time; a state body has a few KiB.
FETCH_ROWS: Final = 5_000
_packed = msgspec.msgpack.Encoder().encode


class Digest(NamedTuple):
    """What a table holds, in one line."""

    table: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of the database, while its transaction is open."""

    checkpoints: tuple[Checkpoint, ...]
    _connection: Connection

    def values(self, table: str) -> Iterator[list[tuple[object, ...]]]:
        """Yield the values of the rows of a table, many at a time, in the order of the database.

        Which it finds by itself: in order of the keys it would look up page after page, or sort.
        """
        return read_values(self._connection, table, ROWS[table], in_order=False)

    def picked(
        self, table: str, column: str, names: Collection[str]
    ) -> Iterator[list[tuple[object, ...]]]:
        """Yield the values of those rows of a table that have one of the names in a column."""
        dialect = self._connection.dialect
        statement = str(select(ROWS[table]).compile(dialect=dialect))
        if dialect.name == "postgresql":
            statement += f" WHERE {column} = ANY(%s)"
            return _fetched(self._connection, table, statement, list(names))
        statement += f" WHERE {column} IN (SELECT value FROM json_each(?))"
        return _fetched(self._connection, table, statement, json.dumps(list(names)))

    @contextmanager
    def digested(self) -> Iterator[Callable[[], Entries]]:
        """Give what returns a mark and a digest of every row.

        Until it has, or the block has ended, nothing else may be read: PostgreSQL makes them on
        this very connection, while the caller does something else.
        """
        if self._connection.dialect.name == "postgresql":
            with made_beside(self._connection) as made:
                yield made
        else:
            yield cache(lambda: {t: list(made_here(t, self.values(t))) for t in TABLES})

    def read(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table that is a function of the log, in key order."""
        return read_rows(self._connection, table, ROWS[table])

    def digest(self, table: str) -> Digest:
        """Return number and digest of a table's rows."""
        return digest_of(table, read_values(self._connection, table, ROWS[table]))


@contextmanager
def snapshot(engine: Engine) -> Iterator[Snapshot]:
    """Show checkpoints and rows of one moment; raises StoreUnavailable, SchemaMismatch."""
    with snapshotting(engine) as connection:
        if engine.dialect.name == "postgresql":
            # The reader may fold for minutes between two rows, and holds no lock that matters.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield Snapshot(all_checkpoints(connection), connection)


def read_rows(connection: Connection, name: str, table: Table) -> Iterator[Row]:
    """Yield the rows of a table shaped like `name`, in key order."""
    some = read_values(connection, name, table)
    return (row_of(name, values) for values in chain.from_iterable(some))


def read_values(
    connection: Connection, name: str, table: Table, *, in_order: bool = True
) -> Iterator[list[tuple[object, ...]]]:
    """Yield the values of the rows of a table shaped like `name`, many at a time, in key order."""
    key = list(table.columns)[: TABLES[name][1]] if in_order else ()
    statement = str(select(table).order_by(*key).compile(dialect=connection.dialect))
    return _fetched(connection, name, statement)


def _fetched(
    connection: Connection, name: str, statement: str, *names: object
) -> Iterator[list[tuple[object, ...]]]:
    """Yield what a statement finds in a table, many at a time.

    By the driver's own cursor: a row of SQLAlchemy's costs as much again as reading it.
    """
    session: Any = connection.connection.driver_connection
    is_served = connection.dialect.name == "postgresql"
    with closing(session.cursor(name=f"read_{name}") if is_served else session.cursor()) as cursor:
        # A body would come as hex otherwise.
        cursor.execute(statement, names, **({"binary": True} if is_served else {}))
        while rows := cursor.fetchmany(FETCH_ROWS):
            yield rows


def digest_of(table: str, rows: Iterable[Iterable[tuple[object, ...]]]) -> Digest:
    """Return number and digest (SHA-256) of rows in key order, from the database or from a fold."""
    digest, count = sha256(), 0
    for some in rows:
        # MessagePack of a plain tuple: one form for each row, the same on every Python.
        packed = [_packed(row) for row in some]
        digest.update(b"".join(packed))
        count += len(packed)
    return Digest(table, count, digest.hexdigest())
