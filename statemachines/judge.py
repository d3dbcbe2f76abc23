"""Say of every fact whether it may be folded into the state of its instance. Total: never raises.

Who may speak of an instance: its owner, the declared destination of its move, whoever was sent a
command, for the answer to it. Any enrolled host may say what guests it found; that changes no
ownership. What may follow what is in the arrows; what ends which step is in the sagas' tables; what
a user may ask is in the permissions.
"""

from __future__ import annotations

from events import decisions, requests
from events.envelope import API, CONDUCTOR, NOVA, Envelope
from events.facts_nova import NovaReported
from events.instance import GuestAbsent, GuestFound, PowerStateReported
from events.migration import GuestArrived
from events.start_up import GuestDoubted
from statemachines import attachment_actions, immediate
from statemachines.addressee import addressee, answering_host, asked_as, sagas_of
from statemachines.answers import OWNERSHIP, judge_command
from statemachines.asked_attachments import wrong_in
from statemachines.attachments import SAID_OF_ATTACHMENTS
from statemachines.bad_input import bad_input
from statemachines.chain import HEADS_MAX, Place, head_of, place
from statemachines.conditions import can_be_made_again, chosen, may_have
from statemachines.demands import circumstances, lack, wins
from statemachines.doubts import is_new
from statemachines.dues import named, request_of
from statemachines.held import Asked, Head, Held, SagaState
from statemachines.late_moves import has_moved_late
from statemachines.leading_out import refusal as refusal_of_operator
from statemachines.parking import is_set_aside
from statemachines.permissions import PERMISSIONS, refusal
from statemachines.refused import never_taken
from statemachines.routing import routed
from statemachines.rules import REQUEST_AGE_US, Rules
from statemachines.run import open_arrow
from statemachines.saga import HOST_LOST, TIMED_OUT, End, To
from statemachines.sagas import BY_ACTION, IMMEDIATE, SAGAS
from statemachines.states import VmState
from statemachines.verdict import Accepted, Duplicate, Early, Rejected, Verdict, reject

_ACCEPTED = Accepted()
_DUPLICATE = Duplicate()


def judge(held: Held | None, envelope: Envelope[object], rules: Rules) -> Verdict:
    """Say whether the fact may be folded; a rejection carries a code and a sentence."""
    if envelope.host is not None:
        return _judge_host(held, envelope, rules)
    source = envelope.meta.source
    if source == API:
        return _judge_request(held, envelope, rules)
    if source == CONDUCTOR:
        return _judge_decision(held, envelope, rules)
    if source == NOVA and isinstance(envelope.fact, NovaReported):
        return _judge_report(held)
    return reject(envelope, "not-entitled", f"{source} may not say this")


def moves_head(verdict: Verdict, held: Held | None, envelope: Envelope[object]) -> bool:
    """Say whether the writer was heard: next in its chain, even where what it said was rejected."""
    if held is None or envelope.host is None or isinstance(verdict, Duplicate | Early):
        return False
    where = place(head_of(held, envelope.meta.source), envelope)
    if where not in (Place.NEXT, Place.AFRESH):
        return False
    return len(held.heads) < HEADS_MAX or head_of(held, envelope.meta.source) is not None


# Hosts.


def _judge_host(held: Held | None, envelope: Envelope[object], rules: Rules) -> Verdict:
    if held is None:
        return reject(envelope, "unknown-instance", "the log does not know the instance")
    head = head_of(held, envelope.meta.source)
    where = place(head, envelope)
    if where is not Place.NEXT and where is not Place.AFRESH:
        return _out_of_turn(head, where, envelope)
    if head is None and len(held.heads) >= HEADS_MAX:
        return reject(envelope, "too-many-writers", f"{HEADS_MAX} hosts spoke already")
    return _judge_word(held, envelope, rules)


def _out_of_turn(head: Head | None, where: Place, envelope: Envelope[object]) -> Verdict:
    if where is Place.REPEAT:
        return _DUPLICATE
    if where is Place.GAP:
        fresh = head is None or head.enrolment != envelope.enrolment
        return Early(1 if fresh or head is None else head.sequence + 1)
    number, source = envelope.meta.sequence, envelope.meta.source
    return reject(envelope, where.value, f"number {number} of {source} does not fit its chain")


def _judge_word(held: Held, envelope: Envelope[object], rules: Rules) -> Verdict:
    if held.origin != "regente":
        return reject(envelope, "not-ours", "nova still owns the instance")
    kind, command_id = envelope.fact.__class__, envelope.meta.command_id
    if kind is GuestFound or kind is GuestAbsent:
        return _ACCEPTED
    if command_id is not None:
        found = asked_as(held, command_id)
        if found is None:
            return _judge_unasked(held, envelope, rules)
        return _judge_answer(held, envelope, *found, rules)
    if kind is GuestArrived:
        saga = addressee(held, envelope)
        if saga is None:
            return _judge_unasked(held, envelope, rules)
        return _judge_answer(held, envelope, saga, None, rules)
    if kind is not PowerStateReported:
        return reject(envelope, "not-asked", "it answers no command")
    if held.vm_state == VmState.DELETED:
        return reject(envelope, "deleted", "it was deleted")
    if envelope.host != held.host:
        but = f"the instance is on {held.host}, not on {envelope.host}"
        return reject(envelope, "not-entitled", but)
    return _ACCEPTED


