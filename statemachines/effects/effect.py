"""The form of an effect."""

from __future__ import annotations

from collections.abc import Callable

from statemachines.held import SagaState
from statemachines.run import Run

#: What one fact does to the state of the run; the saga is the one that it answers.
Effect = Callable[[Run, SagaState | None], None]
