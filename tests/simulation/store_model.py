"""The database of the simulation: what `projections.store` promises, in dictionaries.

Every method is one transaction: it happens whole or not at all, and every write of an owner is
conditional on its epoch, as in SQL. The contract suite of the real stores says that this one is
like them. It tells those who watch what was committed; it knows nothing of faults.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from events.log import TopicPartition
from events.topics import Topics, partition_of
from projections.choosing import choices
from projections.rows import (
    InstanceStateRow,
    NodeRow,
    ParkedRow,
    SagaRow,
)
from projections.store import (
    NEVER,
    RESEND_STEP,
    SCHEDULER_HOST,
    Answer,
    Batch,
    Checkpoint,
    Choose,
    Fenced,
    HostRoom,
    HostSeen,
    Order,
    Timer,
)
from projections.survey_rows import GuestRecorded, HostSurvey
from tests.simulation.database import Moment, Said, Waiting
from tests.simulation.dues_model import DuesModel, Owned
from tests.simulation.surveys import guests_of, surveys

GONE: Final = ("lost", "forced_down")
_US: Final = 1_000_000
_NO_CHAIN: Final = bytes(32)


class StoreModel(DuesModel):
    """Fulfils `Store`, and shows snapshots."""

    def close(self) -> None:
        """Release nothing."""

    # The fold.

    def take_over(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Checkpoint]:
        """Raise the epoch of each partition, then return its checkpoint; makes missing ones."""
        taken: dict[TopicPartition, Checkpoint] = {}
        with self._db.lock:
            for each in sorted(set(partitions)):
                known = self._db.checkpoints.get(each)
                if known is None:
                    known = Checkpoint(*each, 0, 0, "", 0, _NO_CHAIN, b"")
                taken[each] = known._replace(epoch=known.epoch + 1)
            self._db.checkpoints.update(taken)
        return taken

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return every checkpoint, in order of topic and partition."""
        return tuple(self._db.checkpoints[each] for each in sorted(self._db.checkpoints))

    @contextmanager
    def snapshot(self) -> Iterator[Moment]:
        """Show checkpoints and rows of one moment."""
        rows = {name: dict(found) for name, found in self._db.rows.items()}
        yield Moment(self.checkpoints(), rows)

    def states(self, uuids: Collection[str]) -> dict[str, bytes]:
        """Return the stored state body of each instance that has one."""
        found = self._db.rows["instance_states"]
        rows = {each: found.get((each,)) for each in uuids}
        return {k: row.body for k, row in rows.items() if isinstance(row, InstanceStateRow)}

    def node_bodies(self, hosts: Collection[str]) -> dict[str, bytes]:
        """Return the stored body of each host that has one."""
        found = self._db.rows["nodes"]
        rows = {each: found.get((each,)) for each in hosts}
        return {k: row.body for k, row in rows.items() if isinstance(row, NodeRow)}

    def commit(self, batches: Sequence[Batch]) -> None:
        """Write every batch in one transaction; raises Fenced."""
        with self._db.lock:
            if lost := [each for each in batches if not self._may_advance(each)]:
                raise Fenced([each.partition for each in lost], self._fenced(lost[0]))
            for batch in sorted(batches, key=lambda each: each.partition):
                self._write(batch)

    def _may_advance(self, batch: Batch) -> bool:
        known = self._db.checkpoints.get(batch.partition)
        expected = (batch.begin, batch.epoch)
        return known is not None and (known.next_offset, known.epoch) == expected

    def _fenced(self, batch: Batch) -> str:
        known = self._db.checkpoints.get(batch.partition)
        topic, partition = batch.partition
        if known is None:
            return f"Expected a checkpoint of {topic}/{partition}, but there is none."
        return (
            f"Expected the checkpoint of {topic}/{partition} at offset {batch.begin}, epoch"
            f" {batch.epoch}, but it is at {known.next_offset}, epoch {known.epoch}."
        )

    def _write(self, batch: Batch) -> None:
        db = self._db
        known = db.checkpoints[batch.partition]
        db.checkpoints[batch.partition] = known._replace(
            next_offset=batch.end,
            topic_id=batch.topic_id,
            leader_epoch=batch.leader_epoch,
            chain=batch.chain,
            rules=known.rules if batch.rules is None else batch.rules,
        )
        for table, changed in batch.changes.items():
            rows = db.rows[table]
            for key, row in changed.items():
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
        sent = {k: at for k, at in batch.sent.items() if k not in batch.forget}
        self._start_timers(sent)
        self._add(o for o in batch.orders.values() if o.command_id not in batch.forget)
        for command_id in batch.forget:
            for each in (db.outbox, db.timers, db.answers, db.reservations):
                each.pop(command_id, None)
        self._write_dues(batch)
        db.watcher.committed(batch)

    def _add(self, orders: Iterable[Order]) -> None:
        for each in orders:
            self._db.outbox.setdefault(each.command_id, (each, False))

    def waiting_for_schema(self, partition: TopicPartition) -> tuple[str, ...]:
        """Name the instances with records parked for a schema."""
        parked = [r for r in self._db.rows["parked"].values() if isinstance(r, ParkedRow)]
        names = {
            row.subject
            for row in parked
            if row.reason == "schema" and (row.topic, row.partition) == partition
        }
        return tuple(sorted(names))

    # The owner's turns.

    def unsent(self, owned: Owned, limit: int, *, scheduler: bool) -> tuple[Order, ...]:
        """Return orders in the outbox, by rank and age: for hosts, or for the scheduler."""
        ours = self._ours(owned)
        found = [
            order
            for order, _ in self._db.outbox.values()
            if (order.host == SCHEDULER_HOST) == scheduler
            and (order.topic, order.partition) in ours
            and not (scheduler and order.command_id in self._db.answers)
        ]
        return tuple(sorted(found, key=lambda order: order.rank)[:limit])

    def sent(self, owned: Owned, orders: Sequence[Order], now_us: int) -> None:
        """Take sent orders out of the outbox and start their timers, where still owned."""
        with self._db.lock:
            ours = self._ours(owned)
            mine = [each for each in orders if (each.topic, each.partition) in ours]
            self._start_timers({each.command_id: now_us for each in mine})

    def _start_timers(self, sent: Mapping[str, int]) -> None:
        gone: list[Order] = []
        for command_id, at in sent.items():
            stored = self._db.outbox.pop(command_id, None)
            if stored is not None:
                gone.append(stored[0])
                timer = Waiting(_timer_of(stored[0], at), stored[1])
                self._db.timers.setdefault(command_id, timer)
        if gone:
            self._db.watcher.marked_sent(gone)

    def decide(
        self, owned: Owned, orders: Sequence[Order], choose: Choose, now_us: int
    ) -> tuple[Answer, ...]:
        """Let `choose` pick for each order with all hosts locked, and store its answers."""
        with self._db.lock:
            db, ours = self._db, self._ours(owned)
            awaited = [
                each
                for each in orders
                if (each.topic, each.partition) in ours
                and each.command_id in db.outbox
                and each.command_id not in db.answers
            ]
            made = choices(awaited, self._rooms(), choose)
            for order, answer, reservation in made:
                db.answers[order.command_id] = Said(answer, now_us)
                if reservation is not None:
                    db.reservations[order.command_id] = reservation
                db.timers[order.command_id] = Waiting(_timer_of(order, now_us))
            return tuple(each.answer for each in made)

    def _rooms(self) -> tuple[HostRoom, ...]:
        used = self._db.used()
        return tuple(
            HostRoom(
                n.host,
                n.node,
                n.status,
                n.vcpus,
                n.memory_mb,
                n.disk_gb,
                *used.get(n.host, (0, 0, 0)),
            )
            for n in self._nodes()
        )

    def _nodes(self) -> list[NodeRow]:
        rows = self._db.rows["nodes"]
        return [row for key in sorted(rows) if isinstance(row := rows[key], NodeRow)]

    def answers(self, owned: Owned, limit: int) -> tuple[Answer, ...]:
        """Return stored answers that have not been marked as told."""
        ours = self._ours(owned)
        found = [
            each
            for each in self._db.answers.values()
            if not each.told and (each.answer.topic, each.answer.partition) in ours
        ]
        found.sort(key=lambda each: (each.created_at, each.answer.command_id))
        return tuple(each.answer for each in found[:limit])

    def told(self, command_ids: Collection[str]) -> None:
        """Mark answers as appended to the log; they go when the log's record is judged."""
        for each in command_ids:
            if each in self._db.answers:
                self._db.answers[each].told = True

    def due(self, owned: Owned, now_us: int, limit: int) -> tuple[Timer, ...]:
        """Return timers whose time has come and that have not been marked as fired."""
        ours = self._ours(owned)
        found = [
            each.timer
            for each in self._db.timers.values()
            if not each.fired
            and each.timer.due_at <= now_us
            and (each.timer.topic, each.timer.partition) in ours
        ]
        return tuple(sorted(found, key=_by_due)[:limit])

    def waiting_on_lost(self, owned: Owned, limit: int) -> tuple[Timer, ...]:
        """Return timers of hosts that are lost or forced down, not marked as fired."""
        lost = {each.host for each in self._nodes() if each.status in GONE}
        if not lost:
            return ()
        found = [w.timer for w in self._db.timers.values() if not w.fired]
        found = [timer for timer in found if timer.step != RESEND_STEP]
        ours = self._ours(owned)
        mine = [t for t in found if t.host in lost and (t.topic, t.partition) in ours]
        return tuple(sorted(mine, key=_by_due)[:limit])

    def fired(self, command_ids: Collection[str]) -> None:
        """Mark that the log has been told of these waits; they go when the fact is judged."""
        for each in command_ids:
            if each in self._db.timers:
                self._db.timers[each].fired = True
            if each in self._db.outbox:
                self._db.outbox[each] = (self._db.outbox[each][0], True)

    def owed(self, owned: Owned, limit: int) -> tuple[tuple[str, str], ...]:
        """Return (instance, host) of patient sagas whose host is there, not lost or forced down."""
        numbers = _numbers(self._ours(owned))
        there = {each.host for each in self._nodes() if each.status not in GONE}
        patient = [
            row
            for row in self._sagas()
            if row.status == "running"
            and row.deadline_s == 0
            and row.waits_for
            and row.partition in numbers
        ]
        patient.sort(key=lambda row: (row.entered_at, row.saga_id))
        waits = [(row.instance_uuid, host) for row in patient for host in row.waits_for.split(",")]
        return tuple(dict.fromkeys(each for each in waits if each[1] in there))[:limit]

    def _sagas(self) -> list[SagaRow]:
        return [row for row in self._db.rows["sagas"].values() if isinstance(row, SagaRow)]

    def postpone(self, owned: Owned, until_us: int) -> None:
        """Move every earlier due time to `until_us` and unmark what was marked as fired or told."""
        ours = self._ours(owned)
        for each in self._db.timers.values():
            if (each.timer.topic, each.timer.partition) in ours:
                each.timer = each.timer._replace(due_at=max(each.timer.due_at, until_us))
                each.fired = False
        self._postpone_dues(owned, until_us)
        for command_id, (order, _) in self._db.outbox.items():
            if (order.topic, order.partition) in ours:
                self._db.outbox[command_id] = (order, False)
        for said in self._db.answers.values():
            if (said.answer.topic, said.answer.partition) in ours:
                said.told = False

    def open_instances(self, partition: TopicPartition) -> tuple[str, ...]:
        """Name the instances with a saga that has not ended."""
        numbers = _numbers([partition])
        found = {
            row.instance_uuid
            for row in self._sagas()
            if row.status in ("running", "needs_operator") and row.partition in numbers
        }
        return tuple(sorted(found))

    def missing(self, command_ids: Collection[str]) -> frozenset[str]:
        """Return those that have neither an outbox row nor a timer."""
        return frozenset(command_ids) - self._db.outbox.keys() - self._db.timers.keys()

    def restore(self, owned: Owned, orders: Sequence[Order], *, again: bool = False) -> None:
        """Put orders back into the outbox, where still owned; `again`: those that were sent too."""
        with self._db.lock:
            ours = self._ours(owned)
            mine = [o for o in orders if (o.topic, o.partition) in ours]
            for each in mine if again else ():
                self._db.timers.pop(each.command_id, None)
            gone = self.missing([o.command_id for o in mine])
            back = [each for each in mine if each.command_id in gone]
            self._add(back)
            self._db.watcher.ordered(back)

    # Hosts.

    def seen(self, heartbeats: Mapping[str, tuple[int, int]]) -> None:
        """Note (boot_epoch, append time) of each host's last heartbeat."""
        for host, (boot_epoch, at) in heartbeats.items():
            if at >= self._db.last_seen.get(host, (0, 0))[1]:
                self._db.last_seen[host] = (boot_epoch, at)

    def hosts(self, partitions: int, owned: Collection[int]) -> tuple[HostSeen, ...]:
        """Return the hosts whose node partition is among `owned`."""
        seen = self._db.last_seen
        return tuple(
            HostSeen(n.host, n.boot_epoch, seen.get(n.host, (0, 0))[1], n.status, n.lost_count)
            for n in self._nodes()
            if partition_of(n.host, partitions) in owned
        )

    def surveys(self, after: str, limit: int) -> tuple[HostSurvey, ...]:
        """Return the first `limit` started hosts behind `after` that spoke since surveyed."""
        return surveys(self._nodes(), after, limit)

    def guests_of(self, hosts: Collection[str]) -> Mapping[str, tuple[GuestRecorded, ...]]:
        """Return every instance of ours on each host by the rows, not deleted, by uuid."""
        return guests_of([*self._db.rows["instances"].values()], self._sagas(), hosts)

    # Crash-loop guard.

    def mark(self, partition: TopicPartition, offset: int) -> int:
        """Note that a batch from `offset` is about to be tried; returns how often, now included."""
        begin, tries = self._db.markers.get(partition, (offset, 0))
        tries = tries + 1 if begin == offset else 1
        self._db.markers[partition] = (offset, tries)
        return tries

    def unmark(self, partition: TopicPartition) -> None:
        """Forget the marker of a partition."""
        self._db.markers.pop(partition, None)

    def set_aside(self, partition: TopicPartition) -> frozenset[int]:
        """Return the offsets that were set aside."""
        return frozenset(self._db.aside.get(partition, ()))

    def note_set_aside(
        self, owned: Owned, partition: TopicPartition, offset: int, reason: str
    ) -> bool:
        """Note that an offset is set aside, before the log is told; False where not owned."""
        if is_ours := partition in self._ours(owned):
            self._db.aside.setdefault(partition, {}).setdefault(offset, reason)
        return is_ours


def _timer_of(order: Order, now_us: int) -> Timer:
    due_at = now_us + order.deadline_s * _US if order.deadline_s else NEVER
    values = {each: getattr(order, each) for each in Timer._fields[:-1]}
    return Timer(**values, due_at=due_at)


def _by_due(timer: Timer) -> tuple[int, str]:
    return timer.due_at, timer.command_id


def _numbers(partitions: Iterable[TopicPartition]) -> set[int]:
    node_events = Topics("").node_events
    return {each.partition for each in partitions if not each.topic.endswith(node_events)}
