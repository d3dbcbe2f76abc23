"""Reading Kafka by librdkafka, which fetches in threads of its own: the one door to it.

The group stays with the other client, which has partitions divided as we want them and tells an
owner in time; of it everything is paused. What is fetched here are the partitions that it gives,
or those that were chosen, from positions of ours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import confluent_kafka as rdkafka

from events.errors import EventsError, LogError, PositionLost
from events.kafka_log.client import theirs
from events.kafka_log.options import (
    GROUP_LOOK_S,
    MESSAGE_BYTES_MAX,
    PARTITION_FETCH_BYTES,
    QUEUE_KIB,
    QUEUE_LOOK_MS,
    WAIT_MS,
    KafkaOptions,
)
from events.kafka_log.reader import KafkaReader
from events.log import Headers, Owner, Record, TopicPartition

_log = logging.getLogger(__name__)

#: librdkafka's words for the settings of `[kafka] client`.
_NAMES: Final = {
    "client_id": "client.id",
    "security_protocol": "security.protocol",
    "ssl_cafile": "ssl.ca.location",
    "ssl_certfile": "ssl.certificate.location",
    "ssl_keyfile": "ssl.key.location",
    "ssl_password": "ssl.key.password",
    "ssl_crlfile": "ssl.crl.location",
    "ssl_ciphers": "ssl.cipher.suites",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_plain_username": "sasl.username",
    "sasl_plain_password": "sasl.password",
    "sasl_kerberos_service_name": "sasl.kerberos.service.name",
}
_HOSTNAME: Final = "ssl_check_hostname"

#: The position is not there (any more): retention, or a tail that was lost.
_LOST: Final = frozenset(
    {
        rdkafka.KafkaError._AUTO_OFFSET_RESET,
        rdkafka.KafkaError._LOG_TRUNCATION,
        rdkafka.KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
#: Nobody can parse what stands at the position.
_UNREADABLE: Final = frozenset(
    {
        rdkafka.KafkaError._BAD_MSG,
        rdkafka.KafkaError.INVALID_MSG,
        rdkafka.KafkaError._BAD_COMPRESSION,
    }
)
#: The topic is not known: the other client looks whether it is gone, or another.
_UNKNOWN: Final = frozenset(
    {
        rdkafka.KafkaError._UNKNOWN_PARTITION,
        rdkafka.KafkaError._UNKNOWN_TOPIC,
        rdkafka.KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)


class FetchingReader(KafkaReader):
    """Fulfils `LogGroup` like the reader that it extends; what is read is fetched by librdkafka."""

    def __init__(self, options: KafkaOptions, group_id: str | None) -> None:
        settings = settings_of(options)
        super().__init__(options, group_id)
        self._fetcher = rdkafka.Consumer(settings, logger=_log)
        #: The next offset of each partition that is read.
        self._next: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._looked_at_s = 0.0

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions and no others; raises UnknownTopic at once."""
        super().assign(positions)
        self._consumer.pause(*theirs(positions))
        self._leave(tuple(self._next))
        self._begin(positions)

    def subscribe(self, topics: Sequence[str], owner: Owner) -> None:
        """Join the group; `owner` hears of partitions within later calls of `poll`."""
        self._leave(tuple(self._next))
        super().subscribe(topics, owner)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read an assigned partition from `offset` on."""
        was_paused = partition in self._paused
        self._leave([partition])
        self._begin({partition: offset})
        if was_paused:
            self.pause([partition])

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Return no records of these assigned partitions until they are resumed."""
        still = [each for each in partitions if each in self._next and each not in self._paused]
        if still:
            self._fetcher.incremental_unassign(_named(still))
            self._paused.update(still)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Return records of these partitions again."""
        still = {each: self._next[each] for each in partitions if each in self._paused}
        if still:
            self._paused.difference_update(still)
            self._fetch(still)

    def close(self) -> None:
        """Let the partitions go, leave the group and release the connections."""
        try:
            super().close()
        finally:
            self._fetcher.close()

    # What the reader asks of its client.

    def _begin(self, positions: Mapping[TopicPartition, int]) -> None:
        self._next.update(positions)
        self._fetch(positions)

    def _let_go(self, partitions: Iterable[TopicPartition]) -> None:
        self._leave(partitions)

    def _take_more(self, max_records: int) -> None:
        """Nothing: what came since is here already."""

    def _take(self, max_records: int, timeout_s: float) -> list[Record]:
        if self._owner is not None and self._has_news(timeout_s):
            return []
        found = self._fetcher.consume(max_records, 0)
        if not found:
            first = self._fetcher.poll(timeout_s)
            if first is None:
                return []
            found = [first, *self._fetcher.consume(max_records - 1, 0)]
        return self._records(found)

    def _has_news(self, timeout_s: float) -> bool:
        """Give the group its turn, as seldom as it needs one; say whether it said anything."""
        is_joining, now_s = self._is_joining(), time.monotonic()
        if is_joining or now_s - self._looked_at_s >= GROUP_LOOK_S:
            self._looked_at_s = now_s
            super()._take(1, timeout_s if is_joining else 0)
        return bool(self._changes)

    def _skip_unreadable(self) -> Record:
        raise AssertionError("Expected the other client to read nothing, but it did.")

    # Fetching.

    def _fetch(self, positions: Mapping[TopicPartition, int]) -> None:
        if positions:
            self._fetcher.incremental_assign(
                [rdkafka.TopicPartition(*at, offset) for at, offset in positions.items()]
            )

    def _leave(self, partitions: Iterable[TopicPartition]) -> None:
        held = [each for each in partitions if each in self._next]
        if read := [each for each in held if each not in self._paused]:
            self._fetcher.incremental_unassign(_named(read))
        for each in held:
            del self._next[each]
        self._paused.difference_update(held)

    def _records(self, found: Sequence[Any]) -> list[Record]:
        records: list[Record] = []
        next_, paused = self._next, self._paused
        for message in found:
            if message.error() is not None:
                records += self._said(message)
                continue
            at = TopicPartition(message.topic(), message.partition())
            record = _record(at, message)
            # What was fetched before a partition was left, or was sought elsewhere in, is not read.
            if at not in next_ or at in paused or record.offset < next_[at]:
                continue
            next_[at] = record.offset + 1
            records.append(record)
        return records

    def _said(self, message: Any) -> list[Record]:
        """Return what there is to read where librdkafka says what it met instead of a record.

        What has to be raised is owed: the records before it are read first.
        """
        error = message.error()
        if message.topic() is None or message.partition() is None or message.partition() < 0:
            at = None
        else:
            at = TopicPartition(message.topic(), message.partition())
            if at not in self._next:
                return []
        if at is not None and error.code() in _UNREADABLE:
            offset = self._next[at]
            self.seek(at, offset + 1)
            return [_empty(at, offset)]
        if error.code() in _UNKNOWN:
            self._consumer._cluster.request_update()
        elif at is not None and error.code() in _LOST:
            offset = self._next[at]
            self._owe(
                PositionLost(
                    f"Expected {at.topic}/{at.partition} to hold offset {offset}, but it doesn't.",
                    topic=at.topic,
                    partition=at.partition,
                    offset=offset,
                )
            )
        elif _is_grave(error):
            self._owe(LogError(f"Expected the brokers to poll, but {error}."))
        else:
            _log.debug("librdkafka: %s", error)
        return []

    def _owe(self, error: EventsError) -> None:
        self._owed = self._owed or error


def settings_of(options: KafkaOptions) -> dict[str, object]:
    """Return librdkafka's settings; raises LogError where one of ours has no word there."""
    found: dict[str, object] = {
        "bootstrap.servers": options.bootstrap,
        "group.id": "none",  # It wants one, and joins none: partitions are assigned by hand.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "isolation.level": "read_uncommitted",
        "check.crcs": True,
        "max.partition.fetch.bytes": PARTITION_FETCH_BYTES,
        "receive.message.max.bytes": 64 * MESSAGE_BYTES_MAX,
        "fetch.wait.max.ms": WAIT_MS,
        "fetch.queue.backoff.ms": QUEUE_LOOK_MS,
        "queued.max.messages.kbytes": QUEUE_KIB,
    }
    for name, value in options.client.items():
        if name == _HOSTNAME:
            found["ssl.endpoint.identification.algorithm"] = "https" if value else "none"
        elif name in _NAMES:
            found[_NAMES[name]] = value
        else:
            known = ", ".join(sorted({*_NAMES, _HOSTNAME}))
            raise LogError(
                f"Expected [kafka] client to hold {known} where librdkafka reads, but got {name}."
            )
    return found


def _named(partitions: Iterable[TopicPartition]) -> list[Any]:
    return [rdkafka.TopicPartition(*each) for each in partitions]


def _record(at: TopicPartition, message: Any) -> Record:
    try:
        headers: Headers = tuple(message.headers() or ())
        epoch = message.leader_epoch()
        return Record(
            *at,
            message.offset(),
            message.key(),
            message.value(),
            headers,
            message.timestamp()[1] * 1_000,
            -1 if epoch is None else epoch,
        )
    except (UnicodeDecodeError, SystemError):
        # The name of a header is no text. That is raised somewhere behind the look at the headers.
        return _empty(at, message.offset())


def _empty(at: TopicPartition, offset: int) -> Record:
    """Return what is read in the place of what nobody can parse."""
    return Record(*at, offset, None, b"", (), 0, -1)


def _is_grave(error: Any) -> bool:
    """Say whether it does not pass by itself; below zero are librdkafka's own, of its network."""
    return bool(error.fatal() or (error.code() > 0 and not error.retriable()))
