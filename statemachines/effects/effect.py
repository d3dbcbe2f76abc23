"""The form of an effect."""

from __future__ import annotations

from collections.abc import Callable

from events.requests import ActionRequested
from statemachines.held import SagaState
from statemachines.run import Run

#: What a request that is taken does to the state of the run.
RequestEffect = Callable[[Run, ActionRequested], None]
#: What one fact does to the state of the run; the saga is the one that it answers.
Effect = Callable[[Run, SagaState | None], None]
