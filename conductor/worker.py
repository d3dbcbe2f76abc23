"""The worker: polls its partitions, folds what came, writes it in one transaction, and nothing else.

States enter the cache only when COMMIT is known. An error at COMMIT means: read the checkpoint again; exactly the end
of the batch under our epoch is done, anything else forgets the batch and starts from what the row says. A
worker that was fenced drops everything of the partition and joins the group anew.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from conductor import limits
from conductor.fold import START_OF_CHAIN, Fold
from conductor.owned import Owned, Ownership
from conductor.speaker import Speaker
from events.decisions import RecordSetAside
from events.errors import LogRecreated, LogUnavailable, PositionLost
from events.log import LogGroup, Record, TopicPartition
from events.ports import Clock
from events.seal import MasterKeyring
from events.topics import Topics
from projections.store import Batch, Checkpoint, Fenced, Order, Store, StoreUnavailable

_log = logging.getLogger(__name__)


class Worker:
    """Folds the partitions that the group gives to this process."""

    def __init__(
        self,
        *,
        group: LogGroup,
        store: Store,
        speaker: Speaker,
        keyring: MasterKeyring,
        topics: Topics,
        clock: Clock,
        owned: Owned,
        service_down_time_s: int,
        batch_records_max: int = limits.BATCH_RECORDS_MAX,
    ) -> None:
        self._group = group
        self._store = store
        self._speaker = speaker
        self._keyring = keyring
        self._topics = topics
        self._clock = clock
        self._owned = owned
        self._down_us = service_down_time_s * 1_000_000
        self._batch_max = batch_records_max
        self._joined = False
        self._doubt: tuple[Batch, ...] = ()
        #: What was polled and could not be written yet, in log order per partition.
        self._backlog: list[Record] = []
        self.counts: Counter[str] = Counter()

    # The turn.

    def turn(self) -> bool:
        """Do one bounded piece of work; say whether there was any.

        Raises StoreUnavailable, LogUnavailable: nothing was lost, call again after a while.
        """
        if not self._joined:
            topics = (self._topics.instance_events, self._topics.node_events)
            self._group.subscribe(topics, self)
            self._joined = True
        if self._doubt:
            self._resolve_doubt()
        if not self._backlog:
            self._backlog = self._poll()
        records = self._next_records()
        worked = self._fold(records) if records else False
        return self._repair() or worked or bool(records)

    def stop(self) -> None:
        """Let every partition go, cleanly: what was committed stays, nothing is half done."""
        for partition, mine in self._owned.partitions.items():
            if mine.marked:
                self._store.unmark(partition)
        self.revoked(tuple(self._owned.partitions))
        self._group.close()

    def _poll(self) -> list[Record]:
        try:
            return self._group.poll(self._batch_max, limits.POLL_WAIT_S)
        except PositionLost as lost:
            self._stop_partition(_partition_of(lost), str(lost))
            return []

    def _next_records(self) -> list[Record]:
        """Take what was polled; only one record at a time where a batch was fatal before."""
        careful = {tp for tp, mine in self._owned.partitions.items() if mine.careful}
        if not careful:
            records, self._backlog = self._backlog, []
            return records
        taken: list[Record] = []
        left: list[Record] = []
        once: set[TopicPartition] = set()
        for record in self._backlog:
            tp = TopicPartition(record.topic, record.partition)
            if tp in careful and tp in once:
                left.append(record)
            else:
                once.add(tp)
                taken.append(record)
        self._backlog = left
        return taken

    # One transaction.

    def _fold(self, records: list[Record]) -> bool:
        by_partition: dict[TopicPartition, list[Record]] = {}
        for record in records:
            by_partition.setdefault(TopicPartition(record.topic, record.partition), []).append(
                record
            )
        batches: list[Batch] = []
        try:
            for partition, found in by_partition.items():
                mine = self._owned.partitions.get(partition)
                if mine is None or mine.stopped is not None:
                    continue
                self._guard(partition, mine, found[0])
                batch = mine.fold.fold(found)
                if batch is not None:
                    batch.epoch, batch.topic_id = mine.epoch, mine.topic_id
                    batches.append(batch)
        except (StoreUnavailable, LogUnavailable):
            self._backlog = records + self._backlog
            raise
        if not batches:
            return False
        self._commit(batches)
        return True

    def _commit(self, batches: list[Batch]) -> None:
        try:
            self._store.commit(batches)
        except Fenced as fenced:
            _log.warning("fenced: %s belong to somebody else now", list(fenced.partitions))
            self._rejoin()
            return
        except StoreUnavailable:
            self._doubt = tuple(batches)
            raise
        for batch in batches:
            self._committed(batch)

    def _committed(self, batch: Batch) -> None:
        mine = self._owned.partitions[batch.partition]
        before = Counter(mine.fold.counts)
        mine.fold.keep()
        self.counts += mine.fold.counts - before
        if mine.marked and not mine.careful:
            self._store.unmark(batch.partition)
            mine.marked = False
        if mine.careful and mine.caught_up:
            mine.careful = mine.marked = False
            self._store.unmark(batch.partition)
        self._group.commit({batch.partition: batch.end})

    def _resolve_doubt(self) -> None:
        """Find out whether the last batches are in the database."""
        known = {(c.topic, c.partition): c for c in self._store.checkpoints()}
        doubt, self._doubt = self._doubt, ()
        for batch in doubt:
            mine = self._owned.partitions.get(batch.partition)
            if mine is None:
                continue
            row = known[batch.partition]
            if row.epoch != mine.epoch:
                self._rejoin()
                return
            if row.next_offset == batch.end:
                self._committed(batch)
            else:
                self._stand_at(mine, row)
                self._backlog = [
                    r for r in self._backlog if (r.topic, r.partition) != batch.partition
                ]
                self._group.seek(batch.partition, row.next_offset)

    def _rejoin(self) -> None:
        self._owned.partitions.clear()
        self._backlog = []
        self._doubt = ()
        topics = (self._topics.instance_events, self._topics.node_events)
        self._group.subscribe(topics, self)

    # Taking over and letting go (called from within poll).

    def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Raise the epoch of each partition, then go on from its checkpoint."""
        wanted = tuple(partitions)
        rows = self._store.take_over(wanted)
        ends = self._group.end_offsets(wanted)
        now = self._clock.now_us()
        positions: dict[TopicPartition, int] = {}
        for partition in wanted:
            mine = self._ownership(partition, rows[partition], ends[partition], now)
            self._owned.partitions[partition] = mine
            positions[partition] = rows[partition].next_offset
        epochs = {tp: self._owned.partitions[tp].epoch for tp in wanted}
        self._store.postpone(epochs, now + self._down_us)
        return positions

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget the partitions; whatever was not committed belongs to the next owner."""
        gone = set(partitions)
        for partition in gone:
            self._owned.partitions.pop(partition, None)
        self._backlog = [r for r in self._backlog if (r.topic, r.partition) not in gone]
        self._doubt = tuple(b for b in self._doubt if b.partition not in gone)

    def _ownership(
        self, partition: TopicPartition, row: Checkpoint, end: int, now: int
    ) -> Ownership:
        info = self._group.topic(partition.topic)
        fold = Fold(
            partition,
            keyring=self._keyring,
            partitions=info.partitions,
            load=self._store.node_bodies
            if partition.topic == self._topics.node_events
            else self._store.states,
            of_nodes=partition.topic == self._topics.node_events,
        )
        fold.aside = self._store.set_aside(partition)
        fold.waiting_for_schema = lambda: self._store.waiting_for_schema(partition)
        mine = Ownership(
            fold=fold,
            epoch=row.epoch,
            topic_id=info.topic_id,
            end_at_takeover=end,
            taken_at=now,
        )
        self._stand_at(mine, row)
        if row.topic_id and row.topic_id != info.topic_id:
            raise LogRecreated(
                f"Expected topic {partition.topic} to be {row.topic_id}, but it is {info.topic_id}: "
                "it was made anew; restore it, or start with an empty database"
            )
        if end < row.next_offset:
            mine.stopped = (
                f"Expected {partition.topic}/{partition.partition} to reach {row.next_offset}, but "
                f"it ends at {end}: its tail was lost; see the operator's guide"
            )
            _log.error("%s", mine.stopped)
        count = self._store.mark(partition, row.next_offset) if end > row.next_offset else 0
        mine.marked = count > 0
        mine.careful = count > 1
        return mine

    def _stand_at(self, mine: Ownership, row: Checkpoint) -> None:
        mine.fold.stand_at(
            next_offset=row.next_offset,
            chain=row.chain or START_OF_CHAIN,
            leader_epoch=row.leader_epoch,
            rules=row.rules,
        )

    def _stop_partition(self, partition: TopicPartition | None, why: str) -> None:
        for tp, mine in self._owned.partitions.items():
            if partition is None or tp == partition:
                mine.stopped = why
                self._group.pause([tp])
        _log.error("partition stopped: %s", why)

    # A record at which the worker dies.

    def _guard(self, partition: TopicPartition, mine: Ownership, record: Record) -> None:
        """Where a batch was fatal: mark each record before it is tried; set a deadly one aside."""
        if not mine.careful:
            return
        deaths = self._store.mark(partition, record.offset)
        mine.marked = True
        if deaths < limits.DEATHS_MAX or record.offset in mine.fold.aside:
            return
        reason = f"the worker died {deaths - 1} times at offset {record.offset}"
        fact = RecordSetAside(
            topic=partition.topic,
            partition=partition.partition,
            offset=record.offset,
            reason=reason,
        )
        subject = (record.key or b"control").decode("utf-8", "replace")
        self._speaker.say([(partition, subject, fact)])
        self._store.note_set_aside(partition, record.offset, reason)
        mine.fold.aside = mine.fold.aside | {record.offset}
        _log.error("set aside %s/%s@%s: %s", *partition, record.offset, reason)

    # What a takeover, or a rebuilt database, has to put back.

    def _repair(self) -> bool:
        for partition, mine in self._owned.partitions.items():
            if not mine.repaired and mine.caught_up and mine.stopped is None:
                if partition.topic == self._topics.instance_events:
                    self._put_back(partition, mine)
                mine.repaired = True
                return True
        return False

    def _put_back(self, partition: TopicPartition, mine: Ownership) -> None:
        """A step with neither an outbox row nor a timer gets its outbox row back."""
        uuids = self._store.open_instances(partition)
        for start in range(0, len(uuids), limits.REPAIR_INSTANCES_MAX):
            orders: list[Order] = []
            for uuid in uuids[start : start + limits.REPAIR_INSTANCES_MAX]:
                orders += mine.fold.outstanding(uuid, self._clock.now_us())
            missing = self._store.missing([o.command_id for o in orders])
            if missing:
                back = [o for o in orders if o.command_id in missing]
                self._store.restore({partition: mine.epoch}, back)


def _partition_of(lost: PositionLost) -> TopicPartition | None:
    topic, partition = getattr(lost, "topic", None), getattr(lost, "partition", None)
    return None if topic is None or partition is None else TopicPartition(topic, partition)
