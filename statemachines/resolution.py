"""How a saga is undone, or ends, by an operator's word.

Undone, it goes on with a newer generation: what it asked last may still be on its way to the log,
unlike where a deadline has passed, which counts from the sending. Its hosts refuse that when it
comes behind what undoes it.

Who ends one vouches for nothing: what is there stays, and is asked for. Whoever was asked something
that is not answered hears of a newer generation, so that it is not carried out afterwards; so does
the owner, which says first whether it has the guest. What others have of a guest that its owner has
is cleaned up then (`leavings`); while it has not said so, that may be all that is left.
"""

from __future__ import annotations

from events.values import replace
from statemachines.effects import take_effect
from statemachines.held import SagaState
from statemachines.interpreter import operate, owe
from statemachines.owing import TABLE_OF
from statemachines.recording import SCHEDULER
from statemachines.run import Run
from statemachines.saga import End, Owe
from statemachines.sagas import SAGAS


def go_back(run: Run, saga: SagaState) -> None:
    """Lead a saga where its table has its way back; a primary one tells it as something newer.

    Of a side saga the primary one's hosts must hear nothing newer: what it asked and is done late
    is said, and let go again (`leavings`).
    """
    table = SAGAS[saga.saga]
    way = table.steps[saga.step].compensate
    assert way is not None, f"Expected a way back of {table.name} from {saga.step}, but none"
    if table.primary:
        run.held = replace(run.held, generation=run.held.generation + 1)
        saga = replace(saga, generation=run.held.generation)
    operate(run, saga, way)


def resolve(run: Run, saga: SagaState) -> None:
    """End a saga; a primary one leaves every host that it waited for, and the owner, asked."""
    take_effect(run, saga)
    operate(run, saga, End("resolved"))
    if not SAGAS[saga.saga].primary:
        return
    owing = {s.target for s in run.held.sides if s.saga == TABLE_OF[Owe.DESTROY].name}
    asked = {*saga.pending, run.held.host} - owing - {SCHEDULER}
    for host in sorted(host for host in asked if host is not None):
        owe(run, Owe.FENCE, host, "")
