"""What an operator may say of a saga: retry, resolve, compensate, and why not.

A saga that goes on by itself needs no retry and no resolution. It may be compensated wherever its
table has a way back: that is what its last attempt's time-out would have led to, only sooner. On
the way back already, it is not turned again before it waits for a person; then whatever keeps
failing is left out, and its host owes it.
"""

from __future__ import annotations

from events import requests
from statemachines.conditions import chosen
from statemachines.held import Held, SagaState
from statemachines.rules import Rules
from statemachines.saga import NeedsOperator
from statemachines.sagas import SAGAS


def refusal(held: Held, saga: SagaState, fact: object, rules: Rules) -> tuple[str, str] | None:
    """Return code and sentence for what an operator may not say; None where he may."""
    step = SAGAS[saga.saga].steps[saga.step]
    waits = saga.needs_operator is not None or step.patient
    if not isinstance(fact, requests.SagaCompensated):
        goes_on = f"{saga.saga} goes on by itself at {saga.step}"
        return None if waits else ("not-waiting", goes_on)
    if not waits and step.goes_back:
        return "not-waiting", f"{saga.saga} goes back by itself at {saga.step}"
    way = None if step.compensate is None else chosen(step.compensate, held, saga, rules)
    if way is None or isinstance(way, NeedsOperator):
        why = f"{saga.saga} has no way back from {saga.step}: {step.no_way_back}"
        return "nothing-to-undo", why
    return None
