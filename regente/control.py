"""The control records: read back as the rules in force, written to every partition.

Knows which partitions have them (every one of the instance and node topics) and under which key
they are believed. What the rules mean is the fold's business; which an installation wants is in
`regente.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from events.codec import decode_fact, encode_fact
from events.control import KeyClosed, KeyOpened, RulesPublished
from events.envelope import CONDUCTOR, Meta
from events.errors import BadRecord
from events.log import Log, LogReader, Record, TopicPartition
from events.ports import Clock
from events.seal import MasterKeyring, sealed_message, split_key_id, unseal
from events.topics import CONTROL_KEY, Topics
from statemachines.rules import Rules, evolve

ControlFact = RulesPublished | KeyOpened | KeyClosed

#: Records read at a time when the rules are folded.
POLL_RECORDS: Final = 5_000
POLL_S: Final = 0.5
#: The control plane has one enrolment.
ENROLMENT: Final = 1
_KEY: Final = CONTROL_KEY.encode()


@dataclass(frozen=True, slots=True)
class Standing:
    """The rules of a partition up to an offset."""

    next_offset: int
    rules: Rules


class Control:
    """Speaks to every partition of one log, and reads what was said there."""

    def __init__(self, log: Log, topics: Topics, master: bytes, clock: Clock) -> None:
        self._log = log
        self._topics = topics
        self._keyring = MasterKeyring(master)
        self._clock = clock

    def partitions(self) -> tuple[TopicPartition, ...]:
        """Return every partition that has control records; raises UnknownTopic."""
        reader = self._log.reader()
        try:
            return _partitions(reader, self._topics)
        finally:
            reader.close()

    def publish(self, facts: Sequence[ControlFact]) -> int:
        """Leave these facts in every partition, acknowledged, and return in how many.

        Raises LogUnavailable: some partitions may have them then; publishing again is harmless.
        """
        partitions = self.partitions()
        key = self._keyring.key(CONDUCTOR, ENROLMENT)
        meta = Meta(source=CONDUCTOR, instance_id="", occurred_at=self._clock.now_us())
        values = [encode_fact(meta, fact) for fact in facts]
        messages = [
            sealed_message(
                topic=at.topic,
                partition=at.partition,
                key=CONTROL_KEY,
                value=value,
                prev=b"",
                by=key,
            )
            for at in partitions
            for value in values
        ]
        writer = self._log.writer()
        try:
            writer.append(messages)
        finally:
            writer.close()
        return len(partitions)

    def in_force(
        self, known: Mapping[TopicPartition, Standing] | None = None
    ) -> dict[TopicPartition, Rules]:
        """Return the rules at the end of each partition, folded on from what is known of it."""
        reader = self._log.reader()
        try:
            return self._fold(reader, known or {})
        finally:
            reader.close()

    def _fold(
        self, reader: LogReader, known: Mapping[TopicPartition, Standing]
    ) -> dict[TopicPartition, Rules]:
        wanted = _partitions(reader, self._topics)
        begins, ends = reader.begin_offsets(wanted), reader.end_offsets(wanted)
        count = sum(at.topic == self._topics.node_events for at in wanted)
        rules: dict[TopicPartition, Rules] = {}
        starts: dict[TopicPartition, int] = {}
        for at in wanted:
            standing = known.get(at, Standing(begins[at], Rules(partitions=count)))
            rules[at] = standing.rules
            if standing.next_offset < ends[at]:
                starts[at] = standing.next_offset
        reader.assign(starts)
        left = set(starts)
        while left:
            for record in reader.poll(POLL_RECORDS, POLL_S):
                at = TopicPartition(record.topic, record.partition)
                fact = self._read(record)
                if fact is not None:
                    rules[at] = evolve(rules[at], fact)
                if record.offset + 1 >= ends[at]:
                    left.discard(at)
        return rules

    def _read(self, record: Record) -> ControlFact | None:
        if record.key != _KEY:
            return None
        try:
            if unseal(record, self._keyring).name != CONDUCTOR:
                return None
            assert record.value is not None
            _, fact = decode_fact(record.value)
        except BadRecord:  # The conductor quarantines it.
            return None
        return fact if isinstance(fact, RulesPublished | KeyOpened | KeyClosed) else None


def enrolment_of(host: str, rules: Mapping[TopicPartition, Rules]) -> int:
    """Return the highest enrolment of a host that any partition knows; 0 where it has none."""
    found = 0
    for each in rules.values():
        for key_id in each.keys_open | each.keys_closed:
            name, number = split_key_id(key_id)
            if name == host:
                found = max(found, number)
    return found


def _partitions(reader: LogReader, topics: Topics) -> tuple[TopicPartition, ...]:
    return tuple(
        TopicPartition(name, n)
        for name in (topics.instance_events, topics.node_events)
        for n in range(reader.topic(name).partitions)
    )
