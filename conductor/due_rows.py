"""What falls due by itself as rows: which of them a fact called for or made pointless.

They follow from the state alone, so a take-over or a database made anew finds them again.
"""

from __future__ import annotations

from typing import Final

from events.log import TopicPartition
from projections.store import Batch, DueRow, Standing
from statemachines.dues import ENTRIES, dues
from statemachines.held import Held
from statemachines.rules import Rules

_US_PER_S = 1_000_000
#: Where something may be waiting for its time: all that a take-over has to look at.
WAITING: Final = tuple(
    Standing(
        vm_states=tuple(sorted(map(str, entry.vm_states))),
        task_states=tuple(
            sorted((None if t is None else str(t) for t in entry.task_states), key=str)
        ),
        power_states=tuple(sorted(map(int, entry.power_states or ()))),
    )
    for entry in ENTRIES
)


def due_rows(held: Held | None, partition: TopicPartition, rules: Rules) -> list[DueRow]:
    """Return what falls due by itself if nothing else happens to an instance."""
    return [
        DueRow(
            instance_uuid="" if held is None else held.instance_id,
            action=due.action,
            topic=partition.topic,
            partition=partition.partition,
            since=due.since,
            after_s=due.after_s,
            due_at=due.since + due.after_s * _US_PER_S,
        )
        for due in dues(held, rules)
    ]


def due_changes(batch: Batch, before: Held | None, after: Held, rules: Rules) -> None:
    """Write down what the state names now and did not before; forget what it no longer names."""
    if dues(before, rules) == dues(after, rules):
        return
    known = {row.action: row for row in due_rows(before, batch.partition, rules)}
    named = {row.action: row for row in due_rows(after, batch.partition, rules)}
    uuid = after.instance_id
    batch.forget_dues |= {(uuid, action) for action in known.keys() - named.keys()}
    for action, row in named.items():
        if known.get(action) != row:
            batch.dues[uuid, action] = row


def not_before(row: DueRow, quiet_until_us: int) -> DueRow:
    """Return the row with a time after a take-over or an outage: nothing is born overdue."""
    return row._replace(due_at=max(row.due_at, quiet_until_us))
