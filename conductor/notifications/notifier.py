"""The notifier: folds the log by itself, and sends what nova would have sent.

A consumer beside the conductors, in a group of its own, on a database of its own that holds states
and checkpoints and nothing else: it can be slow, stopped or away, and no conductor waits for it. A
batch is sent, acknowledged, and then committed; so nothing is left out, and what is sent again
after a crash has the same message ids. It appends to the topics of notifications and to no other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from conductor.fold import Fold
from conductor.notifications.telling import Manner, notices_of
from conductor.replay import set_aside_in
from conductor.step import Outcome
from events.envelope import Envelope
from events.errors import EventsError, LogRecreated
from events.log import LogGroup, LogReader, LogWriter, Message, Record, TopicPartition
from events.nova_wire import Notice, message_of, topic_of
from events.seal import MasterKeyring
from events.topics import Topics
from projections.store import Batch, Checkpoint, Fenced, Store, StoreError

_log = logging.getLogger(__name__)

#: Records taken at a time: each may say half a dozen notifications of 3 KiB.
BATCH_RECORDS_MAX: Final = 200
POLL_WAIT_S: Final = 0.2
#: The only rows that this fold needs again: states, and what waits for a schema.
_KEPT: Final = ("instance_states", "parked")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierPorts:
    """What the notifier reaches the world through."""

    group: LogGroup
    reader: LogReader
    writer: LogWriter
    #: A database of its own, with the tables of a conductor.
    store: Store
    keyring: MasterKeyring
    topics: Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierOptions:
    """What the notifier is told; names are nova's."""

    versioned_notifications_topics: tuple[str, ...] = ("versioned_notifications",)
    manner: Manner = field(default_factory=Manner)
    #: Tell also what had happened before the very first start, which else is folded in silence.
    from_beginning: bool = False


@dataclass(slots=True)
class _Mine:
    """One partition of ours."""

    fold: Fold
    epoch: int
    topic_id: str
    #: What lies before this offset is folded and not told.
    silent_to: int
    #: What the batch in hand says.
    notices: list[Notice] = field(default_factory=list)


class Notifier:
    """Tells what happens, in nova's words, to those who listen to nova."""

    def __init__(self, ports: NotifierPorts, options: NotifierOptions) -> None:
        self._ports = ports
        self._options = options
        self._mine: dict[TopicPartition, _Mine] = {}
        self._joined = False
        self._partitions: dict[str, int] = {}
        #: Notifications sent by this process.
        self.sent_count = 0

    def turn(self) -> bool:
        """Fold and send a bounded piece; say whether there was any.

        Raises LogUnavailable, StoreUnavailable: nothing is left out, call again after a while.
        """
        if not self._joined:
            self._ports.group.subscribe((self._ports.topics.instance_events,), self)
            self._joined = True
        try:
            records = self._ports.group.poll(BATCH_RECORDS_MAX, POLL_WAIT_S)
            return self._take(records)
        except Fenced as fenced:
            _log.warning("fenced: %s belong to somebody else now", list(fenced.partitions))
            self._begin_again()
            return True
        except (EventsError, StoreError):
            # Whether the batch is in the log or the database is not known: it is taken again.
            self._begin_again()
            raise

    def stop(self) -> None:
        """Leave the group; what was committed stays, and nothing else was promised."""
        self._mine.clear()
        self._ports.group.close()

    # One batch.

    def _take(self, records: Sequence[Record]) -> bool:
        by_partition: dict[TopicPartition, list[Record]] = {}
        for record in records:
            at = TopicPartition(record.topic, record.partition)
            by_partition.setdefault(at, []).append(record)
        batches: list[Batch] = []
        notices: list[Notice] = []
        for partition, found in by_partition.items():
            mine = self._mine.get(partition)
            if mine is None:
                continue
            mine.notices.clear()
            batch = mine.fold.fold(found)
            if batch is not None:
                batches.append(_states_of(batch, mine))
                notices += mine.notices
        if not batches:
            return False
        self._send(notices)
        self._ports.store.commit(batches)
        for batch in batches:
            self._mine[batch.partition].fold.keep()
            self._ports.group.commit({batch.partition: batch.end})
        return True

    def _send(self, notices: Sequence[Notice]) -> None:
        messages = [m for notice in notices for m in self._messages(notice)]
        if messages:
            self._ports.writer.append(messages)
            self.sent_count += len(messages)

    def _messages(self, notice: Notice) -> Iterable[Message]:
        for topic in self._options.versioned_notifications_topics:
            name = topic_of(notice, topic)
            if name not in self._partitions:
                self._partitions[name] = self._ports.reader.topic(name).partitions
            yield message_of(notice, topic, self._partitions[name])

    def _begin_again(self) -> None:
        self._mine.clear()
        self._joined = False

    # Taking over and letting go (called from within poll).

    def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Go on from the checkpoint of each partition."""
        wanted = tuple(partitions)
        rows = self._ports.store.take_over(wanted)
        ends = self._ports.group.end_offsets(wanted)
        for partition in wanted:
            self._mine[partition] = self._of(partition, rows[partition], ends[partition])
        return {partition: rows[partition].next_offset for partition in wanted}

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget the partitions; they are somebody else's."""
        for partition in partitions:
            self._mine.pop(partition, None)

    def _of(self, partition: TopicPartition, row: Checkpoint, end: int) -> _Mine:
        store, info = self._ports.store, self._ports.group.topic(partition.topic)
        if row.topic_id and row.topic_id != info.topic_id:
            raise LogRecreated(
                f"Expected topic {row.topic} to be {row.topic_id}, but it is {info.topic_id}: it"
                " was made anew. Remove the notifier's database, and it begins with the new one."
            )
        fold = Fold(
            partition, keyring=self._ports.keyring, partitions=info.partitions, load=store.states
        )
        # Whatever was set aside before the checkpoint is behind us.
        fold.aside = set_aside_in(
            self._ports.reader, self._ports.keyring, partition, row.next_offset
        )
        fold.waiting_for_schema = lambda: store.waiting_for_schema(partition)
        fold.stand_at(
            next_offset=row.next_offset,
            chain=row.chain,
            leader_epoch=row.leader_epoch,
            rules=row.rules,
        )
        is_new = row.next_offset == 0 and not self._options.from_beginning
        mine = _Mine(fold, row.epoch, info.topic_id, end if is_new else 0)
        fold.listener = lambda envelope, outcome: self._hear(mine, envelope, outcome)
        return mine

    def _hear(self, mine: _Mine, envelope: Envelope[object], outcome: Outcome) -> None:
        if envelope.offset >= mine.silent_to:
            mine.notices += notices_of(envelope, outcome, self._options.manner)


def _states_of(batch: Batch, mine: _Mine) -> Batch:
    """Return a batch with what this fold needs again: states and its own position."""
    return Batch(
        partition=batch.partition,
        epoch=mine.epoch,
        begin=batch.begin,
        end=batch.end,
        topic_id=mine.topic_id,
        leader_epoch=batch.leader_epoch,
        chain=batch.chain,
        rules=batch.rules,
        changes={name: rows for name, rows in batch.changes.items() if name in _KEPT},
    )
