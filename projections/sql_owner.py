"""The turns of a partition's owner in SQL: what to send, what is due, who is lost.

Each function works in the transaction of the connection that it is given. Whatever writes locks the
checkpoints of its partitions first and leaves out those that somebody else has taken over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    exists,
    select,
    tuple_,
    update,
)

from events.log import TopicPartition
from events.topics import Topics
from projections.bulk import Bulk
from projections.sql_write import add_orders
from projections.store import NEVER, RESEND_STEP, SCHEDULER_HOST, Answer, Order, Timer
from projections.tables import ANSWERS, CHECKPOINTS, OUTBOX, ROWS, TIMERS

_US_PER_S: Final = 1_000_000

NODES: Final = ROWS["nodes"]
SAGAS: Final = ROWS["sagas"]
#: Hosts from which no answer is awaited: by their silence, or by an operator's word.
_GONE: Final = ("lost", "forced_down")

Owned = Mapping[TopicPartition, int]


def _in(table: Table) -> ColumnElement[bool]:
    return tuple_(table.c.topic, table.c.partition).in_(bindparam("which", expanding=True))


def of_topic(table: Table) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that a row is of some partitions of one topic.

    In words that every planner makes an index of (topic, partition, …) of, with statistics or
    without: a list of pairs it would rather scan a table for.
    """
    numbers: BindParameter[int] = bindparam("numbers", expanding=True)
    return table.c.topic == bindparam("home_topic"), table.c.partition.in_(numbers)


def by_topic(which: Iterable[TopicPartition]) -> list[dict[str, object]]:
    """Return the values for `of_topic`, a set for each topic."""
    numbers: dict[str, list[int]] = {}
    for each in which:
        numbers.setdefault(each.topic, []).append(each.partition)
    return [{"home_topic": topic, "numbers": found} for topic, found in sorted(numbers.items())]


_EPOCHS: Final = (
    select(CHECKPOINTS.c.topic, CHECKPOINTS.c.partition, CHECKPOINTS.c.epoch)
    .where(_in(CHECKPOINTS))
    .order_by(CHECKPOINTS.c.topic, CHECKPOINTS.c.partition)
)
#: Shared: the relay and the scheduler of one owner may hold it at a time, a new owner must wait.
_EPOCHS_HELD: Final = _EPOCHS.with_for_update(read=True)

_ORDER: Final = select(*(OUTBOX.c[each] for each in Order._fields)).where(_in(OUTBOX))
_IS_ANSWERED: Final = exists().where(ANSWERS.c.command_id == OUTBOX.c.command_id)
_UNSENT: Final = {
    False: _ORDER.where(OUTBOX.c.host != SCHEDULER_HOST),
    True: _ORDER.where(OUTBOX.c.host == SCHEDULER_HOST, ~_IS_ANSWERED),
}
_UNSENT_NEXT: Final = {
    scheduler: statement.order_by(OUTBOX.c.rank, OUTBOX.c.id).limit(bindparam("most"))
    for scheduler, statement in _UNSENT.items()
}

_COMMANDS: Final[BindParameter[str]] = bindparam("commands", expanding=True)
_UNTIMED: Final = delete(TIMERS).where(TIMERS.c.command_id.in_(_COMMANDS))

_UNTOLD: Final = (
    select(*(ANSWERS.c[each] for each in Answer._fields))
    .where(_in(ANSWERS), ANSWERS.c.told == 0)
    .order_by(ANSWERS.c.created_at, ANSWERS.c.command_id)
    .limit(bindparam("most"))
)
_TOLD: Final = update(ANSWERS).where(ANSWERS.c.command_id.in_(_COMMANDS)).values(told=1)

_TIMER = [TIMERS.c[each] for each in Timer._fields]
_DUE: Final = (
    select(*_TIMER)
    .where(*of_topic(TIMERS), TIMERS.c.due_at <= bindparam("now_us"), TIMERS.c.fired == 0)
    .order_by(TIMERS.c.due_at, TIMERS.c.command_id)
    .limit(bindparam("most"))
)
#: What was not sent yet waits for the relay: a lost host shall find it when it is back.
_WAITING_ON_LOST: Final = (
    select(*_TIMER)
    .join(NODES, NODES.c.host == TIMERS.c.host)
    .where(_in(TIMERS), TIMERS.c.fired == 0, NODES.c.status.in_(_GONE))
    .where(TIMERS.c.step != RESEND_STEP)
    .order_by(TIMERS.c.due_at, TIMERS.c.command_id)
    .limit(bindparam("most"))
)
_FIRED: Final = tuple(
    update(each).where(each.c.command_id.in_(_COMMANDS)).values(fired=1)
    for each in (TIMERS, OUTBOX)
)

