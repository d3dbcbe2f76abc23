"""What honest hosts answer: for each command its endings, with the progress that comes before.

The endings are the agent's own table, so whatever an agent may say is tried on the sagas. A world
is a story with hosts that answer by a plan; every fact goes through the real step, and after each
the outbox that a relay would have is compared, byte for byte, with what `resume` says of the
state.
"""

from __future__ import annotations

import dataclasses
import random
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from compute.endings import ENDINGS
from conductor.step import Outcome
from events import decisions, instance, migration
from events.codec import encode_command
from events.envelope import Envelope, Letter
from events.requests import Flavor
from statemachines.notes import ActionNote, EventNote, SagaNote
from statemachines.judge import sagas_of
from statemachines.recording import SCHEDULER
from statemachines.resume import resume
from statemachines.sagas import SAGAS
from tests.story import LARGE, SMALL, Story, must

HOSTS = ("h1", "h2", "h3", "h4")

#: What a host says on the way to the success of a command.
ON_THE_WAY: dict[str, tuple[type, ...]] = {
    "BuildGuest": (
        instance.BuildAccepted,
        instance.NetworkAllocationStarted,
        instance.BlockDevicesPreparing,
        instance.GuestSpawning,
    ),
    "RebootGuest": (instance.RebootPending, instance.RebootStarted),
    "ResizeGuest": (migration.ResizeStarted, migration.ResizeCopied),
    "FinishResize": (migration.ResizeFinishing,),
    "FinishRevertResize": (migration.RevertStarted,),
    "QueueLiveMigration": (migration.LiveMigrationQueued,),
    "LiveMigrateGuest": (migration.LiveMigrationStarted, migration.LiveMigrationProgressed),
}

Reply = Callable[["World"], Outcome]


def sample(cls: type) -> object:
    """Return some value of a fact or command."""
    hints = typing.get_type_hints(cls)
    return cls(**{f.name: _sample(f.name, hints[f.name]) for f in dataclasses.fields(cls)})


def _sample(name: str, hint: object) -> object:
    if hint is Flavor:
        return SMALL
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        return None
    if origin is tuple:
        return ()
    if origin is dict:
        return {}
    if hint is int:
        return 1
    if hint is bool:
        return False
    if hint is bytes:
        return b"\1" * 32
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return sample(hint)
    assert hint is str, f"Expected a plain field, but {name}: {hint!r}"
    return "h1" if name in ("host", "node") else f"some {name}"


def success_of(command: str) -> type:
    """Return the fact that says that a command was carried out."""
    return next(endings[0] for cls, endings in ENDINGS.items() if cls.__name__ == command)


def failures_of(command: str) -> tuple[type, ...]:
    """Return every other ending that an agent may give."""
    found = next(endings for cls, endings in ENDINGS.items() if cls.__name__ == command)
    return (*found[1:], instance.CommandRefused)


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
        return list(found.values())

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
        if (name, note.ending) in KEEPS_A_COPY or (name == "reset_state" and owner_is_away):
            self.keeps_a_copy = True
        elif name in ("reset_state", "delete"):
            self.keeps_a_copy = False

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
        for fact in (*ON_THE_WAY.get(name, ()), success_of(name)):
            self.tell(self.next_of(host, sample(fact), command_id=command_id))

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
        other.writers = {k: replace(v) for k, v in self.writers.items()}
        other.notes, other.verdicts = list(self.notes), list(self.verdicts)
        other.outbox, other.ever_sent = dict(self.outbox), set(self.ever_sent)
        other.trace = list(self.trace)
        other.keeps_a_copy, other.history = self.keeps_a_copy, list(self.history)
        return other


# What must hold whenever nothing is going on any more.

#: Endings after which another host rightly keeps its part until the guest is deleted or reset.
KEEPS_A_COPY = frozenset(
    {("resize", "stranded"), ("migrate", "stranded"), ("revert_resize", "failed")}
)
TERMINAL = {
    "live-migration": {"completed", "error", "failed", "cancelled"},
    "resize": {"finished", "confirmed", "reverted", "error", "failed"},
    "migration": {"finished", "confirmed", "reverted", "error", "failed"},
}


def check_end(world: World, *, resolved: bool = False) -> None:
    """Fail unless the story has come to a proper end, or waits where it may."""
    held = world.here
    waiting = held.saga is not None
    if held.saga is not None:
        assert held.saga.needs_operator, f"Expected an end, but {held.saga}"
    for side in held.sides:
        assert side.saga in ("debt", "fence")
        assert side.step == "owed", f"Expected {side.saga} to wait with patience, but {side}"
    if waiting:
        return
    assert _open_rows(world) == []
    if held.move is not None:
        assert held.move.status in TERMINAL[held.move.migration_type], held.move.status
    assert held.task_state is None or held.vm_state == "error", (held.vm_state, held.task_state)
    if not resolved:
        check_claims(world)


