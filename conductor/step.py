"""The heart: what one fact does to one instance. Live work, replay, rebuild and audit call it.

    judge ▸ move the head ▸ evolve (arrow, effects) ▸ the saga reacts ▸ Outcome

The same state, fact and rules give the same outcome, today and in a replay. It touches no clock, no
dice, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, cast

from msgspec import Struct

from events import requests
from events.decisions import HostReturned, PeriodElapsed, RecordSetAside
from events.envelope import COMPUTE, Envelope, Letter
from events.facts_nova import NovaReported
from events.instance import GuestAbsent, GuestFound, PowerStateReported
from events.requests import ActionRequested, Flavor
from events.start_up import GuestDoubted
from events.values import replace
from statemachines import shadow
from statemachines.addressee import answering_host, owing
from statemachines.asked_attachments import attachments_asked
from statemachines.attachment_actions import taken
from statemachines.attachments import held_from
from statemachines.chain import head_of, heads_after, marks_after, moved, with_head
from statemachines.conditions import may_have
from statemachines.doubts import side_of
from statemachines.dues import elapsed, request_of
from statemachines.effects import take_effect, take_request
from statemachines.held import Head, Heard, Held, SagaState
from statemachines.immediate import done, metadata_asked, tags_asked
from statemachines.interpreter import again, begin_side, owe, progress, start
from statemachines.judge import judge, moves_head
from statemachines.leavings import STRAYS, clear_leavings, let_strays_go
from statemachines.notes import ActionNote, EventNote, Note
from statemachines.parking import early, released, unparked
from statemachines.permissions import PERMISSIONS
from statemachines.power_sync import answer_to_report
from statemachines.resolution import go_back, resolve
from statemachines.resume import react
from statemachines.routing import routed
from statemachines.rules import REQUEST_AGE_US, Rules
from statemachines.run import Run
from statemachines.saga import Owe
from statemachines.sagas import BY_ACTION, IMMEDIATE, SAGAS
from statemachines.states import TaskState, VmState
from statemachines.verdict import Accepted, Duplicate, Early, Rejected, Verdict

REQUESTS_MAX = 64  # Remembered of one instance.
#: Action events of what nova's API does by itself.
_API_EVENTS = {"lock": "api_lock", "unlock": "api_unlock"}
_LeadingOut = requests.SagaRetried | requests.SagaCompensated | requests.SagaResolved
_NO_FLAVOR = Flavor(name="", vcpus=0, memory_mb=0, disk_gb=0)


class Outcome(Struct, frozen=True, gc=False):
    """What the judge said, the state after the fact, and what was noted."""

    verdict: Verdict
    before: Held | None
    after: Held | None
    notes: tuple[Note, ...] = ()

    @property
    def commands(self) -> tuple[Letter[object], ...]:
        """The commands that the fact called for."""
        return react(self.before, self.after)


def step(held: Held | None, envelope: Envelope[object], rules: Rules) -> Outcome:
    """Conclude. The same arguments give the same outcome, today and in a replay."""
    waiting = held if held is None or not held.parked else unparked(held, envelope)
    verdict = judge(waiting, envelope, rules)
    if isinstance(verdict, Accepted):
        kind, now = envelope.fact.__class__, envelope.record.timestamp_us
        heard = _heard(waiting, envelope, now)
        run = Run(heard, envelope, rules, verdict, kind.__name__, now)
        _FOLDS.get(kind, _say)(run)
        if run.name in STRAYS:
            let_strays_go(run)
        if len(run.held.claims) > 1:
            clear_leavings(run)
        return Outcome(verdict, held, _dated(waiting, run), tuple(run.notes))
    return _unfolded(held, waiting, envelope, verdict)


def _unfolded(
    held: Held | None,
    waiting: Held | None,
    envelope: Envelope[object],
    verdict: Early | Duplicate | Rejected,
) -> Outcome:
    """Conclude of a fact that changes nothing, but that it waits, or that its writer was heard."""
    match verdict:
        case Early():
            assert waiting is not None
            return _park(held, waiting, envelope, verdict)
        case Duplicate():
            return Outcome(verdict, held, waiting)
        case Rejected():
            after = waiting
            if waiting is not None and moves_head(verdict, waiting, envelope):
                after = moved(waiting, envelope)
            if waiting is not None and after is not None and envelope.meta.request_id is not None:
                after = _remember_request(after, envelope)
            return Outcome(verdict, held, after)


def _park(held: Held | None, waiting: Held, envelope: Envelope[object], verdict: Early) -> Outcome:
    after = early(waiting, envelope)
    if after is None:
        return Outcome(Duplicate(), held, waiting)
    if isinstance(after, Rejected):
        return Outcome(after, held, waiting)
    return Outcome(verdict, held, after)


def _heard(held: Held | None, envelope: Envelope[object], now: int) -> Held:
    """Return the state in which the writer, or the request, has been heard."""
    if held is None:
        held = _new(envelope)
    if envelope.host is not None:
        return replace(held, updated_at=now, heads=heads_after(held, envelope))
    return _remember_request(replace(held, updated_at=now), envelope)


def _dated(before: Held | None, run: Run) -> Held:
    """Return the state with the time since which its three states are what they are."""
    after = run.held
    if (
        before is not None
        and before.vm_state == after.vm_state
        and before.task_state == after.task_state
        and before.power_state == after.power_state
    ):
        return after
    return replace(after, states_since=run.now)


def _new(envelope: Envelope[object]) -> Held:
    """Return the state of an instance that this fact makes known."""
    fact, now = envelope.fact, envelope.timestamp_us
    if isinstance(fact, NovaReported):
        return Held(
            instance_id=envelope.meta.instance_id,
            origin="nova",
            vm_state=str(VmState.BUILDING),
            flavor=_NO_FLAVOR,
            created_at=now,
            updated_at=now,
        )
    request = cast("ActionRequested", fact)
    assert request.flavor is not None
    asked = attachments_asked(request, envelope.meta.instance_id, envelope.meta.request_id)
    held = Held(
        instance_id=envelope.meta.instance_id,
        origin="regente",
        vm_state=str(VmState.BUILDING),
        task_state=str(TaskState.SCHEDULING),
        name=request.arguments.get("name", ""),
        image=request.arguments.get("image", ""),
        user_id=request.user_id,
        project_id=request.project_id,
        flavor=request.flavor,
        created_at=now,
        updated_at=now,
        metadata=metadata_asked(request.arguments),
        tags=tags_asked(request.arguments),
    )
    return held_from(held, asked, now)


def _remember_request(held: Held, envelope: Envelope[object]) -> Held:
    request_id = envelope.meta.request_id
    if request_id is None or envelope.meta.source != "api":
        return held
    now = envelope.timestamp_us
    young = [r for r in held.requests if now - r.at <= REQUEST_AGE_US]
    if request_id in [r.request_id for r in young]:
        return held
    known = (*young, Heard(request_id=request_id, at=now))[-REQUESTS_MAX:]
    return replace(held, requests=known)


def _come_due(run: Run) -> None:
    """Fold that an action's time has come by itself."""
    fact = cast("PeriodElapsed", run.envelope.fact)
    run.held = elapsed(run.held, fact, run.now)
    _act(run, request_of(fact))


