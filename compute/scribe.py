"""How a fact gets its number: into the journal, at the end of its chain.

Knows the host's name, its boot and the clock; decides nothing and sends nothing. Called within
a transaction of the journal, so that number, hash and whatever else changes stay together.
"""

from __future__ import annotations

from compute.journal import Entry, Journal
from compute.limits import REASON_CHARS_MAX
from events.codec import encode_fact
from events.envelope import COMPUTE, Letter, Meta
from events.ports import Clock
from events.topics import Topics, partition_of
from events.values import replace


class Scribe:
    """Writes a host's facts."""

    def __init__(
        self, *, host: str, topics: Topics, partitions: int, journal: Journal, clock: Clock
    ) -> None:
        self._host = host
        self._topics = topics
        self._partitions = partitions
        self._journal = journal
        self._clock = clock

    def say_of_host(self, fact: object) -> int:
        """Leave a fact about this host in the journal; returns its number there."""
        return self._write(self._topics.node_events, self._host, fact, None)

    def say_of_instance(self, instance_id: str, fact: object) -> int:
        """Leave a fact about an instance that nobody asked for."""
        return self._write(self._topics.instance_events, instance_id, fact, None)

    def answer(self, letter: Letter[object], fact: object) -> int:
        """Leave a fact that answers a command."""
        address = letter.address
        return self._write(self._topics.instance_events, address.instance_id, fact, letter)

    def resend(self, instance_id: str, from_sequence: int) -> None:
        """Have the facts about an instance (or this host) sent again from a number on."""
        is_host = instance_id == self._host
        topic = self._topics.node_events if is_host else self._topics.instance_events
        numbers = self._journal.chain(topic, instance_id, from_sequence)
        self._journal.mark_unsent(numbers)

    def _write(self, topic: str, subject: str, fact: object, letter: Letter[object] | None) -> int:
        head = self._journal.head(topic, subject)
        now = self._clock.now_us()
        meta = Meta(
            source=COMPUTE + self._host,
            boot_epoch=self._journal.boot_epoch(),
            sequence=head.sequence + 1,
            instance_id=subject,
            generation=self._journal.generation(subject),
            command_id=letter.address.command_id if letter else None,
            request_id=letter.address.request_id if letter else None,
            occurred_at=now,
        )
        return self._journal.append(
            Entry(
                number=0,
                topic=topic,
                partition=partition_of(subject, self._partitions),
                subject=subject,
                sequence=meta.sequence,
                prev=head.digest,
                value=encode_fact(meta, _shortened(fact)),
                kind=type(fact).__name__,
                command_id=meta.command_id,
                written_at_us=now,
            )
        )


def _shortened(fact: object) -> object:
    """Return a fact that fits into a record, whatever a driver gave as its reason."""
    reason = getattr(fact, "reason", "")
    if len(reason) <= REASON_CHARS_MAX:
        return fact
    return replace(fact, reason=reason[: REASON_CHARS_MAX - 1] + "…")  # type: ignore[type-var]  # a Struct
