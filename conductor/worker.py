"""The worker: polls its partitions, folds what came, writes it in one transaction.

States enter the cache only when COMMIT is known. An error at COMMIT means: read the checkpoint
again; exactly the end of the batch under our epoch is done, anything else forgets the batch and
starts from what the row says. A worker that was fenced drops everything of the partition and
joins the group anew.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from conductor import limits
from conductor.bodies import RULES_CODEC
from conductor.collector import collect_between
from conductor.commits import Commits
from conductor.due_rows import not_before
from conductor.errors import ConductorError, ForeignRules
from conductor.fold import Fold
from conductor.guard import Guard
from conductor.office import Office
from conductor.opening import START_OF_CHAIN
from conductor.owned import Ownership
from conductor.repair import Repair
from conductor.rulebook import foreign
from events.errors import LogRecreated, LogUnavailable, PositionLost, TopicMismatch
from events.log import Record, TopicInfo, TopicPartition, by_partition
from projections.store import (
    SCHEDULER_HOST,
    Batch,
    Checkpoint,
    Fenced,
    StoreUnavailable,
)
from statemachines.rules import Rules

_log = logging.getLogger(__name__)

#: What a person can do about a partition that does not hold what was folded from it.
_CHOICES = (
    "Nothing of it is skipped: restore the topic, or give up what is lost by `regente rebuild`."
)


class Worker:
    """Folds the partitions that the group gives to this process."""

    def __init__(self, office: Office) -> None:
        ports, options = office.ports, office.options
        self._group = ports.group
        self._store = ports.store
        self._guard = Guard(
            store=ports.store,
            speaker=office.speaker,
            batch_records_max=options.batch_records_max,
        )
        self._repair = Repair(office)
        self._keyring = ports.keyring
        self._topics = ports.topics
        self._clock = ports.clock
        self._owned = office.owned
        self._down_us = options.service_down_time_s * 1_000_000
        self._batch_max = options.batch_records_max
        self._joined = False
        self._commits = Commits(ports.store, ports.beside, self._committed)
        self._read_ahead_min = options.read_ahead_records_min
        #: Was the last batch of few records, so that hardly anything is alive?
        self._is_between = False
        #: What was polled and could not be written yet, in log order per partition.
        self._backlog: list[Record] = []
        #: Positions of which lag tools have not been told, and when they were last told any.
        self._untold: dict[TopicPartition, int] = {}
        self._told_at_s = -limits.TELL_LAG_S
        self.counts: Counter[str] = Counter()

    # The turn.

    def turn(self) -> bool:
        """Do one bounded piece of work; say whether there was any.

        Raises StoreUnavailable, LogUnavailable: nothing was lost, call again after a while. Raises
        ForeignRules, LogRecreated, TopicMismatch: nothing was written, and a person has to act.
        """
        if not self._joined:
            topics = (self._topics.instance_events, self._topics.node_events)
            self._group.subscribe(topics, self)
            self._joined = True
        if self._commits.doubt:
            self._resolve_doubt()
        if not self._backlog:
            self._backlog = self._poll()
        has_some = self._work()
        if self._is_between:
            collect_between()
        if self._clock.monotonic_s() - self._told_at_s >= limits.TELL_LAG_S:
            self._tell_lag_tools()
        return self._repair.turn() or has_some

    def _work(self) -> bool:
        """Fold and write what was polled; say whether it was anything.

        Apart from the poll: where that waits in vain, the client's error keeps the frames of its
        callers, with all that they hold, until the collector of cycles comes.
        """
        records = self._next_records()
        has_some = bool(records)
        self._is_between = len(records) < self._read_ahead_min
        try:
            batches = self._fold(records)
            del records  # While the batches are written as many others are read.
            if batches:
                self._commit(batches)
        except (StoreUnavailable, LogUnavailable, ConductorError):
            raise
        except Exception:
            self._guard.blame(self._owned.partitions.values())
            raise
        return has_some

    def stop(self) -> None:
        """Let every partition go, cleanly: what was committed stays, nothing is half done."""
        self._tell_lag_tools()
        self.revoked(tuple(self._owned.partitions))
        self._group.close()

    def _poll(self) -> list[Record]:
        try:
            return self._group.poll(self._batch_max, limits.POLL_WAIT_S)
        except PositionLost as lost:
            self._stop_partition(_partition_of(lost), str(lost))
            return []

    def _next_records(self) -> list[Record]:
        """Take what was polled; of a partition that may be deadly what the guard admits, alone."""
        doubtful = self._doubtful()
        if doubtful is None:
            records, self._backlog = self._backlog, []
            return records
        partition, mine = doubtful
        own = [
            r
            for r in self._backlog
            if (r.topic, r.partition) == partition and r.offset >= mine.fold.next_offset
        ]
        taken = list(self._guard.admit(partition, mine, own)) if own else []
        after = taken[-1].offset if taken else mine.fold.next_offset
        self._backlog = [
            r for r in self._backlog if (r.topic, r.partition) != partition or r.offset > after
        ]
        return taken

    def _doubtful(self) -> tuple[TopicPartition, Ownership] | None:
        """Return a partition with polled records, none written since its takeover."""
        for record in self._backlog:
            partition = TopicPartition(record.topic, record.partition)
            mine = self._owned.partitions.get(partition)
            if mine is not None and not mine.is_proven and mine.stopped is None:
                return partition, mine
        return None

    # One transaction.

    def _fold(self, records: list[Record]) -> list[Batch]:
        batches: list[Batch] = []
        try:
            for partition, found in by_partition(records).items():
                mine = self._owned.partitions.get(partition)
                if mine is None or mine.stopped is not None:
                    continue
                batch = mine.fold.fold(found)
                if batch is not None:
                    if batch.rules is not None:
                        _refuse_foreign(partition, batch.rules)
                    batch.epoch, batch.topic_id = mine.epoch, mine.topic_id
                    quiet = mine.taken_at + self._down_us
                    batch.dues = {k: not_before(d, quiet) for k, d in batch.dues.items()}
                    batches.append(batch)
        except (StoreUnavailable, LogUnavailable):
            self._backlog = records + self._backlog
            raise
        return batches

    def _commit(self, batches: list[Batch]) -> None:
        for batch in batches:
            mine = self._owned.partitions[batch.partition]
            batch.sent = {order.command_id: mine.sent_at for order in mine.sent}
            mine.sent = []
        size = sum(batch.end - batch.begin for batch in batches)
        may_read = size >= self._read_ahead_min and not self._backlog
        try:
            self._commits.write(batches, self._read_ahead if may_read else None)
        except Fenced as fenced:
            _log.warning("fenced: %s belong to somebody else now", list(fenced.partitions))
            self._rejoin()

    def _read_ahead(self) -> None:
        """Poll while a batch is being written, and open what needs no word of that batch."""
        self._backlog = self._poll()
        for partition, found in by_partition(self._backlog).items():
            mine = self._owned.partitions.get(partition)
            if mine is not None and mine.is_proven and mine.stopped is None:
                mine.fold.read_ahead(found)

    def _committed(self, batch: Batch) -> None:
        mine = self._owned.partitions[batch.partition]
        before, settings = Counter(mine.fold.counts), mine.fold.rules.settings
        shares = sum(tp.topic == batch.partition.topic for tp in self._owned.partitions)
        mine.fold.keep(shares=shares)
        if mine.fold.rules.settings != settings:
            mine.repaired = False  # What falls due by itself may be other things now.
            mine.may_fall_due = None
        self.counts += mine.fold.counts - before
        hand_on(batch, mine, self._clock.monotonic_s())
        self._untold[batch.partition] = batch.end
        self._guard.passed(batch.partition, mine)

    def _tell_lag_tools(self) -> None:
        if self._untold:
            self._group.commit(self._untold)
            self._untold = {}
            self._told_at_s = self._clock.monotonic_s()

    def _resolve_doubt(self) -> None:
        """Find out whether the last batches are in the database."""
        known = {(c.topic, c.partition): c for c in self._store.checkpoints()}
        doubt, self._commits.doubt = self._commits.doubt, ()
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
                mine.to_send.look()  # What it said was sent is in the outbox still.
                self._stand_at(mine, row)
                self._backlog = [
                    r for r in self._backlog if (r.topic, r.partition) != batch.partition
                ]
                self._group.seek(batch.partition, row.next_offset)

    def _rejoin(self) -> None:
        self._owned.partitions.clear()
        self._backlog = []
        self._untold = {}
        self._commits.doubt = ()
        self._joined = False

    # Taking over and letting go (called from within poll).

    def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Raise the epoch of each partition, then go on from its checkpoint."""
        self._commits.join()
        wanted = tuple(partitions)
        infos = {name: self._group.topic(name) for name in {tp.topic for tp in wanted}}
        rows = self._store.take_over(wanted)
        self._check_topics(infos)
        ends = self._group.end_offsets(wanted)
        now = self._clock.now_us()
        positions: dict[TopicPartition, int] = {}
        for partition in wanted:
            info = infos[partition.topic]
            mine = self._ownership(partition, rows[partition], ends[partition], info)
            self._owned.partitions[partition] = mine
            positions[partition] = rows[partition].next_offset
        epochs = {tp: self._owned.partitions[tp].epoch for tp in wanted}
        self._store.postpone(epochs, now + self._down_us)
        return positions

    def _check_topics(self, infos: Mapping[str, TopicInfo]) -> None:
        """Refuse a topic that is not the one, or not as it was, when the rows were written."""
        for row in self._store.checkpoints():
            info = infos.get(row.topic)
            if info is None or not row.topic_id:
                continue
            if row.topic_id != info.topic_id:
                raise LogRecreated(
                    f"Expected topic {row.topic} to be {row.topic_id}, but it is {info.topic_id}:"
                    " it was made anew. Restore it, or stop all conductors and `regente rebuild`."
                )
            count = _rules_of(row.rules, info.partitions).partitions
            if count != info.partitions:
                raise TopicMismatch(
                    f"Expected topic {row.topic} to have {count} partitions, as when the rows were"
                    f" written, but it has {info.partitions}: the number decides the order per"
                    " instance and can't be changed; restore the topic, or move to a new one."
                )

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget the partitions; whatever was not committed belongs to the next owner."""
        self._commits.join()
        gone = set(partitions)
        for partition in gone:
            self._untold.pop(partition, None)
            mine = self._owned.partitions.pop(partition, None)
            if mine is not None:
                self._guard.release(partition, mine)
        self._backlog = [r for r in self._backlog if (r.topic, r.partition) not in gone]
        doubt = self._commits.doubt
        self._commits.doubt = tuple(b for b in doubt if b.partition not in gone)

    def _ownership(
        self, partition: TopicPartition, row: Checkpoint, end: int, info: TopicInfo
    ) -> Ownership:
        if row.rules:
            _refuse_foreign(partition, row.rules)
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
            taken_at=self._clock.now_us(),
        )
        self._stand_at(mine, row)
        if end < row.next_offset:
            mine.stopped = (
                f"Expected {partition.topic}/{partition.partition} to reach {row.next_offset}, but "
                f"it ends at {end}: its tail was lost. {_CHOICES}"
            )
            _log.error("partition stopped: %s", mine.stopped)
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
                self._group.pause([tp])
                if mine.stopped is None:  # The first reason is the best.
                    mine.stopped = f"{why} {_CHOICES}"
                    _log.error("partition stopped: %s", mine.stopped)


def hand_on(batch: Batch, mine: Ownership, now_s: float) -> None:
    """Leave the orders of a batch that is in the database to whoever sends them, or chooses."""
    for waiting in (mine.to_send, mine.to_choose):
        waiting.went(batch.forget)
    orders = [order for order in batch.orders.values() if order.command_id not in batch.forget]
    mine.to_send.came([order for order in orders if order.host != SCHEDULER_HOST], now_s)
    mine.to_choose.came([order for order in orders if order.host == SCHEDULER_HOST], now_s)


def _partition_of(lost: PositionLost) -> TopicPartition | None:
    return TopicPartition(lost.topic, lost.partition) if lost.topic else None


def _rules_of(body: bytes, partitions: int) -> Rules:
    return RULES_CODEC.decode(body) if body else Rules(partitions=partitions)


def _refuse_foreign(partition: TopicPartition, body: bytes) -> None:
    unknown = foreign(_rules_of(body, 0))
    if unknown:
        raise ForeignRules(
            f"Expected rules in {partition.topic}/{partition.partition} that this code knows, but"
            f" {', '.join(unknown)} in force: upgrade this conductor, then start it again."
        )