def _release(run: Run) -> None:
    """Let a record that was set aside wait for its turn alone."""
    run.held = released(run.held, cast("requests.RecordReleased", run.envelope.fact).offset)


def _obeyed(_run: Run) -> None:
    """Nothing more: whoever folds has obeyed before; verify and rebuild collect it first."""


def _report(run: Run) -> None:
    """Answer a report of power that nobody asked for, as nova's power sync does."""
    _say(run)
    request = answer_to_report(run.held, run.rules)
    if request is not None:
        _act(run, request)


def _say(run: Run) -> None:
    """Fold what a host or the conductor said: arrow, effects, then the saga."""
    saga, arrow = run.verdict.saga, run.verdict.arrow
    if arrow is None:
        run.arrow(run.name, saga)
    else:
        run.take(arrow)
    take_effect(run, saga)
    if saga is not None:
        if run.held.saga is not saga:
            saga = _as_it_is(run.held, saga)
        progress(run, saga, run.envelope.host or answering_host(run.envelope))


def _see(run: Run) -> None:
    """Fold what a host saw of itself, or is asked: what it owes is asked, left-overs are found."""
    if isinstance(run.envelope.fact, GuestDoubted):
        begin_side(run, side_of(run, run.envelope.fact))
        return
    host = answering_host(run.envelope)
    debts = owing(run.held, host)
    take_effect(run, None)
    for debt in debts:
        progress(run, debt, host)
    owed = [d for d in debts if not SAGAS[d.saga].of_guest]
    if not owed and isinstance(run.envelope.fact, GuestFound):
        _found(run)


def _as_it_is(held: Held, saga: SagaState) -> SagaState:
    """Return a saga with what the effects of the fact noted in it."""
    if held.saga is not None and held.saga.saga_id == saga.saga_id:
        return held.saga
    return next(s for s in held.sides if s.saga_id == saga.saga_id)


def _found(run: Run) -> None:
    """A guest where none of the instance should be: left-overs are cleaned up, never guessed at."""
    held, host = run.held, run.envelope.host
    assert host is not None
    if held.vm_state == VmState.DELETED:
        owe(run, Owe.DESTROY, host, "deleted")
    elif held.host is not None and held.saga is None and host not in may_have(held):
        owe(run, Owe.DESTROY, host, "moved")


