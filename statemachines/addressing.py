"""To whom a step's command goes, as the state stands when the step is entered."""

from __future__ import annotations

from typing import assert_never

from statemachines.conditions import elsewhere, involved
from statemachines.held import Held, SagaState
from statemachines.recording import SCHEDULER
from statemachines.saga import Role, Step


def hosts_of(held: Held, saga: SagaState, step: Step) -> tuple[str, ...]:
    """Name the hosts to which a step's command goes; the scheduler answers as if it were one."""
    move = held.move
    host: str | None
    match step.to:
        case Role.SCHEDULER:
            return (SCHEDULER,)
        case Role.OWNER:
            host = held.host
        case Role.SOURCE:
            host = move.source if move is not None else held.host
        case Role.DESTINATION:
            host = saga.destination or (move.destination if move is not None else None)
        case Role.TARGET:
            host = saga.target
        case Role.INVOLVED:
            return involved(held, saga)
        case Role.ELSEWHERE:
            return elsewhere(held, saga)
        case _:
            assert_never(step.to)
    assert host is not None, f"Expected a host as {step.to} of {saga.saga}.{step.name}, but none"
    return (host,)
