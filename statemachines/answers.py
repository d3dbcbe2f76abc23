"""Does an answer count, for the command that it names: asked of whom, at which step and attempt?"""

from __future__ import annotations

from typing import Final

from events.envelope import Envelope
from statemachines.addressing import command_asked
from statemachines.attachments import SAID_OF_ATTACHMENTS
from statemachines.held import Asked, SagaState
from statemachines.saga import Role, Step
from statemachines.sagas import SAGAS
from statemachines.verdict import Accepted, Rejected, Verdict, reject

#: Facts by which the owner of a guest changes, whatever step its saga stands in, and the command
#: in whose course alone they come to pass.
OWNERSHIP: Final = {
    "GuestHandedOver": "LiveMigrateGuest",
    "GuestArrived": "LiveMigrateGuest",
    "GuestEvacuated": "EvacuateGuest",
    "ResizeReverted": "RevertResize",
    "GuestOffloaded": "OffloadGuest",
}


def judge_command(
    envelope: Envelope[object], name: str, saga: SagaState, asked: Asked, step: Step
) -> Verdict | None:
    """Judge an answer by the command that was asked; None where it hangs on the saga's step."""
    if asked.host != envelope.host:
        but = f"{command_asked(saga, asked)} was sent to {asked.host}"
        return reject(envelope, "not-entitled", but)
    is_present = asked.step == saga.step
    if name in SAID_OF_ATTACHMENTS and not (is_present and name in step.on):
        return Accepted(saga)
    if is_present and envelope.meta.generation < saga.generation:
        generation = envelope.meta.generation
        return reject(envelope, "older-generation", f"{generation} < {saga.generation}")
    is_last = is_present and asked.attempt == saga.attempt and saga.needs_operator is None
    return None if is_last and name not in OWNERSHIP else _stale(envelope, saga, asked)


def _stale(envelope: Envelope[object], saga: SagaState, asked: Asked) -> Rejected | None:
    """A success of an older attempt counts; its failure is only evidence, as is another step's."""
    name = type(envelope.fact).__name__
    if name in OWNERSHIP:
        command = command_asked(saga, asked)
        if OWNERSHIP[name] == command:
            return None
        return reject(envelope, "not-asked", f"{command} does not lead to {name}")
    if asked.step != saga.step:
        step = SAGAS[saga.saga].steps[saga.step]
        if name in step.progress or (step.patient and _is_paid(envelope, saga, name)):
            return None
        but = f"{saga.saga} stands at {saga.step}, not at {asked.step}"
        return reject(envelope, "step-past", but)
    failed = hasattr(envelope.fact, "reason")
    late = asked.attempt < saga.attempt or saga.needs_operator is not None
    # An earlier stay at the step was about another host: nothing said of that one counts here.
    is_earlier = asked.attempt <= saga.attempt - saga.tries
    if (failed and late) or (is_earlier and not _is_of_one_host(saga)):
        return reject(envelope, "older-attempt", f"{saga.saga} is at attempt {saga.attempt}")
    return None


def _is_paid(envelope: Envelope[object], saga: SagaState, name: str) -> bool:
    """Say whether a host has done what is waited for, told of the generation that is owed."""
    owed = SAGAS[saga.saga].steps[saga.step]
    return name in owed.on and envelope.meta.generation >= saga.generation


def _is_of_one_host(saga: SagaState) -> bool:
    return SAGAS[saga.saga].steps[saga.step].to is Role.TARGET
