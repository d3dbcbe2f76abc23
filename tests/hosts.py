"""A world: a story whose relay and hosts are played too, by a plan.

Every fact goes through the real step, and after each the outbox that a relay would have is
compared, byte for byte, with what `resume` says of the state.
"""

from __future__ import annotations

import typing
from copy import copy
from dataclasses import dataclass, field

from conductor.step import Outcome
from events import decisions
from events.codec import encode_command
from events.envelope import Envelope, Letter
from statemachines.notes import ActionNote, EventNote, SagaNote
from statemachines.recording import SCHEDULER
from statemachines.resume import resume
from statemachines.sagas import SAGAS
from tests.answers import ON_THE_WAY, on_attachments, sample, success_to
from tests.story import Story

HOSTS = ("h1", "h2", "h3", "h4")
#: Endings after which another host rightly keeps its part until the guest is deleted or reset.
KEEPS_A_COPY = frozenset(
    {("resize", "stranded"), ("migrate", "stranded"), ("revert_resize", "failed")}
)
#: Sagas that take over what ran and leave the guest alive.
TAKING_OVER = frozenset({"reset_state", "soft_delete"})


@dataclass
class World(Story):
    """A story whose relay and hosts are played too."""

    #: What a relay has to send, or has sent without an answer, by command id.
    outbox: dict[str, bytes] = field(default_factory=dict)
    ever_sent: set[str] = field(default_factory=set)
    #: Everything that was put before the heart, in order.
    history: list[Envelope[object]] = field(default_factory=list)
    #: (vm_state, task_state, migration status), each time one of them changed.
    trace: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    #: Does another host rightly keep its part, for it may be all that is left of the guest?
    keeps_a_copy: bool = False
    #: Do the others clean up as soon as the owner is back and has its guest?
    waits_for_owner: bool = False
    #: Did an operator say what state the guest is in, whatever it is?
    was_reset: bool = False

    def tell(self, envelope: Envelope[object]) -> Outcome:
        """Put a fact before the heart; the outbox holds what it called for, and nothing else."""
        before = self.held
        self.history.append(envelope)
        outcome = super().tell(envelope)
        for letter in outcome.commands:
            identity = letter.address.command_id
            assert identity not in self.ever_sent, f"Expected {identity} to be sent once"
            self.ever_sent.add(identity)
            self._destroys_rightly(letter)
            self.outbox[identity] = encode_command(letter)
        named = {x.address.command_id: encode_command(x) for x in resume(self.held)}
        self.outbox = {k: v for k, v in self.outbox.items() if k in named}
        assert self.outbox == named, "Expected what was sent to be what is outstanding"
        if before is not None and self.held is not None:
            assert self.held.generation >= before.generation
        if self.held is not None:
            self._trace()
        for note in outcome.notes:
            if isinstance(note, SagaNote) and note.ending is not None:
                self._ended(note)
        return outcome

    def _trace(self) -> None:
        held = self.here
        status = None if held.move is None else held.move.status
        now = (held.vm_state, held.task_state, status)
        if not self.trace or self.trace[-1] != now:
            self.trace.append(now)

    @property
    def events(self) -> list[tuple[str, str | None]]:
        """Action events in the order of their start, each with its result."""
        found: dict[int, tuple[str, str | None]] = {}
        for note in self.notes:
            if isinstance(note, EventNote):
                found[note.row_id] = (note.event, note.result)
        return [found[row_id] for row_id in sorted(found)]

    @property
    def actions(self) -> list[tuple[str, str | None]]:
        """Actions in the order of their start, each with its message."""
        found: dict[str, tuple[str, str | None]] = {}
        for note in self.notes:
            if isinstance(note, ActionNote):
                found[note.request_id] = (note.action, note.message)
        return list(found.values())

    def from_here(self) -> World:
        """Forget what was noted so far: a test looks at what comes."""
        self.trace, self.notes = self.trace[-1:], []
        return self

    def _destroys_rightly(self, letter: Letter[object]) -> None:
        """No debt has the owner of a guest that lives on destroy it."""
        if letter.address.saga == "debt" and self.here.vm_state not in ("deleted", "building"):
            deleting = self.here.task_state == "deleting"
            assert letter.address.host != self.here.host or deleting, letter

    def _ended(self, note: SagaNote) -> None:
        held, name = self.here, note.state.saga
        owner_is_away = any(s.saga == "fence" and s.target == held.host for s in held.sides)
        self.was_reset = self.was_reset or name == "reset_state"
        is_unknown = note.ending == "resolved" and held.vm_state == "error"
        is_put_off = name in TAKING_OVER and owner_is_away
        is_paid = (name, note.ending, note.state.target) == ("fence", "paid", held.host)
        is_cleared = is_paid and self.waits_for_owner and held.power_state != 0
        if (name, note.ending) in KEEPS_A_COPY or is_put_off:
            self.keeps_a_copy, self.waits_for_owner = True, is_put_off
        elif is_unknown and SAGAS[name].primary:
            self.keeps_a_copy = held.host is not None
        elif name in (*TAKING_OVER, "delete", "evacuate") or is_cleared:
            self.keeps_a_copy = self.waits_for_owner = False

    @property
    def letters(self) -> tuple[Letter[object], ...]:
        """What is outstanding."""
        return resume(self.held)

    def succeed(self, letter: Letter[object], *, hosts: tuple[str, ...] = HOSTS) -> None:
        """Let a command be carried out, progress and all."""
        name, host = type(letter.command).__name__, letter.address.host
        if host == SCHEDULER:
            self.schedule(letter, hosts)
            return
        command_id = letter.address.command_id
        said = [sample(fact) for fact in ON_THE_WAY.get(name, ())]
        for fact in (*said, *on_attachments(self.here, letter), success_to(letter)):
            self.tell(self.next_of(host, fact, command_id=command_id))

    def schedule(self, letter: Letter[object], hosts: tuple[str, ...] = HOSTS) -> None:
        """Let the scheduler choose the first host that it may, or none."""
        command = typing.cast("typing.Any", letter.command)
        may = [h for h in hosts if h not in command.excluded_hosts]
        if command.forced_host is not None:
            may = [h for h in may if h == command.forced_host]
        if may:
            self.choose(may[0])
        else:
            self.no_valid_host()

    def fail(self, letter: Letter[object], fact: type) -> Outcome:
        """Let a command end with a failure."""
        host, command_id = letter.address.host, letter.address.command_id
        return self.tell(self.next_of(host, sample(fact), command_id=command_id))

    def settle(self, *, lost: frozenset[str] = frozenset(), most: int = 400) -> None:
        """Let every host answer well, and those that are lost not at all, until all is quiet."""
        for _ in range(most):
            letters = self.letters
            if not letters:
                return
            letter = letters[0]
            if letter.address.host in lost:
                self.lose_of(letter)
            else:
                self.succeed(letter, hosts=tuple(h for h in HOSTS if h not in lost))
        raise AssertionError(f"Expected an end, but {self.orders} after {most} answers")

    def lose_of(self, letter: Letter[object]) -> Outcome:
        """Let the host that a command went to be lost."""
        return self._about(letter, "StepHostLost")

    def time_out_of(self, letter: Letter[object]) -> Outcome:
        """Let the deadline of a command pass."""
        return self._about(letter, "StepTimedOut")

    def _about(self, letter: Letter[object], name: str) -> Outcome:
        address = letter.address
        fact = getattr(decisions, name)(
            saga_id=address.saga_id, step=address.step, attempt=address.attempt, host=address.host
        )
        return self.decide(fact)

    def come_back(self) -> None:
        """Let every host that owes something be there again, and pay."""
        for _ in range(4):
            for host in sorted({s.target for s in self.here.sides if s.target is not None}):
                self.decide(decisions.HostReturned(host=host))
            self.settle()

    def fork(self) -> World:
        """Return a world that goes on from here by itself."""
        other = World(rules=self.rules, instance_id=self.instance_id)
        other.held, other.offset, other.now = self.held, self.offset, self.now
        other.writers = {k: copy(v) for k, v in self.writers.items()}
        other.notes, other.verdicts = list(self.notes), list(self.verdicts)
        other.outbox, other.ever_sent = dict(self.outbox), set(self.ever_sent)
        other.trace = list(self.trace)
        other.was_reset = self.was_reset
        other.keeps_a_copy, other.history = self.keeps_a_copy, list(self.history)
        other.waits_for_owner = self.waits_for_owner
        return other
