"""Hosts with real parts on a log in memory, and the control plane's half of the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from compute.fake_driver import FakeDriver, FakeOptions, no_faults
from compute.fake_site import Faults
from compute.hypervisor import PowerState
from compute.journal import Journal
from compute.limits import Bounds
from compute.memory_journal import MemoryJournal
from compute.node import Node
from compute.wiring import Parts, Ports, build
from compute.world import Half, MemoryWorld, Role
from events.codec import decode_fact, encode_command
from events.commands import BuildGuest
from events.envelope import Address, Letter, Meta
from events.errors import LogUnavailable
from events.ids import SagaId, command_id
from events.log import LogWriter, Message, Record, TopicPartition
from events.memory_log import MemoryLog
from events.requests import Flavor
from events.seal import MasterKeyring, command_key, sealed_message, unseal
from events.topics import Topics

GUEST = "6f1b7b3e-0000-4000-8000-000000000001"
OTHER = "6f1b7b3e-0000-4000-8000-000000000002"
SMALL = Flavor(name="m1.small", vcpus=1, memory_mb=2048, disk_gb=20)
LARGE = Flavor(name="m1.large", vcpus=4, memory_mb=8192, disk_gb=80)
BUILD = BuildGuest(flavor=SMALL, name="guest", image="image")
SAGA = SagaId("5a9a0000-0000-5000-8000-000000000000")
TOPICS = Topics()
KEYRING = MasterKeyring(b"m" * 32)
PARTITIONS = 4


class StillClock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def now_us(self) -> int:
        return int(self.now_s * 1_000_000)

    def monotonic_s(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class BreakableWriter:
    """Appends to the log until it is told that the broker is away."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self.is_away = False
        #: The log takes the messages and its answer is lost.
        self.loses_answer = False

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        if self.is_away:
            raise LogUnavailable
        offsets = self._writer.append(messages)
        if self.loses_answer:
            self.loses_answer = False
            raise LogUnavailable
        return offsets

    def close(self) -> None:
        self._writer.close()


@dataclass
class Cloud:
    """A log, a world and a clock that hosts share."""

    clock: StillClock = field(default_factory=StillClock)
    world: MemoryWorld = field(default_factory=MemoryWorld)

    def __post_init__(self) -> None:
        self.log = MemoryLog(self.clock)
        self.log.admin().create(TOPICS.specs(PARTITIONS))

    def records(self, topic: str) -> list[Record]:
        reader = self.log.reader()
        count = reader.topic(topic).partitions
        reader.assign({TopicPartition(topic, p): 0 for p in range(count)})
        records: list[Record] = []
        while more := reader.poll(1_000, 0):
            records += more
        return records


class Host:
    """One host of a cloud: its agent may die and be started again over the same journal."""

    def __init__(
        self,
        name: str = "alpha",
        *,
        cloud: Cloud | None = None,
        faults: Faults = no_faults,
        bounds: Bounds | None = None,
        journal: Journal | None = None,
        options: FakeOptions | None = None,
    ) -> None:
        self.name = name
        self.cloud = cloud or Cloud()
        self.faults = faults
        self.options = options
        self.journal = journal or MemoryJournal()
        self.key = KEYRING.key(name, 1)
        self.cloud.log.admin().create([TOPICS.command_spec(name)])
        self.node = Node(host=name, key=self.key, partitions=PARTITIONS, bounds=bounds or Bounds())
        self.writer = BreakableWriter(self.cloud.log.writer())
        self.parts = self.start()

    def start(self) -> Parts:
        """Start the agent, as a new process would."""
        self.driver = FakeDriver(
            host=self.name, world=self.cloud.world, faults=self.faults, options=self.options
        )
        ports = Ports(
            writer=self.writer,
            reader=self.cloud.log.reader(),
            driver=self.driver,
            clock=self.cloud.clock,
        )
        self.parts = build(self.node, self.journal, ports)
        return self.parts

    def die(self) -> None:
        """Lose the process, and with it everything that was not durable; start again."""
        assert isinstance(self.journal, MemoryJournal)
        self.journal.crash()
        self.start()

    def ask(
        self,
        command: object,
        *,
        instance_id: str = GUEST,
        step: str = "doing",
        attempt: int = 1,
        generation: int = 1,
    ) -> Letter[object]:
        """Send a command to this host."""
        kind = type(command).__name__
        letter = Letter(
            command,
            Address(
                command_id=command_id(SAGA, f"{step}/{instance_id}", attempt, kind, self.name),
                saga_id=SAGA,
                saga="test",
                step=step,
                attempt=attempt,
                instance_id=instance_id,
                generation=generation,
                host=self.name,
                request_id="req-1",
            ),
        )
        self.send(letter)
        return letter

    def send(self, letter: Letter[object]) -> None:
        """Send a command that was made already."""
        message = sealed_message(
            topic=TOPICS.commands(self.name),
            partition=0,
            key=letter.address.instance_id,
            value=encode_command(letter),
            prev=b"",
            by=command_key(self.key),
        )
        self.cloud.log.append([message])

    def settle(self, turns_max: int = 200) -> None:
        """Let everything of this host take turns until nobody has work."""
        settle([self], turns_max)

    def records(self, topic: str = TOPICS.instance_events) -> list[Record]:
        """Return what this host wrote, each checked for its MAC."""
        return [r for r in self.cloud.records(topic) if unseal(r, KEYRING).name == self.name]

    def said(self, instance_id: str = GUEST) -> list[tuple[Meta, object]]:
        """Return the facts about an instance that this host wrote."""
        return [
            decode_fact(r.value or b"") for r in self.records() if r.key == instance_id.encode()
        ]

    def kinds(self, instance_id: str = GUEST) -> list[str]:
        """Return the classes of the facts about an instance, in order."""
        return [type(fact).__name__ for _, fact in self.said(instance_id)]

    def answers(self, letter: Letter[object]) -> list[object]:
        """Return the facts that answer a command, in order."""
        own = letter.address.command_id
        about = letter.address.instance_id
        return [fact for meta, fact in self.said(about) if meta.command_id == own]

    def has(
        self,
        role: Role = Role.GUEST,
        power_state: PowerState = PowerState.RUNNING,
        instance_id: str = GUEST,
    ) -> None:
        """Put a half into the world as if it had always been there."""
        half = Half(
            host=self.name,
            instance_id=instance_id,
            role=role,
            power_state=power_state,
            flavor=SMALL,
        )
        self.cloud.world.change(half)
        self.start()

    def half(self, instance_id: str = GUEST) -> Half | None:
        """Return what the world has of an instance on this host."""
        return self.cloud.world.half(self.name, instance_id)


def settle(hosts: Sequence[Host], turns_max: int = 200) -> None:
    """Let these hosts take turns until nobody has work and no driver is at anything."""
    quiet = 0
    for _ in range(turns_max):
        did = [part.turn() for host in hosts for part in host.parts.turns]
        quiet = 0 if any(did) else quiet + 1
        if quiet > 8:
            return
    raise AssertionError(f"Expected quiet within {turns_max} turns, but there is still work")
