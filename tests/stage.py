"""A stage: the real step and real agents with their driver on one log in memory.

Nothing is played by hand but the scheduler's list of hosts and the relay's errand: requests and
decisions are records, commands go sealed to each host's topic, the agents' journals, inboxes and
simulated driver carry them out, and every fact that comes back is put before `conductor.step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from compute.fake_site import Failure
from compute.limits import Bounds
from conductor.opening import envelope_of
from conductor.scheduler import select_destination
from conductor.scheduler_options import SchedulerOptions
from conductor.speaker import Speaker
from conductor.step import Outcome, step
from events.codec import encode_fact
from events.commands import ChooseDestination
from events.control import KeyOpened
from events.decisions import DestinationChosen, NoValidHost, StepHostLost
from events.envelope import API, Envelope, Letter, Meta
from events.log import TopicPartition
from events.requests import ActionRequested
from events.seal import sealed_message, unseal
from events.topics import CONTROL_KEY, partition_of
from projections.store import HostRoom
from statemachines.held import Held
from statemachines.recording import SCHEDULER
from statemachines.rules import Rules
from statemachines.verdict import Accepted
from tests.unit.compute_host import KEYRING, PARTITIONS, TOPICS, Cloud, Host

INSTANCE: Final = "6f1b7b3e-0000-4000-8000-00000000000a"
TURNS_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class Played:
    """One fact, and what the heart made of it."""

    envelope: Envelope[object]
    outcome: Outcome

    @property
    def name(self) -> str:
        """Name of the fact."""
        return type(self.envelope.fact).__name__


class Stage:
    """A small cloud around one instance."""

    def __init__(
        self,
        *,
        hosts: tuple[str, ...] = ("host1", "host2"),
        settings: Mapping[str, str] | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self.cloud = Cloud()
        #: What goes wrong: (host, call of the driver) → how.
        self.faults: dict[tuple[str, str], Failure] = {}
        #: Hosts that the scheduler may choose.
        self.enabled = set(hosts)
        self.hosts = {
            name: Host(name, cloud=self.cloud, faults=self._fault, bounds=bounds) for name in hosts
        }
        #: Hosts that are down and recorded lost: their agents get no turn.
        self.down: set[str] = set()
        self.rules = Rules(partitions=PARTITIONS)
        self.rules.settings.update(settings or {})
        self.held: Held | None = None
        self.played: list[Played] = []
        self.prelude: list[Played] = []
        self._speaker = Speaker(self.cloud.log.writer(), KEYRING, self.cloud.clock)
        at = partition_of(INSTANCE, PARTITIONS)
        self.partition = TopicPartition(TOPICS.instance_events, at)
        self._reader = self.cloud.log.reader()
        self._reader.assign({self.partition: 0})
        self._requests = 0
        self._open_keys()

    def _open_keys(self) -> None:
        """Have the rules say whose word counts: another reader of the log asks them."""
        keys = (KEYRING.key(API, 1), *(host.key for host in self.hosts.values()))
        for key in keys:
            value = self._speaker.encode(CONTROL_KEY, KeyOpened(key_id=key.key_id))
            self._speaker.tell([self._speaker.message(self.partition, CONTROL_KEY, value)])

    # What people and the conductor say.

    def ask(self, action: str, **fields: object) -> str:
        """Ask for an action, return the request id; what follows happens in `settle`, `until`."""
        self._requests += 1
        request_id = str(fields.pop("request_id", f"req-{self._requests}"))
        fact = ActionRequested(
            action=action,
            user_id="admin",
            project_id="project",
            **{"is_admin": True, **fields},  # type: ignore[arg-type]  # fields of the fact
        )
        self.api(fact, request_id)
        return request_id

    def api(self, fact: object, request_id: str = "req-word") -> None:
        """Let the API say something: a request, or an operator's word."""
        meta = Meta(
            source=API,
            instance_id=INSTANCE,
            request_id=request_id,
            occurred_at=self.cloud.clock.now_us(),
        )
        message = sealed_message(
            topic=self.partition.topic,
            partition=self.partition.partition,
            key=INSTANCE,
            value=encode_fact(meta, fact),
            prev=b"",
            by=KEYRING.key(API, 1),
        )
        self.cloud.log.append([message])

    def decide(self, fact: object) -> None:
        """Let the conductor say something."""
        self._speaker.say([(self.partition, INSTANCE, fact)])

    def fails(self, host: str, call: str, failure: Failure) -> None:
        """Have a call of a host's driver go wrong from now on."""
        self.faults[host, call] = failure

    # Time.

    def settle(self) -> None:
        """Let everybody take turns until nobody has work."""
        quiet = 0
        for _ in range(TURNS_MAX):
            quiet = 0 if self.turn() else quiet + 1
            if quiet > 8:
                return
        raise AssertionError(f"Expected quiet within {TURNS_MAX} turns, but {self.held}")

    def until(self, reached: Callable[[Stage], bool]) -> None:
        """Let everybody take turns until something is so."""
        for _ in range(TURNS_MAX):
            if reached(self):
                return
            self.turn()
        raise AssertionError(f"Expected it within {TURNS_MAX} turns, but {self.held}")

    def turn(self) -> bool:
        """Let everybody take one turn; say whether anybody had work."""
        self.cloud.clock.now_s += 0.01
        did = self._fold()
        for host in self.hosts.values():
            if host.name not in self.down:
                turns = [part.turn() for part in host.parts.turns]  # a list: each gets its turn
                did |= any(turns)
        return did

    def _fold(self) -> bool:
        records = self._reader.poll(1, 0)
        for record in records:
            if record.key == CONTROL_KEY.encode():
                continue
            envelope = envelope_of(record, unseal(record, KEYRING), INSTANCE)
            outcome = step(self.held, envelope, self.rules)
            self.held = outcome.after
            self.played.append(Played(envelope, outcome))
            for letter in outcome.commands:
                self.send(letter)
        return bool(records)

    def send(self, letter: Letter[object]) -> None:
        """Bring a command where it has to go, as a relay does, or answer it as a scheduler does."""
        address = letter.address
        if address.host == SCHEDULER:
            self._choose(cast("Letter[ChooseDestination]", letter))
            return
        self.hosts[address.host].send(letter)
        if address.host in self.down:
            self.decide(
                StepHostLost(
                    saga_id=address.saga_id,
                    step=address.step,
                    attempt=address.attempt,
                    host=address.host,
                )
            )

    def _choose(self, letter: Letter[ChooseDestination]) -> None:
        rooms = [HostRoom(h, h, "started", 64, 262_144, 4_096, 0, 0, 0) for h in self.enabled]
        found = select_destination(rooms, letter.command, SchedulerOptions())
        address = letter.address
        if isinstance(found, str):
            fact: object = NoValidHost(
                saga_id=address.saga_id, step=address.step, attempt=address.attempt, reason=found
            )
        else:
            fact = DestinationChosen(
                saga_id=address.saga_id,
                step=address.step,
                attempt=address.attempt,
                host=found.host,
                node=found.node,
            )
        self.decide(fact)

    def _fault(self, host: str, call: str, instance_id: str) -> Failure | None:
        return self.faults.get((host, call))

    # Looking.

    @property
    def here(self) -> Held:
        """The state, which must be there."""
        assert self.held is not None, "Expected an instance, but none"
        return self.held

    @property
    def halves(self) -> dict[str, str]:
        """Every host that has something of the guest, and what it is to it."""
        found = {name: host.half(INSTANCE) for name, host in self.hosts.items()}
        return {name: str(half.role) for name, half in found.items() if half is not None}

    @property
    def is_at_rest(self) -> bool:
        """Is nothing going on any more, and nothing left in the middle?"""
        held = self.here
        return held.saga is None and held.sides == () and held.task_state is None

    def accepted(self) -> list[Played]:
        """Return what was accepted, in order."""
        return [p for p in self.played if isinstance(p.outcome.verdict, Accepted)]

    def begin(self) -> None:
        """Call what was played so far the prelude: a test looks at what comes."""
        self.prelude, self.played = self.accepted(), []


def at_task(task_state: str | None) -> Callable[[Stage], bool]:
    """Say that the instance stands at a task_state."""
    return lambda stage: stage.held is not None and stage.held.task_state == task_state


def said(fact: str) -> Callable[[Stage], bool]:
    """Say that a fact was folded."""
    return lambda stage: any(p.name == fact for p in stage.played)


__all__ = ["INSTANCE", "Played", "Stage", "at_task", "said"]
