"""What a verify that ended well keeps: how far it came, every state, and a digest of every row.

One file of SQLite and beside it a MAC of it. It is a function of log and rows, and may be deleted
at any time: the next verify then begins at the start of the log. It is refused where it was
damaged, and where it is of another code, because another code may fold another state.

It is never changed in place: a copy is written, and takes its name when it is whole and on disk.
So a verify that dies leaves what was kept before, and of two at once each keeps what it found.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Final, NamedTuple, cast

import msgspec

from projections.digests import Entries
from projections.rows import InstanceStateRow, Key, NodeRow, ParkedRow, Row
from projections.store import Checkpoint

#: Keys that are looked up at a time.
LOOKED_UP: Final = 500
#: Tables whose rows hold a state of the fold, and the number of its column.
_BODIES: Final = {
    "instance_states": InstanceStateRow._fields.index("body"),
    "nodes": NodeRow._fields.index("body"),
}
_DDL: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE digests ("table" TEXT NOT NULL, entries BLOB NOT NULL);
CREATE TABLE bodies ("table" TEXT, name TEXT, body BLOB NOT NULL, PRIMARY KEY ("table", name))
 WITHOUT ROWID;
CREATE TABLE parked ("key" BLOB PRIMARY KEY, "row" BLOB NOT NULL) WITHOUT ROWID;
"""
#: What a file that can't be read or written raises, alone or under a database.
_NO_FILE: Final = (OSError, sqlite3.Error)
_packed = msgspec.msgpack.Encoder().encode


class Said(NamedTuple):
    """What a verify found, as far as the next needs it."""

    checkpoints: Iterable[Checkpoint]
    counts: Mapping[str, int]
    odd: Iterable[tuple[str, int, int]]
    #: All rows, or those that changed since the verify that it went on from.
    rows: Mapping[str, Mapping[Key, Row]]
    #: Keys of rows that are there no more since then.
    gone: Mapping[str, Collection[Key]]
    #: A mark and a digest of every row that is there.
    entries: Entries


class KeptUnusable(Exception):
    """What was kept can't be gone on from; the sentence says why."""


class NotKept(Exception):
    """What was found could not be kept; the sentence names the file and says why."""


def name_of_key(key: Key) -> bytes:
    """Return the key of a row as it is kept."""
    return _packed(key)


