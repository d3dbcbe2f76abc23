"""Given / when / then on the real step: one instance's story, told fact by fact.

The hosts of a story number and chain what they say, so that every past is one the system can
reach; a `given` that is not accepted fails at once. Nothing is mocked: `conductor.step` is called
as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from conductor.step import Outcome, step
from events import commands
from events.decisions import DestinationChosen, NoValidHost, StepHostLost, StepTimedOut
from events.envelope import Envelope, Letter, Meta, host_in
from events.log import Record
from events.requests import ActionRequested, Flavor
from events.seal import FIRST, digest
from events.start_up import GuestDoubted
from events.values import replace
from statemachines.addressee import addressee
from statemachines.held import Held, SagaState
from statemachines.notes import Note
from statemachines.resume import awaited, resume
from statemachines.rules import Rules
from statemachines.run import open_arrow
from statemachines.verdict import Accepted, Verdict

SMALL = Flavor(name="m1.small", vcpus=1, memory_mb=2048, disk_gb=20)
LARGE = Flavor(name="m1.large", vcpus=4, memory_mb=8192, disk_gb=80)
INSTANCE = "7a1f0a3e-52c4-4c5c-8a6e-0d1f3f1f5b11"
#: Facts about what a host found, which are folded for every debt of that host.
SEEN = ("GuestFound", "GuestAbsent")
START_US = 1_700_000_000_000_000


def check_found(held: Held, envelope: Envelope[object], verdict: Accepted, rules: Rules) -> None:
    """Expect what the judge hands on to be what the fold would find by itself."""
    found, name = addressee(held, envelope), type(envelope.fact).__name__
    if verdict.saga is not None or (envelope.meta.command_id and name not in SEEN):
        assert verdict.saga == found, f"Expected {found} to be meant by {name}"
    if verdict.arrow is not None:
        assert verdict.arrow is open_arrow(name, held, verdict.saga, rules)


@dataclass
class _Writer:
    sequence: int = 0
    prev: bytes = FIRST


@dataclass
class Story:
    """What happens to one instance."""

    rules: Rules = field(default_factory=lambda: Rules(partitions=4))
    instance_id: str = INSTANCE
    held: Held | None = None
    offset: int = 0
    now: int = START_US
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    writers: dict[str, _Writer] = field(default_factory=dict)
    last: Outcome | None = None

    # Saying things.

    def tell(self, envelope: Envelope[object]) -> Outcome:
        """Put a fact before the heart and go on from what it leaves."""
        outcome = step(self.held, envelope, self.rules)
        if self.held is not None and isinstance(outcome.verdict, Accepted):
            check_found(self.held, envelope, outcome.verdict, self.rules)
        self.held = outcome.after
        assert awaited(self.held) == {each.address.command_id for each in resume(self.held)}
        self.last = outcome
        self.verdicts.append(outcome.verdict)
        self.notes += outcome.notes
        return outcome

    def envelope(self, source: str, fact: object, **meta: object) -> Envelope[object]:
        """Return the fact at the next position, one second after the last."""
        self.offset += 1
        self.now += 1_000_000
        value = f"{source}/{type(fact).__name__}/{self.offset}".encode()
        record = Record("t", 1, self.offset, self.instance_id.encode(), value, (), self.now, 0)
        full = Meta(
            source=source,
            instance_id=self.instance_id,
            occurred_at=self.now,
            **meta,  # type: ignore[arg-type]  # named fields of Meta
        )
        return Envelope(fact, full, host_in(full.source), record, digest(value), b"", 1)

    def request(self, action: str, request_id: str | None = None, **fields: object) -> Outcome:
        """Let a user ask for an action."""
        fact = ActionRequested(
            action=action,
            user_id="user",
            project_id="project",
            **fields,  # type: ignore[arg-type]  # named fields of ActionRequested
        )
        identity = request_id or f"req-{action}-{self.offset}"
        return self.tell(self.envelope("api", fact, request_id=identity))

    def api(self, fact: object) -> Outcome:
        """Let an operator say something."""
        return self.tell(self.envelope("api", fact, request_id=f"req-{self.offset}"))

    def decide(self, fact: object) -> Outcome:
        """Let the conductor say something."""
        return self.tell(self.envelope("conductor", fact))

    def next_of(
        self, host: str, fact: object, *, command_id: str | None = None, **meta: object
    ) -> Envelope[object]:
        """Return the next fact of a host's chain, without putting it before the heart."""
        writer = self.writers.setdefault(host, _Writer())
        writer.sequence += 1
        envelope = self.envelope(
            f"compute/{host}",
            fact,
            sequence=writer.sequence,
            boot_epoch=meta.pop("boot_epoch", 1),
            command_id=command_id,
            generation=meta.pop("generation", 0 if self.held is None else self.held.generation),
            **meta,
        )
        envelope = replace(envelope, prev=writer.prev)
        writer.prev = envelope.digest
        return envelope

    def says(self, host: str, *facts: object, command_id: str | None = None) -> Outcome:
        """Let a host say facts, each in answer to what is outstanding with it unless told."""
        outcome: Outcome | None = None
        for fact in facts:
            answered = command_id or self.outstanding(host)
            outcome = self.tell(self.next_of(host, fact, command_id=answered))
        assert outcome is not None
        return outcome

    def unasked(self, host: str, fact: object) -> Outcome:
        """Let a host say something that answers nothing."""
        return self.tell(self.next_of(host, fact))

    # The conductor's executors.

    def choose(self, host: str) -> Outcome:
        """Let the scheduler choose a host."""
        saga = self.saga
        chosen = DestinationChosen(
            saga_id=saga.saga_id, step=saga.step, attempt=saga.attempt, host=host, node=f"{host}-n"
        )
        return self.decide(chosen)

    def no_valid_host(self) -> Outcome:
        """Let the scheduler find nothing."""
        saga = self.saga
        reason = "No valid host was found."
        return self.decide(
            NoValidHost(saga_id=saga.saga_id, step=saga.step, attempt=saga.attempt, reason=reason)
        )

    def doubt(self, host: str, *, boot_epoch: int = 1, started: bool = True) -> Outcome:
        """Let a host have started, or count its guests otherwise, so that this one is doubted."""
        return self.decide(
            GuestDoubted(
                host=host,
                enrolment=1,
                boot_epoch=boot_epoch,
                sequence=self.offset + 1,
                started=started,
            )
        )

    def time_out(self, host: str) -> Outcome:
        """Let the deadline of what a host was asked pass."""
        letter = self.letter(host)
        return self.decide(
            StepTimedOut(
                saga_id=letter.address.saga_id,
                step=letter.address.step,
                attempt=letter.address.attempt,
                host=host,
            )
        )

    def lose(self, host: str) -> Outcome:
        """Let the host that something was asked of be lost."""
        letter = self.letter(host)
        return self.decide(
            StepHostLost(
                saga_id=letter.address.saga_id,
                step=letter.address.step,
                attempt=letter.address.attempt,
                host=host,
            )
        )

    # Looking.

    def letter(self, host: str) -> Letter[object]:
        """Return what is outstanding with a host."""
        letters = [x for x in resume(self.held) if x.address.host == host]
        assert letters, f"Expected something outstanding with {host}, but {self.orders}"
        return letters[-1]

    def outstanding(self, host: str) -> str:
        """Return the id of the command that is outstanding with a host."""
        return self.letter(host).address.command_id

    @property
    def orders(self) -> list[tuple[str, str]]:
        """What is outstanding: (command, host)."""
        return [(type(x.command).__name__, x.address.host) for x in resume(self.held)]

    @property
    def here(self) -> Held:
        """The state, which must be there."""
        assert self.held is not None
        return self.held

    @property
    def saga(self) -> SagaState:
        """The primary saga, which must be there."""
        assert self.here.saga is not None, f"Expected a saga, but {self.here}"
        return self.here.saga

    @property
    def states(self) -> tuple[str, str | None]:
        """(vm_state, task_state)."""
        return self.here.vm_state, self.here.task_state

    @property
    def accepted(self) -> bool:
        """Was the last fact accepted?"""
        return isinstance(self.verdicts[-1], Accepted)

    def noted(self, kind: type) -> list[Note]:
        """Return the notes of one kind, in order."""
        return [n for n in self.notes if isinstance(n, kind)]


def must(outcomes: Iterable[Outcome] | Outcome) -> None:
    """Fail if a given past was not accepted."""
    for outcome in [outcomes] if isinstance(outcomes, Outcome) else outcomes:
        assert isinstance(outcome.verdict, Accepted), outcome.verdict


__all__ = ["INSTANCE", "LARGE", "SMALL", "Story", "commands", "must"]
