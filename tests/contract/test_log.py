"""The logs of our own keep the promises of every log: in memory, in an SQLite file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from events.errors import LogError
from events.log import TopicPartition
from events.memory_log import MemoryLog
from events.owner_lock import OwnerLock
from events.ports import SystemClock
from events.sqlite_log import SqliteLog
from tests.contract.log_contract import Books, LogContract, OpenLog, read, values


class OpenMemoryLog(OpenLog):
    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.memory = log

    def delete_topic(self) -> None:
        self.memory.delete_topic(self.topic)

    def expire(self, partition: int, offset: int) -> None:
        self.memory.delete_before(self.at(partition), offset)


class TestMemoryLog(LogContract):
    @pytest.fixture
    def opened(self) -> Iterator[OpenLog]:
        opened = OpenMemoryLog(MemoryLog(SystemClock()))
        yield opened
        opened.close()

    def test_members_share_the_partitions_and_an_expelled_one_hears_of_it_late(self) -> None:
        log = MemoryLog(SystemClock())
        opened = OpenMemoryLog(log)
        opened.create(partitions=4)
        first, second = log.group("g"), log.group("g")
        books, others = Books({}), Books({})
        first.subscribe([opened.topic], books)
        first.poll(1, 0)
        assert len(books.held) == 4

        second.subscribe([opened.topic], others)
        second.poll(1, 0)
        assert len(others.held) == 0  # nobody has let go yet
        first.poll(1, 0)
        second.poll(1, 0)
        assert (len(books.held), len(others.held)) == (2, 2)

        log.expel(first)
        second.poll(1, 0)
        assert (len(books.held), len(others.held)) == (2, 4)
        first.poll(1, 0)
        assert len(books.held) == 0

    def test_a_lost_tail_is_noticed(self) -> None:
        log = MemoryLog(SystemClock())
        opened = OpenMemoryLog(log)
        opened.create()
        opened.append(b"1", b"2")
        opened.reader.assign({opened.at(0): 2})

        log.truncate(opened.at(0), 1)

        with pytest.raises(LogError, match="it holds 0 to 1"):
            opened.reader.poll(1, 0)


class OpenSqliteLog(OpenLog):
    def __init__(self, log: SqliteLog) -> None:
        super().__init__(log)
        self.path = log.path

    def delete_topic(self) -> None:
        with_admin = SqliteLog(self.path, SystemClock()).admin()
        with_admin.delete_topic(self.topic)
        with_admin.close()

    def expire(self, partition: int, offset: int) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(
                "UPDATE partitions SET begin_offset = ? WHERE topic = ? AND partition = ?",
                (offset, self.topic, partition),
            )
        connection.close()


APPENDER = """
import sys
from pathlib import Path
from events.log import Message
from events.ports import SystemClock
from events.sqlite_log import SqliteLog
path, topic, name = sys.argv[1:]
writer = SqliteLog(Path(path), SystemClock()).writer()
for n in range(40):
    writer.append([Message(topic, n % 2, name.encode(), str(n).encode()) for _ in "ab"])
writer.close()
"""


class TestSqliteLog(LogContract):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[OpenSqliteLog]:
        opened = OpenSqliteLog(SqliteLog(tmp_path / "log.sqlite", SystemClock()))
        yield opened
        opened.close()

    def test_processes_append_side_by_side_and_nothing_is_lost_or_mixed(
        self, opened: OpenSqliteLog
    ) -> None:
        opened.create()
        command = [sys.executable, "-c", APPENDER, str(opened.path), opened.topic]

        processes = [subprocess.Popen([*command, name]) for name in ("x", "y", "z")]
        opened.reader.assign({opened.at(0): 0, opened.at(1): 0})
        records = read(opened.reader, 240)

        assert [process.wait() for process in processes] == [0, 0, 0]
        assert len(records) == 240
        for partition in (0, 1):
            here = [r for r in records if r.partition == partition]
            assert [r.offset for r in here] == list(range(120))
            for name in (b"x", b"y", b"z"):
                numbers = [int(r.value or b"") for r in here if r.key == name]
                assert numbers == sorted(numbers)
                assert len(numbers) == 40

    def test_one_member_owns_the_partitions_until_it_closes(self, opened: OpenSqliteLog) -> None:
        opened.create()
        opened.append(b"1")
        first, second = opened.log.group("g"), opened.log.group("g")
        books, others = Books({}), Books({})
        first.subscribe([opened.topic], books)
        second.subscribe([opened.topic], others)
        assert values(first.poll(10, 0)) == [b"1"]
        assert second.poll(10, 0) == []
        assert (len(books.held), len(others.held)) == (2, 0)

        first.close()

        assert values(second.poll(10, 0)) == [b"1"]
        assert (len(books.held), len(others.held)) == (0, 2)
        second.close()

    def test_a_lock_handed_in_outlives_its_reader(self, opened: OpenSqliteLog) -> None:
        opened.create()
        lock, other = (OwnerLock(opened.path.with_name("owner.lock")) for _ in range(2))
        assert lock.take()
        member = SqliteLog(opened.path, SystemClock(), lock).group("g")
        books = Books({})
        member.subscribe([opened.topic], books)
        member.poll(1, 0)
        assert len(books.held) == 2

        member.close()

        assert not other.take()
        lock.release()
        assert other.take()
        other.release()

    def test_an_owner_that_fails_is_asked_again(self, opened: OpenSqliteLog) -> None:
        opened.create()
        opened.append(b"1")
        member = opened.log.group("g")
        books = Failing()
        member.subscribe([opened.topic], books)
        with pytest.raises(ConnectionError):
            member.poll(10, 0)

        assert values(member.poll(10, 0)) == [b"1"]
        member.close()

    def test_expired_records_go_and_the_beginning_moves(self, tmp_path: Path) -> None:
        clock = SetClock()
        opened = OpenSqliteLog(SqliteLog(tmp_path / "log.sqlite", clock))
        opened.create(retention_ms=1_000)
        opened.append(*[b"old"] * 300)
        clock.us += 2_000_000
        opened.append(*[b"new"] * 300)

        assert opened.reader.begin_offsets([opened.at(0)]) == {opened.at(0): 300}
        opened.reader.assign({opened.at(0): 300})
        assert values(read(opened.reader, 300)) == [b"new"] * 300
        opened.close()

    def test_a_file_that_is_no_log_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "log.sqlite"
        path.write_text("not a database, and long enough to be looked at as a header " * 20)

        with pytest.raises(LogError, match=r"log\.sqlite to be a log"):
            SqliteLog(path, SystemClock()).writer()

    def test_a_file_of_another_release_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "log.sqlite"
        SqliteLog(path, SystemClock()).writer().close()
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()

        with pytest.raises(LogError, match="version 1, but it is of 99"):
            SqliteLog(path, SystemClock()).writer()


class SetClock:
    def __init__(self) -> None:
        self.us = 1_000_000_000

    def now_us(self) -> int:
        return self.us

    def monotonic_s(self) -> float:
        return self.us / 1e6

    def sleep(self, seconds: float) -> None:
        self.us += int(seconds * 1e6)


class Failing(Books):
    """An owner whose database is away the first time."""

    def __init__(self) -> None:
        super().__init__({})
        self.is_away = True

    def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        if self.is_away:
            self.is_away = False
            raise ConnectionError("database")
        return super().assigned(partitions)
