"""Which saga a fact is about, and for which host it speaks."""

from __future__ import annotations

from events import decisions
from events.envelope import Envelope
from events.instance import GuestAbsent, GuestFound
from events.migration import GuestArrived
from statemachines.addressing import id_of
from statemachines.held import Asked, Held, SagaState
from statemachines.sagas import SAGAS
from statemachines.states import MigrationType


def addressee(held: Held, envelope: Envelope[object]) -> SagaState | None:
    """Return the saga that a fact answers or is about; None where it is about none."""
    fact, command_id = envelope.fact, envelope.meta.command_id
    if command_id is not None:
        found = asked_as(held, command_id)
        return None if found is None else found[0]
    if isinstance(fact, GuestArrived):
        primary = held.saga if _moves_live(held) else None
        return primary if primary is not None and primary.destination == envelope.host else None
    if isinstance(fact, GuestFound | GuestAbsent):
        return next(iter(owing(held, envelope.host)), None)
    if isinstance(fact, decisions.HostReturned):
        return next(iter(owing(held, fact.host)), None)
    saga_id = getattr(fact, "saga_id", None)
    return next((s for s in sagas_of(held) if s.saga_id == saga_id), None)


def asked_as(held: Held, command_id: str) -> tuple[SagaState, Asked] | None:
    """Return what was asked under an id, and by which saga; None where nothing was, or long ago."""
    for saga in held.sides if held.saga is None else (held.saga, *held.sides):
        for asked in reversed(saga.asked):  # An answer is to the last command, nearly always.
            if id_of(saga, asked) == command_id:
                return saga, asked
    return None


def _moves_live(held: Held) -> bool:
    return held.move is not None and held.move.migration_type == MigrationType.LIVE_MIGRATION


def sagas_of(held: Held) -> tuple[SagaState, ...]:
    """Return every saga of an instance that has not ended, the primary first."""
    return held.sides if held.saga is None else (held.saga, *held.sides)


def answering_host(envelope: Envelope[object]) -> str | None:
    """Name the host that a fact speaks for: its writer, or the one that a decision is about."""
    if envelope.host is not None:
        return envelope.host
    fact = envelope.fact
    if isinstance(fact, decisions.StepHostLost | decisions.StepTimedOut | decisions.HostReturned):
        return fact.host
    return None


def owing(held: Held, host: str | None) -> tuple[SagaState, ...]:
    """Return what a host owes and is waited for with patience; it may be more than one debt."""
    return tuple(s for s in held.sides if s.target == host and SAGAS[s.saga].steps[s.step].patient)
