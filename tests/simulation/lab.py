"""A small cloud without dice, in which one thing goes wrong where and when it is told to.

The turns, the ports and the laws are those of the simulation. Everybody takes turns in one order;
at each point that a process passes, traps look whether their moment has come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from compute.agent import Agent
from compute.emitter import Emitter
from compute.errors import JournalFailed
from compute.fake_site import Failure
from compute.heartbeat import Heartbeat
from compute.wiring import Parts
from events.codec import decode_fact
from events.decisions import DestinationChosen, NoValidHost
from events.errors import LogUnavailable
from events.log import Message
from events.requests import ActionRequested
from projections.rows import NodeRow
from projections.store import HostRoom, StoreUnavailable
from statemachines.held import Held, SagaState
from tests.simulation.cloud import Cloud, NoRest
from tests.simulation.database import Database
from tests.simulation.planted import QUIET
from tests.simulation.ports import READS, Gate
from tests.simulation.processes import HostProcess, Process, S
from tests.simulation.store_model import StoreModel
from tests.simulation.watch import Tap

PLAN: Final = replace(
    QUIET, hosts=4, partitions=1, instances=1, is_warm=False, memory_mb=33_280, copy_polls=6
)
#: Points at which an obstacle may stand, beside those of the store.
_OBSTRUCTED: Final = frozenset({"journal.write", "log.append"})
#: Rounds in which a saga comes to a step, or a request takes effect.
ROUNDS_MAX: Final = 2_000


@dataclass
class Trap:
    """Something that happens once, at the first point at which its moment has come."""

    is_moment: Callable[[Process, str, object], bool]
    act: Callable[[Process, str], None]
    is_sprung: bool = False


@dataclass
class Obstacles:
    """What some cannot do for a while, each with the names of those who cannot."""

    #: Their disk takes no write.
    full: set[str] = field(default_factory=set)
    #: The database does not answer them.
    no_store: set[str] = field(default_factory=set)
    #: The database reads for everybody, and writes nothing.
    store_full: bool = False
    #: The log can be read by everybody, and takes nothing.
    log_full: bool = False
    #: Their agent stands still; their heart beats on.
    dazed: set[str] = field(default_factory=set)
    #: What the scheduler says comes to the log only when this is over.
    late_choices: bool = False
    #: No host has room for anything.
    all_full: bool = False


class FullStore(StoreModel):
    """A store in whose cloud no host may have room."""

    def __init__(self, database: Database, obstacles: Obstacles) -> None:
        super().__init__(database)
        self._obstacles = obstacles

    def _rooms(self) -> tuple[HostRoom, ...]:
        return () if self._obstacles.all_full else super()._rooms()


class SlowTap(Tap):
    """The inlet of a log to which what the scheduler says may come late."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab.log, lab.watch)
        self._lab = lab

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Append messages, or have them be on their way for as long as that takes."""
        if not self._lab.obstacles.late_choices or not all(map(self._is_choice, messages)):
            return super().append(messages)
        self._lab.when(lambda: not self._lab.obstacles.late_choices, partial(self._come, messages))
        return ()

    def _is_choice(self, message: Message) -> bool:
        if message.topic != self._lab.topics.instance_events:
            return False  # A command.
        _, fact = decode_fact(message.value or b"")
        return isinstance(fact, DestinationChosen | NoValidHost)

    def _come(self, messages: Sequence[Message]) -> None:
        super().append(messages)


class Lab(Cloud):
    """Two conductors, four hosts, one instance."""

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        self.traps: list[Trap] = []
        self.obstacles = Obstacles()
        #: Calls of drivers that go wrong: (command, host, or None for all) → what happens there.
        self.failures: dict[str, Failure] = {}
        #: What is done as soon as its condition holds.
        self._pending: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        super().__init__(0, plan=PLAN)
        self.store = FullStore(self.database, self.obstacles)
        self.tap = SlowTap(self)
        self.uuid = self.workload.uuids[0]
        if self.settings()["allow_resize_to_same_host"] == "true":
            # Where a guest may stay it does: it is built on the roomiest host, which remains so.
            self.hosts[-1].memory_mb *= 2
        self._warm_up()

    def _warm_up(self) -> None:
        self.until(lambda: len(self.database.rows["nodes"]) == len(self.hosts), "every host up")
        self.settle()

    # What the simulation asks.

    def settings(self) -> dict[str, str]:
        """Return what the rules say."""
        return super().settings() | self._settings

    def passed(self, gate: Gate, name: str, subject: object) -> None:
        """Let whatever was planned for this point happen."""
        who = self.running
        assert who is not None, f"Expected a process at {name}, but nobody runs"
        if name in _OBSTRUCTED or name.startswith("store."):
            self._obstruct(who, name)
        for trap in self.traps:
            if not trap.is_sprung and trap.is_moment(who, name, subject):
                trap.is_sprung = True
                trap.act(who, name)
                self._obstruct(who, name)

    def _obstruct(self, who: Process, name: str) -> None:
        obstacles = self.obstacles
        if name == "journal.write" and who.name in obstacles.full:
            raise JournalFailed(f"Expected the disk of {who.name} to take a write, but it is full")
        if name == "log.append" and obstacles.log_full:
            raise LogUnavailable("Expected the log to take a record, but its disk is full")
        if name.startswith("store."):
            is_write = not name.endswith(".done") and name.removeprefix("store.") not in READS
            if who.name in obstacles.no_store or (is_write and obstacles.store_full):
                raise StoreUnavailable("Expected the database to answer, but it does not")

    def draw_parts(self, parts: Parts) -> Sequence[Agent | Emitter | Heartbeat]:
        """Give every part of a host its turn; of one that is dazed, its heart alone."""
        assert self.running is not None
        is_dazed = self.running.name in self.obstacles.dazed
        return (parts.heartbeat,) if is_dazed else parts.turns

    def failure_at(self, host: str, call: str) -> Failure | None:
        """Return what was planned for a call."""
        return self.failures.get(call) or self.failures.get(call.split(".")[0])

    def _tick(self) -> None:
        super()._tick()
        due = [each for each in self._pending if each[0]()]
        for each in due:
            self._pending.remove(each)
            each[1]()

    def _round(self) -> bool:
        self._tick()
        did = False
        for each in self.processes:
            did = each.go() or did
            self._note(f"{self.now_us} {each.process.name} {did}")
        return did

    # What a scene asks.

    def when(self, condition: Callable[[], bool], act: Callable[[], None]) -> None:
        """Do something as soon as a condition holds."""
        self._pending.append((condition, act))

    def after(self, us: int, act: Callable[[], None]) -> None:
        """Do something so much later."""
        at = self.now_us + us
        self.when(lambda: self.now_us >= at, act)

    def turn(self) -> None:
        """Give everybody one turn."""
        self.now_us += 200_000 if self._round() else 2 * S

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Give everybody turns until a condition holds."""
        for _ in range(ROUNDS_MAX):
            if condition():
                return
            self.turn()
        raise NoRest(f"Expected {what}, but not after {ROUNDS_MAX} rounds")

    def wait(self, us: int) -> None:
        """Let so much time go by for the others, from within a turn of somebody."""
        stopped, until = self.running, self.now_us + us
        try:
            while self.now_us < until:
                self.turn()
        finally:
            self.running = stopped

    def ask(self, request: ActionRequested) -> None:
        """Ask for an action."""
        self.workload.say(self.uuid, request)

    def ask_of_fenced(self, host: str, request: ActionRequested) -> None:
        """Switch a host off, say so, and ask for something of its guest once that is known."""
        process = self.host(host).process

        def fence() -> None:
            self.fences.awaited.add(host)
            self.fences.fence(self.host(host))
            self.when(lambda: self.status_of(host) == "forced_down", ask)

        def ask() -> None:
            self.fences.ask(host, self.uuid, request)

        self.when(lambda: not process.is_busy, fence)

    @property
    def held(self) -> Held | None:
        """The stored state of the instance."""
        return self.watch.held(self.uuid)

    def stands_at(self, saga: str, step: str) -> bool:
        """Say whether a saga of this name stands at this step."""
        return any((s.saga, s.step) == (saga, step) for s in self.sagas())

    def sagas(self) -> tuple[SagaState, ...]:
        """Return the sagas that have not ended, the primary first."""
        held = self.held
        if held is None:
            return ()
        return held.sides if held.saga is None else (held.saga, *held.sides)

    def host(self, name: str) -> HostProcess:
        """Return a host by its name."""
        return next(each for each in self.hosts if each.name == name)

    def status_of(self, host: str) -> str:
        """Return whether a host is started or lost."""
        row = self.database.rows["nodes"].get((host,))
        assert isinstance(row, NodeRow), f"Expected a node, but {row!r}"
        return row.status
