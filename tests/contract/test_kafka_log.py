"""Kafka as a log: the promises of every log, and those that only Kafka makes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import kafka as client
import pytest
from kafka.admin import KafkaAdminClient

from events.errors import LogUnavailable, UnknownTopic
from events.kafka_log import KafkaAdmin, KafkaLog, KafkaOptions, KafkaReader
from events.log import LogWriter, Message, TopicPartition
from tests.contract.log_contract import PATIENCE_S, Books, LogContract, OpenLog, read, values
from tests.servers.kafka import KafkaServer
from tests.servers.tiers import free_ports


class OpenKafkaLog(OpenLog):
    def __init__(self, log: KafkaLog, operator: KafkaAdminClient) -> None:
        super().__init__(log)
        self.kafka = log
        self._operator = operator

    def delete_topic(self) -> None:
        self._operator.delete_topics([self.topic])
        admin = self.kafka.admin()
        wait_until(lambda: is_unknown(admin, self.topic))
        admin.close()

    def expire(self, partition: int, offset: int) -> None:
        self._operator.delete_records({client.TopicPartition(self.topic, partition): offset})


def is_unknown(admin: KafkaAdmin, topic: str) -> bool:
    try:
        admin.topic(topic)
    except UnknownTopic:
        return True
    return False


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not is_so():
        pause.wait(0.02)
        assert time.monotonic() < deadline, f"Expected within {PATIENCE_S} s, but it isn't so."


@pytest.fixture(scope="module", params=["kafka-python", "librdkafka"])
def options(kafka: KafkaServer, request: pytest.FixtureRequest) -> KafkaOptions:
    return KafkaOptions(bootstrap=kafka.bootstrap, session_timeout_s=3.0, fetcher=request.param)


@pytest.fixture
def freezable(kafka: KafkaServer) -> KafkaServer:
    if not kafka.is_ours:
        pytest.skip("Expected a broker of our own to freeze, but REGENTE_TEST_KAFKA names another.")
    return kafka


@pytest.fixture(scope="module")
def operator(kafka: KafkaServer) -> Iterator[KafkaAdminClient]:
    with_rights = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    yield with_rights
    with_rights.close()


class TestKafkaLog(LogContract):
    @pytest.fixture
    def opened(self, options: KafkaOptions, operator: KafkaAdminClient) -> Iterator[OpenKafkaLog]:
        opened = OpenKafkaLog(KafkaLog(options), operator)
        yield opened
        opened.close()

    def test_topics_are_made_as_auditors_and_readers_need_them(self, opened: OpenKafkaLog) -> None:
        opened.create()
        admin = opened.kafka.admin()

        settings = admin.settings(opened.topic)

        admin.close()
        assert settings["message.timestamp.type"] == "LogAppendTime"
        assert settings["compression.type"] == "uncompressed"
        assert settings["cleanup.policy"] == "delete"
        assert (settings["retention.ms"], settings["retention.bytes"]) == ("-1", "-1")

    def test_what_a_producer_packed_reaches_no_reader_packed(
        self, opened: OpenKafkaLog, options: KafkaOptions
    ) -> None:
        opened.create()
        packer = client.KafkaProducer(
            bootstrap_servers=options.bootstrap, compression_type="gzip", max_request_size=1 << 26
        )
        packer.send(opened.topic, b"x" * 1000, partition=0).get(10)
        bomb = packer.send(opened.topic, b"\0" * (1 << 24), partition=0)
        with pytest.raises(client.errors.KafkaError):
            bomb.get(10)
        packer.close()
        opened.reader.assign({opened.at(0): 0})

        assert values(read(opened.reader, 1)) == [b"x" * 1000]

    def test_a_retry_inside_an_append_leaves_one_record(
        self, opened: OpenKafkaLog, freezable: KafkaServer, options: KafkaOptions
    ) -> None:
        opened.create()
        patient = KafkaLog(replace(options, append_timeout_s=9.0)).writer()
        patient.append([opened.message(0, b"connected")])
        offsets: list[tuple[int, ...]] = []
        appending = threading.Thread(
            target=lambda: offsets.append(patient.append([opened.message(0, b"once")]))
        )

        with freezable.frozen():
            appending.start()
            appending.join(4.0)  # longer than one request may take, shorter than the bound
            assert appending.is_alive()
        appending.join()

        patient.close()
        opened.reader.assign({opened.at(0): 0})
        assert offsets == [(1,)]
        assert values(read(opened.reader, 2)) == [b"connected", b"once"]
        assert opened.reader.end_offsets([opened.at(0)]) == {opened.at(0): 2}

    def test_a_silent_broker_ends_an_append_and_the_writer_recovers(
        self, opened: OpenKafkaLog, freezable: KafkaServer, options: KafkaOptions
    ) -> None:
        opened.create()
        hasty = KafkaLog(replace(options, append_timeout_s=1.0)).writer()
        hasty.append([opened.message(0, b"1")])

        with freezable.frozen(), pytest.raises(LogUnavailable):
            hasty.append([opened.message(0, b"2")])

        (third,) = append_at_last(hasty, opened.message(0, b"3"))
        hasty.close()
        # The second may be there, even behind the third: that is what LogUnavailable means.
        opened.reader.assign({opened.at(0): third})
        assert values(read(opened.reader, 1))[0] == b"3"

    def test_an_absent_broker_is_unavailable_to_all(self) -> None:
        # In a process of its own: the client leaves refused sockets to the collector, and pytest
        # would blame whichever test runs when they are found.
        (port,) = free_ports(1)
        command = [sys.executable, "-c", ABSENT, f"127.0.0.1:{port}"]

        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

        assert said.splitlines() == ["LogUnavailable"] * 3

    def test_a_record_that_the_client_cannot_parse_comes_empty_and_the_partition_goes_on(
        self, opened: OpenKafkaLog, options: KafkaOptions
    ) -> None:
        opened.create()
        opened.append(b"before")
        forger = client.KafkaProducer(bootstrap_servers=options.bootstrap)
        forger.send(opened.topic, b"bad", partition=0, headers=[(NotUtf8("h"), b"v")]).get(10)
        forger.close()
        opened.append(b"after")
        opened.reader.assign({opened.at(0): 0})

        records = read(opened.reader, 3)

        assert [(r.offset, r.value) for r in records] == [(0, b"before"), (1, b""), (2, b"after")]


def append_at_last(writer: LogWriter, message: Message) -> tuple[int, ...]:
    """Append, again where the broker has not woken up within the writer's bound."""
    offsets: list[tuple[int, ...]] = []

    def is_there() -> bool:
        with suppress(LogUnavailable):
            offsets.append(writer.append([message]))
        return bool(offsets)

    wait_until(is_there)
    return offsets[0]