class Kept:
    """What the last verify that ended well has left."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """How far it had come in each partition, with chain and rules there."""
        return msgspec.msgpack.decode(self._about("checkpoints"), type=list[Checkpoint])

    @property
    def counts(self) -> dict[str, int]:
        """Verdicts of all that was folded until then."""
        return msgspec.msgpack.decode(self._about("counts"), type=dict[str, int])

    @property
    def odd(self) -> list[tuple[str, int, int]]:
        """Positions of records that were not in the one form of an encoder."""
        return msgspec.msgpack.decode(self._about("odd"), type=list[tuple[str, int, int]])

    def bodies(self, table: str, names: Collection[str]) -> dict[str, bytes]:
        """Return the states of these instances, or hosts, that have one."""
        wanted, found = sorted(names), dict[str, bytes]()
        for start in range(0, len(wanted), LOOKED_UP):
            some = wanted[start : start + LOOKED_UP]
            marks = ",".join("?" * len(some))
            statement = f'SELECT name, body FROM bodies WHERE "table" = ? AND name IN ({marks})'
            found.update(self._database.execute(statement, (table, *some)).fetchall())
        return found

    def entries(self, table: str) -> list[bytes]:
        """Return a mark and a digest of every row of a table."""
        statement = 'SELECT entries FROM digests WHERE "table" = ?'
        return [some for (some,) in self._database.execute(statement, (table,)).fetchall()]

    def parked(self) -> Iterator[ParkedRow]:
        """Yield the records that waited."""
        for (row,) in self._database.execute('SELECT "row" FROM parked').fetchall():
            yield ParkedRow(*msgspec.msgpack.decode(row))

    def copy_to(self, database: sqlite3.Connection) -> None:
        """Leave all of it in another database, which had nothing."""
        self._database.backup(database)

    def _about(self, name: str) -> bytes:
        row = self._database.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise KeptUnusable(f"Expected {name} in what was kept, but there is none.")
        return cast("bytes", row[0])


class Keeper:
    """The place of what is kept: a file, its MAC under `key`, and the mark of the code."""

    def __init__(self, folder: Path, *, key: bytes, code: str) -> None:
        self._file = folder / "verified.sqlite"
        self._mac = folder / "verified.mac"
        self._lock = folder / "verified.lock"
        self._key, self._code = key, code

    @contextmanager
    def last(self) -> Iterator[Kept]:
        """Give what was kept; raises KeptUnusable where there is nothing, or not of this code."""
        if not self._file.exists():
            raise KeptUnusable("no verify has ended well here yet")
        try:
            database = self._opened()
        except _NO_FILE as error:
            raise KeptUnusable(f"Expected to read {self._file}, but: {error}") from error
        with closing(database):
            yield Kept(database)

    def _opened(self) -> sqlite3.Connection:
        with self._alone():
            if not self._mac.exists() or not hmac.compare_digest(
                self._mac.read_text(), self._sealed(self._file)
            ):
                raise KeptUnusable(
                    f"Expected {self._file} as a verify of this code left it, but it was changed,"
                    " or the code was"
                )
            database = sqlite3.connect(self._file)
            # The file is opened by the first statement, and stays the same whoever replaces it.
            database.execute("PRAGMA schema_version").fetchone()
        return database

    def forget(self) -> None:
        """Leave nothing of what was kept."""
        self._mac.unlink(missing_ok=True)
        self._file.unlink(missing_ok=True)

    def keep(self, said: Said, *, after: Kept | None = None) -> None:
        """Leave what a verify found, and of what was kept before only what it went on `after`.

        Raises NotKept where the disk is full, or takes no file: what was kept before is there then.
        """
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone(), self._replaced() as database:
                if after is None:
                    database.executescript(_DDL)
                else:
                    after.copy_to(database)
                _write(database, said)
        except _NO_FILE as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise NotKept(
                f"Expected to keep in {self._file} what the verify found, but: {why}"
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock under which the file and its MAC are read and replaced together."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _replaced(self) -> Iterator[sqlite3.Connection]:
        """Give an empty database that is what is kept, with its MAC, once the block has ended."""
        new, new_mac = self._file.with_suffix(".new"), self._mac.with_suffix(".mac.new")
        new.unlink(missing_ok=True)  # Of a verify that was killed.
        try:
            with closing(sqlite3.connect(new)) as database:
                # Nobody reads it before it is whole.
                database.execute("PRAGMA journal_mode = MEMORY")
                yield database
            _written_through(new)
            new_mac.write_text(self._sealed(new))
            _written_through(new_mac)
            # Between the two it is refused, as if it had been damaged.
            new.replace(self._file)
            new_mac.replace(self._mac)
            _written_through(self._file.parent)
        finally:
            new.unlink(missing_ok=True)
            new_mac.unlink(missing_ok=True)

    def _sealed(self, file: Path) -> str:
        """Return the MAC of a file, of this code."""
        with file.open("rb") as opened:
            content = file_digest(opened, "sha256").hexdigest()
        said = json.dumps([self._code, content]).encode()
        return hmac.digest(self._key, said, "sha256").hex()


def _written_through(path: Path) -> None:
    """Return when a file, or a folder's names, would be there after a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(database: sqlite3.Connection, said: Said) -> None:
    about = {
        "checkpoints": list(said.checkpoints),
        "counts": dict(said.counts),
        "odd": list(said.odd),
    }
    with database:
        database.executemany(
            "INSERT OR REPLACE INTO about VALUES (?, ?)",
            [(name, _packed(value)) for name, value in about.items()],
        )
        database.execute("DELETE FROM digests")
        database.executemany(
            "INSERT INTO digests VALUES (?, ?)",
            ((table, some) for table, every in said.entries.items() for some in every),
        )
        for table in (*_BODIES, "parked"):
            _forget(database, table, said.gone.get(table, ()))
            _put(database, table, said.rows.get(table, {}))


def _put(database: sqlite3.Connection, table: str, rows: Mapping[Key, Row]) -> None:
    if (column := _BODIES.get(table)) is not None:
        database.executemany(
            "INSERT OR REPLACE INTO bodies VALUES (?, ?, ?)",
            ((table, key[0], row[column]) for key, row in rows.items()),
        )
    else:
        database.executemany(
            "INSERT OR REPLACE INTO parked VALUES (?, ?)",
            ((name_of_key(key), _packed(tuple(row))) for key, row in rows.items()),
        )


def _forget(database: sqlite3.Connection, table: str, keys: Collection[Key]) -> None:
    if table in _BODIES:
        gone = [(table, key[0]) for key in keys]
        database.executemany('DELETE FROM bodies WHERE "table" = ? AND name = ?', gone)
    else:
        names = [(name_of_key(key),) for key in keys]
        database.executemany('DELETE FROM parked WHERE "key" = ?', names)
