"""Sagas in the state of an instance: where they stand, and those that begin beside another."""

from __future__ import annotations

from events.ids import InstanceId, saga_id
from events.values import replace
from statemachines.held import SagaState
from statemachines.recording import close_step, note_action, note_saga
from statemachines.run import Run
from statemachines.saga import Saga
from statemachines.sagas import SAGAS


def put(run: Run, table: Saga, saga: SagaState) -> None:
    """Leave the saga as it is now in the state."""
    if table.primary:
        run.held = replace(run.held, saga=saga)
        return
    sides = run.held.sides
    if any(s.saga_id == saga.saga_id for s in sides):
        sides = tuple(saga if s.saga_id == saga.saga_id else s for s in sides)
    else:
        sides = (*sides, saga)
    run.held = replace(run.held, sides=sides)


def remove(run: Run, table: Saga, saga: SagaState) -> None:
    """Leave the state without the saga."""
    if table.primary:
        run.held = replace(run.held, saga=None)
    else:
        left = tuple(s for s in run.held.sides if s.saga_id != saga.saga_id)
        run.held = replace(run.held, sides=left)


def beside(
    run: Run,
    table: Saga,
    target: str | None,
    arguments: dict[str, str] | None = None,
    *,
    about: str = "",
) -> SagaState:
    """Return a side saga, not yet begun, that nobody asked for: this very fact is its cause.

    Of several that it causes at one target, each is `about` something else.
    """
    identity = f"{run.topic}/{run.partition}/{run.offset}/{target}{about and '/' + about}"
    return of_the_house(run, table, target, identity, arguments or {})


def of_the_house(
    run: Run, table: Saga, target: str | None, identity: str, arguments: dict[str, str]
) -> SagaState:
    """Return a side saga, not yet begun, behind which there is no request of anybody's."""
    held = run.held
    return SagaState(
        saga_id=saga_id(InstanceId(held.instance_id), table.name, identity),
        saga=table.name,
        version=table.version,
        request_id=None,
        action=None,
        user_id="",
        project_id="",
        started_at=run.now,
        generation=held.generation,
        step="",
        attempt=0,
        tries=0,
        entered_at=run.now,
        n=0,
        target=target,
        arguments=arguments,
    )


def end_with_guest(run: Run) -> None:
    """End every side action on a guest that is no more."""
    for side in run.held.sides:
        table = SAGAS[side.saga]
        if table.of_guest:
            saga = close_step(run, side, "superseded", ok=False)
            saga = replace(saga, pending=(), needs_operator=None)
            note_saga(run, saga, ending="superseded", ok=False)
            note_action(run, saga, finished=True, ok=False)
            remove(run, table, saga)
