"""Our notifications on the wire: as oslo.messaging's Kafka driver sends those of nova.

Two envelopes, the message as text within the 2.0 envelope, on one topic for each priority. What is
added: the key is the instance, so that one partition keeps the order of one instance.

Source:  oslo_messaging/notify/notifier.py, messaging.py; oslo_messaging/_drivers/common.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from events.log import Message
from events.topics import TopicSpec, partition_of

#: As long as commands: whoever listens is a week late at most.
NOTIFICATIONS_RETENTION_MS = 7 * 24 * 3_600_000
#: A notification of ours has about 5 KiB; texts of users and reasons are cut where they come in.
NOTICE_BYTES_MAX = 64 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Notice(Struct, frozen=True, kw_only=True, gc=False):
    """One versioned notification that we send."""

    event_type: str
    publisher_id: str
    #: A function of the position of the fact: a repeat has the same.
    message_id: str
    #: µs UTC of the log's append time of the fact.
    timestamp_us: int
    #: The instance.
    key: str
    payload: Mapping[str, object]

    @property
    def priority(self) -> str:
        """As nova: what ends with `.error` is an ERROR, all else INFO."""
        return "ERROR" if self.event_type.endswith(".error") else "INFO"


def topic_of(notice: Notice, topic: str) -> str:
    """Name the topic of a notification: `<topic>.<priority>`."""
    return f"{topic}.{notice.priority.lower()}"


def notification_specs(topic: str, partitions: int) -> tuple[TopicSpec, ...]:
    """Say how the topics of notifications have to be; others read them, nothing of ours does."""
    return tuple(
        TopicSpec(
            name=f"{topic}.{priority}",
            partitions=partitions,
            retention_ms=NOTIFICATIONS_RETENTION_MS,
        )
        for priority in ("info", "error")
    )


def message_of(notice: Notice, topic: str, partitions: int) -> Message:
    """Return the message that carries a notification."""
    return Message(
        topic=topic_of(notice, topic),
        partition=partition_of(notice.key, partitions),
        key=notice.key.encode(),
        value=value_of(notice),
        headers=(),
    )


def value_of(notice: Notice) -> bytes:
    """Return the bytes of a notification, both envelopes around it."""
    moment = _EPOCH + timedelta(microseconds=notice.timestamp_us)
    inner = {
        "message_id": notice.message_id,
        "publisher_id": notice.publisher_id,
        "event_type": notice.event_type,
        "priority": notice.priority,
        "payload": notice.payload,
        "timestamp": moment.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    envelope = {"oslo.version": "2.0", "oslo.message": json.dumps(inner)}
    return json.dumps(envelope).encode()
