"""What keeps one record from stopping a partition: markers, offsets set aside, records parked.

Each function works in the transaction of the connection that it is given.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update

from events.log import TopicPartition
from projections.bulk import Bulk
from projections.tables import MARKERS, ROWS, SET_ASIDE

_PARKED: Final = ROWS["parked"]
_TOPIC: Final[BindParameter[str]] = bindparam("of_topic")
_PARTITION: Final[BindParameter[int]] = bindparam("of_partition")

_MARKER: Final = (
    select(MARKERS.c.begin_offset, MARKERS.c.tries)
    .where(MARKERS.c.topic == _TOPIC, MARKERS.c.partition == _PARTITION)
    .with_for_update()
)
_MARK_AGAIN: Final = (
    update(MARKERS)
    .where(MARKERS.c.topic == _TOPIC, MARKERS.c.partition == _PARTITION)
    .values(begin_offset=bindparam("at"), tries=bindparam("times"))
)
_UNMARK: Final = delete(MARKERS).where(MARKERS.c.topic == _TOPIC, MARKERS.c.partition == _PARTITION)
_OFFSETS: Final = select(SET_ASIDE.c.offset).where(
    SET_ASIDE.c.topic == _TOPIC, SET_ASIDE.c.partition == _PARTITION
)
_FOR_SCHEMA: Final = (
    select(_PARKED.c.subject)
    .where(
        _PARKED.c.reason == "schema",
        _PARKED.c.topic == _TOPIC,
        _PARKED.c.partition == _PARTITION,
    )
    .distinct()
    .order_by(_PARKED.c.subject)
)


def mark(connection: Connection, partition: TopicPartition, offset: int) -> int:
    """Note that a batch that begins at `offset` is about to be tried.

    Returns how often it was, this time included; the marker of another offset is gone.
    """
    found = connection.execute(_MARKER, _of(partition)).first()
    if found is None:
        connection.execute(
            insert(MARKERS),
            {
                "topic": partition.topic,
                "partition": partition.partition,
                "begin_offset": offset,
                "tries": 1,
            },
        )
        return 1
    tries: int = found.tries + 1 if found.begin_offset == offset else 1
    connection.execute(_MARK_AGAIN, _of(partition) | {"at": offset, "times": tries})
    return tries


def unmark(connection: Connection, partition: TopicPartition) -> None:
    """Forget the marker of a partition."""
    connection.execute(_UNMARK, _of(partition))


def set_aside(connection: Connection, partition: TopicPartition) -> frozenset[int]:
    """Return the offsets that were set aside."""
    return frozenset(connection.scalars(_OFFSETS, _of(partition)))


def note_set_aside(
    connection: Connection, bulk: Bulk, partition: TopicPartition, offset: int, reason: str
) -> None:
    """Note that an offset is set aside; the first reason stays."""
    bulk.insert_missing(connection, SET_ASIDE, [(*partition, offset, reason)])


def waiting_for_schema(connection: Connection, partition: TopicPartition) -> tuple[str, ...]:
    """Name the instances with records parked for a schema."""
    return tuple(connection.scalars(_FOR_SCHEMA, _of(partition)))


def _of(partition: TopicPartition) -> dict[str, object]:
    return {"of_topic": partition.topic, "of_partition": partition.partition}
