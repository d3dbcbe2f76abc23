"""What the model of the database knows of hosts and their guests."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from events.topics import partition_of
from projections.rows import InstanceRow, NodeRow, Row, SagaRow
from projections.survey_rows import GuestRecorded, HostSurvey


def surveys(
    nodes: Sequence[NodeRow], partitions: int, owned: Collection[int]
) -> tuple[HostSurvey, ...]:
    """Return the started hosts among `owned` that said something since they were surveyed."""
    return tuple(
        HostSurvey(*(getattr(n, each) for each in HostSurvey._fields))
        for n in nodes
        if n.status == "started"
        and max(n.start_sequence, n.digest_sequence) > n.surveyed_sequence
        and partition_of(n.host, partitions) in owned
    )


def guests_of(
    rows: Sequence[Row], sagas: Sequence[SagaRow], host: str
) -> tuple[GuestRecorded, ...]:
    """Return every instance of ours on a host by the rows, not deleted, by uuid."""
    busy = {s.instance_uuid for s in sagas if s.status == "running" and s.deadline_s > 0}
    found = [
        row
        for row in rows
        if isinstance(row, InstanceRow)
        and (row.host, row.deleted, row.origin) == (host, 0, "regente")
    ]
    found.sort(key=lambda row: row.uuid)
    return tuple(GuestRecorded(row.uuid, row.power_state, row.uuid in busy) for row in found)
