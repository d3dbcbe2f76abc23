"""What keeps one deadly record from stopping a partition.

The first batch after a takeover is tried alone, behind a marker in the database that goes when
the batch is written. A marker that is found there means that somebody died at this place: from
then on records are tried one at a time, and one at which the worker died twice is set aside with
its instance. Setting aside is a fact in the same partition, so that verify and rebuild obey it
too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress

from conductor import limits
from conductor.owned import Ownership
from conductor.speaker import Speaker
from events.decisions import RecordSetAside
from events.log import Record, TopicPartition
from events.topics import CONTROL_KEY
from projections.store import Store, StoreUnavailable

_log = logging.getLogger(__name__)


class Guard:
    """Counts the tries at what may be deadly."""

    def __init__(self, *, store: Store, speaker: Speaker, batch_records_max: int) -> None:
        self._store = store
        self._speaker = speaker
        self._batch_max = batch_records_max

    def admit(
        self, partition: TopicPartition, mine: Ownership, records: Sequence[Record]
    ) -> Sequence[Record]:
        """Leave a marker at the first record and return those that may be tried at once.

        Raises StoreUnavailable, LogUnavailable: nothing was tried.
        """
        first = records[0].offset
        if mine.marked_at != first:
            tries = self._store.mark(partition, first)
            if tries > 1 and not mine.careful_to:
                # The fatal batch was no longer than this.
                mine.careful_to = first + self._batch_max
            if tries > limits.DEATHS_MAX or first in mine.fold.aside:
                self._set_aside(mine, records[0])
            mine.marked_at = first
        return records[:1] if first < mine.careful_to else records

    def passed(self, partition: TopicPartition, mine: Ownership) -> None:
        """Go on after a batch that is written; the last one of a doubtful stretch unmarks."""
        if mine.is_proven or mine.fold.next_offset < min(mine.careful_to, mine.end_at_takeover):
            return
        mine.is_proven = True
        mine.careful_to = 0
        self.release(partition, mine)

    def release(self, partition: TopicPartition, mine: Ownership) -> None:
        """Take our marker away: we live, whatever became of the batch."""
        if mine.marked_at is not None:
            mine.marked_at = None
            with suppress(StoreUnavailable):  # It only makes the next owner careful.
                self._store.unmark(partition)

    def blame(self, owned: Iterable[Ownership]) -> None:
        """Leave every marker where it is: the worker dies at what it has in hand."""
        for mine in owned:
            mine.marked_at = None

    def _set_aside(self, mine: Ownership, record: Record) -> None:
        """Note it under our epoch, then tell the log: who comes after us must obey what it says.

        A predecessor may have noted it and died before the log knew: it is told once more.
        """
        partition = TopicPartition(record.topic, record.partition)
        reason = f"the worker died {limits.DEATHS_MAX} times at offset {record.offset}"
        owned = {partition: mine.epoch}
        if not self._store.note_set_aside(owned, partition, record.offset, reason):
            return  # Somebody else owns it now: the batch will be fenced.
        fact = RecordSetAside(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )
        self._speaker.say([(partition, CONTROL_KEY, fact)])
        mine.fold.aside = mine.fold.aside | {record.offset}
        _log.error("set aside %s/%s@%s: %s", *partition, record.offset, reason)