_UNTIL = bindparam("until_us", type_=TIMERS.c.due_at.type)
_POSTPONE: Final = (
    update(TIMERS).where(_in(TIMERS), TIMERS.c.due_at < _UNTIL).values(due_at=_UNTIL),
    update(TIMERS).where(_in(TIMERS), TIMERS.c.fired == 1).values(fired=0),
    update(OUTBOX).where(_in(OUTBOX), OUTBOX.c.fired == 1).values(fired=0),
    update(ANSWERS).where(_in(ANSWERS), ANSWERS.c.told == 1).values(told=0),
)

_PATIENT: Final = (
    select(SAGAS.c.instance_uuid, SAGAS.c.waits_for)
    .where(
        SAGAS.c.status == "running",
        SAGAS.c.deadline_s == 0,
        SAGAS.c.waits_for != "",
        SAGAS.c.partition.in_(bindparam("numbers", expanding=True)),
    )
    .order_by(SAGAS.c.entered_at, SAGAS.c.saga_id)
)
_OPEN: Final = (
    select(SAGAS.c.instance_uuid)
    .where(
        SAGAS.c.status.in_(("running", "needs_operator")),
        SAGAS.c.partition == bindparam("number"),
    )
    .distinct()
    .order_by(SAGAS.c.instance_uuid)
)


def still_owned(connection: Connection, owned: Owned, *, held: bool = True) -> list[TopicPartition]:
    """Return the partitions whose epoch is still ours; with `held` nobody takes one meanwhile."""
    if not owned:
        return []
    statement = _EPOCHS_HELD if held else _EPOCHS
    found = connection.execute(statement, {"which": sorted(owned)})
    rows = [(TopicPartition(row.topic, row.partition), row.epoch) for row in found]
    return [partition for partition, epoch in rows if owned[partition] == epoch]


def unsent(
    connection: Connection, owned: Owned, limit: int, *, scheduler: bool
) -> tuple[Order, ...]:
    """Return orders in the outbox, by rank and age: for hosts, or for the scheduler."""
    if not (which := still_owned(connection, owned, held=False)):
        return ()
    rows = connection.execute(_UNSENT_NEXT[scheduler], {"which": which, "most": limit})
    return tuple(Order(*row) for row in rows)


def sent(
    connection: Connection, bulk: Bulk, owned: Owned, orders: Sequence[Order], now_us: int
) -> None:
    """Take sent orders out of the outbox and start their timers, where still owned."""
    ours = set(still_owned(connection, owned_of(owned, orders)))
    if commands := {each.command_id: now_us for each in orders if partition_of_order(each) in ours}:
        bulk.start_timers(connection, commands)


def answers(connection: Connection, owned: Owned, limit: int) -> tuple[Answer, ...]:
    """Return stored answers that have not been marked as told."""
    if not (which := still_owned(connection, owned, held=False)):
        return ()
    rows = connection.execute(_UNTOLD, {"which": which, "most": limit})
    return tuple(Answer(*row) for row in rows)


def told(connection: Connection, command_ids: Collection[str]) -> None:
    """Mark answers as appended to the log."""
    connection.execute(_TOLD, {"commands": sorted(command_ids)})


def due(connection: Connection, owned: Owned, now_us: int, limit: int) -> tuple[Timer, ...]:
    """Return timers whose time has come and that have not been marked as fired."""
    if not (which := still_owned(connection, owned, held=False)):
        return ()
    found = [
        Timer(*row)
        for each in by_topic(which)
        for row in connection.execute(_DUE, each | {"now_us": now_us, "most": limit})
    ]
    return tuple(sorted(found, key=lambda each: (each.due_at, each.command_id))[:limit])


