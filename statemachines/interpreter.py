"""The one interpreter of the sagas' tables: how a saga starts, moves, waits, gives up and ends.

It works on a `Run`, the private scratch sheet of one fact, and leaves on it the state after the fact and the
notes of what happened; called twice with the same state and fact it leaves the same. It follows
tables and never asks which operation it is in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from events.ids import CommandId, InstanceId, SagaId, command_id, saga_id
from events.requests import ActionRequested
from statemachines.conditions import CONDITIONS, involved
from statemachines.held import Asked, Move, OpenEvent, SagaState
from statemachines.notes import ActionNote, EventNote, FaultNote, MigrationNote, SagaNote, StepNote
from statemachines.run import ASKED_MAX, Run
from statemachines.saga import (
    HOST_LOST,
    TIMED_OUT,
    Again,
    Choice,
    End,
    NeedsOperator,
    Next,
    Owe,
    Role,
    Saga,
    Step,
    To,
)
from statemachines.sagas import SAGAS
from statemachines.states import MigrationStatus, VmState

#: The scheduler answers under this name, as if it were a host.
SCHEDULER = "@scheduler"

_SIDE_OF_DEBT = {Owe.DESTROY: "debt", Owe.FENCE: "fence"}
#: Statuses that say that a migration is over; a superseded one is closed with `error` unless in here.
_OVER = frozenset(
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


def start(run: Run, table: Saga, request: ActionRequested, action: str) -> None:
    """Start the saga that a request asks for, superseding the primary one where there is one."""
    held, identity = run.held, run.request_id
    commanded: tuple[str, ...] = ()
    if table.primary:
        if held.saga is not None:
            commanded = held.saga.commanded
            supersede(run, held.saga)
        run.held = replace(run.held, generation=run.held.generation + 1)
    saga = SagaState(
        saga_id=saga_id(InstanceId(held.instance_id), table.name, identity),
        saga=table.name,
        version=table.version,
        request_id=identity,
        action=action,
        user_id=request.user_id,
        project_id=request.project_id,
        started_at=run.now,
        generation=run.held.generation,
        step="",
        attempt=0,
        tries=0,
        entered_at=run.now,
        n=0,
        commanded=commanded,
        target=None if table.primary else held.host,
        destination=None,
        forced_host=request.host,
        excluded=_own_host(run, table),
        arguments=dict(request.arguments),
    )
    run.notes.append(_action_note(run, saga, finished=False, ok=True))
    _open_migration(run, table, saga, request)
    _take(run, table, saga, table.first, "ActionRequested")


def _own_host(run: Run, table: Saga) -> tuple[str, ...]:
    may_stay = table.same_host is not None and run.rules.allows(table.same_host)
    return () if run.held.host is None or may_stay else (run.held.host,)


def _open_migration(run: Run, table: Saga, saga: SagaState, request: ActionRequested) -> None:
    held = run.held
    if table.migration_type is not None:
        assert held.host is not None, f"Expected a host of {held.instance_id}, but none"
        move = Move(
            migration_id=run.next_row_id(),
            migration_type=table.migration_type,
            status=str(table.migration_status),
            saga_id=saga.saga_id,
            request_id=saga.request_id,
            source=held.host,
            source_node=held.node,
            destination=None,
            dest_node=None,
            old_flavor=held.flavor,
            new_flavor=request.flavor or held.flavor,
            old_vm_state=held.vm_state,
            created_at=run.now,
            updated_at=run.now,
            user_id=request.user_id,
            project_id=request.project_id,
        )
        run.held = replace(held, move=move, old_vm_state=held.vm_state)
        run.notes.append(MigrationNote(move=move))
    elif table.migration_status is not None:
        set_migration_status(run, table.migration_status)


def supersede(run: Run, saga: SagaState) -> None:
    """End a primary saga because a winner takes over, its clean-up included."""
    _close_step(run, saga, "superseded", ok=False)
    run.notes.append(_action_note(run, saga, finished=True, ok=False))
    run.notes.append(
        SagaNote(
            state=replace(saga, events=(), pending=()),
            ending="superseded",
            ok=False,
            updated_at=run.now,
        )
    )
    move = run.held.move
    if move is not None and move.status not in _OVER and move.status != MigrationStatus.FINISHED:
        set_migration_status(run, MigrationStatus.ERROR)
    run.held = replace(run.held, saga=None)


def progress(run: Run, saga: SagaState, host: str | None) -> None:
    """Move the saga by the fact in hand; `host` is the host that answers, or that is lost."""
    table = SAGAS[saga.saga]
    step = table.steps[saga.step]
    fact = run.name
    if fact in table.statuses:
        set_migration_status(run, table.statuses[fact])
    next_ = step.on.get(fact)
    if next_ is None:
        if fact != TIMED_OUT:
            return
        next_ = Again()
    if len(saga.pending) > 1 and host in saga.pending and not _again(run, saga, next_):
        saga = _answered(run, saga, host, next_)
        if saga.pending:
            _put(run, table, saga)
            return
    _take(run, table, saga, next_, fact, host)


def operate(run: Run, saga: SagaState, next_: Next) -> None:
    """Lead a saga that waits for a person out, as its operator said."""
    table = SAGAS[saga.saga]
    _take(run, table, replace(saga, needs_operator=None), next_, run.name)


def again(run: Run, saga: SagaState) -> None:
    """Enter the present step once more, whatever its retries say."""
    table = SAGAS[saga.saga]
    _enter(run, table, replace(saga, needs_operator=None), table.steps[saga.step], run.name)


def set_migration_status(run: Run, status: MigrationStatus) -> None:
    """Leave the last migration with this status."""
    move = run.held.move
    if move is None or move.status == status:
        return
    move = replace(move, status=str(status), updated_at=run.now)
    run.held = replace(run.held, move=move)
    run.notes.append(MigrationNote(move=move))


def owe(run: Run, what: Owe, host: str, evidence: str) -> None:
    """Have a host clean up, or hear a newer generation, as soon as it can."""
    held = run.held
    if what is Owe.FENCE:
        # Only a newer generation makes the host refuse what it was told before.
        held = replace(held, generation=held.generation + 1)
        if held.saga is not None:
            held = replace(held, saga=replace(held.saga, generation=held.generation))
    run.held = held
    table = SAGAS[_SIDE_OF_DEBT[what]]
    if any(s.saga == table.name and s.target == host for s in held.sides):
        if what is Owe.DESTROY:
            return
        run.held = held = replace(
            held,
            sides=tuple(s for s in held.sides if not (s.saga == table.name and s.target == host)),
        )
    identity = f"{run.topic}/{run.partition}/{run.offset}/{host}"
    saga = SagaState(
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
        target=host,
        arguments={"evidence": evidence},
    )
    _take(run, table, saga, table.first, run.name)


def _again(run: Run, saga: SagaState, next_: Next) -> bool:
    return isinstance(_chosen(run, saga, next_), Again)


def _chosen(run: Run, saga: SagaState, next_: Next) -> To | End | Again | NeedsOperator:
    while isinstance(next_, Choice):
        holds = CONDITIONS[next_.condition](run.held, saga, run.rules)
        next_ = next_.then if holds else next_.otherwise
    return next_


def _answered(run: Run, saga: SagaState, host: str | None, next_: Next) -> SagaState:
    """Note that one of several hosts has answered, or is lost and owes what it was asked."""
    way = _chosen(run, saga, next_)
    if isinstance(way, To | End) and way.owe is not None and host is not None:
        _owe_for(run, saga, way.owe, (host,))
    return replace(saga, pending=tuple(h for h in saga.pending if h != host))


def _owe_for(run: Run, saga: SagaState, what: Owe, hosts: tuple[str, ...]) -> None:
    evidence = "deleted" if saga.saga == "delete" else "undone"
    if saga.saga in ("confirm_resize", "live_migration") and run.held.host not in hosts:
        evidence = "moved"
    for host in hosts:
        owe(run, what, host, evidence)


def _take(
    run: Run, table: Saga, saga: SagaState, next_: Next, fact: str, host: str | None = None
) -> None:
    way = _chosen(run, saga, next_)
    if isinstance(way, Again):
        step = table.steps[saga.step]
        if saga.tries <= step.retries:
            _enter(run, table, saga, step, fact)
            return
        way = _chosen(run, saga, step.exhausted)
    assert not isinstance(way, Again), f"Expected a way out of {table.name}.{saga.step}"
    if isinstance(way, NeedsOperator):
        _wait_for_operator(run, table, saga, fact)
        return
    if way.owe is not None:
        lost = (host,) if fact == HOST_LOST and host is not None else saga.pending
        _owe_for(run, saga, way.owe, tuple(h for h in lost if h != SCHEDULER))
        saga = replace(saga, generation=run.held.generation if table.primary else saga.generation)
    saga = replace(saga, reason=run.reason or saga.reason)
    if isinstance(way, To):
        saga = replace(saga, outcome=way.outcome or saga.outcome)
        if way.give_up:
            saga = _give_up(run, saga, keep_claim=way.owe is Owe.DESTROY)
        _enter(run, table, saga, table.steps[way.step], fact)
    else:
        ending = way.ending or saga.outcome
        assert ending is not None, f"Expected an outcome at the end of {table.name}"
        _end(run, table, saga, ending, fact, keep_claim=way.owe is Owe.DESTROY)


def _give_up(run: Run, saga: SagaState, *, keep_claim: bool) -> SagaState:
    """Let the chosen host go: its claim is released unless it still owes a clean-up."""
    host = saga.destination
    if host is None:
        return saga
    if not keep_claim:
        release(run, host, saga.saga_id)
    if run.held.vm_state == VmState.BUILDING and run.held.host == host:
        run.held = replace(run.held, host=None, node=None)
    excluded = tuple(sorted({*saga.excluded, host}))
    return replace(saga, destination=None, excluded=excluded, tried=saga.tried + 1)


def release(run: Run, host: str, saga: str | None = None) -> None:
    """Release what the instance claims on a host: all, or what one saga claimed there."""
    claims = tuple(
        c for c in run.held.claims if c.host != host or (saga is not None and c.saga_id != saga)
    )
    if len(claims) != len(run.held.claims):
        run.held = replace(run.held, claims=claims)


def _hosts_of(run: Run, saga: SagaState, step: Step) -> tuple[str, ...]:
    held, move = run.held, run.held.move
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
        case _:
            assert_never(step.to)
    assert host is not None, f"Expected a host as {step.to} of {saga.saga}.{step.name}, but none"
    return (host,)


def _enter(run: Run, table: Saga, saga: SagaState, step: Step, fact: str) -> None:
    repeated = saga.step == step.name
    saga = _close_step(run, saga, fact, ok=not _failed(run), keep_events=repeated)
    hosts = saga.pending if repeated and saga.pending else _hosts_of(run, saga, step)
    entries = {**saga.entries, step.name: saga.entries.get(step.name, 0) + 1}
    attempt = entries[step.name]
    asked = (
        ()
        if step.command is None
        else tuple(
            Asked(
                command_id=_command_id(saga, step, attempt, host),
                command=step.command,
                host=host,
                step=step.name,
                attempt=attempt,
            )
            for host in hosts
        )
    )
    real = tuple(h for h in hosts if h != SCHEDULER and step.command is not None)
    saga = replace(
        saga,
        step=step.name,
        attempt=attempt,
        tries=saga.tries + 1 if repeated else 1,
        entered_at=run.now,
        n=saga.n + 1,
        pending=hosts,
        asked=(*saga.asked, *asked)[-ASKED_MAX:],
        commanded=tuple(dict.fromkeys((*saga.commanded, *real))),
        entries=entries,
        events=saga.events if repeated else _open_events(run, saga, step, hosts),
    )
    if step.migration_status is not None:
        set_migration_status(run, step.migration_status)
    run.notes.append(_step_note(run, saga, left_by=None))
    run.notes.append(SagaNote(state=saga, ending=None, ok=None, updated_at=run.now))
    _put(run, table, saga)


def _command_id(saga: SagaState, step: Step, attempt: int, host: str) -> CommandId:
    assert step.command is not None
    return command_id(SagaId(saga.saga_id), step.name, attempt, step.command, host)


def _open_events(
    run: Run, saga: SagaState, step: Step, hosts: tuple[str, ...]
) -> tuple[OpenEvent, ...]:
    if saga.request_id is None:
        return ()
    opened = tuple(
        OpenEvent(
            row_id=run.next_row_id(),
            event=event,
            host=None if host == SCHEDULER else host,
            started_at=run.now,
        )
        for event in step.action_events
        for host in hosts
    )
    run.notes.extend(_event_note(saga.request_id, e, None, None, None) for e in opened)
    return opened


def _close_step(
    run: Run, saga: SagaState, fact: str, *, ok: bool, keep_events: bool = False
) -> SagaState:
    if not saga.step:
        return saga
    run.notes.append(_step_note(run, saga, left_by=fact))
    if keep_events or saga.request_id is None:
        return saga
    result = "Success" if ok else "Error"
    details = None if ok else run.reason or saga.reason
    run.notes.extend(_event_note(saga.request_id, e, run.now, result, details) for e in saga.events)
    return replace(saga, events=())


def _failed(run: Run) -> bool:
    return run.reason is not None


def _wait_for_operator(run: Run, table: Saga, saga: SagaState, fact: str) -> None:
    hosts = ", ".join(saga.pending) or "nobody"
    sentence = (
        f"Expected {saga.saga} of instance {run.held.instance_id} to go on from step {saga.step}, "
        f"but after attempt {saga.attempt} the last word of {hosts} is {fact}"
        + (f": {run.reason}" if run.reason else "")
    )
    saga = replace(saga, needs_operator=sentence, reason=run.reason or saga.reason)
    run.notes.append(SagaNote(state=saga, ending=None, ok=None, updated_at=run.now))
    _put(run, table, saga)


def _end(
    run: Run, table: Saga, saga: SagaState, ending: str, fact: str, *, keep_claim: bool
) -> None:
    end = table.endings[ending]
    saga = _close_step(run, saga, fact, ok=end.ok or not _failed(run))
    saga = replace(saga, pending=(), needs_operator=None)
    if end.release_destination and not keep_claim and saga.destination is not None:
        release(run, saga.destination, saga.saga_id)
    if end.clear_host:
        run.held = replace(run.held, host=None, node=None)
    if end.migration_status is not None:
        set_migration_status(run, end.migration_status)
    _remove(run, table, saga)
    run.arrow(f"{table.name}:{ending}", saga)
    if run.held.vm_state == VmState.DELETED and run.held.deleted_at is None:
        _bury(run)
    run.notes.append(SagaNote(state=saga, ending=ending, ok=end.ok, updated_at=run.now))
    if saga.action is not None:
        run.notes.append(_action_note(run, saga, finished=True, ok=end.ok))
    if table.primary and not end.ok and ending != "cancelled":
        run.notes.append(_fault_note(run, saga, ending))


def _bury(run: Run) -> None:
    """Leave the tombstone of a deleted instance; clean-ups owed outlive it."""
    move = run.held.move
    if move is not None and move.status == MigrationStatus.FINISHED:
        # Nova confirms a resize before it deletes the instance.
        set_migration_status(run, MigrationStatus.CONFIRMED)
    owing = {s.target for s in run.held.sides if s.saga == "debt"}
    run.held = replace(
        run.held,
        power_state=0,
        deleted_at=run.now,
        claims=tuple(c for c in run.held.claims if c.host in owing),
    )


def _put(run: Run, table: Saga, saga: SagaState) -> None:
    if table.primary:
        run.held = replace(run.held, saga=saga)
        return
    sides = run.held.sides
    if any(s.saga_id == saga.saga_id for s in sides):
        sides = tuple(saga if s.saga_id == saga.saga_id else s for s in sides)
    else:
        sides = (*sides, saga)
    run.held = replace(run.held, sides=sides)


def _remove(run: Run, table: Saga, saga: SagaState) -> None:
    if table.primary:
        run.held = replace(run.held, saga=None)
    else:
        left = tuple(s for s in run.held.sides if s.saga_id != saga.saga_id)
        run.held = replace(run.held, sides=left)


def _step_note(run: Run, saga: SagaState, *, left_by: str | None) -> StepNote:
    return StepNote(
        saga_id=saga.saga_id,
        n=saga.n,
        step=saga.step,
        attempt=saga.attempt,
        hosts=saga.pending,
        entered_at=saga.entered_at,
        left_at=None if left_by is None else run.now,
        left_by=left_by,
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


def _action_note(run: Run, saga: SagaState, *, finished: bool, ok: bool) -> ActionNote:
    assert saga.request_id is not None and saga.action is not None
    return ActionNote(
        request_id=saga.request_id,
        action=saga.action,
        user_id=saga.user_id,
        project_id=saga.project_id,
        start_time=saga.started_at,
        finish_time=run.now if finished else None,
        message=None if ok else "Error",
        saga_id=saga.saga_id,
    )


def _fault_note(run: Run, saga: SagaState, ending: str) -> FaultNote:
    said = run.reason or saga.reason
    return FaultNote(
        row_id=run.next_row_id(),
        code=500,
        message=said or f"Expected {saga.saga} to succeed, but it ended {ending}",
        details=f"{saga.saga} {saga.saga_id} ended {ending} after step {saga.step}",
        host=run.held.host,
        created_at=run.now,
    )
