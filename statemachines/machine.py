"""The door to `transitions`: it checks the arrows, and the table compiled of them needs it no more.

An arrow says for one trigger (a fact, a request `request:<action>`, or an ending `<saga>:<ending>`)
from which vm_states and task_states it may come and what it leaves. Nova's two states are two small
machines whose product is judged: an arrow is open when both accept it. `transitions` refuses
unknown states and owns what "accept" means; a test fires every pair through it and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from transitions import Machine, State

from statemachines.states import TaskState, VmState

#: "Leave this state as it is", as `transitions` spells a reflexive transition.
KEEP: Final = "="
#: The task machine's word for "nothing is being done".
IDLE: Final = "none"

VM_STATES: Final = tuple(str(s) for s in VmState)
TASK_STATES: Final = (None, *(str(s) for s in TaskState))


@dataclass(frozen=True, slots=True)
class Arrow:
    """Where one trigger may come from and where it leads; `KEEP` leaves a state as it is."""

    trigger: str
    vm_states: frozenset[str]
    task_states: frozenset[str | None]
    vm_state: str
    task_state: str | None
    #: Name of a condition of the state; the arrow is open only while it holds.
    condition: str | None = None
    #: The action that follows by itself.
    then: str | None = None


class Table:
    """Arrows by trigger, in order; the first that is open is taken."""

    def __init__(self, arrows: Iterable[Arrow]) -> None:
        self.arrows: tuple[Arrow, ...] = tuple(arrows)
        by_trigger: dict[str, list[Arrow]] = {}
        for arrow in self.arrows:
            by_trigger.setdefault(arrow.trigger, []).append(arrow)
        self.by_trigger: Mapping[str, tuple[Arrow, ...]] = {
            trigger: tuple(found) for trigger, found in by_trigger.items()
        }
        #: The arrows of a trigger that leave from a pair of states, conditions aside.
        self.open: Mapping[tuple[str, str, str | None], tuple[Arrow, ...]] = _Open(self)


class _Open(dict[tuple[str, str, str | None], tuple[Arrow, ...]]):
    """Finds the open arrows once for each trigger and pair of states that comes up."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, key: tuple[str, str, str | None]) -> tuple[Arrow, ...]:
        trigger, vm_state, task_state = key
        self[key] = found = tuple(
            arrow
            for arrow in self._table.by_trigger.get(trigger, ())
            if vm_state in arrow.vm_states and task_state in arrow.task_states
        )
        return found


def name_of(arrow: Arrow, n: int) -> str:
    """Name the n-th arrow as a trigger of the machines."""
    return f"{arrow.trigger}#{n}"


def machines(arrows: Iterable[Arrow]) -> tuple[Machine, Machine]:
    """Return vm machine and task machine of the arrows; raises ValueError where one is wrong."""
    vm = Machine(model=None, states=list(VM_STATES), initial="building", auto_transitions=False)
    tasks = [IDLE if s is None else s for s in TASK_STATES]
    task = Machine(model=None, states=tasks, initial=IDLE, auto_transitions=False)
    for n, arrow in enumerate(arrows):
        trigger = name_of(arrow, n)
        _add(vm, trigger, sorted(map(str, arrow.vm_states)), str(arrow.vm_state))
        sources = sorted(IDLE if s is None else str(s) for s in arrow.task_states)
        target = IDLE if arrow.task_state is None else str(arrow.task_state)
        _add(task, trigger, sources, target)
    return vm, task


def _add(machine: Machine, trigger: str, sources: list[str], target: str) -> None:
    for state in (*sources, *(() if target == KEEP else (target,))):
        machine.get_state(state)  # Raises; add_transition believes whatever it is told.
    wanted: list[str | Enum | State] = [*sources]
    machine.add_transition(trigger, wanted, target)


def compiled(arrows: Iterable[Arrow]) -> Table:
    """Return the table of arrows, read back from the machines that accepted them."""
    wanted = tuple(arrows)  # States go in as plain text: of an Enum, transitions takes the name.
    vm, task = machines(wanted)
    return Table(
        Arrow(
            arrow.trigger,
            frozenset(t.source for t in vm.get_transitions(name_of(arrow, n))),
            frozenset(
                None if t.source == IDLE else t.source
                for t in task.get_transitions(name_of(arrow, n))
            ),
            str(arrow.vm_state),  # Plain text, as it stands in states.
            None if arrow.task_state is None else str(arrow.task_state),
            arrow.condition,
            arrow.then,
        )
        for n, arrow in enumerate(wanted)
    )
