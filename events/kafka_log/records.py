"""Records of a fetch as ours, read from the client's batches without the client's own in between.

The client makes two objects of each record and looks at each field three times; half of what it
takes to read a record goes there. What is checked is the same, and what can't be parsed is raised
as the client raises it. Knows how a record lies in a batch of format 2, the only one that brokers
have kept since 0.11; of any other the client's way is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import errors as broken
from kafka.consumer.fetcher import Fetcher
from kafka.record.util import decode_varint

from events.log import Record

_MAGIC = 2
#: Bits that are clear in a varint of one byte that is not negative: nearly all of a record's are.
_MORE_OR_NEGATIVE = 0x81


class RecordsOfPartition(Fetcher.PartitionRecords):
    """What was fetched of one partition; takes the place of the client's class of it."""

    def _unpack_records(
        self, tp: Any, records: Any, _key_deserializer: object, _value_deserializer: object
    ) -> Iterator[Record]:
        batch, last = records.next_batch(), None
        while batch is not None:
            last = batch
            if self.check_crcs and not batch.validate_crc():
                raise broken.CorruptRecordError(
                    f"Expected the batch at {batch.base_offset} of {tp} to have its sum, but not"
                )
            if batch.magic != _MAGIC:
                yield from self._of_old_batch(tp, batch)
            else:
                self.leader_epoch = batch.leader_epoch
                if batch.is_control_batch:
                    self.next_fetch_offset = batch.next_offset
                else:
                    yield from self._of_batch(tp, batch)
            batch = records.next_batch()
        if last is not None and last.magic == _MAGIC:
            # Where the last ones of a batch are gone, the next fetch begins behind them.
            self.next_fetch_offset = last.next_offset
        self.drain()  # type: ignore[no-untyped-call]  # of the client's

    def _of_old_batch(self, tp: Any, batch: Any) -> Iterator[Record]:
        for found in batch:
            if self.check_crcs and not found.validate_crc():
                raise broken.CorruptRecordError(
                    f"Expected the record at {found.offset} of {tp} to have its sum, but not"
                )
            self.bytes_read += found.size_in_bytes
            self.next_fetch_offset = found.offset + 1
            yield Record(
                tp.topic,
                tp.partition,
                found.offset,
                found.key,
                found.value,
                tuple(found.headers),
                found.timestamp * 1_000,
                self.leader_epoch,
            )

    def _of_batch(self, tp: Any, batch: Any) -> Iterator[Record]:
        batch._maybe_uncompress()
        buffer, pos = bytes(batch._buffer), batch._pos
        topic, partition, epoch = tp.topic, tp.partition, self.leader_epoch
        first, appended_ms = batch.base_offset, None
        if batch.timestamp_type == batch.LOG_APPEND_TIME:
            appended_ms = batch.max_timestamp
        self.bytes_read += len(buffer)
        for _ in range(batch.records_count):
            try:
                pos, offset, delta_ms, key, value, headers = _read(buffer, pos)
            except (ValueError, IndexError) as error:
                raise broken.CorruptRecordError(
                    f"Expected a record in the batch at {first} of {tp}, but {error!r}"
                ) from error
            at_ms = batch.first_timestamp + delta_ms if appended_ms is None else appended_ms
            offset += first
            self.next_fetch_offset = offset + 1
            yield Record(topic, partition, offset, key, value, headers, at_ms * 1_000, epoch)
        if pos != len(buffer):
            raise broken.CorruptRecordError(
                f"Expected the batch at {first} of {tp} to end, but {len(buffer) - pos} bytes"
            )


_Headers = tuple[tuple[str, bytes | None], ...]


def _read(buffer: bytes, pos: int) -> tuple[int, int, int, bytes | None, bytes | None, _Headers]:
    """Return where a record ends, its offset and time beside the batch's, key, value, headers."""
    length, pos = decode_varint(buffer, pos)
    end = pos + length
    _, pos = decode_varint(buffer, pos)  # attributes, which mean nothing yet
    delta_ms, pos = decode_varint(buffer, pos)
    offset, pos = decode_varint(buffer, pos)
    key, pos = _bytes(buffer, pos)
    value, pos = _bytes(buffer, pos)
    count, pos = decode_varint(buffer, pos)
    if count < 0:
        raise ValueError(f"{count} headers")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, pos = _bytes(buffer, pos)
        if name is None:
            raise ValueError("a header without a name")
        header, pos = _bytes(buffer, pos)
        headers.append((name.decode(), header))
    if pos != end:
        raise ValueError(f"{pos - end} bytes more than were announced")
    return pos, offset, delta_ms, key, value, tuple(headers)


def _bytes(buffer: bytes, pos: int) -> tuple[bytes | None, int]:
    length = buffer[pos]
    if length & _MORE_OR_NEGATIVE:
        length, pos = decode_varint(buffer, pos)
        if length < 0:
            return None, pos
    else:
        length >>= 1
        pos += 1
    end = pos + length
    return buffer[pos:end], end
