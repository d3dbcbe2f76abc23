"""A URL becomes an engine: one writer at a time on SQLite, bounded waits on PostgreSQL.

Knows the settings of both databases and what a URL may look like; knows no table.
"""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from typing import Final

from psycopg import Connection as PostgresConnection
from psycopg import Error as PostgresError
from psycopg.types.numeric import Int8BinaryDumper
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from projections.store import StoreError

#: How long a writer waits for another's transaction; each takes milliseconds.
BUSY_MS: Final = 10_000
#: Longer than a zombie may hold a lock in a transaction that it has left open (next line).
LOCK_MS: Final = 20_000
#: A conductor that was paused inside a transaction loses it, and its locks, after this long; one
#: that was paused in the middle of a COPY when others take its partitions (`Bulk.end_stuck`).
IDLE_IN_TRANSACTION_MS: Final = 15_000
CONNECT_S: Final = 10
#: A connection that nobody used for so long is asked whether it lives before it is trusted; what
#: breaks sooner is found by the statement itself, and tried again like every broken transaction.
UNUSED_S: Final = 1.0

#: Execution option of transactions that only read; on SQLite the others take the write lock first.
READING: Final = "regente_reading"

_POSTGRES: Final = "postgresql+psycopg"
#: Where the pool keeps when a connection was last used.
_USED_AT_S: Final = "regente_used_at_s"


class UnusableUrl(StoreError):
    """The URL names no database that Regente can use."""


def open_engine(url: str) -> Engine:
    """Return an engine for `sqlite:///path` or `postgresql://…`; connects to nothing yet.

    Raises UnusableUrl.
    """
    parsed = _parsed(url)
    return _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgres(parsed)


def _parsed(url: str) -> URL:
    expected = "Expected a database URL like sqlite:///path or postgresql://user@host/name, but"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UnusableUrl(f"{expected} the one given cannot be read as a URL.") from error
    shown = parsed.render_as_string(hide_password=True)
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return parsed
        case "postgresql" | "postgresql+psycopg":
            return parsed.set(drivername=_POSTGRES)
        case "postgres":
            raise UnusableUrl(f"{expected} got {shown}: write postgresql:// for postgres://.")
        case _:
            raise UnusableUrl(f"{expected} got {shown}.")


def _sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        # One connection for all, or each thread would see a database of its own.
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        engine = create_engine(url)
    event.listen(engine, "connect", _open_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own idea of when a transaction begins leaves SELECT and DDL outside of it.
    connection.isolation_level = None
    # First, for the next line needs a lock when two processes open a new file.
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    # In WAL mode a power cut may lose the last transactions and never corrupts; the log has them.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _postgres(url: URL) -> Engine:
    arguments = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_S}
    engine = create_engine(url, connect_args=arguments)
    event.listen(engine, "connect", _open_postgres)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_look_for_life, engine.dialect))
    return engine


def _note_use(_connection: object, entry: ConnectionPoolEntry) -> None:
    entry.info[_USED_AT_S] = time.monotonic()


def _look_for_life(
    dialect: Dialect,
    connection: PostgresConnection[tuple[object, ...]],
    entry: ConnectionPoolEntry,
    _fairy: object,
) -> None:
    """Replace every connection of the pool where one that was not used for a while is dead."""
    used_at_s = entry.info.get(_USED_AT_S)
    if used_at_s is None or time.monotonic() - used_at_s < UNUSED_S:
        return
    try:
        dialect.do_ping(connection)  # type: ignore[arg-type]  # psycopg's own is what it takes
    except PostgresError as error:
        raise InvalidatePoolError from error


def _open_postgres(connection: PostgresConnection[tuple[object, ...]], _record: object) -> None:
    # One width for all: psycopg's own choice, by value, makes a statement of each combination.
    connection.adapters.register_dumper(int, Int8BinaryDumper)
    connection.execute(f"SET lock_timeout = {LOCK_MS}")
    connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}")
    connection.commit()
