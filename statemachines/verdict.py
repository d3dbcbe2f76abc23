"""What the judge may say of a fact: accepted, duplicate, early, or rejected with a reason."""

from __future__ import annotations

from msgspec import Struct

from events.envelope import Envelope
from events.requests import ActionRequested
from statemachines.held import SagaState
from statemachines.machine import Arrow


class Accepted(Struct, frozen=True, gc=False):
    """Next in its chain, its writer entitled, the transition legal: it is folded."""

    #: The saga that the fact answers or is about, as the judge found it.
    saga: SagaState | None = None
    #: The arrow that it takes, where the judge looked for one.
    arrow: Arrow | None = None


class Duplicate(Struct, frozen=True, gc=False):
    """Folded before: nothing happens."""


class Early(Struct, frozen=True, gc=False):
    """Something before it in its own chain is missing: it waits."""

    #: The number that is missing; 0 where it waits for a schema or for a person.
    missing_from: int
    #: `early`, `schema` or `set-aside`.
    reason: str = "early"


class Rejected(Struct, frozen=True, gc=False):
    """Not believed or not possible here: nothing changes but, if it is next, the head."""

    #: Stable word for programs.
    code: str
    #: For people: "Expected …, but …" or nova's own sentence.
    sentence: str


Verdict = Accepted | Duplicate | Early | Rejected


def reject(envelope: Envelope[object], code: str, but: str) -> Rejected:
    """Return a rejection of a fact, in words that name it; of a request, what it asks for."""
    fact, subject = envelope.fact, envelope.meta.instance_id
    if isinstance(fact, ActionRequested):
        asked = f"request {envelope.meta.request_id} to {fact.action} instance {subject}"
        return Rejected(code, f"Expected {asked}, but {but}")
    return Rejected(code, f"Expected {type(fact).__name__} about {subject} to follow, but {but}")
