"""Hosts whose guests may have to be asked after, and what the rows know of those guests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, exists, or_, select

from projections.sql_owner import NODES, SAGAS
from projections.survey_rows import GuestRecorded, HostSurvey
from projections.tables import ROWS

_INSTANCES: Final = ROWS["instances"]
_SURVEYS: Final = (
    select(*(NODES.c[each] for each in HostSurvey._fields))
    .where(
        NODES.c.host > bindparam("after"),
        NODES.c.status == "started",
        or_(
            NODES.c.start_sequence > NODES.c.surveyed_sequence,
            NODES.c.digest_sequence > NODES.c.surveyed_sequence,
        ),
    )
    .order_by(NODES.c.host)
    .limit(bindparam("limit"))
)
_IS_BUSY: Final = exists().where(
    SAGAS.c.instance_uuid == _INSTANCES.c.uuid,
    SAGAS.c.status == "running",
    SAGAS.c.deadline_s > 0,
)
_GUESTS: Final = (
    select(_INSTANCES.c.host, _INSTANCES.c.uuid, _INSTANCES.c.power_state, _IS_BUSY)
    .where(
        _INSTANCES.c.host.in_(bindparam("hosts", expanding=True)),
        _INSTANCES.c.deleted == 0,
        _INSTANCES.c.origin == "regente",
    )
    .order_by(_INSTANCES.c.uuid)
)


def surveys(connection: Connection, after: str, limit: int) -> tuple[HostSurvey, ...]:
    """Return the first `limit` started hosts behind `after` that said something since surveyed."""
    found = connection.execute(_SURVEYS, {"after": after, "limit": limit})
    return tuple(HostSurvey(*row) for row in found)


def guests_of(
    connection: Connection, hosts: Collection[str]
) -> Mapping[str, tuple[GuestRecorded, ...]]:
    """Return every instance of ours on each host by the rows, not deleted, by uuid."""
    found: dict[str, list[GuestRecorded]] = {}
    for host, uuid, power, busy in connection.execute(_GUESTS, {"hosts": sorted(hosts)}):
        found.setdefault(host, []).append(GuestRecorded(uuid, power, bool(busy)))
    return {host: tuple(guests) for host, guests in found.items()}