def _open_rows(world: World) -> list[object]:
    """Name every row of history that still says that something is going on."""
    events: dict[int, EventNote] = {}
    actions: dict[str, ActionNote] = {}
    sagas: dict[str, SagaNote] = {}
    for note in world.notes:
        match note:
            case EventNote():
                events[note.row_id] = note
            case ActionNote():
                actions[note.request_id] = note
            case SagaNote():
                sagas[note.state.saga_id] = note
            case _:
                pass
    owed = {s.saga_id for s in world.here.sides}
    return [
        *(e for e in events.values() if e.finish_time is None),
        *(a for a in actions.values() if a.finish_time is None),
        *(s for s in sagas.values() if s.ending is None and s.state.saga_id not in owed),
    ]


def check_claims(world: World) -> None:
    """Fail unless every claim is the owner's, a waiting resize's, or that of a debt."""
    held = world.here
    may = {s.target for s in held.sides if s.saga == "debt"}
    if held.vm_state != "deleted":
        may.add(held.host)
    if held.vm_state == "resized" and held.move is not None:
        may |= {held.move.source, held.move.destination}
    if world.keeps_a_copy:
        return
    assert {c.host for c in held.claims} <= may, (held.claims, may)
    mine = [c for c in held.claims if c.host == held.host]
    if held.vm_state not in ("deleted", "resized"):
        assert len(mine) <= 1, mine


# Where an operation may begin.


def built(**rules: str) -> World:
    """Return a guest that was built on h1."""
    world = World()
    world.rules = replace(world.rules, settings={**world.rules.settings, **rules})
    must(world.request("create", flavor=SMALL, arguments={"name": "a", "image": "i"}))
    world.settle()
    assert world.states == ("active", None)
    return world


def stopped() -> World:
    """Return a guest that was stopped."""
    world = built()
    must(world.request("stop"))
    for letter in world.letters:
        must(
            world.tell(
                world.next_of(
                    "h1", instance.GuestStopped(power_state=4), command_id=letter.address.command_id
                )
            )
        )
    return world


def paused() -> World:
    """Return a guest that was paused."""
    world = built()
    must(world.request("pause"))
    world.settle()
    return world


def resized(**rules: str) -> World:
    """Return a guest that was resized to h2 and waits to be confirmed."""
    world = built(**rules)
    must(world.request("resize", flavor=LARGE))
    world.settle()
    assert world.states == ("resized", None)
    return world


def migrating() -> World:
    """Return a guest whose memory is being copied from h1 to h2."""
    world = built()
    must(world.request("live_migrate"))
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    world.says("h1", migration.LiveMigrationStarted())
    return world


def begin(action: str, **rules: str) -> World:
    """Return a world in which an action was just accepted."""
    if action == "create":
        world = World()
        world.rules = replace(world.rules, settings={**world.rules.settings, **rules})
        must(world.request("create", flavor=SMALL))
        return world
    if action == "start":
        world = stopped()
    elif action == "unpause":
        world = paused()
    elif action in ("confirm_resize", "revert_resize"):
        world = resized(**rules)
    elif action in ("live_migrate_abort", "live_migrate_force_complete"):
        world = migrating()
    else:
        world = built(**rules)
    fields: dict[str, object] = {}
    if action == "resize":
        fields["flavor"] = LARGE
    if action == "reset_state":
        fields["arguments"] = {"state": "active"}
    must(world.request(action, **fields))
    return world


#: Every action that starts a saga.
ACTIONS = (
    "create",
    "delete",
    "reset_state",
    "stop",
    "start",
    "reboot_soft",
    "reboot_hard",
    "pause",
    "unpause",
    "resize",
    "migrate",
    "confirm_resize",
    "revert_resize",
    "live_migrate",
    "live_migrate_abort",
    "live_migrate_force_complete",
)


def replies(world: World, letter: Letter[object]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield everything that may become of a command: (name, what makes it so)."""
    name, host = type(letter.command).__name__, letter.address.host
    yield "done", lambda: world.succeed(letter)
    yield "timed out", lambda: world.time_out_of(letter)
    if host == SCHEDULER:
        yield "no host", world.no_valid_host
        return
    yield "lost", lambda: world.lose_of(letter)
    for fact in failures_of(name):
        yield fact.__name__, lambda fact=fact: world.fail(letter, fact)


def wander(world: World, dice: random.Random, *, most: int = 60) -> None:
    """Let anything at all become of what is outstanding, by the dice."""
    for _ in range(most):
        letters = world.letters
        if not letters:
            return
        letter = dice.choice(letters)
        done, *failures = replies(world, letter)
        _, happen = done if dice.random() < 0.5 else dice.choice(failures)
        happen()


@cache
def situations() -> dict[tuple[str, str], World]:
    """Return, for every step of every saga, a world in which a saga stands there."""
    wanted = {(table.name, step) for table in SAGAS.values() for step in table.steps}
    found: dict[tuple[str, str], World] = {}
    for seed in range(400):
        for action in ACTIONS:
            world = begin(action, migrate_max_retries="1")
            dice = random.Random(f"{action}/{seed}")
            for _ in range(30):
                for saga in sagas_of(world.here):
                    found.setdefault((saga.saga, saga.step), world.fork())
                if not world.letters:
                    break
                wander(world, dice, most=1)
            if found.keys() == wanted:
                return found
    raise AssertionError(f"Expected to reach every step, but not {wanted - found.keys()}")
