"""The rows of what was not folded: rejected, dropped, or no fact of ours."""

from __future__ import annotations

from conductor.rows import TEXT_MAX
from conductor.step import Outcome
from events.envelope import Envelope
from events.errors import BadRecord
from events.log import Record
from events.seal import key_id_in
from projections.rows import Changes, QuarantineRow, RejectionRow, put
from statemachines.held import Held, Parked
from statemachines.verdict import Rejected


def rejection_row(
    changes: Changes, envelope: Envelope[object], held: Held | None, verdict: Rejected
) -> None:
    """Leave the row that says why a fact changed nothing, and the state that it met."""
    meta = envelope.meta
    put(
        changes,
        "rejections",
        RejectionRow(
            envelope.topic,
            envelope.partition,
            envelope.offset,
            meta.instance_id,
            meta.source,
            type(envelope.fact).__name__,
            meta.sequence,
            meta.request_id,
            verdict.code,
            verdict.sentence[:TEXT_MAX],
            None if held is None else held.vm_state,
            None if held is None else held.task_state,
            0 if held is None else held.generation,
            envelope.timestamp_us,
        ),
    )


def dropped_row(changes: Changes, held: Held, parked: Parked) -> None:
    """Leave the row that says that a waiting record will never be judged."""
    put(
        changes,
        "rejections",
        RejectionRow(
            parked.topic,
            parked.partition,
            parked.offset,
            held.instance_id,
            parked.source,
            "",
            parked.sequence,
            None,
            "dropped",
            f"Expected number {parked.sequence} of {parked.source} to be judged in its turn, but "
            f"instance {held.instance_id} was deleted while it waited",
            held.vm_state,
            held.task_state,
            held.generation,
            parked.timestamp_us,
        ),
    )


def quarantine_row(changes: Changes, record: Record, bad: BadRecord) -> None:
    """Leave the row of a record that is no fact of ours; the bytes stay in the log."""
    key = (record.key or b"")[:100].decode("utf-8", "backslashreplace").replace("\0", "\\0")
    put(
        changes,
        "quarantine",
        QuarantineRow(
            record.topic,
            record.partition,
            record.offset,
            key[:255],
            key_id_in(record.headers)[:255].replace("\0", "\\0"),
            bad.code,
            bad.sentence[:TEXT_MAX].replace("\0", "\\0"),
            "waiting",
            record.timestamp_us,
        ),
    )


def dropped(outcome: Outcome, offset: int) -> list[Parked]:
    """Return the records that waited and never will be judged, because the instance is deleted."""
    before, after = outcome.before, outcome.after
    if before is None or after is None or not before.parked or after.deleted_at is None:
        return []
    kept = {p.offset for p in after.parked} | {offset}
    return [p for p in before.parked if p.offset not in kept]
