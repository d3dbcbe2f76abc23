"""What a rescue changes besides the states: nova counts its guest as launched anew."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from statemachines.effects.effect import Effect
from statemachines.held import SagaState
from statemachines.run import Run
from statemachines.values import replace


def _guest_rescued(run: Run, _saga: SagaState | None) -> None:
    run.held = replace(run.held, launched_at=run.now)


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType({"GuestRescued": _guest_rescued})
