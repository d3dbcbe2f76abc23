"""Many rows at once on SQLite: executemany on the driver's own cursor.

The writer holds the database's one write lock from BEGIN IMMEDIATE on, so nothing here locks rows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Final

from sqlalchemy import Connection, Table

from projections.bulk import Moved, Shape, Values, shape_of
from projections.store import NEVER, Batch, Timer
from projections.tables import OUTBOX

_ADVANCE: Final = (
    "UPDATE checkpoints SET next_offset = ?, topic_id = ?, leader_epoch = ?, chain = ?,"
    " rules = coalesce(?, rules)"
    " WHERE topic = ? AND partition = ? AND next_offset = ? AND epoch = ?"
)

_OF_AN_ORDER: Final = ", ".join(Timer._fields[:-1])
_START_TIMER: Final = (
    f"INSERT INTO timers ({_OF_AN_ORDER}, due_at, fired)"
    f" SELECT {_OF_AN_ORDER}, CASE deadline_s WHEN 0 THEN {NEVER} ELSE ? + deadline_s * 1000000"
    " END, fired FROM outbox WHERE command_id = ? ON CONFLICT DO NOTHING"
)


class SqliteBulk:
    """Fulfils `Bulk`."""

    def together(self, connection: Connection, rows_max: int) -> AbstractContextManager[bool]:
        """Nothing is on its way here: each write is done when it returns."""
        return nullcontext(enter_result=False)

    def advance(self, connection: Connection, batches: Sequence[Batch]) -> Moved:
        """Move each checkpoint that stands where its batch begins, under the batch's epoch."""
        moved = frozenset(each.partition for each in batches if _is_advanced(connection, each))
        return lambda: moved

    def end_stuck(self, connection: Connection) -> None:
        """Nobody is ended here: whoever has begun holds the whole file."""

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Leave these rows in the table, whatever stood under their keys."""
        _many(connection, _upsert(shape_of(table)), rows)

    def insert_missing(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Leave these rows in the table where nothing stood under their keys."""
        _many(connection, _insert(shape_of(table)) + " ON CONFLICT DO NOTHING", rows)

    def delete(self, connection: Connection, table: Table, keys: Collection[Values]) -> None:
        """Leave no rows under these keys."""
        _many(connection, _delete(shape_of(table)), keys)

    def start_timers(self, connection: Connection, sent: Mapping[str, int]) -> None:
        """Turn the outbox rows of these commands, where there are any, into timers."""
        _many(connection, _START_TIMER, [(at, command_id) for command_id, at in sent.items()])
        _many(connection, _delete(shape_of(OUTBOX)), [(command_id,) for command_id in sent])

    def forget(
        self, connection: Connection, tables: Sequence[Table], commands: Collection[str]
    ) -> None:
        """Leave no rows of these commands in any of the tables."""
        for table in tables:
            _many(connection, _delete(shape_of(table)), [(each,) for each in commands])

    def pick(
        self, connection: Connection, table: Table, columns: tuple[str, ...], keys: Collection[str]
    ) -> Sequence[Values]:
        """Return the columns of those rows whose key is among `keys`."""
        # One parameter however many keys: the statement stays the same and is kept.
        statement = _pick(shape_of(table), columns)
        return [
            tuple(row) for row in connection.exec_driver_sql(statement, (json.dumps(list(keys)),))
        ]

    def load(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Append rows to a table that has none of their keys."""
        _many(connection, _insert(shape_of(table)), rows)


def _many(connection: Connection, statement: str, rows: Collection[Values]) -> None:
    cursor = connection.connection.cursor()
    try:
        cursor.executemany(statement, list(rows))
    finally:
        cursor.close()


def _is_advanced(connection: Connection, batch: Batch) -> bool:
    values = (
        batch.end,
        batch.topic_id,
        batch.leader_epoch,
        batch.chain,
        batch.rules,
        *batch.partition,
        batch.begin,
        batch.epoch,
    )
    return connection.exec_driver_sql(_ADVANCE, values).rowcount == 1


@cache
def _insert(shape: Shape) -> str:
    marks = ", ".join("?" for _ in shape.columns)
    return f"INSERT INTO {shape.table} ({shape.listed}) VALUES ({marks})"


@cache
def _upsert(shape: Shape) -> str:
    return f"{_insert(shape)} {shape.on_conflict}"


@cache
def _delete(shape: Shape) -> str:
    condition = " AND ".join(f"{each} = ?" for each in shape.key)
    return f"DELETE FROM {shape.table} WHERE {condition}"


@cache
def _pick(shape: Shape, columns: tuple[str, ...]) -> str:
    (key,) = shape.key
    listed = ", ".join(f'"{each}"' for each in columns)
    return f"SELECT {listed} FROM {shape.table} WHERE {key} IN (SELECT value FROM json_each(?))"
