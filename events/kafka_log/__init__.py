"""The log on Kafka: the one door to kafka-python.

Knows which settings of the client keep the promises of `events.log`: positions come from our own
tables, so nothing is reset or committed behind our back; producers are idempotent and wait for all
replicas; no transactions. What the client raises leaves here as an error of `events.errors`.
"""

from __future__ import annotations

from events.errors import LogError
from events.kafka_log.admin import KafkaAdmin
from events.kafka_log.options import KafkaOptions
from events.kafka_log.reader import KafkaReader
from events.kafka_log.writer import KafkaWriter

__all__ = ["KafkaAdmin", "KafkaLog", "KafkaOptions", "KafkaReader", "KafkaWriter"]


class KafkaLog:
    """A log on the brokers that the options name; nothing is connected before it is used."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options

    def writer(self) -> KafkaWriter:
        """Return a writer."""
        return KafkaWriter(self.options)

    def reader(self) -> KafkaReader:
        """Return a reader of chosen partitions."""
        return self._reader(None)

    def group(self, group_id: str) -> KafkaReader:
        """Return a member of a consumer group."""
        return self._reader(group_id)

    def _reader(self, group_id: str | None) -> KafkaReader:
        if self.options.fetcher == "kafka-python":
            return KafkaReader(self.options, group_id)
        try:
            from events.kafka_log.librdkafka import FetchingReader
        except ImportError as error:
            raise LogError(
                "Expected confluent-kafka where [kafka] fetcher is librdkafka, but it is not"
                " installed: install regente[librdkafka]."
            ) from error
        return FetchingReader(self.options, group_id)

    def admin(self) -> KafkaAdmin:
        """Return what makes and lists topics."""
        return KafkaAdmin(self.options)