class NotUtf8(str):
    """A header name that a client of ours would never write."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


class Member:
    """A member of a group that polls on a thread of its own, as a process would."""

    def __init__(self, opened: OpenKafkaLog, positions: dict[TopicPartition, int]) -> None:
        self.books = Books(positions)
        self._reader: KafkaReader = opened.kafka.group(opened.topic)
        self._reader.subscribe([opened.topic], self.books)
        self._is_leaving = threading.Event()
        self._is_committing = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def commit(self) -> None:
        """Commit from now on, as a service does: again and again, for one may be lost."""
        self._is_committing.set()

    def leave(self) -> None:
        self._is_leaving.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_leaving.is_set():
            self.books.take(self._reader.poll(100, 0.1))
            if self._is_committing.is_set():
                self._reader.commit(self.books.positions)
        self._reader.close()


class TestKafkaGroup:
    @pytest.fixture
    def opened(self, options: KafkaOptions, operator: KafkaAdminClient) -> Iterator[OpenKafkaLog]:
        opened = OpenKafkaLog(KafkaLog(options), operator)
        opened.create(partitions=6)
        yield opened
        opened.close()

    def test_members_share_the_partitions_and_go_on_where_the_other_was(
        self, opened: OpenKafkaLog
    ) -> None:
        positions: dict[TopicPartition, int] = {}
        for partition in range(6):
            opened.append(b"1", b"2", partition=partition)
        first = Member(opened, positions)
        wait_until(lambda: sum(positions.values()) == 12)
        assert len(first.books.held) == 6

        second = Member(opened, positions)
        wait_until(lambda: (len(first.books.held), len(second.books.held)) == (3, 3))
        assert first.books.held.isdisjoint(second.books.held)
        for partition in range(6):
            opened.append(b"3", partition=partition)
        wait_until(lambda: sum(positions.values()) == 18)

        first.leave()
        assert first.books.held == set()
        wait_until(lambda: len(second.books.held) == 6)
        opened.append(b"4")
        wait_until(lambda: sum(positions.values()) == 19)
        second.leave()

    def test_the_partitions_of_a_killed_member_move_after_its_session(
        self, opened: OpenKafkaLog, options: KafkaOptions
    ) -> None:
        positions: dict[TopicPartition, int] = {}
        survivor = Member(opened, positions)
        command = [sys.executable, "-c", VICTIM, options.bootstrap, opened.topic]
        wait_until(lambda: len(survivor.books.held) == 6)
        victim = subprocess.Popen(command)
        try:
            wait_until(lambda: len(survivor.books.held) == 3)
        finally:
            victim.kill()
            victim.wait()

        wait_until(lambda: len(survivor.books.held) == 6)

        for partition in range(6):
            opened.append(b"1", partition=partition)
        wait_until(lambda: sum(positions.values()) == 6)
        survivor.leave()

    def test_a_member_that_joins_while_it_works_is_not_taken_for_dead(
        self, opened: OpenKafkaLog
    ) -> None:
        member = opened.kafka.group(opened.topic)
        books = Books({})
        member.subscribe([opened.topic], books)
        while not books.held:
            books.take(member.poll(10, 0.2))
        # The leader sees new partitions and joins again; its poll ends before the group answers.
        coordinator: Any = member._consumer._coordinator
        coordinator._assignment_snapshot = {}
        member._consumer.poll(0)
        wait_until(lambda: coordinator._join_task.is_done)

        books.take(member.poll(10, 0.2))

        assert coordinator.stable()  # Before, it sent no heartbeat from here on.
        member.close()

    def test_an_owner_that_fails_is_asked_again_and_no_record_is_lost(
        self, opened: OpenKafkaLog
    ) -> None:
        opened.append(b"1")
        books = FailsOnce()
        reader = opened.kafka.group(opened.topic)
        reader.subscribe([opened.topic], books)

        failures = 0
        while sum(books.positions.values()) < 1:
            try:
                books.take(reader.poll(10, 0.2))
            except ConnectionError:
                failures += 1

        assert failures == 1
        reader.close()

    def test_what_was_committed_for_lag_tools_never_decides_where_to_read(
        self, opened: OpenKafkaLog, operator: KafkaAdminClient
    ) -> None:
        opened.append(b"1", b"2")
        first = Member(opened, {})
        wait_until(lambda: sum(first.books.positions.values()) == 2)
        first.commit()
        wait_until(lambda: 2 in committed(operator, opened.topic))
        first.leave()

        second = Member(opened, {})

        wait_until(lambda: sum(second.books.positions.values()) == 2)
        second.leave()


def committed(operator: KafkaAdminClient, group_id: str) -> set[int]:
    """Return what lag tools see."""
    offsets = operator.list_group_offsets([group_id])[group_id]
    return {each.offset for each in offsets.values()}


class FailsOnce(Books):
    """An owner whose database is away the first time."""

    def __init__(self) -> None:
        super().__init__({})
        self.is_away = True

    def assigned(self, partitions):  # type: ignore[no-untyped-def] # as in Books
        if self.is_away:
            self.is_away = False
            raise ConnectionError("the database is away")
        return super().assigned(partitions)


VICTIM = """
import sys
from events.kafka_log import KafkaLog, KafkaOptions
bootstrap, topic = sys.argv[1:]
class Books:
    def assigned(self, partitions): return dict.fromkeys(partitions, 0)
    def revoked(self, partitions): pass
reader = KafkaLog(KafkaOptions(bootstrap=bootstrap, session_timeout_s=3.0)).group(topic)
reader.subscribe([topic], Books())
while True:
    reader.poll(100, 0.1)
"""


ABSENT = """
import logging, sys
from events.errors import LogError
from events.kafka_log import KafkaLog, KafkaOptions
from events.log import Message
logging.disable()
(bootstrap,) = sys.argv[1:]
log = KafkaLog(KafkaOptions(bootstrap=bootstrap, append_timeout_s=0.3, answer_timeout_s=0.3))
for ask in (
    lambda: log.writer().append([Message("t", 0, b"k", b"v")]),
    lambda: log.reader(),
    lambda: log.admin().topics(),
):
    try:
        ask()
    except LogError as error:
        print(type(error).__name__)
"""
