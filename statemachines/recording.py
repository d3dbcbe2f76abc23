"""How what a saga does becomes notes for people: migrations, actions, their events, faults, steps.

Every note carries its row as it is after the fact. An event is opened when its step is entered and
closed when the step is left; a repeated attempt of a step goes on under the same event.
"""

from __future__ import annotations

from typing import Final

from events.values import replace
from statemachines.held import OpenEvent, SagaState
from statemachines.notes import ActionNote, EventNote, FaultNote, MigrationNote, SagaNote, StepNote
from statemachines.run import Run
from statemachines.saga import End, Ending, Step, To
from statemachines.sagas import SAGAS
from statemachines.states import MigrationStatus

#: The scheduler answers under this name, as if it were a host.
SCHEDULER: Final = "@scheduler"

#: Statuses that say that a migration is over.
OVER: Final = frozenset(
    {
        MigrationStatus.CONFIRMED,
        MigrationStatus.REVERTED,
        MigrationStatus.COMPLETED,
        MigrationStatus.CANCELLED,
        MigrationStatus.FAILED,
        MigrationStatus.ERROR,
        MigrationStatus.DONE,
    }
)
#: Statuses of a resize that a delete confirms, as nova does before it deletes.
UNCONFIRMED: Final = frozenset({MigrationStatus.FINISHED, MigrationStatus.CONFIRMING})


def set_migration_status(run: Run, status: MigrationStatus) -> None:
    """Leave the last migration with this status."""
    move = run.held.move
    if move is None or move.status == status:
        return
    move = replace(move, status=str(status), updated_at=run.now)
    run.held = replace(run.held, move=move)
    run.notes.append(MigrationNote(move=move))


def note_saga(
    run: Run, saga: SagaState, *, ending: str | None = None, ok: bool | None = None
) -> None:
    """Note where a saga stands, or how it ended."""
    run.notes.append(SagaNote(state=saga, ending=ending, ok=ok, updated_at=run.now))


def note_step(run: Run, saga: SagaState, *, left_by: str | None) -> None:
    """Note that a saga entered its step, or left it."""
    run.notes.append(
        StepNote(
            saga_id=saga.saga_id,
            n=saga.n,
            step=saga.step,
            attempt=saga.attempt,
            hosts=saga.pending,
            entered_at=saga.entered_at,
            left_at=None if left_by is None else run.now,
            left_by=left_by,
        )
    )


def open_events(
    run: Run, saga: SagaState, step: Step, hosts: tuple[str, ...]
) -> tuple[OpenEvent, ...]:
    """Return the action events of a step, one row each however many hosts work on it.

    One that the step before left open goes on.
    """
    if saga.request_id is None:
        return ()
    if not step.action_events:
        return saga.events
    events = saga.events
    goes_on = [event.event for event in events] if events else ()
    host = hosts[0] if len(hosts) == 1 else run.held.host
    for name in step.action_events:
        if name not in goes_on:
            event = OpenEvent(
                row_id=run.next_row_id(),
                event=name,
                host=None if host == SCHEDULER else host,
                started_at=run.now,
            )
            events = (*events, event)
            run.notes.append(_event_note(saga.request_id, event, None, None, None))
    return events


def close_step(
    run: Run, saga: SagaState, fact: str, *, ok: bool, goes_on: tuple[str, ...] = ()
) -> SagaState:
    """Note that the saga left its step, and close its events but those that the next goes on with.

    Where the step failed, events that nova writes only then are noted as begun and ended.
    """
    if not saga.step:
        return saga
    note_step(run, saga, left_by=fact)
    if saga.request_id is None:
        return saga
    closed = [e for e in saga.events if e.event not in goes_on]
    result, details = "Success", None
    if not ok:
        result, details = "Error", run.reason or saga.reason
        closed += [
            OpenEvent(row_id=run.next_row_id(), event=e, host=None, started_at=saga.entered_at)
            for e in SAGAS[saga.saga].steps[saga.step].failure_events
        ]
    for event in closed:
        run.notes.append(_event_note(saga.request_id, event, run.now, result, details))
    if not closed:
        return saga
    return replace(saga, events=tuple([e for e in saga.events if e.event in goes_on]))


def reason_of(run: Run, saga: SagaState, way: To | End) -> str | None:
    """Return why it goes this way: of the failures, the one that decided the outcome."""
    named = way.outcome if isinstance(way, To) else way.ending
    is_new = named is not None and (isinstance(way, To) or named != saga.outcome)
    if saga.outcome is None or is_new:
        return run.reason or saga.reason
    return saga.reason or run.reason


def note_action(run: Run, saga: SagaState, *, finished: bool, ok: bool) -> None:
    """Note that the user's action began, or how it ended."""
    if saga.request_id is None or saga.action is None:
        return
    run.notes.append(
        ActionNote(
            request_id=saga.request_id,
            action=saga.action,
            user_id=saga.user_id,
            project_id=saga.project_id,
            start_time=saga.started_at,
            finish_time=run.now if finished else None,
            message=None if ok else "Error",
            saga_id=saga.saga_id,
        )
    )


def note_fault(run: Run, saga: SagaState, end: Ending) -> None:
    """Note what went wrong, for the user of the instance, where the ending says so."""
    if end.ok or end.as_asked or end.fault is None:
        return
    said = saga.reason or f"Expected {saga.saga} to succeed, but it ended {end.name}"
    message = end.fault.format(
        instance=run.held.instance_id, reason=said, attempts=run.rules.number_of("max_attempts")
    )
    run.notes.append(
        FaultNote(
            row_id=run.next_row_id(),
            code=end.fault_code,
            message=message,
            details=f"{saga.saga} {saga.saga_id} ended {end.name} after step {saga.step}",
            host=run.held.host,
            created_at=run.now,
        )
    )


def _event_note(
    request_id: str, event: OpenEvent, at: int | None, result: str | None, details: str | None
) -> EventNote:
    return EventNote(
        row_id=event.row_id,
        request_id=request_id,
        event=event.event,
        host=event.host,
        start_time=event.started_at,
        finish_time=at,
        result=result,
        details=details,
    )
