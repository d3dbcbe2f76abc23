"""The one interpreter of the sagas' tables: how a saga starts, moves, waits, gives up and ends.

It works on a `Run`, the private scratch sheet of one fact, and leaves on it the state after the
fact and the notes of what happened; called twice with the same state and fact it leaves the same.
It follows tables and never asks which operation it is in.
"""

from __future__ import annotations

from events.ids import InstanceId, SagaId, image_id, saga_id
from events.requests import ActionRequested
from events.values import replace
from statemachines.addressing import (
    asked_of,
    commanded,
    hosts_of,
    inherited,
    own_host,
    source_of,
    target_of,
)
from statemachines.attachment_actions import ended
from statemachines.attachments import attachments_of
from statemachines.burial import bury
from statemachines.claims import (
    forget_destination,
    give_up,
    keep_one_size,
    owner_has_guest,
    release,
    take_size_of_home,
)
from statemachines.conditions import chosen
from statemachines.held import Move, SagaState
from statemachines.notes import MigrationNote
from statemachines.owing import TABLE_OF, clear_later, debt_of, debts, evidence_against, owed_by
from statemachines.recording import (
    OVER,
    SCHEDULER,
    UNCONFIRMED,
    close_step,
    note_action,
    note_fault,
    note_saga,
    note_step,
    open_events,
    reason_of,
    set_migration_status,
)
from statemachines.run import ASKED_MAX, Run
from statemachines.saga import (
    HOST_LOST,
    TIMED_OUT,
    Again,
    Choice,
    End,
    Ending,
    NeedsOperator,
    Next,
    Owe,
    Role,
    Saga,
    Step,
    To,
)
from statemachines.sagas import BY_ACTION, SAGAS
from statemachines.sides import beside, put, remove
from statemachines.states import MigrationStatus, VmState
from statemachines.tombstones import fell_tombstones, raise_tombstone


def start(run: Run, table: Saga, request: ActionRequested, action: str | None) -> None:
    """Start the saga that a request asks for, superseding the primary one where there is one.

    Without an action it is nobody's: no instance action is noted.
    """
    held, identity, before = run.held, run.request_id, None
    if table.primary:
        before = held.saga
        if before is not None:
            _supersede(run, before)
        run.held = replace(run.held, generation=run.held.generation + 1)
    saga = SagaState(
        saga_id=saga_id(InstanceId(held.instance_id), table.name, identity),
        saga=table.name,
        version=table.version,
        request_id=None if action is None else identity,
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
        # What the predecessor asked of whom: its hosts have to hear of this one, and a guest that
        # had left before they did is at home where it went.
        asked=() if before is None else inherited(before),
        commanded=() if before is None else before.commanded,
        destination=None if before is None else before.destination,
        target=target_of(held, table),
        forced_host=held.host if table.remakes else request.host,
        excluded=own_host(held, table, run.rules),
        fenced=request.fenced_hosts,
        was_vm_state=held.vm_state,
        was_image=held.image,
        arguments=dict(request.arguments),
    )
    note_action(run, saga, finished=False, ok=True)
    _open_migration(run, table, saga, request)
    if table.remakes:
        run.held = replace(run.held, image=request.arguments.get("image") or held.image)
    _take(run, table, saga, table.first, "ActionRequested")


def progress(run: Run, saga: SagaState, host: str | None) -> None:
    """Move the saga by the fact in hand; `host` is the host that answers, or that is lost."""
    table, fact = SAGAS[saga.saga], run.name
    status, next_ = table.statuses.get(fact), table.steps[saga.step].on.get(fact)
    if status is not None:
        set_migration_status(run, status)
    if next_ is None:
        if fact != TIMED_OUT:
            return
        next_ = Again()
    way = chosen(next_, run.held, saga, run.rules) if isinstance(next_, Choice) else next_
    if len(saga.pending) > 1 and host in saga.pending and not isinstance(way, Again):
        # One of several: it has answered, or is lost and owes what it was asked.
        if isinstance(way, To | End) and way.owe is not None and host is not None:
            _owe_for(run, table, saga, way.owe, (host,))
        saga = replace(saga, pending=tuple(h for h in saga.pending if h != host))
        note_saga(run, saga)
        put(run, table, saga)
        return
    _take(run, table, saga, way, fact, host)


def operate(run: Run, saga: SagaState, next_: Next) -> None:
    """Lead a saga that waits for a person out, as its operator said."""
    _take(run, SAGAS[saga.saga], saga, next_, run.name)


def again(run: Run, saga: SagaState) -> None:
    """Enter the present step once more, whatever its retries say; a patient wait asks at once."""
    table = SAGAS[saga.saga]
    step = table.steps[saga.step]
    if step.command is None:
        _take(run, table, saga, step.exhausted, run.name)
    else:
        _enter(run, table, saga, step, run.name)


def begin_side(run: Run, saga: SagaState) -> None:
    """Begin a side saga that somebody made."""
    table = SAGAS[saga.saga]
    _take(run, table, saga, table.first, run.name)


