"""Hosts whose guests may have to be asked after, and what the rows know of those guests."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, bindparam, exists, or_, select

from events.topics import partition_of
from projections.sql_owner import NODES, SAGAS
from projections.survey_rows import GuestRecorded, HostSurvey
from projections.tables import ROWS

_INSTANCES: Final = ROWS["instances"]
_SURVEYS: Final = (
    select(*(NODES.c[each] for each in HostSurvey._fields))
    .where(
        NODES.c.status == "started",
        or_(
            NODES.c.start_sequence > NODES.c.surveyed_sequence,
            NODES.c.digest_sequence > NODES.c.surveyed_sequence,
        ),
    )
    .order_by(NODES.c.host)
)
_IS_BUSY: Final = exists().where(
    SAGAS.c.instance_uuid == _INSTANCES.c.uuid,
    SAGAS.c.status == "running",
    SAGAS.c.deadline_s > 0,
)
_GUESTS: Final = (
    select(_INSTANCES.c.uuid, _INSTANCES.c.power_state, _IS_BUSY)
    .where(
        _INSTANCES.c.host == bindparam("host"),
        _INSTANCES.c.deleted == 0,
        _INSTANCES.c.origin == "regente",
    )
    .order_by(_INSTANCES.c.uuid)
)


def surveys(
    connection: Connection, partitions: int, owned: Collection[int]
) -> tuple[HostSurvey, ...]:
    """Return the started hosts among `owned` that said something since they were surveyed."""
    found = (HostSurvey(*row) for row in connection.execute(_SURVEYS))
    return tuple(each for each in found if partition_of(each.host, partitions) in owned)


def guests_of(connection: Connection, host: str) -> tuple[GuestRecorded, ...]:
    """Return every instance of ours on a host by the rows, not deleted, by uuid."""
    rows = connection.execute(_GUESTS, {"host": host})
    return tuple(GuestRecorded(uuid, power, bool(busy)) for uuid, power, busy in rows)