def waiting_on_lost(connection: Connection, owned: Owned, limit: int) -> tuple[Timer, ...]:
    """Return timers of hosts that are lost or forced down: commands that were sent to them."""
    if not (which := still_owned(connection, owned, held=False)):
        return ()
    rows = connection.execute(_WAITING_ON_LOST, {"which": which, "most": limit})
    return tuple(Timer(*row) for row in rows)


def fired(connection: Connection, command_ids: Collection[str]) -> None:
    """Mark that the log has been told of these waits."""
    for statement in _FIRED:
        connection.execute(statement, {"commands": sorted(command_ids)})


def postpone(connection: Connection, owned: Owned, until_us: int) -> None:
    """Move every earlier due time to `until_us` and unmark what was marked as fired or told."""
    if not (which := still_owned(connection, owned)):
        return
    move, *unmark = _POSTPONE
    connection.execute(move, {"which": which, "until_us": until_us})
    for statement in unmark:
        connection.execute(statement, {"which": which})


def owed(connection: Connection, owned: Owned, limit: int) -> tuple[tuple[str, str], ...]:
    """Return (instance, host) of patient sagas whose host is there, the longest waiting first."""
    numbers = _instance_partitions(still_owned(connection, owned, held=False))
    if not numbers:
        return ()
    waits = [
        (row.instance_uuid, host)
        for row in connection.execute(_PATIENT, {"numbers": numbers})
        for host in row.waits_for.split(",")
    ]
    if not waits:
        return ()
    lost = select(NODES.c.host, NODES.c.status)
    there = {row.host for row in connection.execute(lost) if row.status not in _GONE}
    # An instance may owe the same host twice; to tell the log once is enough.
    found = dict.fromkeys(each for each in waits if each[1] in there)
    return tuple(found)[:limit]


def open_instances(connection: Connection, partition: TopicPartition) -> tuple[str, ...]:
    """Name the instances with a saga that has not ended."""
    if not (numbers := _instance_partitions([partition])):
        return ()
    return tuple(connection.scalars(_OPEN, {"number": numbers[0]}))


def missing(connection: Connection, bulk: Bulk, command_ids: Collection[str]) -> frozenset[str]:
    """Return those that have neither an outbox row nor a timer."""
    there = {
        str(row[0])
        for table in (OUTBOX, TIMERS)
        for row in bulk.pick(connection, table, ("command_id",), command_ids)
    }
    return frozenset(command_ids) - there


def restore(
    connection: Connection, bulk: Bulk, owned: Owned, orders: Sequence[Order], *, again: bool
) -> None:
    """Put orders back into the outbox, where still owned; `again`: those that were sent too."""
    ours = set(still_owned(connection, owned_of(owned, orders)))
    mine = [each for each in orders if partition_of_order(each) in ours]
    if mine and again:
        connection.execute(_UNTIMED, {"commands": sorted({each.command_id for each in mine})})
    gone = missing(connection, bulk, {each.command_id for each in mine}) if mine else frozenset()
    add_orders(connection, bulk, [each for each in mine if each.command_id in gone])


def timer_of(order: Order, now_us: int) -> Timer:
    """Return the timer that starts when an order is taken up."""
    return Timer(
        command_id=order.command_id,
        topic=order.topic,
        partition=order.partition,
        instance_uuid=order.instance_uuid,
        saga_id=order.saga_id,
        step=order.step,
        attempt=order.attempt,
        host=order.host,
        due_at=now_us + order.deadline_s * _US_PER_S if order.deadline_s else NEVER,
    )


def partition_of_order(order: Order) -> TopicPartition:
    """Return the partition that an order comes from."""
    return TopicPartition(order.topic, order.partition)


def owned_of(owned: Owned, orders: Iterable[Order]) -> dict[TopicPartition, int]:
    """Return our partitions that some orders come from."""
    # Others needn't be locked, nor their batches wait.
    named = {partition_of_order(each) for each in orders}
    return {each: epoch for each, epoch in owned.items() if each in named}


def _instance_partitions(partitions: Iterable[TopicPartition]) -> list[int]:
    # Sagas know the number of their partition; the node topic has numbers of its own.
    node_events = Topics("").node_events
    return [each.partition for each in partitions if not each.topic.endswith(node_events)]
