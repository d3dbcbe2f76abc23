"""Many rows at once on PostgreSQL: row by row for a few, arrays for more, binary COPY for many.

Measured with 5,000 rows of eight columns: COPY into a temporary table and an upsert from there
80,000 rows/s, binary arrays 55,000, executemany 35,000. With a handful of rows for each of six
tables it is the other way round: executemany 0.6 ms, arrays 1.0, and 1.7 where each statement is
waited for; so few rows are on their way together (psycopg's pipeline). psycopg's own cursor is
used, on the transaction that SQLAlchemy began.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Final

import psycopg
from sqlalchemy import Connection, Table

from projections.bulk import Moved, Shape, Values, shape_of
from projections.store import NEVER, Batch, Timer

#: From this many rows on, arrays are quicker than a message for each row; measured.
ARRAY_ROWS_MIN: Final = 10
#: From this many rows on, COPY is the quicker way; measured.
COPY_ROWS_MIN: Final = 100

#: Seconds after which a transaction on the checkpoints whose client says nothing is stuck: each
#: takes milliseconds, and a member that is alive lets its partitions go before others take them.
STUCK_S: Final = 5.0

#: In the middle of a COPY or of a pipeline a session does not count as idle in its transaction, and
#: no time-out of the server's ends it.
_END_STUCK: Final = """
SELECT pg_terminate_backend(a.pid)
  FROM pg_stat_activity AS a
 WHERE a.datname = current_database() AND a.usename = current_user AND a.pid <> pg_backend_pid()
   AND a.wait_event = 'ClientRead'
   AND a.xact_start < clock_timestamp() - make_interval(secs => %b::float8)
   AND EXISTS (SELECT FROM pg_locks AS l
                WHERE l.pid = a.pid AND l.relation = 'checkpoints'::regclass
                  AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))
"""
#: Whoever has not let go in this time is stuck, and will be ended at the next try.
_WAIT_FOR_OWNER: Final = f"SET LOCAL lock_timeout = '{STUCK_S + 1} s'"

_LOCK: Final = """
SELECT FROM checkpoints AS c, unnest(%b::text[], %b::int8[]) AS b (topic, partition)
 WHERE c.topic = b.topic AND c.partition = b.partition
 ORDER BY c.topic, c.partition FOR UPDATE OF c
"""
_ADVANCE: Final = """
UPDATE checkpoints AS c
   SET next_offset = b.ends, topic_id = b.topic_id, leader_epoch = b.leader_epoch,
       chain = b.chain, rules = coalesce(b.rules, c.rules)
  FROM unnest(%b::text[], %b::int8[], %b::int8[], %b::int8[], %b::int8[],
              %b::text[], %b::int8[], %b::bytea[], %b::bytea[])
       AS b (topic, partition, begins, epoch, ends, topic_id, leader_epoch, chain, rules)
 WHERE c.topic = b.topic AND c.partition = b.partition
   AND c.next_offset = b.begins AND c.epoch = b.epoch
RETURNING c.topic, c.partition
"""

_OF_AN_ORDER: Final = ", ".join(Timer._fields[:-1])
_START_TIMERS: Final = f"""
WITH gone AS (
    DELETE FROM outbox AS o USING unnest(%b::text[], %b::int8[]) AS s (id, sent_at)
     WHERE o.command_id = s.id RETURNING o.*, s.sent_at)
INSERT INTO timers ({_OF_AN_ORDER}, due_at, fired)
SELECT {_OF_AN_ORDER},
       CASE deadline_s WHEN 0 THEN {NEVER} ELSE sent_at + deadline_s * 1000000 END, fired
  FROM gone ON CONFLICT DO NOTHING
