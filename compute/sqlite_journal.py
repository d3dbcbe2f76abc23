"""The journal of a host on its disk: one SQLite file, synced at every commit.

WAL with `synchronous=FULL`: a commit that returned survives a power cut. The file is locked for as
long as it is open, so that two agents of one host can't both number facts. Whatever the disk
refuses ends the agent (JournalFailed): nothing may be done that can't be written down.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from compute.errors import JournalFailed, JournalInUse, WrongEnrolment
from compute.journal import Entry, Head, Position, Task, TaskState
from events.seal import FIRST, digest

#: Version of the tables below, kept in `PRAGMA user_version`.
VERSION: Final = 1

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS about (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  enrolment INTEGER NOT NULL, boot_epoch INTEGER NOT NULL, topic_id TEXT, next_offset INTEGER);
INSERT OR IGNORE INTO about VALUES (1, 0, 0, NULL, NULL);
CREATE TABLE IF NOT EXISTS heads (
  topic TEXT NOT NULL, subject TEXT NOT NULL, sequence INTEGER NOT NULL, digest BLOB NOT NULL,
  PRIMARY KEY (topic, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL, partition INTEGER NOT NULL, subject TEXT NOT NULL,
  sequence INTEGER NOT NULL, prev BLOB NOT NULL, value BLOB NOT NULL, kind TEXT NOT NULL,
  command_id TEXT, written_at_us INTEGER NOT NULL, is_sent INTEGER NOT NULL DEFAULT 0,
  UNIQUE (topic, subject, sequence));
CREATE INDEX IF NOT EXISTS facts_unsent ON facts (number) WHERE is_sent = 0;
CREATE INDEX IF NOT EXISTS facts_command ON facts (command_id) WHERE command_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS facts_written ON facts (written_at_us) WHERE is_sent = 1;
CREATE TABLE IF NOT EXISTS generations (
  instance_id TEXT PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  command_id TEXT NOT NULL UNIQUE, instance_id TEXT NOT NULL, purpose TEXT NOT NULL,
  value BLOB NOT NULL, state TEXT NOT NULL, ending INTEGER, is_success INTEGER NOT NULL,
  continued_by TEXT);
CREATE INDEX IF NOT EXISTS tasks_purpose ON tasks (purpose, number);
CREATE INDEX IF NOT EXISTS tasks_open ON tasks (number) WHERE state <> 'done';
CREATE INDEX IF NOT EXISTS tasks_ending ON tasks (ending) WHERE ending IS NOT NULL;
CREATE TABLE IF NOT EXISTS slots (
  instance_id TEXT PRIMARY KEY, is_aborted INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incoming (instance_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""

_ENTRY: Final = (
    "number, topic, partition, subject, sequence, prev, value, kind, command_id, written_at_us"
)
_TASK: Final = "command_id, instance_id, purpose, value, state, ending, is_success, continued_by"


class SqliteJournal:
    """The journal of a host, in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
            self._open()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalInUse(f"Expected {path} to be free, but an agent holds it") from error
            raise JournalFailed(f"Expected to open {path}, but {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Leave everything written within durable together, or nothing of it."""
        is_open = self._db.in_transaction
        assert not is_open, "Expected one transaction at a time, but one is open"
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise JournalFailed(f"Expected to write {self._path}, but {error}") from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def enrolment(self) -> int:
        """Return the enrolment that the journal belongs to; 0 while it is empty."""
        return self._int("SELECT enrolment FROM about")

    def boot_epoch(self) -> int:
        """Return how often the agent has started with this journal."""
        return self._int("SELECT boot_epoch FROM about")

    def raise_boot_epoch(self, enrolment: int) -> int:
        """Return the new boot epoch; raises WrongEnrolment where the journal is another's."""
        if self.enrolment() not in (0, enrolment):
            raise WrongEnrolment(
                f"Expected the journal of enrolment {enrolment}, but it is of {self.enrolment()}"
            )
        self._write("UPDATE about SET enrolment = ?, boot_epoch = boot_epoch + 1", enrolment)
        return self.boot_epoch()

    def position(self) -> Position | None:
        """Return how far the command topic was taken; None before the first time."""
        row = self._row("SELECT topic_id, next_offset FROM about WHERE topic_id IS NOT NULL")
        return None if row is None else Position(*row)

    def move(self, position: Position) -> None:
        """Leave `position` as the place from which commands are read."""
        self._write("UPDATE about SET topic_id = ?, next_offset = ?", *position)

    def head(self, topic: str, subject: str) -> Head:
        """Return the end of a chain; number 0 and 32 zero bytes where it has not begun."""
        sql = "SELECT sequence, digest FROM heads WHERE topic = ? AND subject = ?"
        row = self._row(sql, topic, subject)
        return Head(0, FIRST) if row is None else Head(*row)

    def append(self, entry: Entry) -> int:
        """Write a fact behind the head of its chain, unsent, and return its number."""
        head = self.head(entry.topic, entry.subject)
        follows = (entry.sequence, entry.prev) == (head.sequence + 1, head.digest)
        assert follows, f"Expected number {head.sequence + 1} of {entry.subject}, but {entry!r}"
        columns = _ENTRY.removeprefix("number, ")
        marks = ", ".join("?" * (len(entry) - 1))
        written = self._write(f"INSERT INTO facts ({columns}) VALUES ({marks})", *entry[1:])
        self._write(
            "INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?)",
            entry.topic, entry.subject, entry.sequence, digest(entry.value),
        )  # fmt: skip
        assert written.lastrowid is not None
        return written.lastrowid

    def entry(self, number: int) -> Entry | None:
        """Return a fact; None where it was forgotten."""
        row = self._row(f"SELECT {_ENTRY} FROM facts WHERE number = ?", number)
        return None if row is None else Entry(*row)

    def unsent(self, limit: int) -> list[Entry]:
        """Return the first facts that the log has not taken, in the order of their numbers."""
        sql = f"SELECT {_ENTRY} FROM facts WHERE is_sent = 0 ORDER BY number LIMIT ?"
        return [Entry(*row) for row in self._rows(sql, limit)]

    def unsent_count(self) -> int:
        """Return how many facts the log has not taken."""
        return self._int("SELECT count(*) FROM facts WHERE is_sent = 0")

    def mark_sent(self, numbers: Iterable[int]) -> None:
        """Note that the log has these facts."""
        for number in numbers:
            self._write("UPDATE facts SET is_sent = 1 WHERE number = ?", number)

    def mark_unsent(self, numbers: Iterable[int]) -> None:
        """Have these facts sent again."""
        for number in numbers:
            self._write("UPDATE facts SET is_sent = 0 WHERE number = ?", number)

    def chain(self, topic: str, subject: str, from_sequence: int) -> list[int]:
        """Return the numbers of the facts of a chain from one on, as far as they are kept."""
        sql = (
            "SELECT number FROM facts WHERE topic = ? AND subject = ? AND sequence >= ?"
            " ORDER BY sequence"
        )
        return [row[0] for row in self._rows(sql, topic, subject, from_sequence)]

    def kinds_said(self, command_ids: Sequence[str]) -> frozenset[str]:
        """Return the classes of the facts that answer any of these commands."""
        sql = "SELECT kind FROM facts WHERE command_id = ?"
        return frozenset(row[0] for each in command_ids for row in self._rows(sql, each))

    def forget_before(self, time_us: int) -> int:
        """Drop sent facts written before, and the tasks that they ended; heads stay."""
        old = "FROM facts WHERE is_sent = 1 AND written_at_us < ?"
        self._write(f"DELETE FROM tasks WHERE ending IN (SELECT number {old})", time_us)
        return self._write(f"DELETE {old}", time_us).rowcount

    def generation(self, instance_id: str) -> int:
        """Return the highest generation told of an instance; 0 where none was."""
        row = self._row("SELECT generation FROM generations WHERE instance_id = ?", instance_id)
        return 0 if row is None else row[0]

    def raise_generation(self, instance_id: str, generation: int) -> None:
        """Note a generation where it is higher than the one known."""
        if generation > self.generation(instance_id):
            sql = "INSERT OR REPLACE INTO generations VALUES (?, ?)"
            self._write(sql, instance_id, generation)

    def task(self, command_id: str) -> Task | None:
        """Return a command of the inbox."""
        found = self._tasks("command_id = ?", command_id)
        return found[0] if found else None

    def put_task(self, task: Task) -> None:
        """Leave a command in the inbox as it is here; a new one behind all others."""
        self._write(
            f"INSERT INTO tasks ({_TASK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (command_id) DO UPDATE SET state = excluded.state,"
            " ending = excluded.ending, is_success = excluded.is_success,"
            " continued_by = excluded.continued_by",
            task.command_id, task.instance_id, task.purpose, task.value, task.state.value,
            task.ending, int(task.is_success), task.continued_by,
        )  # fmt: skip

    def attempts(self, purpose: str) -> list[Task]:
        """Return every attempt at a purpose, in the order in which they were taken."""
        return self._tasks("purpose = ?", purpose)

    def open_tasks(self) -> list[Task]:
        """Return what is taken or begun, in the order in which it was taken."""
        return self._tasks("state <> 'done'")

    def slots(self) -> dict[str, bool]:
        """Return the instances that hold a place for a live migration, and whether to abort it."""
        rows = self._rows("SELECT instance_id, is_aborted FROM slots ORDER BY instance_id")
        return {instance_id: bool(is_aborted) for instance_id, is_aborted in rows}

    def put_slot(self, instance_id: str, *, is_aborted: bool) -> None:
        """Give an instance a place for its live migration."""
        self._write("INSERT OR REPLACE INTO slots VALUES (?, ?)", instance_id, int(is_aborted))

    def incoming(self) -> frozenset[str]:
        """Return the instances that hold a place for a live migration to this host."""
        return frozenset(row[0] for row in self._rows("SELECT instance_id FROM incoming"))

    def put_incoming(self, instance_id: str) -> None:
        """Give an instance a place for its live migration to this host."""
        self._write("INSERT OR REPLACE INTO incoming VALUES (?)", instance_id)

    def free_incoming(self, instance_id: str) -> None:
        """Take that place back, if it was given."""
        self._write("DELETE FROM incoming WHERE instance_id = ?", instance_id)

    def free_slot(self, instance_id: str) -> None:
        """Take the place back, if it was given."""
        self._write("DELETE FROM slots WHERE instance_id = ?", instance_id)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        version = self._int("PRAGMA user_version")
        if version not in (0, VERSION):
            self._db.close()
            raise JournalFailed(f"Expected version {VERSION} in {self._path}, but {version}")
        self._db.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT"
        )

    def _tasks(self, where: str, *values: object) -> list[Task]:
        sql = f"SELECT {_TASK} FROM tasks WHERE {where} ORDER BY number"
        return [
            Task(
                command_id=row[0],
                instance_id=row[1],
                purpose=row[2],
                value=row[3],
                state=TaskState(row[4]),
                ending=row[5],
                is_success=bool(row[6]),
                continued_by=row[7],
            )
            for row in self._rows(sql, *values)
        ]

    def _write(self, sql: str, *values: object) -> sqlite3.Cursor:
        assert self._db.in_transaction, f"Expected a transaction, but none is open for {sql}"
        return self._db.execute(sql, values)

    def _row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        return cast("tuple[Any, ...] | None", self._db.execute(sql, values).fetchone())

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def _int(self, sql: str) -> int:
        return cast("int", self._db.execute(sql).fetchone()[0])
