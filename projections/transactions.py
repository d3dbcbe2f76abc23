"""Transactions on an engine, and what their failures mean to the rest of the house.

What the world does to us (database away, lock not had, disk full, lost answer to COMMIT) leaves as
StoreUnavailable, a database without our tables as SchemaMismatch. Everything else is a bug of ours
and passes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from projections.engine import READING
from projections.store import SchemaMismatch, StoreUnavailable

_FAILURES: Final = (DBAPIError, PoolTimeout, psycopg.Error, sqlite3.Error)

#: No OperationalError, yet of the world: read-only standby, idle too long, bad pages.
_OF_THE_WORLD: Final = frozenset({"25006", "25P03", "XX001", "XX002"})
_NO_SUCH_THING: Final = frozenset({"42P01", "42703"})


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Commit everything that was done within, or nothing of it.

    Raises StoreUnavailable, also when the answer to COMMIT was lost; SchemaMismatch.
    """
    with _translated(), engine.connect() as connection:
        yield from _within(connection)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that only reads; raises StoreUnavailable, SchemaMismatch.

    Each statement shows a moment of its own, as in every transaction at PostgreSQL's READ
    COMMITTED; so none is begun there, whose begin and end would each be waited for.
    """
    options: dict[str, object] = {READING: True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "AUTOCOMMIT"}
    with _translated(), engine.connect() as connection:
        yield from _within(connection.execution_options(**options))


@contextmanager
def snapshotting(engine: Engine) -> Iterator[Connection]:
    """Give a transaction whose reads all show one moment, however long it takes."""
    options: dict[str, object] = {READING: True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with _translated(), engine.connect() as connection:
        yield from _within(connection.execution_options(**options))


def _within(connection: Connection) -> Iterator[Connection]:
    try:
        with connection.begin():
            yield connection
    except _FAILURES as failure:
        if connection.dialect.name == "postgresql" and _is_of_the_world(_origin(failure)):
            # What it is in the middle of is not known; a new connection knows.
            connection.invalidate()
        raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _FAILURES as failure:
        origin = _origin(failure)
        sentence = " ".join(str(origin).split())
        if _is_schema(origin):
            raise SchemaMismatch(
                f"Expected Regente's tables in the database, but it said: {sentence}."
                " Run `regente db upgrade`."
            ) from failure
        if _is_of_the_world(origin):
            raise StoreUnavailable(
                f"Expected the database to answer, but: {sentence}."
            ) from failure
        raise


def _origin(failure: BaseException) -> BaseException:
    if isinstance(failure, DBAPIError) and failure.orig is not None:
        return failure.orig
    return failure


def _is_schema(origin: BaseException) -> bool:
    if isinstance(origin, psycopg.Error):
        return origin.sqlstate in _NO_SUCH_THING
    return isinstance(origin, sqlite3.OperationalError) and str(origin).startswith("no such ")


def _is_of_the_world(origin: BaseException) -> bool:
    match origin:
        case psycopg.OperationalError() | psycopg.InterfaceError() | PoolTimeout():
            return True
        case psycopg.Error():
            return origin.sqlstate in _OF_THE_WORLD
        case sqlite3.IntegrityError():
            return False
        case sqlite3.DatabaseError():
            # SQLITE_ERROR is what it says to a wrong statement; busy, full, I/O … have codes.
            code = getattr(origin, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            return code & 0xFF not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE)
        case _:
            return False