def _judge_unasked(held: Held, envelope: Envelope[object], rules: Rules) -> Verdict:
    """Judge what no saga waits for: it may be true all the same."""
    may = may_have(held) if held.vm_state != VmState.DELETED else ()
    if type(envelope.fact).__name__ in SAID_OF_ATTACHMENTS and envelope.host in may:
        return _ACCEPTED  # Said too late to lead anywhere.
    if _has_nothing_left(held, envelope, rules) or has_moved_late(held, envelope):
        return _ACCEPTED  # Too late for its saga, and its host's last word on the guest.
    return reject(envelope, "not-asked", f"no saga waits for this of {envelope.host}")


def _has_nothing_left(held: Held, envelope: Envelope[object], rules: Rules) -> bool:
    """Say whether the owner says late, while nobody else is at work, that it gave the guest up.

    A host's words come in order: it has done nothing with the guest since.
    """
    name = type(envelope.fact).__name__
    if name != "GuestOffloaded" or held.saga is not None or envelope.host != held.host:
        return False
    arrow = open_arrow(name, held, None, rules)
    leads = arrow is not None and arrow.vm_state == VmState.SHELVED_OFFLOADED
    return leads and can_be_made_again(held)


def _judge_answer(
    held: Held, envelope: Envelope[object], saga: SagaState, asked: Asked | None, rules: Rules
) -> Verdict:
    """Judge an answer, or progress on the way to one, of a command that this saga sent."""
    name, step = envelope.fact.__class__.__name__, SAGAS[saga.saga].steps[saga.step]
    if asked is not None:
        said = judge_command(envelope, name, saga, asked, step)
        if said is not None:
            return said
    if name in step.on:
        if envelope.host not in saga.pending and name not in OWNERSHIP:
            return reject(envelope, "answered", f"{saga.saga} waits for {', '.join(saga.pending)}")
    elif name not in step.progress:
        return reject(envelope, "step-past", f"{saga.saga} stands at {saga.step}")
    arrow = open_arrow(name, held, saga, rules)
    if arrow is None:
        states = f"vm_state is {held.vm_state} and task_state {held.task_state}"
        return reject(envelope, "illegal-transition", states)
    return Accepted(saga, arrow)


# Requests and operators.


def _judge_request(held: Held | None, envelope: Envelope[object], rules: Rules) -> Verdict:
    fact = envelope.fact
    match fact:
        case requests.ActionRequested():
            return _judge_action(held, envelope, fact, rules)
        case requests.SagaRetried() | requests.SagaCompensated() | requests.SagaResolved():
            return _judge_operator(held, envelope, rules)
        case requests.RecordDiscarded():
            if held is None:
                return reject(envelope, "unknown-instance", "the log does not know the instance")
            return _heard_before(held, envelope) or _ACCEPTED
        case requests.RecordReleased():
            if held is None:
                return reject(envelope, "unknown-instance", "the log does not know the instance")
            if not is_set_aside(held, fact.offset):
                return reject(envelope, "not-waiting", f"none was set aside at {fact.offset}")
            return _ACCEPTED
        case _:
            return reject(envelope, "not-entitled", "the API may not say this")


def _judge_action(
    held: Held | None,
    envelope: Envelope[object],
    fact: requests.ActionRequested,
    rules: Rules,
) -> Verdict:
    if held is not None and (heard := _heard_before(held, envelope)) is not None:
        return heard
    if envelope.timestamp_us - envelope.meta.occurred_at > REQUEST_AGE_US:
        return reject(envelope, "too-old", "it was asked more than an hour before")
    permission = PERMISSIONS.get(fact.action)
    if permission is None:
        return reject(envelope, "unknown-action", f"there is no action {fact.action!r}")
    if (never := never_taken(fact)) is not None:
        return Rejected(never.code, never.sentence)
    if held is None:
        if fact.action != "create":
            return Rejected(
                "unknown-instance", f"Instance {envelope.meta.instance_id} could not be found."
            )
        return _judge_create(envelope, fact)
    if fact.action == "create":
        return reject(envelope, "exists", f"the instance exists in vm_state {held.vm_state}")
    return _judge_circumstances(held, envelope, fact, rules)


def _judge_create(envelope: Envelope[object], fact: requests.ActionRequested) -> Verdict:
    if (refused := bad_input(None, fact)) is not None:
        return Rejected(refused.code, refused.sentence)
    if fact.flavor is None:
        return reject(envelope, "bad-request", "it names no flavor")
    if (wrong := wrong_in(fact)) is not None:
        return reject(envelope, "bad-request", f"what it names is wrong: {wrong}")
    return _ACCEPTED


