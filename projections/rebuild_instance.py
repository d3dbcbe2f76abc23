"""The rows of one instance put in the place of those in use, in one transaction.

Who folds is not known here: a callback says the rows as they are at the position at which the
instance's partition stands, while that position is held. The exchange raises the partition's epoch,
so that its owner drops the state that it remembers and starts from the rebuilt one; the orders that
are missing then come back at its take-over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    delete,
    insert,
    select,
    update,
)

from events.log import TopicPartition
from projections.rebuild import RebuildRefused, engine_of
from projections.rows import Key, Row
from projections.tables import (
    ANSWERS,
    CHECKPOINTS,
    DUES,
    OUTBOX,
    RESERVATIONS,
    ROWS,
    TIMERS,
    row_of,
)
from projections.transactions import writing

_SUBJECTS: Final = ("instance_uuid", "subject", "uuid")
_EMPTIED: Final = (OUTBOX, TIMERS, DUES, ANSWERS)

RowsAt = Callable[[int], Mapping[str, Mapping[Key, Row]]]


class Exchanged(NamedTuple):
    """What the exchange found, and whether it was made."""

    position: int
    #: Tables of which a row of the instance was not what the log says.
    different: tuple[str, ...]
    rows: dict[str, int]


def position_of(database: str | Engine, partition: TopicPartition) -> int:
    """Return where a partition stands; raises RebuildRefused where no owner ever had it."""
    with engine_of(database) as engine, writing(engine) as connection:
        return _position(connection, partition)


def put_instance(
    database: str | Engine, instance_id: str, at: TopicPartition, rows_at: RowsAt, *, is_dry: bool
) -> Exchanged:
    """Leave the instance's rows as `rows_at` says them, its partition under a new epoch.

    Dry: only compare. The partition's owner waits meanwhile. Raises RebuildRefused; and
    StoreUnavailable, which leaves everything as it was.
    """
    with engine_of(database) as engine, writing(engine) as connection:
        position = _position(connection, at)
        wanted = rows_at(position)
        different = [
            name
            for name, table in ROWS.items()
            if (which := _about(table, instance_id, at)) is not None
            and not _same(connection, name, which, wanted[name])
        ]
        if not is_dry:
            _put(connection, instance_id, at, wanted)
            _fence(connection, instance_id, at)
    counts = {name: len(rows) for name, rows in wanted.items()}
    return Exchanged(position, tuple(different), counts)


def _same(
    connection: Connection, name: str, which: ColumnElement[bool], wanted: Mapping[Key, Row]
) -> bool:
    found = connection.execute(select(ROWS[name]).where(which))
    return {row_of(name, tuple(each)) for each in found} == set(wanted.values())


def _put(
    connection: Connection,
    instance_id: str,
    at: TopicPartition,
    wanted: Mapping[str, Mapping[Key, Row]],
) -> None:
    for name, table in ROWS.items():
        which = _about(table, instance_id, at)
        if which is not None:
            connection.execute(delete(table).where(which))
            if wanted[name]:
                connection.execute(insert(table), [r._asdict() for r in wanted[name].values()])


def _position(connection: Connection, at: TopicPartition) -> int:
    """Return where a partition stands, and hold it there."""
    found = connection.scalar(select(CHECKPOINTS.c.next_offset).where(_is(at)).with_for_update())
    if found is None:
        raise RebuildRefused(f"Expected a checkpoint of {at}, but nobody ever folded it.")
    return int(found)


def _fence(connection: Connection, instance_id: str, at: TopicPartition) -> None:
    raised = update(CHECKPOINTS).where(_is(at)).values(epoch=CHECKPOINTS.c.epoch + 1)
    connection.execute(raised)
    # A reservation is known by the command that it was made for.
    its = select(OUTBOX.c.command_id).where(OUTBOX.c.instance_uuid == instance_id)
    connection.execute(delete(RESERVATIONS).where(RESERVATIONS.c.command_id.in_(its)))
    for table in _EMPTIED:
        connection.execute(delete(table).where(table.c.instance_uuid == instance_id))


def _is(at: TopicPartition) -> ColumnElement[bool]:
    return and_(CHECKPOINTS.c.topic == at.topic, CHECKPOINTS.c.partition == at.partition)


def _about(table: Table, instance_id: str, at: TopicPartition) -> ColumnElement[bool] | None:
    """Say which rows of a table are the instance's; None where the table has none of anybody's."""
    subject = next((each for each in _SUBJECTS if each in table.c), None)
    if subject is None:
        return None
    which = table.c[subject] == instance_id
    if "topic" in table.c:  # Elsewhere somebody may have written under its name.
        which = and_(which, table.c.topic == at.topic, table.c.partition == at.partition)
    return which
