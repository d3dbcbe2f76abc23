"""Requests of people, appended to the log as facts of the API.

Knows how a request is keyed, sealed and named; what it carries is for the caller to have looked
up, because the fold may not look anywhere. Refuses to know whether it will be taken: that is the
judge's, and shows in the rows.
"""

from __future__ import annotations

from typing import NamedTuple

from events.codec import encode_fact
from events.envelope import API, Meta
from events.log import Log, TopicPartition
from events.ports import Clock, IdSource
from events.seal import MasterKeyring, sealed_message
from events.topics import CONTROL_KEY, Topics, partition_of
from regente.control import ENROLMENT


class Appended(NamedTuple):
    """Where a request is in the log, and under which name it is answered."""

    request_id: str
    at: TopicPartition
    offset: int


class Requests:
    """Speaks as the API."""

    def __init__(
        self, *, log: Log, topics: Topics, master: bytes, clock: Clock, ids: IdSource
    ) -> None:
        self._log = log
        self._topics = topics
        self._key = MasterKeyring(master).key(API, ENROLMENT)
        self._clock = clock
        self._ids = ids

    def about(self, instance_id: str, fact: object) -> Appended:
        """Leave a fact about an instance in the log; raises LogUnavailable, UnknownTopic."""
        at = self._home(self._topics.instance_events, instance_id)
        return self._append(at, instance_id, instance_id, fact)

    def about_host(self, host: str, fact: object) -> Appended:
        """Leave a fact about a host in the log; raises LogUnavailable, UnknownTopic."""
        return self._append(self._home(self._topics.node_events, host), host, host, fact)

    def about_partition(self, at: TopicPartition, fact: object) -> Appended:
        """Leave a fact about a partition itself, under the key of control records."""
        return self._append(at, CONTROL_KEY, "", fact)

    def _home(self, topic: str, key: str) -> TopicPartition:
        reader = self._log.reader()
        try:
            return TopicPartition(topic, partition_of(key, reader.topic(topic).partitions))
        finally:
            reader.close()

    def _append(self, at: TopicPartition, key: str, instance_id: str, fact: object) -> Appended:
        request_id = f"req-{self._ids.uuid()}"
        meta = Meta(
            source=API,
            instance_id=instance_id,
            request_id=request_id,
            occurred_at=self._clock.now_us(),
        )
        message = sealed_message(
            topic=at.topic,
            partition=at.partition,
            key=key,
            value=encode_fact(meta, fact),
            prev=b"",
            by=self._key,
        )
        writer = self._log.writer()
        try:
            (offset,) = writer.append([message])
        finally:
            writer.close()
        return Appended(request_id, at, offset)
