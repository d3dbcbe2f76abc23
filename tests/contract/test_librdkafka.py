"""What is particular to librdkafka as the fetcher: what it says in between, what it has ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from events.errors import PositionLost
from events.kafka_log import KafkaLog, KafkaOptions
from events.log import LogReader
from tests.contract.log_contract import PATIENCE_S, read, values
from tests.contract.test_kafka_client import OpenKafka
from tests.servers.kafka import KafkaServer


@pytest.fixture
def opened(kafka: KafkaServer) -> Iterator[OpenKafka]:
    options = KafkaOptions(bootstrap=kafka.bootstrap, fetcher="librdkafka")
    opened = OpenKafka(KafkaLog(options))
    opened.create()
    yield opened
    opened.close()


def read_on(reader: LogReader, found: list[bytes | None]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found += values(reader.poll(10, 0.2))


def test_what_was_read_beside_a_lost_position_is_not_lost_with_it(opened: OpenKafka) -> None:
    opened.append(b"1", b"2")
    opened.reader.assign({opened.at(0): 0, opened.at(1): 7})
    found: list[bytes | None] = []

    with pytest.raises(PositionLost, match="hold offset 7") as lost:
        read_on(opened.reader, found)

    assert (lost.value.partition, lost.value.offset) == (1, 7)
    assert found + values(read(opened.reader, 2 - len(found))) == [b"1", b"2"]


def test_what_was_fetched_ahead_is_not_read_where_it_was_sought_elsewhere(
    opened: OpenKafka,
) -> None:
    opened.append(*(str(n).encode() for n in range(100)))
    opened.reader.assign({opened.at(0): 0})
    assert values(read(opened.reader, 1, max_records=1)) == [b"0"]

    opened.reader.seek(opened.at(0), 98)  # type: ignore[attr-defined]  # of a group it is said too

    assert values(read(opened.reader, 2)) == [b"98", b"99"]


def test_a_paused_partition_goes_on_where_it_was_read_to(opened: OpenKafka) -> None:
    opened.append(*(str(n).encode() for n in range(100)))
    reader = opened.kafka.reader()
    reader.assign({opened.at(0): 0, opened.at(1): 0})
    assert values(read(reader, 10, max_records=10)) == [str(n).encode() for n in range(10)]

    reader.pause([opened.at(0)])
    reader.pause([opened.at(0)])
    assert reader.poll(100, 0.05) == []
    reader.resume([opened.at(0)])

    assert values(read(reader, 1, max_records=1)) == [b"10"]
    reader.close()
