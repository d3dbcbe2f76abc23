"""The one transaction of the fold: checkpoints first, under the owner's epoch, then all the rest.

Also what the fold reads back. Each function works in the transaction of the connection that it is
given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select, tuple_, update

from events.log import TopicPartition
from projections.bulk import Bulk
from projections.rows import Changes
from projections.store import Batch, Checkpoint, Fenced, Order
from projections.tables import ANSWERS, CHECKPOINTS, DUES, OUTBOX, RESERVATIONS, ROWS, TIMERS

#: Chain of a partition of which nothing was taken yet.
NO_CHAIN: Final = bytes(32)

#: What a command leaves behind; all keyed by its id.
_OF_A_COMMAND: Final = (OUTBOX, TIMERS, RESERVATIONS, ANSWERS)

_WHICH = tuple_(CHECKPOINTS.c.topic, CHECKPOINTS.c.partition).in_(
    bindparam("which", expanding=True)
)
_IN_ORDER = (CHECKPOINTS.c.topic, CHECKPOINTS.c.partition)
_ALL: Final = select(CHECKPOINTS).order_by(*_IN_ORDER)
_LOCKED: Final = select(CHECKPOINTS.c.epoch).where(_WHICH).order_by(*_IN_ORDER).with_for_update()
_CHOSEN: Final = select(CHECKPOINTS).where(_WHICH).order_by(*_IN_ORDER)
_RAISE_EPOCH: Final = update(CHECKPOINTS).where(_WHICH).values(epoch=CHECKPOINTS.c.epoch + 1)


def commit(connection: Connection, bulk: Bulk, batches: Sequence[Batch]) -> None:
    """Leave the transaction with everything that the batches change.

    Raises Fenced when any of the checkpoints is not where its batch begins, under its epoch.
    """
    ordered = sorted(batches, key=lambda each: each.partition)
    names = {each.partition for each in batches}
    assert len(names) == len(batches), f"Expected one batch of each partition, but {names} of more"
    changes = _merged([each.changes for each in ordered])
    forget = {each for batch in ordered for each in batch.forget}
    orders = [each for b in ordered for each in b.orders.values() if each.command_id not in forget]
    dues_count = sum(len(b.dues) for b in ordered)
    rows_max = max(dues_count, len(orders), *map(len, changes.values()))
    with bulk.together(connection, rows_max) as is_together:
        moved = bulk.advance(connection, ordered)
        if not is_together:
            _refuse_fenced(connection, ordered, moved())
        _write_rows(connection, bulk, changes)
        if sent := {k: at for b in ordered for k, at in b.sent.items() if k not in forget}:
            bulk.start_timers(connection, sent)
        add_orders(connection, bulk, orders)
        _write_dues(connection, bulk, ordered)
        if forget:
            bulk.forget(connection, _OF_A_COMMAND, sorted(forget))
    if is_together:
        _refuse_fenced(connection, ordered, moved())


def _refuse_fenced(
    connection: Connection, batches: Sequence[Batch], moved: Collection[TopicPartition]
) -> None:
    if lost := [each for each in batches if each.partition not in moved]:
        raise Fenced([each.partition for each in lost], _fenced(connection, lost[0]))


def _write_dues(connection: Connection, bulk: Bulk, batches: Sequence[Batch]) -> None:
    if gone := sorted(each for batch in batches for each in batch.forget_dues):
        bulk.delete(connection, DUES, gone)
    if rows := [batch.dues[each] for batch in batches for each in sorted(batch.dues)]:
        bulk.upsert(connection, DUES, rows)


def add_orders(connection: Connection, bulk: Bulk, orders: Iterable[Order]) -> None:
    """Leave the orders in the outbox; one that is there already stays as it is."""
    if rows := [(*order, 0) for order in orders]:
        bulk.insert_missing(connection, OUTBOX, rows)


def all_checkpoints(connection: Connection) -> tuple[Checkpoint, ...]:
    """Return every checkpoint, in order of topic and partition."""
    return tuple(Checkpoint(*row) for row in connection.execute(_ALL))


def take_over(
    connection: Connection, bulk: Bulk, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, Checkpoint]:
    """Raise the epoch of each partition, then return its checkpoint; makes missing ones."""
    ordered = sorted(set(partitions))
    if not ordered:
        return {}
    bulk.end_stuck(connection)
    bulk.insert_missing(
        connection, CHECKPOINTS, [(*each, 0, 0, "", 0, NO_CHAIN, b"") for each in ordered]
    )
    which = {"which": ordered}
    connection.execute(_LOCKED, which)
    connection.execute(_RAISE_EPOCH, which)
    found = [Checkpoint(*row) for row in connection.execute(_CHOSEN, which)]
    assert len(found) == len(ordered), f"Expected checkpoints of {ordered}, but {found}"
    return {TopicPartition(each.topic, each.partition): each for each in found}


def _write_rows(connection: Connection, bulk: Bulk, changes: Changes) -> None:
    for name, table in ROWS.items():
        if not (changed := changes.get(name)):
            continue
        # In key order, as the scheduler locks hosts: two transactions never wait for each other.
        keys = sorted(changed)
        if rows := [row for each in keys if (row := changed[each]) is not None]:
            bulk.upsert(connection, table, rows)
        if gone := [each for each in keys if changed[each] is None]:
            bulk.delete(connection, table, gone)


def _merged(changes: Sequence[Changes]) -> Changes:
    if len(changes) == 1:
        return changes[0]
    merged: Changes = {}
    for each in changes:
        for table, rows in each.items():
            merged.setdefault(table, {}).update(rows)
    return merged


def _fenced(connection: Connection, batch: Batch) -> str:
    found: Mapping[TopicPartition, Checkpoint] = {
        TopicPartition(row.topic, row.partition): Checkpoint(*row)
        for row in connection.execute(_CHOSEN, {"which": [batch.partition]})
    }
    there = found.get(batch.partition)
    topic, partition = batch.partition
    if there is None:
        return f"Expected a checkpoint of {topic}/{partition}, but there is none."
    return (
        f"Expected the checkpoint of {topic}/{partition} at offset {batch.begin}, epoch"
        f" {batch.epoch}, but it is at {there.next_offset}, epoch {there.epoch}."
    )
