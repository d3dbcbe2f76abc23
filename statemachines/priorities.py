"""Which guests of a lost host are evacuated first: what their requests asked for."""

from __future__ import annotations

from typing import Final

from statemachines.held import SagaState

#: The highest goes first.
PRIORITIES: Final = tuple("0123456789")
DEFAULT: Final = "5"


def priority_of(saga: SagaState) -> int:
    """Return the priority that was asked for."""
    return int(saga.arguments.get("priority", DEFAULT))
