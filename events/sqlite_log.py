"""The log in one SQLite file: the embedded default.

Any process of the machine may read and append; the file's write lock orders them. The partitions
belong to whoever holds the lock beside the file (`events.owner_lock`). Offsets, partitions and
errors are those of every log; nothing here waits for records, since a file can't wake a reader.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid5

from events.errors import UnknownTopic
from events.ids import NAMESPACE
from events.log import Message, Owner, Record, TopicInfo, TopicPartition
from events.owner_lock import OwnerLock
from events.ports import Clock
from events.positions import Extent, Positions, check_partitions
from events.sqlite_file import (
    OFFSETS_PER_PARTITION,
    answering,
    connect,
    pack_headers,
    reading,
    unpack_headers,
    writing,
)
from events.topics import TopicSpec

#: A partition is rid of expired records each time that its offset passes a multiple of this.
EXPIRE_EVERY_RECORDS: Final = 256

#: The file of the owner's lock, beside the log.
LOCK_NAME: Final = "owner.lock"


class SqliteLog:
    """A log in the file at `path`.

    Hand in the owner's lock where it has to outlive the reader that owns the partitions; whoever
    hands it in takes care that one reader at a time uses it, and releases it.
    """

    def __init__(self, path: Path, clock: Clock, lock: OwnerLock | None = None) -> None:
        self.path = path
        self._clock = clock
        self._lock = lock

    def writer(self) -> SqliteWriter:
        """Return a writer."""
        return SqliteWriter(self.path, self._clock)

    def reader(self) -> SqliteReader:
        """Return a reader of chosen partitions."""
        return SqliteReader(self.path, _NO_LOCK)

    def group(self, group_id: str) -> SqliteReader:
        """Return the member that owns every partition while it holds the lock.

        Whatever the group is called: a file has one owner.
        """
        del group_id
        if self._lock is not None:
            return SqliteReader(self.path, Ownership(self._lock, is_kept=True))
        return SqliteReader(
            self.path, Ownership(OwnerLock(self.path.with_name(LOCK_NAME)), is_kept=False)
        )

    def admin(self) -> SqliteAdmin:
        """Return what makes and lists topics."""
        return SqliteAdmin(self.path, self._clock)


@dataclass(frozen=True, slots=True)
class Ownership:
    """The lock of whoever owns the partitions, and whether it is kept when its reader ends."""

    lock: OwnerLock | None
    is_kept: bool


_NO_LOCK: Final = Ownership(None, is_kept=True)


@dataclass(slots=True)
class _Part:
    """A partition as its row has it."""

    number: int
    topic_id: str
    retention_ms: int
    begin: int
    end: int

    def id_of(self, offset: int) -> int:
        return self.number * OFFSETS_PER_PARTITION + offset


class SqliteWriter:
    """Appends to a log file, one transaction per call."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._connection = connect(path)

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Append as `LogWriter` says; after LogUnavailable from COMMIT it may have happened."""
        if not messages:
            return ()
        with answering(self._path), writing(self._connection):
            parts = {
                at: _part(self._connection, at)
                for at in {TopicPartition(m.topic, m.partition) for m in messages}
            }
            before = {at: part.end for at, part in parts.items()}
            now_us = self._clock.now_us()
            offsets = self._insert(messages, parts, now_us)
            for at, part in parts.items():
                self._expire(part, before[at], now_us)
                self._connection.execute(
                    "UPDATE partitions SET begin_offset = ?, end_offset = ? WHERE number = ?",
                    (part.begin, part.end, part.number),
                )
        return tuple(offsets)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _insert(
        self, messages: Sequence[Message], parts: dict[TopicPartition, _Part], now_us: int
    ) -> list[int]:
        offsets = []
        rows = []
        for message in messages:
            part = parts[TopicPartition(message.topic, message.partition)]
            packed = pack_headers(message.headers)
            rows.append((part.id_of(part.end), message.key, message.value, packed, now_us))
            offsets.append(part.end)
            part.end += 1
        self._connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
        return offsets

    def _expire(self, part: _Part, before: int, now_us: int) -> None:
        is_time = before // EXPIRE_EVERY_RECORDS != part.end // EXPIRE_EVERY_RECORDS
        if part.retention_ms < 0 or not is_time:
            return
        first, behind = part.id_of(part.begin), part.id_of(part.end)
        (kept,) = self._connection.execute(
            "SELECT min(id) FROM (SELECT id FROM records WHERE id >= ? AND id < ?"
            " AND timestamp_us >= ? ORDER BY id LIMIT 1)",
            (first, behind, now_us - part.retention_ms * 1_000),
        ).fetchone()
        begin = behind if kept is None else int(kept)
        self._connection.execute("DELETE FROM records WHERE id >= ? AND id < ?", (first, begin))
        part.begin = begin - part.id_of(0)


class SqliteAdmin:
    """Makes and lists the topics of a log file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._connection = connect(path)

    def create(self, specs: Iterable[TopicSpec]) -> tuple[str, ...]:
        """Make the topics that are missing and return their names; all of them or none."""
        with answering(self._path), writing(self._connection):
            return tuple(spec.name for spec in specs if self._create(spec))

    def topics(self) -> tuple[TopicInfo, ...]:
        """Describe every topic."""
        with answering(self._path):
            rows = self._connection.execute(f"{_TOPICS} ORDER BY name").fetchall()
        return tuple(TopicInfo(*row) for row in rows)

    def delete_topic(self, name: str) -> None:
        """Leave no topic of that name, and none of its records."""
        with answering(self._path), writing(self._connection):
            for number, *_ in _part_rows(self._connection, name):
                first = number * OFFSETS_PER_PARTITION
                self._connection.execute(
                    "DELETE FROM records WHERE id >= ? AND id < ?",
                    (first, first + OFFSETS_PER_PARTITION),
                )
            self._connection.execute("DELETE FROM topics WHERE name = ?", (name,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _create(self, spec: TopicSpec) -> bool:
        row = self._connection.execute(f"{_TOPICS} WHERE name = ?", (spec.name,)).fetchone()
        if row is not None:
            check_partitions(spec, TopicInfo(*row).partitions)
            return False
        # The last partition number ever given out makes it differ from a namesake deleted before.
        (last,) = self._connection.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
        topic_id = str(uuid5(NAMESPACE, f"{spec.name}/{self._clock.now_us()}/{last}"))
        self._connection.execute(
            "INSERT INTO topics VALUES (?, ?, ?, ?)",
            (spec.name, topic_id, spec.partitions, spec.retention_ms),
        )
        self._connection.executemany(
            "INSERT INTO partitions (topic, partition) VALUES (?, ?)",
            [(spec.name, n) for n in range(spec.partitions)],
        )
        return True


class SqliteReader:
    """Reads chosen partitions, or all of the subscribed topics while it holds the owner's lock."""

    def __init__(self, path: Path, ownership: Ownership) -> None:
        self._path = path
        self._ownership = ownership
        self._connection = connect(path)
        self._positions = Positions()
        self._topics: tuple[str, ...] = ()
        self._owner: Owner | None = None
        self._is_owner = False
        #: The version of the file at which there was nothing to read; None: look again.
        self._quiet_version: int | None = None

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions and no others, each from its offset on."""
        self._positions.replace(positions)
        self._quiet_version = None

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return up to `max_records` next records; never waits, the caller's loop does."""
        del timeout_s
        if self._owner is not None and not self._is_owner and not self._become_owner(self._owner):
            return []
        with answering(self._path):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version == self._quiet_version:
                return []
            with reading(self._connection):
                records = self._read(max_records)
        self._quiet_version = None if records else version
        return records

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still holds."""
        with answering(self._path):
            return {each: _part(self._connection, each).begin for each in partitions}

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record of each partition will get."""
        with answering(self._path):
            return {each: _part(self._connection, each).end for each in partitions}

    def topic(self, name: str) -> TopicInfo:
        """Describe a topic; raises UnknownTopic."""
        with answering(self._path):
            row = self._connection.execute(f"{_TOPICS} WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise UnknownTopic(f"Expected topic {name} in {self._path}, but it has none so named.")
        return TopicInfo(*row)

    def subscribe(self, topics: Sequence[str], owner: Owner) -> None:
        """Wish for the lock; `owner` hears of partitions within later calls of `poll`."""
        self._topics, self._owner = tuple(topics), owner
        self._positions.replace({})
        self._let_go()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read an assigned partition from `offset` on."""
        self._positions.move(partition, offset)
        self._quiet_version = None

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Return no records of these assigned partitions until they are resumed."""
        self._positions.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Return records of these partitions again."""
        self._positions.resume(partitions)
        self._quiet_version = None

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Tell nobody: no lag tool reads a file."""

    def close(self) -> None:
        """Let the partitions go, and the lock, and close the file."""
        if self._is_owner:
            assert self._owner is not None, "Expected an owner, but partitions belong to none."
            self._owner.revoked(tuple(self._positions))
            self._let_go()
        self._positions.replace({})
        self._connection.close()

    def _let_go(self) -> None:
        was_owner, self._is_owner = self._is_owner, False
        if was_owner and self._ownership.lock is not None and not self._ownership.is_kept:
            self._ownership.lock.release()

    def _become_owner(self, owner: Owner) -> bool:
        lock = self._ownership.lock
        assert lock is not None, "Expected a member of a group, but this reads by itself."
        if not lock.take():
            return False
        infos = [self.topic(name) for name in self._topics]
        self.assign(
            owner.assigned([TopicPartition(i.name, n) for i in infos for n in range(i.partitions)])
        )
        self._is_owner = True
        return True

    def _read(self, max_records: int) -> list[Record]:
        parts: dict[TopicPartition, _Part] = {}

        def extent_of(partition: TopicPartition) -> Extent:
            part = parts[partition] = _part(self._connection, partition)
            return Extent(part.topic_id, part.begin, part.end)

        records: list[Record] = []
        for partition, offset in self._positions.due(extent_of):
            if len(records) == max_records:
                break
            part = parts[partition]
            taken = self._range(partition, part, offset, max_records - len(records))
            records += taken
            self._positions.move(partition, taken[-1].offset + 1 if taken else part.end)
        return records

    def _range(self, at: TopicPartition, part: _Part, offset: int, limit: int) -> list[Record]:
        rows = self._connection.execute(
            "SELECT id, key, value, headers, timestamp_us FROM records"
            " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (part.id_of(offset), part.id_of(part.end), limit),
        )
        zero = part.id_of(0)
        return [
            Record(at.topic, at.partition, number - zero, key, value, unpack_headers(packed), us, 0)
            for number, key, value, packed, us in rows
        ]


_TOPICS: Final = "SELECT name, topic_id, partitions, retention_ms FROM topics"


def _part_rows(
    connection: sqlite3.Connection, topic: str
) -> list[tuple[int, int, str, int, int, int]]:
    return connection.execute(
        "SELECT number, partition, topic_id, retention_ms, begin_offset, end_offset"
        " FROM partitions JOIN topics ON topic = name WHERE topic = ? ORDER BY partition",
        (topic,),
    ).fetchall()


def _part(connection: sqlite3.Connection, at: TopicPartition) -> _Part:
    row = connection.execute(
        "SELECT number, topic_id, retention_ms, begin_offset, end_offset"
        " FROM partitions JOIN topics ON topic = name WHERE topic = ? AND partition = ?",
        at,
    ).fetchone()
    if row is None:
        raise UnknownTopic(
            f"Expected partition {at.partition} of {at.topic}, but the log has no such partition."
        )
    return _Part(*row)