def _judge_circumstances(
    held: Held, envelope: Envelope[object], fact: requests.ActionRequested, rules: Rules
) -> Verdict:
    if held.origin != "regente":
        return reject(envelope, "not-ours", "nova still owns the instance")
    if held.vm_state == VmState.DELETED:
        return Rejected("deleted", f"Instance {held.instance_id} could not be found.")
    fact = routed(held, fact, rules)
    refused = refusal(PERMISSIONS[fact.action], circumstances(held, fact)) or bad_input(held, fact)
    if refused is not None:
        return Rejected(refused.code, refused.sentence)
    if fact.action not in BY_ACTION and fact.action not in IMMEDIATE:
        return Rejected("unsupported", f"Regente does not carry out {fact.action}.")
    if (lacks := lack(held, fact)) is not None:
        return reject(envelope, *lacks)
    saga = held.saga
    table = BY_ACTION.get(fact.action)
    if table is not None and held.host is None and not table.without_host:
        return Rejected("no-host", f"Instance {held.instance_id} is not ready")
    if table is None or not table.primary or wins(held, fact):
        return _not_twice(held, envelope, fact)
    if saga is not None:
        return Rejected(
            "saga-running",
            f"Cannot '{fact.action}' instance {held.instance_id} while its {saga.saga} is at "
            f"{saga.step}",
        )
    return _ACCEPTED


def _not_twice(held: Held, envelope: Envelope[object], fact: requests.ActionRequested) -> Verdict:
    """A second delete is ignored while the first goes on; so is a second abort."""
    table = BY_ACTION.get(fact.action)
    if table is None:
        return immediate.refused(held, fact) or _ACCEPTED
    if table.of_guest:
        return attachment_actions.refused(held, fact) or _ACCEPTED
    same = [s for s in sagas_of(held) if s.saga == table.name and s.needs_operator is None]
    if same:
        return reject(envelope, "already-running", f"{table.name} {same[0].saga_id} goes on")
    if not table.primary and held.saga is None:
        return reject(envelope, "no-migration", "no migration of the instance is running")
    return _ACCEPTED


def _heard_before(held: Held, envelope: Envelope[object]) -> Duplicate | None:
    request_id = envelope.meta.request_id
    if request_id is not None and any(r.request_id == request_id for r in held.requests):
        return _DUPLICATE
    return None


def _judge_operator(held: Held | None, envelope: Envelope[object], rules: Rules) -> Verdict:
    if held is None:
        return reject(envelope, "unknown-instance", "the log does not know the instance")
    if (heard := _heard_before(held, envelope)) is not None:
        return heard
    saga = addressee(held, envelope)
    if saga is None:
        return reject(envelope, "unknown-saga", "no such saga of the instance goes on")
    refused = refusal_of_operator(held, saga, envelope.fact, rules)
    return Accepted(saga) if refused is None else reject(envelope, *refused)


# The conductor's own words, and nova's.


def _judge_decision(held: Held | None, envelope: Envelope[object], rules: Rules) -> Verdict:
    fact = envelope.fact
    if held is None:
        return reject(envelope, "unknown-instance", "the log does not know the instance")
    match fact:
        case decisions.RecordSetAside():
            return _ACCEPTED
        case decisions.PeriodElapsed():
            if not named(held, fact, rules):
                return _DUPLICATE  # Said before, or something else happened first.
            return _judge_circumstances(held, envelope, request_of(fact), rules)
        case GuestDoubted():
            return _ACCEPTED if is_new(held, fact) else _DUPLICATE
        case decisions.HostReturned():
            saga = addressee(held, envelope)
            return _DUPLICATE if saga is None else Accepted(saga)
        case (
            decisions.DestinationChosen()
            | decisions.NoValidHost()
            | decisions.StepTimedOut()
            | decisions.StepHostLost()
        ):
            saga = addressee(held, envelope)
            # Said before, or too late: the first content won.
            if saga is None or (saga.step, saga.attempt) != (fact.step, fact.attempt):
                return _DUPLICATE
            return _judge_outcome(held, envelope, saga, rules)
        case _:
            return reject(envelope, "not-entitled", "the conductor may not say this")


def _judge_outcome(
    held: Held, envelope: Envelope[object], saga: SagaState, rules: Rules
) -> Verdict:
    """Judge what the conductor says of the attempt at which a saga stands."""
    host, name = answering_host(envelope), type(envelope.fact).__name__
    if host is not None and host not in saga.pending:
        return _DUPLICATE
    step = SAGAS[saga.saga].steps[saga.step]
    if saga.needs_operator is not None and not _leads_out(held, saga, name, rules):
        return _DUPLICATE
    if name not in step.on and name != TIMED_OUT:
        return reject(envelope, "step-past", f"{saga.saga} stands at {saga.step}")
    return Accepted(saga)


def _leads_out(held: Held, saga: SagaState, name: str, rules: Rules) -> bool:
    """Say whether a lost host gives a saga that waits for a person a way of its own."""
    way = SAGAS[saga.saga].steps[saga.step].on.get(name)
    if name != HOST_LOST or way is None:
        return False
    return isinstance(chosen(way, held, saga, rules), To | End)


def _judge_report(held: Held | None) -> Verdict:
    if held is not None and held.origin != "nova":
        return Rejected(
            "not-shadow", f"Expected nova to own {held.instance_id}, but it is one of ours"
        )
    return _ACCEPTED
