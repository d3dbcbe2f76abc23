"""What the conductor decided or noticed that is not a function of the log: so it is written there.

Sequence 0: the identity is (saga, step, attempt), or (action, since), and the first content wins.
"""

from __future__ import annotations

from msgspec import Struct


class DestinationChosen(Struct, frozen=True, kw_only=True, gc=False):
    """The scheduler chose a host and reserved the room for it."""

    saga_id: str
    step: str
    attempt: int
    host: str
    node: str


class NoValidHost(Struct, frozen=True, kw_only=True, gc=False):
    """The scheduler found no host."""

    saga_id: str
    step: str
    attempt: int
    #: Nova's sentence, with what each filter left over.
    reason: str
    #: What became of a host asked for by name: `unknown-host`, `target-down`, `host-full`.
    code: str = "no-valid-host"


class StepTimedOut(Struct, frozen=True, kw_only=True, gc=False):
    """The deadline of one attempt of a step passed without an answer."""

    saga_id: str
    step: str
    attempt: int
    host: str


class StepHostLost(Struct, frozen=True, kw_only=True, gc=False):
    """The host that a step waits for was recorded as lost."""

    saga_id: str
    step: str
    attempt: int
    host: str


class HostReturned(Struct, frozen=True, kw_only=True, gc=False):
    """A host to which this instance owes a clean-up is there again."""

    host: str


class PeriodElapsed(Struct, frozen=True, kw_only=True, gc=False):
    """A state lasted as long as it may: what falls due by itself has its time."""

    #: The action that comes now, spelled as in nova's table of actions.
    action: str
    #: Since when (µs UTC) the state has lasted; with the action, the identity of this fact.
    since: int


class RecordSetAside(Struct, frozen=True, kw_only=True, gc=False):
    """The worker died twice at a record: it and its instance wait for a person."""

    topic: str
    partition: int
    offset: int
    reason: str
