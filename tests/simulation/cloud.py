"""A whole cloud in one thread: who takes the next turn, how time goes on, when trouble comes.

Everything is drawn from the seed. A process that is stopped at a port lets the others run from
within its call, so every interleaving at a port is reachable without threads. Safety first, with
everything going wrong; then healing: faults off, everybody up, until nothing is left to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Final, cast

from compute.agent import Agent
from compute.emitter import Emitter
from compute.fake_site import Failure, FailureKind
from compute.heartbeat import Heartbeat
from compute.hypervisor import PowerState
from compute.wiring import Parts
from compute.world import PRESENT
from conductor.rulebook import PLANE_KEYS, of_this_installation
from conductor.speaker import Speaker
from events.control import KeyOpened
from events.log import Message, TopicPartition
from events.memory_log import MemoryLog
from events.seal import MasterKeyring
from events.topics import CONTROL_KEY, Topics
from tests.simulation.database import Database
from tests.simulation.faults import Dice, Plan, draw_plan
from tests.simulation.fences import Fences
from tests.simulation.operators import Operators
from tests.simulation.ports import Gate
from tests.simulation.processes import ConductorProcess, HostProcess, Process, S, SkewedClock
from tests.simulation.store_model import StoreModel
from tests.simulation.twin import Twin
from tests.simulation.watch import Tap, Watch
from tests.simulation.watched_world import WatchedWorld
from tests.simulation.workload import Workload

if TYPE_CHECKING:
    from projections.sql_store import SqlStore

START_US: Final = 1_700_000_000 * S
#: Processes that may be stopped at a port at the same time, one within the other.
STALLED_MAX: Final = 2
#: Short enough for a run to see every deadline pass; in nova's order of size.
SETTINGS: Final = {
    "step_timeout": "30",
    "long_rpc_timeout": "60",
    "step_max_s": "90",
}
#: An ordinary failure of a driver as often again as each of the others.
FAILURES: Final = (*FailureKind, FailureKind.FAIL)
#: Virtual seconds, and rounds, in which a healed cloud has to come to rest.
REST_S: Final = 4 * 3_600
ROUNDS_MAX: Final = 6_000


class NoRest(AssertionError):
    """The healed cloud did not come to rest."""


class Cloud:
    """Conductors, hosts, log, database and world of one seed."""

    def __init__(
        self,
        seed: int,
        *,
        forgets_begun: bool = False,
        plan: Plan | None = None,
        beside: SqlStore | None = None,
    ) -> None:
        self.seed = seed
        rng = Random(seed)
        self.plan = plan or draw_plan(rng)
        self.dice = Dice(rng, self.plan.rates)
        self.now_us = START_US
        self.is_broker_out = False
        self.is_database_out = False
        self.running: Process | None = None
        self.topics = Topics()
        self.keyring = MasterKeyring(b"m" * 32)
        self.clock = SkewedClock(self, 0)
        self.log = MemoryLog(self.clock)
        self.database = Database()
        model = StoreModel(self.database)
        self.store = model if beside is None else cast("StoreModel", Twin(model, beside))
        self.world = WatchedWorld([f"host{n}" for n in range(1, self.plan.hosts + 1)])
        self.watch = Watch(self)
        self.world.may_vanish = self.watch.may_vanish
        self.world.looked_up = self.watch.begun
        self.database.watcher = self.watch
        self.tap = Tap(self.log, self.watch)
        self._trace = sha256()
        self.steps = 0
        self._later: list[tuple[int, tuple[Message, ...]]] = []
        self._ends: list[tuple[int, str]] = []
        self._stalled = 0
        self.conductors = [
            ConductorProcess(f"conductor{n}", self) for n in range(1, self.plan.conductors + 1)
        ]
        self.hosts = [
            HostProcess(f"host{n}", self, forgets_begun=forgets_begun)
            for n in range(1, self.plan.hosts + 1)
        ]
        self.workload = Workload(self)
        self.fences = Fences(self)
        self.operators = Operators(self)
        self._found()

    def _found(self) -> None:
        """Make the topics, publish the rules, enroll the hosts."""
        admin = self.log.admin()
        admin.create(self.topics.specs(self.plan.partitions))
        admin.create(self.topics.command_spec(host.name) for host in self.hosts)
        speaker = Speaker(self.tap, self.keyring, self.clock)
        keys = (*PLANE_KEYS, *(host.key.key_id for host in self.hosts))
        facts: list[object] = [KeyOpened(key_id=key) for key in keys]
        facts.append(of_this_installation(1, self.settings()))
        for fact in facts:
            value = speaker.encode(CONTROL_KEY, fact)
            speaker.tell([speaker.message(tp, CONTROL_KEY, value) for tp in self.partitions()])

    def settings(self) -> dict[str, str]:
        """Return what the rules say."""
        return SETTINGS | {
            "live_migration_completion_timeout": str(self.plan.live_timeout_s),
            "live_migration_timeout_action": self.plan.live_timeout_action,
            "resize_confirm_window": str(self.plan.confirm_window_s),
            "allow_resize_to_same_host": "true" if self.plan.same_host_resize else "false",
            "sync_power_state_interval": "20",
            **{name: str(seconds) for name, seconds in self.plan.limits_s.items()},
            "shelved_offload_time": str(self.plan.shelved_offload_time),
        }

    # What everybody asks.

    @property
    def processes(self) -> list[ConductorProcess | HostProcess]:
        """Everybody who takes turns."""
        return [*self.conductors, *self.hosts]

    def partitions(self) -> list[TopicPartition]:
        """Return every partition of the event topics."""
        topics = (self.topics.instance_events, self.topics.node_events)
        return [TopicPartition(t, p) for t in topics for p in range(self.plan.partitions)]

    def draw_us(self, low: int, high: int) -> int:
        """Draw a span of time, short ones more often than long ones."""
        return low + int((high - low) * self.dice.rng.random() ** 2)

    def trace(self) -> str:
        """Return the hash of everything that happened, and of what the log says."""
        trace = self._trace.copy()
        for topic in self.log.infos():
            for number in range(topic.partitions):
                for record in self.log.partition(TopicPartition(topic.name, number)).records:
                    trace.update(record.value or b"")
        return trace.hexdigest()

    # Ports.

    def passed(self, gate: Gate, name: str, subject: object) -> None:
        """Nothing is planned here: what happens at a point is the dice's."""

    def draw_parts(self, parts: Parts) -> Sequence[Agent | Emitter | Heartbeat]:
        """Draw which parts of a host take a turn: all of them, or one."""
        rng = self.dice.rng
        return parts.turns if rng.random() < 0.5 else (rng.choice(parts.turns),)

    def failure_at(self, host: str, call: str) -> Failure | None:
        """Draw whether a call of a driver goes wrong, and how."""
        dice = self.dice
        if not dice.strikes("driver_fails"):
            return None
        return Failure(kind=dice.rng.choice(FAILURES), delay_polls=dice.rng.choice((0, 0, 1, 5)))

    def let_others_run(self) -> None:
        """Leave the others some turns ahead of the one who is stopped here."""
        if self._stalled >= STALLED_MAX:
            return
        self._stalled += 1
        stopped, rng = self.running, self.dice.rng
        turns = rng.choice((3, 10, 30, 60))
        if stopped is not None and rng.random() < 0.5:
            for each in self.conductors:
                if each.process is stopped:
                    each.be_expelled()
        try:
            for _ in range(turns):
                self.step()
        finally:
            self._stalled -= 1
            self.running = stopped

    def post_later(self, messages: Sequence[Message]) -> None:
        """Have messages arrive some time from now."""
        self._later.append((self.now_us + self.draw_us(1, 120 * S), tuple(messages)))

    def note_misrouted(self, messages: Sequence[Message], offsets: Sequence[int]) -> None:
        """Remember where messages are that nobody may believe there."""
        for message, offset in zip(messages, offsets, strict=True):
            self.watch.misrouted.append((message.topic, message.partition, offset))

    # Safety.

    def run(self) -> None:
        """Let everything go wrong."""
        if self.plan.is_warm:
            self.dice.is_healing = True
            self.settle()
            self.dice.is_healing = False
        while self.steps < self.plan.steps:
            self.step()

    def step(self) -> None:
        """Let time go on a little and somebody take a turn."""
        rng = self.dice.rng
        self.steps += 1
        self.now_us += rng.randint(1, self.plan.step_us)
        self._tick()
        if rng.random() < self.plan.request_rate:
            self.workload.ask()
        each = rng.choice(self.processes)
        did = each.go()
        self._note(f"{self.steps} {self.now_us} {each.process.name} {did}")

    def _note(self, line: str) -> None:
        self._trace.update(line.encode())

    def _tick(self) -> None:
        """Begin and end troubles, deliver what was delayed."""
        self._end_troubles()
        self._deliver(self.now_us)
        for each in self.conductors:
            each.look_at_group()
        self._begin_troubles()
        host = self.dice.rng.choice(self.hosts)
        self._trouble(host)
        conductor = self.dice.rng.choice(self.conductors)
        if self.dice.strikes("conductor_lost"):
            conductor.be_expelled()
        if self.dice.strikes("host_lies"):
            self.workload.lie(host)
        if self.dice.strikes("garbage"):
            self.workload.litter()

    def _begin_troubles(self) -> None:
        if self.dice.strikes("broker_out"):
            self._begin("broker", 120)
        if self.dice.strikes("database_out"):
            self._begin("database", 60)

    def _trouble(self, host: HostProcess) -> None:
        """Let something happen to a host, or to a guest of it."""
        if self.dice.strikes("host_cut_off"):
            self._begin(host.name, 120)
        if self.dice.strikes("host_out"):
            host.kill(self.draw_us(1, 90 * S))
        if self.dice.strikes("power_fails"):
            host.kill(self.draw_us(1, 90 * S), power=True)
        if self.dice.strikes("guest_stops"):
            self._stop_a_guest(host.name)

    def _stop_a_guest(self, host: str) -> None:
        """Have a guest of a host shut itself down."""
        on = [h for h in self.world.halves_of(host) if h.power_state is PowerState.RUNNING]
        if guests := [h for h in on if h.role in PRESENT]:
            half = self.dice.rng.choice(guests)
            self.world.change(half.becomes(power_state=PowerState.SHUTDOWN))

    def _begin(self, what: str, max_s: int) -> None:
        self._ends.append((self.now_us + self.draw_us(S, max_s * S), what))
        self._set(what, is_out=True)

    def _end_troubles(self) -> None:
        over = [each for each in self._ends if each[0] <= self.now_us]
        for each in over:
            self._ends.remove(each)
            if all(what != each[1] for _, what in self._ends):
                self._set(each[1], is_out=False)

    def _set(self, what: str, *, is_out: bool) -> None:
        match what:
            case "broker":
                self.is_broker_out = is_out
                self.watch.broker(is_out=is_out)
            case "database":
                self.is_database_out = is_out
            case _:
                host = next(h for h in self.hosts if h.name == what)
                host.process.gate.is_cut_off = is_out
                self.fences.note_cut_off(host.name, is_out=is_out)

    def _deliver(self, until_us: int) -> None:
        due = [each for each in self._later if each[0] <= until_us]
        for each in due:
            self._later.remove(each)
            self.tap.append(each[1])

    # Healing.

    def heal(self) -> None:
        """Take every fault away; nothing bad happens any more."""
        self.dice.is_healing = True
        for _, what in self._ends:
            self._set(what, is_out=False)
        self._ends.clear()
        self._deliver(self.now_us + 3_600 * S)
        for each in self.processes:
            each.process.wakes_at = 0

    def settle(self) -> None:
        """Let everybody take turns until nothing is left to do; raises NoRest."""
        until = self.now_us + REST_S * S
        for n in range(ROUNDS_MAX):
            did = self.round()
            self.now_us += 200_000 if did else 2 * S
            if n % 5 == 4:
                self.operators.operate()
                if not (left := self.watch.unrest()):
                    return
                if self.now_us > until:
                    raise NoRest("; ".join(left))
        raise NoRest("; ".join(self.watch.unrest()))

    def round(self) -> bool:
        """Let everybody take one turn; say whether there was anything to do."""
        self._tick()
        processes = self.processes
        self.dice.rng.shuffle(processes)
        did = False
        for each in processes:
            busy = each.go()
            did = did or busy
            self._note(f"{self.now_us} {each.process.name} {busy}")
        return did
