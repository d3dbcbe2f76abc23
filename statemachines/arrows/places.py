"""Names of sets of states from which arrows go."""

from __future__ import annotations

from typing import Final

from statemachines.machine import TASK_STATES, VM_STATES

ANY_VM: Final = frozenset(VM_STATES)
ANY_TASK: Final = frozenset(TASK_STATES)


def only(*task_states: str | None) -> frozenset[str | None]:
    """Return the set of just these task_states."""
    return frozenset(task_states)
