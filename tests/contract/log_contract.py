"""What every log promises, as tests; `test_log` runs them on each log there is.

A subclass of `OpenLog` says how to do to a log what happens to logs in real life: an expired
beginning, a topic that is deleted.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

import pytest

from events.errors import LogRecreated, PositionLost, TopicMismatch, UnknownTopic
from events.log import (
    Log,
    LogAdmin,
    LogGroup,
    LogReader,
    LogWriter,
    Message,
    Record,
    TopicPartition,
)
from events.ports import SystemClock
from events.topics import TopicSpec

PATIENCE_S = 60.0
numbers = count()


class OpenLog(ABC):
    """A log, opened every way, and what can happen to it."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.writer: LogWriter = log.writer()
        self.reader: LogReader = log.reader()
        self.admin: LogAdmin = log.admin()
        # One broker serves every test, so no two tests use a topic of the same name.
        self.topic = f"contract.{next(numbers)}.{time.monotonic_ns()}"

    def member(self) -> LogGroup:
        return self.log.group(self.topic)

    def create(self, partitions: int = 2, retention_ms: int = -1) -> None:
        spec = TopicSpec(name=self.topic, partitions=partitions, retention_ms=retention_ms)
        assert self.admin.create([spec]) == (self.topic,)

    def at(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def message(self, partition: int, value: bytes | None, key: bytes | None = b"k") -> Message:
        return Message(self.topic, partition, key, value)

    def append(self, *values: bytes, partition: int = 0) -> tuple[int, ...]:
        return self.writer.append([self.message(partition, value) for value in values])

    def close(self) -> None:
        self.writer.close()
        self.reader.close()
        self.admin.close()

    @abstractmethod
    def delete_topic(self) -> None: ...

    @abstractmethod
    def expire(self, partition: int, offset: int) -> None: ...


def read(reader: LogReader, wanted: int, max_records: int = 1000) -> list[Record]:
    """Poll until so many records have come."""
    records: list[Record] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(records) < wanted and time.monotonic() < deadline:
        records += reader.poll(max_records, 0.2)
    return records


def values(records: Sequence[Record]) -> list[bytes | None]:
    return [record.value for record in records]


class LogContract(ABC):
    """What every log promises."""

    @pytest.fixture
    @abstractmethod
    def opened(self) -> Iterator[OpenLog]: ...

    def test_records_of_a_partition_come_in_the_order_of_appending(self, opened: OpenLog) -> None:
        opened.create()
        offsets = opened.append(b"1", b"2") + opened.append(b"3")
        opened.append(b"elsewhere", partition=1)
        opened.reader.assign({opened.at(0): 0})

        records = read(opened.reader, 3)

        assert values(records) == [b"1", b"2", b"3"]
        assert [record.offset for record in records] == list(offsets) == [0, 1, 2]

    def test_offsets_are_those_of_each_message_in_the_order_given(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"before", partition=1)

        offsets = opened.writer.append(
            [opened.message(1, b"a"), opened.message(0, b"b"), opened.message(1, b"c")]
        )

        assert offsets == (1, 0, 2)

    def test_a_record_is_what_was_appended(self, opened: OpenLog) -> None:
        opened.create()
        headers = (("prev", b"\x00\xff"), ("mac", b""), ("prev", b"again"))
        before_us = SystemClock().now_us()
        opened.writer.append([Message(opened.topic, 1, b"key \x00", b"\xc3\x01", headers)])
        opened.reader.assign({opened.at(1): 0})

        (record,) = read(opened.reader, 1)

        after_us = SystemClock().now_us()
        assert record[:6] == (opened.topic, 1, 0, b"key \x00", b"\xc3\x01", headers)
        # Kafka counts milliseconds.
        assert before_us - 1_000 <= record.timestamp_us <= after_us

    def test_tombstones_and_null_keys_are_kept(self, opened: OpenLog) -> None:
        opened.create()
        opened.writer.append(
            [opened.message(0, None), opened.message(0, b"v", None), opened.message(0, b"", b"")]
        )
        opened.reader.assign({opened.at(0): 0})

        records = read(opened.reader, 3)

        assert [(r.key, r.value) for r in records] == [(b"k", None), (None, b"v"), (b"", b"")]

    def test_reading_begins_where_it_was_told(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1", b"2", b"3")
        opened.append(b"4", partition=1)

        opened.reader.assign({opened.at(0): 2, opened.at(1): 0})

        assert sorted(values(read(opened.reader, 2)), key=str) == [b"3", b"4"]

    def test_assigning_again_forgets_the_former_positions(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1", b"2")
        opened.reader.assign({opened.at(0): 0})
        read(opened.reader, 2)

        opened.reader.assign({opened.at(0): 1})

        assert values(read(opened.reader, 1)) == [b"2"]

    def test_a_poll_returns_no_more_than_it_was_asked_for(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(*(str(n).encode() for n in range(10)))
        opened.append(*(str(n).encode() for n in range(10, 20)), partition=1)
        opened.reader.assign({opened.at(0): 0, opened.at(1): 0})

        polls: list[list[Record]] = []
        while sum(map(len, polls)) < 20:
            polls.append(opened.reader.poll(7, 0.5))

        assert max(map(len, polls)) <= 7
        assert sorted(int(r.value or b"") for records in polls for r in records) == list(range(20))

    def test_a_poll_at_the_end_returns_nothing_and_later_what_came(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1")
        opened.reader.assign({opened.at(0): 1})
        assert opened.reader.poll(10, 0.1) == []
        assert opened.reader.poll(10, 0.0) == []

        opened.append(b"2")

        assert values(read(opened.reader, 1)) == [b"2"]

    def test_beginning_and_end_say_what_the_log_holds(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1", b"2", b"3")
        partitions = [opened.at(0), opened.at(1)]
        assert opened.reader.begin_offsets(partitions) == {opened.at(0): 0, opened.at(1): 0}
        assert opened.reader.end_offsets(partitions) == {opened.at(0): 3, opened.at(1): 0}

        opened.expire(0, 2)

        assert opened.reader.begin_offsets(partitions) == {opened.at(0): 2, opened.at(1): 0}
        assert opened.reader.end_offsets(partitions) == {opened.at(0): 3, opened.at(1): 0}
        opened.reader.assign({opened.at(0): 2})
        assert values(read(opened.reader, 1)) == [b"3"]

    def test_a_position_that_expired_is_lost_and_named(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1", b"2", b"3")
        opened.expire(0, 2)
        opened.reader.assign({opened.at(0): 1})

        with pytest.raises(PositionLost) as caught:
            read(opened.reader, 1)

        assert (caught.value.topic, caught.value.partition, caught.value.offset) == (
            opened.topic,
            0,
            1,
        )

    def test_a_position_behind_the_end_is_lost_not_awaited(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1")
        opened.reader.assign({opened.at(0): 2})

        with pytest.raises(PositionLost):
            read(opened.reader, 1)

    def test_a_topic_made_again_has_another_id_and_is_noticed(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1")
        opened.reader.assign({opened.at(0): 0})
        read(opened.reader, 1)
        before = opened.reader.topic(opened.topic)

        opened.delete_topic()
        opened.create()

        assert opened.reader.topic(opened.topic).topic_id != before.topic_id
        with pytest.raises((LogRecreated, PositionLost)):
            read(opened.reader, 1)

    def test_a_topic_deleted_under_a_reader_is_unknown_to_it(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1")
        opened.reader.assign({opened.at(0): 0})
        read(opened.reader, 1)

        opened.delete_topic()

        with pytest.raises(UnknownTopic):
            read(opened.reader, 1)

    def test_a_topic_nobody_made_is_unknown_to_all(self, opened: OpenLog) -> None:
        with pytest.raises(UnknownTopic):
            opened.append(b"1")
        with pytest.raises(UnknownTopic):
            opened.reader.topic(opened.topic)
        with pytest.raises(UnknownTopic):
            opened.reader.end_offsets([opened.at(0)])
        with pytest.raises(UnknownTopic):
            opened.reader.begin_offsets([opened.at(0)])
        opened.create()
        with pytest.raises(UnknownTopic):
            opened.reader.end_offsets([opened.at(2)])

    def test_reading_a_topic_nobody_made_is_an_error_not_a_wait(self, opened: OpenLog) -> None:
        def assign_and_poll(positions: Mapping[TopicPartition, int]) -> None:
            opened.reader.assign(positions)
            opened.reader.poll(1, 0.1)

        with pytest.raises(UnknownTopic):
            assign_and_poll({opened.at(0): 0})

    def test_nothing_is_appended_when_one_topic_is_unknown(self, opened: OpenLog) -> None:
        opened.create()
        with pytest.raises(UnknownTopic):
            opened.writer.append([opened.message(0, b"1"), opened.message(7, b"2")])
        with pytest.raises(UnknownTopic):
            opened.writer.append([opened.message(0, b"1"), Message("no.such", 0, b"k", b"2")])

        assert opened.append(b"3") == (0,)

    def test_a_topic_is_described_as_it_was_made(self, opened: OpenLog) -> None:
        opened.create(partitions=3, retention_ms=3_600_000)

        info = opened.reader.topic(opened.topic)

        assert (info.name, info.partitions, info.retention_ms) == (opened.topic, 3, 3_600_000)
        assert info in opened.admin.topics()

    def test_making_a_topic_again_changes_nothing(self, opened: OpenLog) -> None:
        opened.create(partitions=3)
        info = opened.reader.topic(opened.topic)

        assert opened.admin.create([TopicSpec(name=opened.topic, partitions=3)]) == ()

        assert opened.reader.topic(opened.topic) == info

    def test_a_topic_with_other_partitions_is_refused(self, opened: OpenLog) -> None:
        opened.create(partitions=3)

        with pytest.raises(TopicMismatch, match="4 partitions, but it has 3"):
            opened.admin.create([TopicSpec(name=opened.topic, partitions=4)])

    def test_a_group_reads_from_where_its_owner_says(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1", b"2")
        opened.append(b"3", partition=1)
        owner = Books({opened.at(0): 1})
        member = opened.member()
        member.subscribe([opened.topic], owner)

        records = read(member, 2)

        assert sorted(values(records), key=str) == [b"2", b"3"]
        assert owner.held == {opened.at(0), opened.at(1)}
        member.commit({opened.at(0): 2})
        member.close()
        assert owner.held == set()

    def test_a_member_pauses_resumes_and_seeks(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1", b"2")
        opened.append(b"3", partition=1)
        member = opened.member()
        member.subscribe([opened.topic], Books({}))
        read(member, 3)

        member.pause([opened.at(0)])
        member.seek(opened.at(0), 1)
        member.seek(opened.at(1), 0)
        assert values(read(member, 1)) == [b"3"]
        assert member.poll(10, 0.2) == []
        member.resume([opened.at(0)])

        assert values(read(member, 1)) == [b"2"]
        member.close()

    def test_a_lost_partition_of_a_group_leaves_the_others(self, opened: OpenLog) -> None:
        opened.create()
        opened.append(b"1")
        opened.append(b"2", b"3", partition=1)
        opened.expire(1, 1)
        member = opened.member()
        member.subscribe([opened.topic], Books({}))

        records: list[Record] = []

        def read_on() -> None:
            while True:
                records.extend(member.poll(10, 0.2))

        with pytest.raises(PositionLost) as caught:
            read_on()
        member.pause([TopicPartition(caught.value.topic, caught.value.partition)])
        records += read(member, 1 - len(records))

        assert caught.value.partition == 1
        assert values(records) == [b"1"]
        member.close()


class Books:
    """An owner that keeps positions, as the tables do."""

    def __init__(self, positions: dict[TopicPartition, int]) -> None:
        self.positions = positions
        self.held: set[TopicPartition] = set()

    def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        taken = set(partitions)
        assert self.held.isdisjoint(taken)
        self.held |= taken
        return {each: self.positions.get(each, 0) for each in taken}

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        gone = set(partitions)
        assert self.held >= gone
        self.held -= gone

    def take(self, records: Sequence[Record]) -> None:
        for record in records:
            at = TopicPartition(record.topic, record.partition)
            assert record.offset == self.positions.get(at, 0)
            self.positions[at] = record.offset + 1
