"""What the store asks of a kind of database where many rows go at once.

The statements differ (arrays and COPY on PostgreSQL, executemany on SQLite), the rows that are
there afterwards don't. Each statement is built once per table and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from sqlalchemy import Connection, Engine, Table

from events.log import TopicPartition
from projections.store import Batch
from projections.tables import OUTBOX

Values = tuple[object, ...]
#: Names the partitions whose checkpoints were moved.
Moved = Callable[[], frozenset[TopicPartition]]


class Bulk(Protocol):
    """Writes and reads many rows in the transaction of a connection."""

    def together(self, connection: Connection, rows_max: int) -> AbstractContextManager[bool]:
        """Give a block whose writes may be on their way together: all are done when it is left.

        Says whether they are: then what one of them has to answer is heard only after the block.
        `rows_max`: the most rows of one of them.
        """
        ...

    def advance(self, connection: Connection, batches: Sequence[Batch]) -> Moved:
        """Move each checkpoint from `begin` to `end` if it stands there under the batch's epoch.

        Returns what names the partitions that were moved; they are held locked. The batches are in
        order of their partitions, so that two transactions never wait for each other.
        """
        ...

    def end_stuck(self, connection: Connection) -> None:
        """End the sessions of owners that stand still while they hold checkpoints."""
        ...

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Leave these rows in the table, whatever stood under their keys.

        At most once per table and transaction.
        """
        ...

    def insert_missing(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Leave these rows in the table where nothing stood under their keys."""
        ...

    def delete(self, connection: Connection, table: Table, keys: Collection[Values]) -> None:
        """Leave no rows under these keys."""
        ...

    def start_timers(self, connection: Connection, sent: Mapping[str, int]) -> None:
        """Turn the outbox rows of these commands, where there are any, into timers.

        `sent`: when each was sent. A timer that is there already stays as it is.
        """
        ...

    def forget(
        self, connection: Connection, tables: Sequence[Table], commands: Collection[str]
    ) -> None:
        """Leave no rows of these commands in any of the tables."""
        ...

    def pick(
        self, connection: Connection, table: Table, columns: tuple[str, ...], keys: Collection[str]
    ) -> Sequence[Values]:
        """Return the columns of those rows whose (one-column) key is among `keys`."""
        ...

    def load(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Append rows to a table that has none of their keys, by the fastest way there is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The words of a table that its statements are made of, quoted."""

    table: str
    columns: tuple[str, ...]
    #: Positions of the key within `columns`.
    key: tuple[str, ...]
    #: PostgreSQL's type of each column.
    types: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The columns, with commas."""
        return ", ".join(self.columns)

    @property
    def on_conflict(self) -> str:
        """The end of an INSERT that replaces what stands under the same key."""
        rest = [each for each in self.columns if each not in self.key]
        if not rest:
            return "ON CONFLICT DO NOTHING"  # All of it is key: what stands there is the same.
        sets = ", ".join(f"{each} = excluded.{each}" for each in rest)
        return f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {sets}"

    @property
    def key_types(self) -> tuple[str, ...]:
        """PostgreSQL's type of each column of the key."""
        return tuple(self.types[self.columns.index(each)] for each in self.key)


_POSTGRES_TYPES = {str: "text", int: "int8", bytes: "bytea"}


@cache
def shape_of(table: Table) -> Shape:
    """Return the words of a table; columns that the database numbers by itself are left out."""
    columns = [each for each in table.columns if each.identity is None]
    # The outbox is numbered; what its rows are known by is the command.
    key = ["command_id"] if table is OUTBOX else [each.name for each in table.primary_key]
    return Shape(
        table=_quoted(table.name),
        columns=tuple(_quoted(each.name) for each in columns),
        key=tuple(_quoted(each) for each in key),
        types=tuple(_POSTGRES_TYPES[each.type.python_type] for each in columns),
    )


def bulk_of(engine: Engine) -> Bulk:
    """Return the bulk paths of the engine's database."""
    if engine.dialect.name == "sqlite":
        from projections.bulk_sqlite import SqliteBulk

        return SqliteBulk()
    from projections.bulk_postgres import PostgresBulk

    return PostgresBulk()


def _quoted(name: str) -> str:
    return f'"{name}"'
