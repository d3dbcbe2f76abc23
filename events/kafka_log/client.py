"""What every part of the door does with the client: connect, name partitions, translate errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import kafka
from kafka import errors as broken
from kafka.net.compat import KafkaNetClient

from events.errors import LogError, LogUnavailable, PositionLost, UnknownTopic
from events.kafka_log.options import ASK_AGAIN_MS, KafkaOptions
from events.log import TopicPartition


class Unreadable(Exception):
    """The client met a record that it can't parse."""


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Turn what the client raises into an error of ours."""
    try:
        yield
    except broken.CorruptRecordError as error:
        raise Unreadable from error
    except (broken.UnknownTopicOrPartitionError, broken.InvalidTopicError) as error:
        raise UnknownTopic(f"Expected the brokers to {what}, but {error!r}.") from error
    except broken.OffsetOutOfRangeError as error:
        (lost,) = error.args
        ((at, offset),) = lost.items()
        raise PositionLost(
            f"Expected {at.topic}/{at.partition} to hold offset {offset}, but it doesn't.",
            topic=at.topic,
            partition=at.partition,
            offset=offset,
        ) from error
    except broken.LogTruncationError as error:
        raise PositionLost(f"Expected the log to go on, but its tail is lost: {error}") from error
    except broken.KafkaError as error:
        retriable = isinstance(error, broken.RetriableError)
        kind = LogUnavailable if retriable else LogError
        raise kind(f"Expected the brokers to {what}, but {error!r}.") from error


def connected(make: Callable[..., Any], options: KafkaOptions, **settings: object) -> Any:
    """Return the client that `make` makes; where it fails, leave nothing of it behind.

    A client that doesn't reach its brokers raises from its constructor, and would leave the thread
    and the sockets that it had begun with.
    """
    begun: list[KafkaNetClient] = []

    def begin(**network: object) -> KafkaNetClient:
        client = KafkaNetClient(**network)
        # The client hands its `retry_backoff_ms` not on to what asks for metadata.
        client.cluster.config["retry_backoff_ms"] = ASK_AGAIN_MS
        begun.append(client)
        return client

    try:
        return make(
            bootstrap_servers=options.bootstrap,
            bootstrap_timeout_ms=milliseconds(options.answer_timeout_s),
            kafka_client=begin,
            **settings,
            **options.client,
        )
    except BaseException:
        for each in begun:
            each.close()
        raise


def unknown_partition(topic: str, partition: int) -> UnknownTopic:
    """Return the error for a topic that has no such partition."""
    return UnknownTopic(f"Expected partition {partition} of {topic}, but it has none so numbered.")


def theirs(partitions: Iterable[TopicPartition]) -> list[Any]:
    """Return our partitions as the client names them."""
    return [kafka.TopicPartition(*each) for each in partitions]


def ours(partitions: Iterable[Any]) -> tuple[TopicPartition, ...]:
    """Return the client's partitions as we name them, sorted."""
    return tuple(sorted(TopicPartition(each.topic, each.partition) for each in partitions))


def milliseconds(seconds: float) -> int:
    """Return seconds as the client counts them."""
    return int(seconds * 1_000)