def owe(run: Run, what: Owe, host: str, evidence: str, image: str = "") -> None:
    """Have a host clean up, or hear a newer generation, as soon as it can."""
    table, known = TABLE_OF[what], debts(run, what, host, image)
    if known is not None and what is not Owe.FENCE:
        return
    if what is not Owe.DESTROY:
        # Only a newer generation makes the host refuse what it was told before.
        run.held = replace(run.held, generation=run.held.generation + 1)
    debt = known or debt_of(run, what, host, evidence, image)
    _take(run, table, debt, table.first, run.name)


def drop_shelved_image(run: Run, host: str | None) -> None:
    """Have a host delete the image of a shelved guest: nobody will need it any more."""
    image = run.held.shelved_image
    run.held = replace(run.held, shelved_image=None, shelved_host=None, shelved_at=None)
    if image is not None and host is not None:
        owe(run, Owe.IMAGE, host, "", image)


# How a saga starts.


def _open_migration(run: Run, table: Saga, saga: SagaState, request: ActionRequested) -> None:
    if table.migration_type is not None:
        keep_one_size(run)  # The last move, which knew of two, is forgotten here.
        held = run.held
        assert held.host is not None, f"Expected a host of {held.instance_id}, but none"
        move = Move(
            migration_id=run.next_row_id(),
            migration_type=table.migration_type,
            status=str(table.migration_status),
            saga_id=saga.saga_id,
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


def _supersede(run: Run, saga: SagaState) -> None:
    """End a primary saga because a winner takes over, its clean-up included."""
    saga = close_step(run, saga, "superseded", ok=False)
    note_action(run, saga, finished=True, ok=False)
    note_saga(run, replace(saga, pending=(), needs_operator=None), ending="superseded", ok=False)
    move = run.held.move
    if move is not None and move.status not in OVER | UNCONFIRMED:
        set_migration_status(run, MigrationStatus.ERROR)
        take_size_of_home(run, saga)
    run.held = replace(run.held, saga=None)
    table = SAGAS[saga.saga]
    step = table.steps.get(saga.step)
    if step is not None and step.superseded is not None:
        _owe_for(run, table, saga, step.superseded, saga.pending)


# How a saga moves.


def _take(
    run: Run, table: Saga, saga: SagaState, next_: Next, fact: str, host: str | None = None
) -> None:
    way = chosen(next_, run.held, saga, run.rules) if isinstance(next_, Choice) else next_
    if isinstance(way, Again):
        step = table.steps[saga.step]
        if saga.tries <= step.retries:
            _enter(run, table, saga, step, fact)
            if way.beside is not None:
                side = SAGAS[way.beside]
                _take(run, side, beside(run, side, source_of(run.held)), side.first, fact)
            return
        way = chosen(step.exhausted, run.held, saga, run.rules)
    assert not isinstance(way, Again), f"Expected a way out of {table.name}.{saga.step}"
    if isinstance(way, NeedsOperator):
        _wait_for_operator(run, table, saga, fact)
        return
    keep_claim = False
    if way.owe is not None:
        lost = (host,) if fact == HOST_LOST and host is not None else saga.pending
        keep_claim = _owe_for(run, table, saga, way.owe, lost)
        if table.primary:
            saga = replace(saga, generation=run.held.generation)
    reason = reason_of(run, saga, way)
    if isinstance(way, To):
        saga = replace(saga, reason=reason, outcome=way.outcome or saga.outcome)
        if way.give_up:
            saga = give_up(run, saga, keep_claim=keep_claim)
        _enter(run, table, saga, table.steps[way.step], fact)
    else:
        ending = way.ending or saga.outcome
        assert ending is not None, f"Expected an outcome at the end of {table.name}"
        _end(run, table, replace(saga, reason=reason), ending, keep_claim=keep_claim)
        if way.beside is not None:
            side = SAGAS[way.beside]
            after = beside(run, side, saga.target, dict(saga.arguments))
            _take(run, side, after, side.first, fact)


def _owe_for(run: Run, table: Saga, saga: SagaState, what: Owe, hosts: tuple[str, ...]) -> bool:
    """Have hosts owe what they were asked; say whether one keeps its claim until it has paid."""
    kinds, image = set[Owe](), image_id(SagaId(saga.saga_id))
    for host in hosts:
        if host != SCHEDULER:
            kind = owed_by(run, table, what, host)
            kinds.add(kind)
            owe(run, kind, host, evidence_against(run, table, host), image)
    return Owe.DESTROY in kinds


def _enter(run: Run, table: Saga, saga: SagaState, step: Step, fact: str) -> None:
    repeated = saga.step == step.name
    saga = close_step(run, saga, fact, ok=run.reason is None, goes_on=step.action_events)
    held = run.held
    hosts = saga.pending if repeated and saga.pending else hosts_of(held, saga, step)
    attempt = saga.entries.get(step.name, 0) + 1
    asked = asked_of(step, attempt, hosts)
    excluded = saga.excluded
    if step.to is Role.SCHEDULER:
        owing = {s.target for s in held.sides if s.target is not None}
        excluded = tuple(sorted({*excluded, *owing}))
    saga = replace(
        saga,
        # A primary saga has its generation from its start, or from a fence; a side has today's.
        generation=saga.generation if table.primary else held.generation,
        step=step.name,
        attempt=attempt,
        tries=saga.tries + 1 if repeated else 1,
        entered_at=run.now,
        n=saga.n + 1,
        pending=hosts,
        asked=(*saga.asked, *asked)[-ASKED_MAX:],
        commanded=commanded(saga, asked),
        # Noted on entry: what is asked must not change while the answer is awaited.
        excluded=excluded,
        needs_operator=None,
        events=open_events(run, saga, step, hosts),
        entries={**saga.entries, step.name: attempt},
        attachments=attachments_of(held),
    )
    if step.migration_status is not None:
        set_migration_status(run, step.migration_status)
    note_step(run, saga, left_by=None)
    note_saga(run, saga)
    put(run, table, saga)


# How a saga waits, and ends.


def _wait_for_operator(run: Run, table: Saga, saga: SagaState, fact: str) -> None:
    hosts = ", ".join(saga.pending) or "nobody"
    sentence = (
        f"Expected {saga.saga} of instance {run.held.instance_id} to go on from step {saga.step}, "
        f"but after attempt {saga.attempt} the last word of {hosts} is {fact}"
        + (f": {run.reason}" if run.reason else "")
    )
    saga = replace(saga, needs_operator=sentence, reason=run.reason or saga.reason)
    note_saga(run, saga)
    put(run, table, saga)


def _end(run: Run, table: Saga, saga: SagaState, ending: str, *, keep_claim: bool) -> None:
    end = table.endings[ending]
    saga = close_step(run, saga, run.name, ok=end.ok or end.as_asked or run.reason is None)
    saga = replace(saga, pending=(), needs_operator=None)
    _leave(run, table, saga, end, keep_claim=keep_claim)
    remove(run, table, saga)
    run.held = ended(run.held, saga, ending)
    taken = run.arrow(f"{table.name}:{ending}", saga)
    if taken is None and table.primary:
        # Nobody foresaw these states together; the task is over all the same.
        run.held = replace(run.held, task_state=None)
    if run.held.vm_state == VmState.DELETED and run.held.deleted_at is None:
        bury(run)
        drop_shelved_image(run, run.held.shelved_host)
    note_saga(run, saga, ending=ending, ok=end.ok)
    note_action(run, saga, finished=True, ok=end.ok or end.as_asked)
    if table.primary or table.of_guest:
        note_fault(run, saga, end)
    if taken is not None and taken.then is not None:
        _go_on(run, taken.then)


def _leave(run: Run, table: Saga, saga: SagaState, end: Ending, *, keep_claim: bool) -> None:
    """Leave host, room, migration and what others owe as an ending has them."""
    given_up = saga.target if end.release_target else saga.destination
    if given_up is not None and (end.release_target or end.release_destination) and not keep_claim:
        release(run, given_up, None if end.release_target else saga.saga_id)
    _take_back(run, saga, end)
    if not end.ok:
        take_size_of_home(run, saga)
    if end.migration_status is not None:
        set_migration_status(run, end.migration_status)
    if end.clear_elsewhere:
        _clear_elsewhere(run, table)
    if end.leaves_tombstone:
        owe(run, Owe.DESTROY, raise_tombstone(run), "moved")
    if saga.target is not None and table.name == TABLE_OF[Owe.DESTROY].name:
        fell_tombstones(run, saga.target)


def _go_on(run: Run, action: str) -> None:
    """Do again, by nobody's request, what was being done."""
    assert run.held.saga is None, f"Expected no saga of {run.held.instance_id}, but one runs"
    start(run, BY_ACTION[action], ActionRequested(action=action, user_id="", project_id=""), None)


def _take_back(run: Run, saga: SagaState, end: Ending) -> None:
    """Leave host, destination and image as they are where this did not come to pass."""
    if end.clear_host:
        run.held = replace(run.held, host=None, node=None)
    if end.clear_destination:
        forget_destination(run, saga)
    if end.restore_image:
        run.held = replace(run.held, image=saga.was_image)


def _clear_elsewhere(run: Run, table: Saga) -> None:
    """Close what was open, and have every host but the owner leave nothing of the guest."""
    held, move = run.held, run.held.move
    if move is not None and move.status not in OVER:
        set_migration_status(run, MigrationStatus.ERROR)
    keep_one_size(run)
    if table.evidence is None and not owner_has_guest(held):
        run.held = clear_later(run.held)  # What the others have may be all that is left.
        return
    for host in sorted({c.host for c in run.held.claims if c.host != held.host}):
        owe(run, Owe.DESTROY, host, evidence_against(run, table, host))
