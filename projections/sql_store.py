"""The store on a real database: each method is one transaction on SQLite or PostgreSQL.

Knows which statements belong together; what they say is in `sql_write`, `sql_owner`, `sql_decide`
and `sql_guard`, how many rows go at once in `bulk`. Safe to use from several threads and processes
at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Engine

from events.log import TopicPartition
from projections import sql_decide, sql_dues, sql_guard, sql_owner, sql_survey, sql_write
from projections.bulk import bulk_of
from projections.engine import open_engine
from projections.schema import check_engine
from projections.snapshot import Snapshot, snapshot
from projections.store import (
    Answer,
    Batch,
    Checkpoint,
    Choose,
    DueRow,
    HostSeen,
    Order,
    Standing,
    Timer,
)
from projections.survey_rows import GuestRecorded, HostSurvey
from projections.tables import ROWS
from projections.transactions import reading, writing

Owned = Mapping[TopicPartition, int]


def open_store(url: str) -> SqlStore:
    """Return a store on a database that has this code's revision.

    Raises UnusableUrl, SchemaMismatch, StoreUnavailable.
    """
    engine = open_engine(url)
    try:
        check_engine(engine)
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine)


class SqlStore:
    """Fulfils `Store`; the engine becomes its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bulk = bulk_of(engine)

    @property
    def is_served(self) -> bool:
        """Does another process do the work, for which this one waits?"""
        return self._engine.dialect.name == "postgresql"

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()

    # The fold.

    def take_over(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Checkpoint]:
        """Raise the epoch of each partition, then return its checkpoint; makes missing ones."""
        with writing(self._engine) as connection:
            return sql_write.take_over(connection, self._bulk, partitions)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return every checkpoint, in order of topic and partition."""
        with reading(self._engine) as connection:
            return sql_write.all_checkpoints(connection)

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Show checkpoints and rows of one moment."""
        return snapshot(self._engine)

    def states(self, uuids: Collection[str]) -> dict[str, bytes]:
        """Return the stored state body of each instance that has one."""
        return self._bodies("instance_states", "instance_uuid", uuids)

    def node_bodies(self, hosts: Collection[str]) -> dict[str, bytes]:
        """Return the stored body of each host that has one."""
        return self._bodies("nodes", "host", hosts)

    def _bodies(self, table: str, key: str, keys: Collection[str]) -> dict[str, bytes]:
        if not keys:
            return {}
        with reading(self._engine) as connection:
            rows = self._bulk.pick(connection, ROWS[table], (key, "body"), keys)
        bodies: dict[str, bytes] = {}
        for name, body in rows:
            assert isinstance(name, str), f"Expected text in {table}.{key}, but {name!r}"
            assert isinstance(body, bytes), f"Expected bytes in {table}.body, but {body!r}"
            bodies[name] = body
        return bodies

    def commit(self, batches: Sequence[Batch]) -> None:
        """Write every batch in one transaction; raises Fenced, StoreUnavailable."""
        if batches:
            with writing(self._engine) as connection:
                sql_write.commit(connection, self._bulk, batches)

    def waiting_for_schema(self, partition: TopicPartition) -> tuple[str, ...]:
        """Name the instances with records parked for a schema."""
        with reading(self._engine) as connection:
            return sql_guard.waiting_for_schema(connection, partition)

    # The owner's turns.

    def unsent(self, owned: Owned, limit: int, *, scheduler: bool) -> tuple[Order, ...]:
        """Return orders in the outbox, by rank and age: for hosts, or for the scheduler."""
        with reading(self._engine) as connection:
            return sql_owner.unsent(connection, owned, limit, scheduler=scheduler)

    def sent(self, owned: Owned, orders: Sequence[Order], now_us: int) -> None:
        """Take sent orders out of the outbox and start their timers, where still owned."""
        if orders:
            with writing(self._engine) as connection:
                sql_owner.sent(connection, self._bulk, owned, orders, now_us)

    def decide(
        self, owned: Owned, orders: Sequence[Order], choose: Choose, now_us: int
    ) -> tuple[Answer, ...]:
        """Let `choose` pick for each order with all hosts locked, and store its answers."""
        with writing(self._engine) as connection:
            return sql_decide.decide(connection, self._bulk, owned, orders, choose, now_us)

    def answers(self, owned: Owned, limit: int) -> tuple[Answer, ...]:
        """Return stored answers that have not been marked as told."""
        with reading(self._engine) as connection:
            return sql_owner.answers(connection, owned, limit)

    def told(self, command_ids: Collection[str]) -> None:
        """Mark answers as appended to the log; they go when the log's record is judged."""
        if command_ids:
            with writing(self._engine) as connection:
                sql_owner.told(connection, command_ids)

    def due(self, owned: Owned, now_us: int, limit: int) -> tuple[Timer, ...]:
        """Return timers whose time has come and that have not been marked as fired."""
        with reading(self._engine) as connection:
            return sql_owner.due(connection, owned, now_us, limit)

    def waiting_on_lost(self, owned: Owned, limit: int) -> tuple[Timer, ...]:
        """Return orders and timers (as timers) of hosts that are lost, not marked as fired."""
        with reading(self._engine) as connection:
            return sql_owner.waiting_on_lost(connection, owned, limit)

    def fired(self, command_ids: Collection[str]) -> None:
        """Mark that the log has been told of these waits; they go when the fact is judged."""
        if command_ids:
            with writing(self._engine) as connection:
                sql_owner.fired(connection, command_ids)

    def owed(self, owned: Owned, limit: int) -> tuple[tuple[str, str], ...]:
        """Return (instance, host) of patient sagas whose host is there (not lost)."""
        with reading(self._engine) as connection:
            return sql_owner.owed(connection, owned, limit)

    def elapsed(self, owned: Owned, now_us: int, limit: int) -> tuple[DueRow, ...]:
        """Return what has fallen due by itself, the longest overdue first."""
        with reading(self._engine) as connection:
            return sql_dues.elapsed(connection, owned, now_us, limit)

    def put_off(self, dues: Sequence[DueRow], until_us: int) -> None:
        """The log was told: these are due again only then, if the state still names them."""
        if dues:
            with writing(self._engine) as connection:
                sql_dues.put_off(connection, dues, until_us)

    def may_fall_due(
        self, partitions: Collection[TopicPartition], where: Sequence[Standing]
    ) -> dict[TopicPartition, tuple[str, ...]]:
        """Name the instances that stand in one of these ways, and those with a due of their own."""
        with reading(self._engine) as connection:
            return sql_dues.may_fall_due(connection, partitions, where)

    def restore_dues(
        self,
        owned: Owned,
        partition: TopicPartition,
        uuids: Sequence[str],
        dues: Sequence[DueRow],
    ) -> None:
        """Leave these instances with these dues and no others, where still owned."""
        if uuids:
            with writing(self._engine) as connection:
                sql_dues.restore(connection, self._bulk, owned, partition, uuids, dues)

    def postpone(self, owned: Owned, until_us: int) -> None:
        """Move every earlier due time to `until_us` and unmark what was marked as fired or told."""
        with writing(self._engine) as connection:
            sql_owner.postpone(connection, owned, until_us)
            sql_dues.postpone(connection, owned, until_us)

    def open_instances(self, partition: TopicPartition) -> tuple[str, ...]:
        """Name the instances with a saga that has not ended."""
        with reading(self._engine) as connection:
            return sql_owner.open_instances(connection, partition)

    def missing(self, command_ids: Collection[str]) -> frozenset[str]:
        """Return those that have neither an outbox row nor a timer."""
        if not command_ids:
            return frozenset()
        with reading(self._engine) as connection:
            return sql_owner.missing(connection, self._bulk, command_ids)

    def restore(self, owned: Owned, orders: Sequence[Order], *, again: bool = False) -> None:
        """Put orders back into the outbox, where still owned; `again`: those that were sent too."""
        if orders:
            with writing(self._engine) as connection:
                sql_owner.restore(connection, self._bulk, owned, orders, again=again)

    # Hosts.

    def seen(self, heartbeats: Mapping[str, tuple[int, int]]) -> None:
        """Note (boot_epoch, append time) of each host's last heartbeat."""
        if heartbeats:
            with writing(self._engine) as connection:
                sql_decide.seen(connection, heartbeats)

    def surveys(self, after: str, limit: int) -> tuple[HostSurvey, ...]:
        """Return the first `limit` started hosts behind `after` that spoke since surveyed."""
        with reading(self._engine) as connection:
            return sql_survey.surveys(connection, after, limit)

    def guests_of(self, hosts: Collection[str]) -> Mapping[str, tuple[GuestRecorded, ...]]:
        """Return every instance of ours on each host by the rows, not deleted, by uuid."""
        with reading(self._engine) as connection:
            return sql_survey.guests_of(connection, hosts)

    def hosts(self, partitions: int, owned: Collection[int]) -> tuple[HostSeen, ...]:
        """Return the hosts whose node partition is among `owned`."""
        with reading(self._engine) as connection:
            return sql_decide.hosts(connection, partitions, owned)

    # Crash-loop guard.

    def mark(self, partition: TopicPartition, offset: int) -> int:
        """Note that a batch from `offset` is about to be tried; returns how often, now included."""
        with writing(self._engine) as connection:
            return sql_guard.mark(connection, partition, offset)

    def unmark(self, partition: TopicPartition) -> None:
        """Forget the marker of a partition."""
        with writing(self._engine) as connection:
            sql_guard.unmark(connection, partition)

    def set_aside(self, partition: TopicPartition) -> frozenset[int]:
        """Return the offsets that were set aside."""
        with reading(self._engine) as connection:
            return sql_guard.set_aside(connection, partition)

    def note_set_aside(
        self, owned: Owned, partition: TopicPartition, offset: int, reason: str
    ) -> bool:
        """Note that an offset is set aside, before the log is told; False where not owned."""
        with writing(self._engine) as connection:
            if partition not in sql_owner.still_owned(connection, owned):
                return False
            sql_guard.note_set_aside(connection, self._bulk, partition, offset, reason)
            return True
