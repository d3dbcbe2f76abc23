"""The conductor's own voice: decisions appended to the log as facts, sealed with its key.

Their identity is what they say (saga, step, attempt), so a fact that is appended twice is folded
once.
"""

from __future__ import annotations

from collections.abc import Sequence

from events.codec import encode_fact
from events.envelope import CONDUCTOR, Meta
from events.log import LogWriter, Message, TopicPartition
from events.ports import Clock
from events.seal import MasterKeyring, sealed_message

#: Sequence 0 has no predecessor.
NO_PREV = b""


class Speaker:
    """Says what the conductor decided."""

    def __init__(self, writer: LogWriter, keyring: MasterKeyring, clock: Clock) -> None:
        self._writer = writer
        self._key = keyring.key(CONDUCTOR, 1)
        self._clock = clock

    def encode(self, subject: str, fact: object) -> bytes:
        """Return the value of a record in which the conductor says `fact` about a subject."""
        meta = Meta(source=CONDUCTOR, instance_id=subject, occurred_at=self._clock.now_us())
        return encode_fact(meta, fact)

    def message(self, partition: TopicPartition, subject: str, value: bytes) -> Message:
        """Return the sealed message for a value."""
        return sealed_message(
            topic=partition.topic,
            partition=partition.partition,
            key=subject,
            value=value,
            prev=NO_PREV,
            by=self._key,
        )

    def say(self, facts: Sequence[tuple[TopicPartition, str, object]]) -> None:
        """Append facts about (partition, subject); raises LogUnavailable."""
        if facts:
            self._writer.append(
                [self.message(tp, who, self.encode(who, fact)) for tp, who, fact in facts]
            )

    def tell(self, messages: Sequence[Message]) -> None:
        """Append messages as they are; raises LogUnavailable."""
        if messages:
            self._writer.append(messages)
