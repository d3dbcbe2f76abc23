"""What falls due by itself, in SQL: look for it, put it off, put it back.

Each function works in the transaction of the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    or_,
    select,
    true,
    union,
    update,
)

from events.log import TopicPartition
from projections.bulk import Bulk
from projections.sql_owner import Owned, by_topic, of_topic, still_owned
from projections.store import DueRow, Standing
from projections.tables import DUES, ROWS

_ELAPSED: Final = (
    select(DUES)
    .where(*of_topic(DUES), DUES.c.due_at <= bindparam("now_us"))
    .order_by(DUES.c.due_at, DUES.c.instance_uuid, DUES.c.action)
    .limit(bindparam("most"))
)
_PUT_OFF: Final = (
    update(DUES)
    .where(
        DUES.c.instance_uuid == bindparam("of"),
        DUES.c.action == bindparam("what"),
        DUES.c.since == bindparam("begun"),
    )
    .values(due_at=bindparam("until_us"))
)
_UNTIL = bindparam("until_us", type_=DUES.c.due_at.type)
_POSTPONE: Final = update(DUES).where(*of_topic(DUES), DUES.c.due_at < _UNTIL).values(due_at=_UNTIL)

_INSTANCES = ROWS["instances"]
_STATES = ROWS["instance_states"]
_NUMBERS: Final[BindParameter[int]] = bindparam("numbers", expanding=True)
_OF: Final = DUES.c.instance_uuid.in_(bindparam("uuids", expanding=True))
_THERE: Final = select(DUES).where(_OF)


def elapsed(connection: Connection, owned: Owned, now_us: int, limit: int) -> tuple[DueRow, ...]:
    """Return what has fallen due by itself, the longest overdue first."""
    if not (which := still_owned(connection, owned, held=False)):
        return ()
    found = [
        DueRow(*row)
        for each in by_topic(which)
        for row in connection.execute(_ELAPSED, each | {"now_us": now_us, "most": limit})
    ]
    found.sort(key=lambda each: (each.due_at, each.instance_uuid, each.action))
    return tuple(found[:limit])


def put_off(connection: Connection, dues: Sequence[DueRow], until_us: int) -> None:
    """Have what the log was told of be due again only then."""
    connection.execute(
        _PUT_OFF,
        [
            {"of": d.instance_uuid, "what": d.action, "begun": d.since, "until_us": until_us}
            for d in dues
        ],
    )


def postpone(connection: Connection, owned: Owned, until_us: int) -> None:
    """Move every earlier due time to `until_us`."""
    for each in by_topic(still_owned(connection, owned)):
        connection.execute(_POSTPONE, each | {"until_us": until_us})


def may_fall_due(
    connection: Connection, partitions: Collection[TopicPartition], where: Sequence[Standing]
) -> dict[TopicPartition, tuple[str, ...]]:
    """Name the instances that stand in one of these ways, and those with a due of their own.

    Of each of these partitions, which are of one topic. No index answers this: one over the two
    states would have to be written whenever they change.
    """
    found: dict[TopicPartition, set[str]] = {each: set() for each in partitions}
    for some in by_topic(partitions):
        standing = (
            select(_STATES.c.partition, _INSTANCES.c.uuid)
            .join(_STATES, _STATES.c.instance_uuid == _INSTANCES.c.uuid)
            .where(_STATES.c.partition.in_(_NUMBERS), or_(*map(_stands, where)))
        )
        known = select(DUES.c.partition, DUES.c.instance_uuid).where(*of_topic(DUES))
        for number, uuid in connection.execute(union(standing, known), some):
            found[TopicPartition(str(some["home_topic"]), number)].add(uuid)
    return {each: tuple(sorted(uuids)) for each, uuids in found.items()}


def _stands(so: Standing) -> ColumnElement[bool]:
    tasks = [t for t in so.task_states if t is not None]
    task: ColumnElement[bool] = _INSTANCES.c.task_state.in_(tasks)
    if None in so.task_states:
        task = or_(task, _INSTANCES.c.task_state.is_(None))
    return and_(
        _INSTANCES.c.vm_state.in_(so.vm_states),
        task if so.task_states else true(),
        _INSTANCES.c.power_state.in_(so.power_states) if so.power_states else true(),
    )


def restore(
    connection: Connection,
    bulk: Bulk,
    owned: Owned,
    partition: TopicPartition,
    uuids: Sequence[str],
    dues: Sequence[DueRow],
) -> None:
    """Leave these instances with these dues and no others; unchanged ones keep their time."""
    mine = {partition: owned[partition]} if partition in owned else {}
    if not still_owned(connection, mine):
        return
    there = {_name(d): d for d in map(DueRow._make, connection.execute(_THERE, {"uuids": uuids}))}
    wanted = {_name(d): d for d in dues}
    if gone := sorted(there.keys() - wanted.keys()):
        bulk.delete(connection, DUES, gone)
    changed = [
        due
        for name, due in sorted(wanted.items())
        if name not in there or _length(there[name]) != _length(due)
    ]
    if changed:
        bulk.upsert(connection, DUES, changed)


def _name(due: DueRow) -> tuple[str, str]:
    return due.instance_uuid, due.action


def _length(due: DueRow) -> tuple[int, int]:
    return due.since, due.after_s