"""


class PostgresBulk:
    """Fulfils `Bulk`."""

    @contextmanager
    def together(self, connection: Connection, rows_max: int) -> Iterator[bool]:
        """Send what is done within without waiting for each answer, where no COPY is among it."""
        if rows_max >= COPY_ROWS_MIN:
            yield False
            return
        with _session(connection).pipeline():
            yield True

    def advance(self, connection: Connection, batches: Sequence[Batch]) -> Moved:
        """Move each checkpoint that stands where its batch begins, under the batch's epoch."""
        rows = [
            (
                *each.partition,
                each.begin,
                each.epoch,
                each.end,
                each.topic_id,
                each.leader_epoch,
                each.chain,
                each.rules,
            )
            for each in batches
        ]
        # In order: an UPDATE locks in whatever order its plan has, and what stands under another
        # epoch not at all, while rows may be behind it on the way already.
        _run(connection, _LOCK, _arrays([each.partition for each in batches]))
        moved = _run(connection, _ADVANCE, _arrays(rows))
        ours = {tuple(each.partition): each.partition for each in batches}
        return lambda: frozenset(ours[each] for each in moved.fetchall())

    def end_stuck(self, connection: Connection) -> None:
        """End the sessions of owners that stand still while they hold checkpoints."""
        _run(connection, _WAIT_FOR_OWNER)
        _run(connection, _END_STUCK, [STUCK_S])

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Leave these rows in the table, whatever stood under their keys."""
        shape = shape_of(table)
        if len(rows) < ARRAY_ROWS_MIN:
            _each(connection, _insert(shape) + shape.on_conflict, rows)
            return
        if len(rows) < COPY_ROWS_MIN:
            _run(connection, _from_arrays(shape) + shape.on_conflict, _arrays(rows))
            return
        _copy_and_insert(connection, shape, rows, shape.on_conflict)

    def insert_missing(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Leave these rows in the table where nothing stood under their keys."""
        shape, otherwise = shape_of(table), "ON CONFLICT DO NOTHING"
        if len(rows) < ARRAY_ROWS_MIN:
            _each(connection, _insert(shape) + otherwise, rows)
        elif len(rows) < COPY_ROWS_MIN:
            _run(connection, _from_arrays(shape) + otherwise, _arrays(rows))
        else:
            _copy_and_insert(connection, shape, rows, otherwise)

    def delete(self, connection: Connection, table: Table, keys: Collection[Values]) -> None:
        """Leave no rows under these keys."""
        _run(connection, _delete(shape_of(table)), _arrays(keys))

    def start_timers(self, connection: Connection, sent: Mapping[str, int]) -> None:
        """Turn the outbox rows of these commands, where there are any, into timers."""
        _run(connection, _START_TIMERS, _arrays(sent.items()))

    def forget(
        self, connection: Connection, tables: Sequence[Table], commands: Collection[str]
    ) -> None:
        """Leave no rows of these commands in any of the tables."""
        _run(connection, _forget(tuple(each.name for each in tables)), [list(commands)])

    def pick(
        self, connection: Connection, table: Table, columns: tuple[str, ...], keys: Collection[str]
    ) -> Sequence[Values]:
        """Return the columns of those rows whose key is among `keys`."""
        return _run(connection, _pick(shape_of(table), columns), [list(keys)]).fetchall()

    def load(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Append rows to a table that has none of their keys."""
        shape = shape_of(table)
        _copy(connection, shape.table, shape, rows)


def _run(
    connection: Connection, statement: str, values: Sequence[object] = ()
) -> psycopg.Cursor[Values]:
    return _session(connection).execute(statement, values or None)


def _each(connection: Connection, statement: str, rows: Sequence[Values]) -> None:
    with _session(connection).cursor() as cursor:
        cursor.executemany(statement, rows)


def _session(connection: Connection) -> psycopg.Connection[Values]:
    session = connection.connection.driver_connection
    assert isinstance(session, psycopg.Connection), f"Expected psycopg, but {type(session)}"
    return session


def _copy(connection: Connection, into: str, shape: Shape, rows: Sequence[Values]) -> None:
    statement = f"COPY {into} ({shape.listed}) FROM STDIN (FORMAT BINARY)"
    with _session(connection).cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(shape.types)
        for row in rows:
            copy.write_row(row)


def _copy_and_insert(
    connection: Connection, shape: Shape, rows: Sequence[Values], otherwise: str
) -> None:
    incoming, listed = _incoming(shape), shape.listed
    _run(connection, _make_incoming(shape))
    _copy(connection, incoming, shape, rows)
    _run(
        connection,
        f"INSERT INTO {shape.table} ({listed}) SELECT {listed} FROM {incoming} {otherwise}",
    )


def _arrays(rows: Collection[Values]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _incoming(shape: Shape) -> str:
    return f'"incoming_{shape.table[1:]}'


@cache
def _make_incoming(shape: Shape) -> str:
    # Asked for each time: a transaction that was rolled back took it away again.
    return (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {_incoming(shape)} ON COMMIT DELETE ROWS"
        f" AS SELECT {shape.listed} FROM {shape.table} WITH NO DATA"
    )


@cache
def _insert(shape: Shape) -> str:
    marks = ", ".join("%b" for _ in shape.columns)
    return f"INSERT INTO {shape.table} ({shape.listed}) VALUES ({marks}) "


@cache
def _from_arrays(shape: Shape) -> str:
    return f"INSERT INTO {shape.table} ({shape.listed}) SELECT * FROM {_unnest(shape.types)} "


@cache
def _delete(shape: Shape) -> str:
    condition = " AND ".join(f"t.{each} = k.{each}" for each in shape.key)
    keys = f"{_unnest(shape.key_types)} AS k ({', '.join(shape.key)})"
    return f"DELETE FROM {shape.table} AS t USING {keys} WHERE {condition}"


@cache
def _forget(tables: tuple[str, ...]) -> str:
    # One statement for all, and the list sent once: making it costs more than looking it up.
    *others, last = (
        f'DELETE FROM "{each}" AS t USING gone WHERE t.command_id = gone.id' for each in tables
    )
    within = "".join(f", d{n} AS ({each})" for n, each in enumerate(others))
    return f"WITH gone (id) AS MATERIALIZED (SELECT unnest(%b::text[])){within} {last}"


@cache
def _pick(shape: Shape, columns: tuple[str, ...]) -> str:
    (key,) = shape.key
    listed = ", ".join(f'"{each}"' for each in columns)
    return f"SELECT {listed} FROM {shape.table} WHERE {key} = ANY(%b::text[])"


def _unnest(types: tuple[str, ...]) -> str:
    return f"unnest({', '.join(f'%b::{each}[]' for each in types)})"
