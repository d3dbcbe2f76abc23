"""The command topic of this host: read to its end first, then taken in order.

After every start and every break with the log `catch_up` looks through the commands up to the end
seen then and notes the highest generation of each instance; only afterwards `read` hands them out.
So a host that was cut off never carries out what was superseded meanwhile. What is not authentic is
counted and dropped: whoever forged it shall not be able to have a command of ours refused.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

from compute.journal import Journal, Position
from events.codec import decode_command
from events.envelope import Letter
from events.errors import BadRecord
from events.log import LogReader, Record, TopicPartition
from events.seal import Key, OneKey, command_key, unseal
from events.topics import Topics

_trace = logging.getLogger("compute.mailbox")


class Delivery(NamedTuple):
    """A record of the command topic, and the position behind it."""

    #: None where the record was dropped.
    letter: Letter[object] | None
    value: bytes
    after: Position


@dataclass(slots=True)
class Dropped:
    """How many records were not taken for commands."""

    #: Wrong or missing MAC, another's key, a key that isn't the instance's.
    forged_count: int = 0
    #: Ours, but no schema of this code reads it.
    unreadable_count: int = 0


class Mailbox:
    """Reads the commands of one host."""

    def __init__(
        self, *, host: str, key: Key, topics: Topics, reader: LogReader, poll_s: float = 0.0
    ) -> None:
        self._host = host
        self._poll_s = poll_s
        self._partition = TopicPartition(topics.commands(host), 0)
        self._keyring = OneKey(command_key(key))
        self._reader = reader
        self._topic_id = ""
        self._scan: tuple[int, int, int] | None = None
        self.dropped = Dropped()

    @property
    def scanned_to(self) -> int:
        """Return the offset up to which the last catching up has come."""
        return self._scan[1] if self._scan else -1

    def open(self, journal: Journal) -> bool:
        """Begin to catch up. False where the position was lost and the topic starts anew.

        Raises LogUnavailable, UnknownTopic.
        """
        self._scan = None
        self._topic_id = self._reader.topic(self._partition.topic).topic_id
        begin = self._reader.begin_offsets([self._partition])[self._partition]
        end = self._reader.end_offsets([self._partition])[self._partition]
        held = journal.position()
        is_kept = held is None or (held.topic_id == self._topic_id and begin <= held.offset <= end)
        start = held.offset if held and is_kept else begin
        if held is None or not is_kept:
            with journal.transaction():
                journal.move(Position(self._topic_id, start))
        self._reader.assign({self._partition: start})
        self._scan = (start, start, end)
        return is_kept

    def catch_up(self, journal: Journal, limit: int) -> bool:
        """Look through some commands for generations. True when the end was reached.

        Raises LogUnavailable, PositionLost, LogRecreated.
        """
        assert self._scan is not None, "Expected an open mailbox, but open() was not called"
        start, at, end = self._scan
        if at < end:
            records = self._reader.poll(limit, self._poll_s)
            self._note_generations(journal, [r for r in records if r.offset < end])
            at = records[-1].offset + 1 if records else at
            self._scan = (start, at, end)
        if at < end:
            return False
        self._reader.assign({self._partition: start})
        return True

    def read(self, limit: int) -> list[Delivery]:
        """Return the next commands; raises LogUnavailable, PositionLost, LogRecreated."""
        return [
            Delivery(
                self._letter(record, is_counted=True),
                record.value or b"",
                Position(self._topic_id, record.offset + 1),
            )
            for record in self._reader.poll(limit, self._poll_s)
        ]

    def _note_generations(self, journal: Journal, records: list[Record]) -> None:
        letters = [letter for r in records if (letter := self._letter(r, is_counted=False))]
        addresses = [each.address for each in letters if each.address.host == self._host]
        if not addresses:
            return
        with journal.transaction():
            for address in addresses:
                journal.raise_generation(address.instance_id, address.generation)

    def _letter(self, record: Record, *, is_counted: bool) -> Letter[object] | None:
        try:
            unseal(record, self._keyring)
        except BadRecord as bad:
            self.dropped.forged_count += is_counted
            _warn(record, bad)
            return None
        assert record.value is not None
        try:
            letter = decode_command(record.value)
        except BadRecord as bad:
            self.dropped.unreadable_count += is_counted
            _warn(record, bad)
            return None
        if record.key != letter.address.instance_id.encode():
            self.dropped.forged_count += is_counted
            sentence = f"Expected key {letter.address.instance_id}, but {record.key!r}"
            _warn(record, BadRecord("other-key", sentence))
            return None
        return letter


def _warn(record: Record, bad: BadRecord) -> None:
    where = f"{record.topic}/{record.offset}"
    _trace.warning("dropped a command at %s: %s: %s", where, bad.code, bad.sentence)
