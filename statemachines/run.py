"""The scratch sheet of one fact: the state as it becomes, and the notes of what happened.

Private to one call of the step, which alone makes one; everything else of the heart is a value.
"""

from __future__ import annotations

from msgspec import Struct, field

from events.decisions import PeriodElapsed
from events.envelope import Envelope
from events.ids import InstanceId, elapsed_id, row_id, unasked_id
from events.values import replace
from statemachines.arrows import table
from statemachines.conditions import CONDITIONS
from statemachines.held import Held, SagaState
from statemachines.machine import KEEP, Arrow
from statemachines.notes import Note
from statemachines.rules import Rules
from statemachines.verdict import Accepted

#: Commands remembered of one saga; an answer to an older one is only evidence.
ASKED_MAX = 64


class Run(Struct, gc=False):
    """One fact on its way through the heart."""

    held: Held
    envelope: Envelope[object]
    rules: Rules
    #: What the judge found.
    verdict: Accepted
    #: Name of the fact.
    name: str
    #: µs UTC at which the log appended the fact.
    now: int
    notes: list[Note] = field(default_factory=list)
    rows: int = 0

    @property
    def reason(self) -> str | None:
        """Why, where the fact is a failure; None where it is none."""
        fact = self.envelope.fact
        if self.name in ("StepTimedOut", "StepHostLost"):
            lost = "lost" if self.name == "StepHostLost" else "silent past the deadline"
            return f"host {getattr(fact, 'host', '')} is {lost}"
        reason: str | None = getattr(fact, "reason", None)
        return reason

    @property
    def topic(self) -> str:
        """Topic of the fact."""
        return self.envelope.topic

    @property
    def partition(self) -> int:
        """Partition of the fact."""
        return self.envelope.partition

    @property
    def offset(self) -> int:
        """Offset of the fact."""
        return self.envelope.offset

    @property
    def request_id(self) -> str:
        """The request in whose course the fact happened; named by its position where none is."""
        fact = self.envelope.fact
        if isinstance(fact, PeriodElapsed):
            return elapsed_id(InstanceId(self.held.instance_id), fact.action, fact.since)
        asked = self.envelope.meta.request_id
        return asked or unasked_id(f"{self.topic}/{self.partition}/{self.offset}")

    def next_row_id(self) -> int:
        """Number the next row of history that this fact causes."""
        n, self.rows = self.rows, self.rows + 1
        record = self.envelope.record
        return row_id(record.offset, self.rules.partitions, record.partition, n)

    def arrow(self, trigger: str, saga: SagaState | None) -> Arrow | None:
        """Take the open arrow of a trigger, if there is one, and return it."""
        found = open_arrow(trigger, self.held, saga, self.rules)
        if found is not None:
            self.take(found)
        return found

    def take(self, arrow: Arrow) -> None:
        """Leave the two states as an arrow leads."""
        held, vm_state, task_state = self.held, arrow.vm_state, arrow.task_state
        if vm_state == KEEP and task_state == KEEP:
            return
        self.held = replace(
            held,
            vm_state=held.vm_state if vm_state == KEEP else vm_state,
            task_state=held.task_state if task_state == KEEP else task_state,
        )


def open_arrow(trigger: str, held: Held, saga: SagaState | None, rules: Rules) -> Arrow | None:
    """Return the first arrow of a trigger that is open in this state; None where none is."""
    for found in table().open[trigger, held.vm_state, held.task_state]:
        if found.condition is None:
            return found
        if saga is not None and CONDITIONS[found.condition](held, saga, rules):
            return found
    return None