def _ask(run: Run) -> None:
    """Fold what a user asks for."""
    _act(run, cast("ActionRequested", run.envelope.fact))


def _act(run: Run, request: ActionRequested) -> None:
    """Fold an accepted request: set the task_state, start its saga."""
    request = routed(run.held, request, run.rules)
    action = request.action
    permission = PERMISSIONS[action]
    if action in IMMEDIATE:
        run.held = done(run.held, request)
        _note_immediate(run, request)
        return
    table = BY_ACTION[action]
    run.held, arguments = taken(run.held, request, run.request_id, run.now)
    request = replace(request, arguments=arguments)
    if action != "create":
        run.arrow(f"request:{action}", run.held.saga)
        take_request(run, request)
    if table.name == "live_migrate_abort" and run.held.saga is not None:
        run.held = replace(run.held, saga=replace(run.held.saga, abort_requested=True))
    start(run, table, request, str(permission.instance_action or action))


def _note_immediate(run: Run, request: ActionRequested) -> None:
    event = _API_EVENTS.get(request.action)
    if event is not None:
        run.notes.append(
            EventNote(
                row_id=run.next_row_id(),
                request_id=run.request_id,
                event=event,
                host=None,
                start_time=run.now,
                finish_time=run.now,
                result="Success",
                details=None,
            )
        )
    run.notes.append(
        ActionNote(
            request_id=run.request_id,
            action=request.action,
            user_id=request.user_id,
            project_id=request.project_id,
            start_time=run.now,
            finish_time=run.now,
            message=None,
            saga_id=None,
        )
    )


def _lead_out(run: Run) -> None:
    """Fold an operator's word about a saga."""
    saga = run.verdict.saga
    assert saga is not None
    match cast("_LeadingOut", run.envelope.fact):
        case requests.SagaRetried():
            again(run, saga)
        case requests.SagaCompensated():
            go_back(run, saga)
        case requests.SagaResolved():
            resolve(run, saga)


def _discard(run: Run) -> None:
    """Give a record up: what it blocked goes on, and its writer's next one may follow."""
    fact = cast("requests.RecordDiscarded", run.envelope.fact)
    held = run.held
    kept = tuple(p for p in held.parked if p.offset != fact.offset)
    held = replace(held, parked=kept, set_aside=any(p.reason == "set-aside" for p in kept))
    head = head_of(held, fact.source)
    if fact.source.startswith(COMPUTE):
        held = with_head(
            held,
            Head(
                source=fact.source,
                enrolment=1 if head is None else head.enrolment,
                boot_epoch=0 if head is None else head.boot_epoch,
                sequence=1 if head is None else head.sequence + 1,
                digest=fact.digest,
                marks=marks_after(head),
            ),
        )
    run.held = held


def _shadow(run: Run) -> None:
    """Fold what nova reported: old → new is the arrow, stale snapshots lose."""
    held, fact = run.held, cast("NovaReported", run.envelope.fact)
    after = shadow.evolve(held.shadow or shadow.INITIAL, fact)
    run.held = replace(
        held,
        shadow=after,
        vm_state=after.vm_state or held.vm_state,
        task_state=after.task_state,
        power_state=held.power_state if after.power_state is None else after.power_state,
        host=after.host,
        node=after.node,
        name=after.display_name or held.name,
        user_id=after.user_id or held.user_id,
        project_id=after.project_id or held.project_id,
        image=after.image_id or held.image,
        locked=held.locked if after.locked is None else after.locked,
        launched_at=after.launched_at_us,
        deleted_at=after.deleted_at_us,
        flavor=held.flavor
        if after.flavor is None
        else Flavor(
            name=after.flavor.name,
            vcpus=after.flavor.vcpus,
            memory_mb=after.flavor.memory_mb,
            disk_gb=after.flavor.root_gb + after.flavor.ephemeral_gb,
        ),
    )


#: How each fact is folded that is not plainly the word of a host or the conductor about a step.
_FOLDS: Final[Mapping[type, Callable[[Run], None]]] = MappingProxyType(
    {
        NovaReported: _shadow,
        ActionRequested: _ask,
        PeriodElapsed: _come_due,
        requests.SagaRetried: _lead_out,
        requests.SagaCompensated: _lead_out,
        requests.SagaResolved: _lead_out,
        requests.RecordDiscarded: _discard,
        requests.RecordReleased: _release,
        RecordSetAside: _obeyed,
        GuestFound: _see,
        GuestAbsent: _see,
        GuestDoubted: _see,
        HostReturned: _see,
        PowerStateReported: _report,
    }
)
