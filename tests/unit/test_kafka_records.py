"""Records read from the client's batches: as the client reads them, whatever lies in a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

from events.kafka_log.records import RecordsOfPartition
from events.log import Record

TP: Final = TopicPartition("facts", 3)
NONE, GZIP = 0, 1
LOG_APPEND_TIME = 0x08
#: (key, value, headers) of what a writer of ours writes, and of what anybody could.
WRITTEN: Final[tuple[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]], ...]] = (
    (b"k" * 36, bytes(range(256)), [("prev", bytes(32)), ("mac", b"m" * 45)]),
    (None, b"", []),
    (b"", None, [("none", None), ("", b""), ("\N{SNOWMAN}", b"x" * 70)]),
    (b"k" * 200, b"v" * 20_000, [("h", b"y" * 300)]),
)


def batch(compression: int = NONE, count: int = 4, *, attributes: int = 0) -> bytearray:
    """Return a batch of format 2 that begins at offset 100."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=False,
        producer_id=7,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 20,
    )
    for n in range(count):
        key, value, headers = WRITTEN[n % len(WRITTEN)]
        builder.append(n, 1_700_000_000_000 + 70 * n, key, value, headers)
    raw = bytearray(builder.build())
    raw[7] = 100
    raw[22] |= attributes
    return raw


def read(
    kind: Any, raw: bytes | bytearray, begin: int = 100, *, check: bool = False
) -> tuple[Any, ...]:
    """Return what a class makes of bytes: records, what stops it, and where the next fetch begins.

    What a client's record says besides is left out.
    """
    part = kind(begin, TP, MemoryRecords(bytes(raw)), check_crcs=check)
    records, stopped = list[tuple[Any, ...]](), False
    try:
        while part and (some := part.take(3)):
            records += map(plain, some)
    except CorruptRecordError:
        stopped = True
    return records, stopped, part.next_fetch_offset, part.leader_epoch


def plain(found: Any) -> tuple[Any, ...]:
    """Return a record of the client's, or one of ours, as the same values."""
    if isinstance(found, Record):
        return tuple(found)
    headers, at_us = tuple(found.headers), found.timestamp * 1_000
    return (*TP, found.offset, found.key, found.value, headers, at_us, found.leader_epoch)


def batches() -> Iterator[Any]:
    yield pytest.param(batch(), id="plain")
    yield pytest.param(batch(GZIP), id="compressed")
    yield pytest.param(batch(attributes=LOG_APPEND_TIME), id="with the broker's time")
    yield pytest.param(batch(count=200), id="many")
    yield pytest.param(batch(attributes=0x20), id="control")
    yield pytest.param(batch() + batch(GZIP), id="two")
    old = LegacyRecordBatchBuilder(magic=1, compression_type=NONE, batch_size=1 << 20)
    for n in range(3):
        old.append(100 + n, timestamp=5 + n, key=b"k", value=b"v")
    yield pytest.param(bytearray(old.build()), id="of an old format")


@pytest.mark.parametrize("raw", list(batches()))
@pytest.mark.parametrize("begin", [100, 102])
def test_records_are_read_as_the_client_reads_them(raw: bytearray, begin: int) -> None:
    expected = read(Fetcher.PartitionRecords, raw, begin)

    assert read(RecordsOfPartition, raw, begin) == expected


def test_a_record_has_what_was_written() -> None:
    (found, *_), stopped, following, _ = read(RecordsOfPartition, batch(attributes=LOG_APPEND_TIME))

    headers = (("prev", bytes(32)), ("mac", b"m" * 45))
    at_us = 1_700_000_000_210 * 1_000
    assert found == ("facts", 3, 100, b"k" * 36, bytes(range(256)), headers, at_us, 0)
    assert (stopped, following) == (False, 104)


@pytest.mark.parametrize("size", [2, 3])
def test_whatever_byte_is_wrong_the_same_is_read_and_the_same_refused(size: int) -> None:
    """Without the sum, which hides every other check: behind it only a writer lies."""
    raw = batch(count=size)
    # From the end of the batch's own head on, through all of the first record and the second.
    for at in range(61, min(len(raw), 61 + 420)):
        for flipped in (0x01, 0x80, 0xFF):
            wrong = bytearray(raw)
            wrong[at] ^= flipped

            assert _outcome(RecordsOfPartition, wrong) == _outcome(Fetcher.PartitionRecords, wrong)


def _outcome(kind: Any, raw: bytes | bytearray) -> tuple[Any, ...] | str:
    try:
        return read(kind, raw)
    except UnicodeDecodeError:
        return "no text"


def test_a_batch_whose_sum_is_wrong_is_refused() -> None:
    raw = batch()
    raw[-1] ^= 1

    assert read(RecordsOfPartition, raw, check=True) == ([], True, 100, -1)
    assert read(Fetcher.PartitionRecords, raw, check=True) == ([], True, 100, -1)
