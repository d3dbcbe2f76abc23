"""The file of the SQLite log: its tables, and how a connection to it is opened.

One row per record; its number is the number of the partition times 2^40 plus the offset, so that a
partition lies together in the file and is read by a range. Partition numbers are never given out
twice: a topic that was deleted and made again starts from other numbers. Knows bytes, not facts.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from events.errors import LogError, LogUnavailable
from events.log import Headers

FILE_VERSION: Final = 1

#: Offsets of one partition stay below this; at a million records a second it lasts twelve days,
#: at a thousand, which one file manages, 34 years.
OFFSETS_PER_PARTITION: Final = 1 << 40

#: How long a writer waits for another's transaction; each takes milliseconds.
BUSY_S: Final = 10.0

SCHEMA: Final = """
CREATE TABLE topics (
  name TEXT PRIMARY KEY,
  topic_id TEXT NOT NULL,
  partitions INTEGER NOT NULL,
  retention_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE partitions (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL REFERENCES topics ON DELETE CASCADE,
  partition INTEGER NOT NULL,
  begin_offset INTEGER NOT NULL DEFAULT 0,
  end_offset INTEGER NOT NULL DEFAULT 0,
  UNIQUE (topic, partition)
) STRICT;
CREATE TABLE records (
  id INTEGER PRIMARY KEY,
  key BLOB,
  value BLOB,
  headers BLOB NOT NULL,
  timestamp_us INTEGER NOT NULL
) STRICT;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to the log file, which is made if it is missing."""
    with answering(path):
        connection = sqlite3.connect(path, BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            # An acknowledged record must outlive a power cut: the rows may already know of it.
            connection.execute("PRAGMA synchronous = FULL")
            _ensure_tables(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def answering(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the file into LogUnavailable or LogError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LogUnavailable(f"Expected the log {path} to answer, but {error}.") from error
    except sqlite3.DatabaseError as error:
        raise LogError(f"Expected {path} to be a log, but {error}.") from error


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the file's write lock; commit at the end, roll back on any error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """See one state of the file, whatever others append or expire meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def pack_headers(headers: Headers) -> bytes:
    """Return headers as bytes: name and value, each preceded by its length, -1 for null."""
    parts = []
    for name, value in headers:
        encoded = name.encode()
        parts += [struct.pack(">i", len(encoded)), encoded]
        parts.append(struct.pack(">i", -1 if value is None else len(value)))
        parts.append(value or b"")
    return b"".join(parts)


def unpack_headers(packed: bytes) -> Headers:
    """Return the headers that `pack_headers` packed."""
    headers: list[tuple[str, bytes | None]] = []
    at = 0
    while at < len(packed):
        name, at = _unpack_field(packed, at)
        value, at = _unpack_field(packed, at)
        assert name is not None, f"Expected a name before {at}, but the headers have a null."
        headers.append((name.decode(), value))
    return tuple(headers)


def _unpack_field(packed: bytes, at: int) -> tuple[bytes | None, int]:
    (size,) = struct.unpack_from(">i", packed, at)
    at += 4
    return (None, at) if size < 0 else (packed[at : at + size], at + size)


def _ensure_tables(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == FILE_VERSION:
        return
    # Outside of the transaction, where it has no effect; it stays with the file.
    connection.execute("PRAGMA journal_mode = WAL")
    with writing(connection):
        found = _version(connection)  # somebody may have been quicker
        if found == 0:
            for statement in SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FILE_VERSION}")
        elif found != FILE_VERSION:
            raise LogError(
                f"Expected {path} to be a log of version {FILE_VERSION}, but it is of {found}:"
                " it was written by another release."
            )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
