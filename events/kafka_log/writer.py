"""Appending to Kafka: idempotent, acknowledged by all replicas, and bounded in time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import kafka
from kafka import errors as broken

from events.errors import LogError, UnknownTopic
from events.kafka_log.admin import KafkaAdmin
from events.kafka_log.client import (
    answering,
    connected,
    milliseconds,
    unknown_partition,
)
from events.kafka_log.options import BATCH_BYTES, LINGER_MS, MESSAGE_BYTES_MAX, KafkaOptions
from events.log import Headers, Message

#: Headers' sizes, lengths and what a batch begins with add far less than this to a message.
LARGE_BYTES: Final = MESSAGE_BYTES_MAX // 2


class KafkaWriter:
    """Appends to Kafka; each call waits until all replicas have acknowledged."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._producer: Any = None

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Append as `LogWriter` says."""
        try:
            with answering("append"):
                producer = self._ready()
                self._check_topics(producer, messages)
                sent = _sent(producer, messages)
                producer.flush(timeout=self._options.append_timeout_s + 1)
                return tuple([_offset(each) for each in sent])
        except UnknownTopic:
            raise
        except LogError:
            # It may hold batches that it would still send after we gave up, or have lost count of
            # its sequences: a new one starts clean.
            self.close()
            raise

    def close(self) -> None:
        """Release the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(broken.KafkaError):
                producer.close(timeout=0)

    def _ready(self) -> Any:
        if self._producer is None:
            timeout_ms = milliseconds(self._options.append_timeout_s)
            self._producer = connected(
                kafka.KafkaProducer,
                self._options,
                acks="all",
                enable_idempotence=True,
                allow_auto_create_topics=False,
                batch_size=BATCH_BYTES,
                linger_ms=LINGER_MS,
                max_request_size=MESSAGE_BYTES_MAX,
                max_block_ms=timeout_ms,
                delivery_timeout_ms=timeout_ms,
                # Leaves time for some retries within the bound.
                request_timeout_ms=max(timeout_ms // 3, LINGER_MS + 1),
                metrics_enabled=False,
            )
        return self._producer

    def _check_topics(self, producer: Any, messages: Sequence[Message]) -> None:
        known: dict[str, set[int]] = {}
        for message in messages:
            if message.topic not in known:
                known[message.topic] = self._partitions_of(producer, message.topic)
            if message.partition not in known[message.topic]:
                raise unknown_partition(message.topic, message.partition)

    def _partitions_of(self, producer: Any, topic: str) -> set[int]:
        # Asked of a client that doesn't know the topic yet, the producer would wait its whole
        # bound for one that nobody made.
        found = producer._metadata.partitions_for_topic(topic)
        if found is None:
            admin = KafkaAdmin(self._options)
            try:
                admin.topic(topic)
            finally:
                admin.close()
            found = producer.partitions_for(topic)
        return set(found)


def _sent(producer: Any, messages: Sequence[Message]) -> list[Any]:
    """Return what is to come of each message, which the producer has now.

    Put straight where the client's own `send` puts it, which takes as long again to find out what
    was looked at here once for all, and makes a set of all topics that it knows for each message:
    one for each host. The sender is woken by what fills a batch, and by the flush that follows.
    """
    accumulator, sender = producer._accumulator, producer._sender
    at: dict[tuple[str, int], Any] = {}
    sent: list[Any] = []
    for topic, partition, key, value, headers in messages:
        if _is_large(key, value, headers):
            # It measures each, and refuses what no broker would take.
            sent.append(producer.send(topic, value, key, list(headers), partition))
            continue
        there = at.get((topic, partition))
        if there is None:
            there = at[topic, partition] = kafka.TopicPartition(topic, partition)
        found, is_full, _, _ = accumulator.append(there, None, key, value, headers)
        if is_full:
            sender.wakeup()
        sent.append(found)
    return sent


def _is_large(key: bytes | None, value: bytes | None, headers: Headers) -> bool:
    """Say whether a message may be too large, however it is measured."""
    size = len(key or b"") + len(value or b"")
    for name, text in headers:
        size += len(name) + len(text or b"")
    return size > LARGE_BYTES


def _offset(sent: Any) -> int:
    """Return where a message is; raises what the client raises where that is not known."""
    return int((sent.value if sent.succeeded() else sent.get(timeout=0)).offset)
