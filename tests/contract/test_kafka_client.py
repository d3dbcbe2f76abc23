"""What of Kafka's client is gone around: how it takes large messages, and what it keeps alive."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import kafka as client
import pytest
from kafka import errors as broken

from events.errors import LogError, PositionLost
from events.kafka_log import KafkaLog, KafkaOptions
from events.kafka_log.options import MESSAGE_BYTES_MAX
from events.kafka_log.writer import LARGE_BYTES
from events.log import Record
from tests.contract.log_contract import Books, OpenLog, read, values
from tests.servers.kafka import KafkaServer


class OpenKafka(OpenLog):
    def __init__(self, log: KafkaLog) -> None:
        super().__init__(log)
        self.kafka = log

    def delete_topic(self) -> None:
        raise NotImplementedError

    def expire(self, partition: int, offset: int) -> None:
        raise NotImplementedError


@pytest.fixture
def opened(kafka: KafkaServer) -> Iterator[OpenKafka]:
    opened = OpenKafka(KafkaLog(KafkaOptions(bootstrap=kafka.bootstrap)))
    opened.create()
    yield opened
    opened.close()


@pytest.mark.parametrize("size", [LARGE_BYTES - 1, LARGE_BYTES, MESSAGE_BYTES_MAX - 200])
def test_a_large_message_is_taken_among_small_ones(opened: OpenKafka, size: int) -> None:
    sent = [opened.message(n % 2, b"x" * (size if n == 4 else 9)) for n in range(9)]

    offsets = opened.writer.append(sent)

    assert offsets == (0, 0, 1, 1, 2, 2, 3, 3, 4)
    opened.reader.assign({opened.at(0): 0, opened.at(1): 0})
    found = {(r.partition, r.offset): len(r.value or b"") for r in read(opened.reader, 9)}
    assert found.pop((0, 2)) == size
    assert set(found.values()) == {9}


def test_a_message_that_no_broker_would_take_is_refused_and_the_writer_goes_on(
    opened: OpenKafka,
) -> None:
    bomb = opened.message(0, b"x" * MESSAGE_BYTES_MAX)._replace(headers=(("h", b"v"),))

    with pytest.raises(LogError, match="append"):
        opened.writer.append([bomb])

    assert opened.append(b"after") == (0,)


def test_a_wait_in_vain_for_more_keeps_nothing_of_what_was_handed_out(opened: OpenKafka) -> None:
    opened.append(b"a value of one record")
    member = opened.kafka.group(opened.topic)
    member.subscribe([opened.topic], Books({}))

    found: list[Record] = []
    while not found:
        found += member.poll(10, 0.2)

    value = found.pop().value
    member.poll(10, 0.2)  # The client lets go of what it read last.

    assert sys.getrefcount(value) == 2  # Ours, and the question's own.
    member.close()


def test_what_fails_while_records_are_in_hand_is_said_after_them(
    opened: OpenKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.append(b"1")
    member = opened.kafka.group(opened.topic)
    member.subscribe([opened.topic], Books({}))
    answer = member._consumer.poll
    handed_out: list[object] = []

    def poll(*args: object) -> object:
        if len(handed_out) == 1:  # Just behind the first records.
            handed_out.append("lost")
            lost = client.TopicPartition(opened.topic, 1)
            raise broken.OffsetOutOfRangeError({lost: 7})
        found = answer(*args)
        handed_out.extend(found)
        return found

    monkeypatch.setattr(member._consumer, "poll", poll)

    records = read(member, 1)

    assert values(records) == [b"1"]
    with pytest.raises(PositionLost):
        member.poll(10, 0.2)
    member.close()
