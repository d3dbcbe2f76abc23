"""What a rescue and a soft delete change besides the states: the times that nova goes by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.requests import ActionRequested
from events.values import replace
from statemachines.effects.effect import Effect, RequestEffect
from statemachines.held import SagaState
from statemachines.run import Run


def _guest_rescued(run: Run, _saga: SagaState | None) -> None:
    run.held = replace(run.held, launched_at=run.now)


def _soft_delete_asked(run: Run, _request: ActionRequested) -> None:
    run.held = replace(run.held, soft_deleted_at=run.now)


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType({"GuestRescued": _guest_rescued})
REQUESTS: Final[Mapping[str, RequestEffect]] = MappingProxyType({"soft_delete": _soft_delete_asked})
