"""What the model of the database knows of hosts and their guests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from projections.rows import InstanceRow, NodeRow, Row, SagaRow
from projections.survey_rows import GuestRecorded, HostSurvey


def surveys(nodes: Sequence[NodeRow], after: str, limit: int) -> tuple[HostSurvey, ...]:
    """Return the first `limit` started hosts behind `after` that said something since surveyed."""
    found = [
        HostSurvey(*(getattr(n, each) for each in HostSurvey._fields))
        for n in nodes
        if n.status == "started"
        and max(n.start_sequence, n.digest_sequence) > n.surveyed_sequence
        and n.host > after
    ]
    return tuple(sorted(found)[:limit])


def guests_of(
    rows: Sequence[Row], sagas: Sequence[SagaRow], hosts: Collection[str]
) -> Mapping[str, tuple[GuestRecorded, ...]]:
    """Return every instance of ours on each host by the rows, not deleted, by uuid."""
    busy = {s.instance_uuid for s in sagas if s.status == "running" and s.deadline_s > 0}
    found: dict[str, list[GuestRecorded]] = {}
    for row in rows:
        if not isinstance(row, InstanceRow) or (row.deleted, row.origin) != (0, "regente"):
            continue
        if row.host is not None and row.host in hosts:
            guest = GuestRecorded(row.uuid, row.power_state, row.uuid in busy)
            found.setdefault(row.host, []).append(guest)
    return {host: tuple(sorted(guests)) for host, guests in found.items()}
