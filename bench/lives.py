"""The lives of instances as facts: what hosts, users and the scheduler would say.

Drawn from a seed and driven through the real step, so that every answer names the command that it
answers; the mix is about 20 % requests and decisions, 60 % answers, 20 % progress and power
reports, 0.1 % illegal.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from conductor.step import step
from events import instance, migration
from events.codec import encode_fact
from events.decisions import DestinationChosen
from events.envelope import COMPUTE, Envelope, Meta, host_in
from events.log import Message, Record
from events.requests import ActionRequested, Flavor
from events.seal import FIRST, MasterKeyring, digest, sealed_message
from events.topics import Topics, partition_of
from statemachines.held import Held
from statemachines.resume import resume
from statemachines.rules import Rules
from statemachines.verdict import Accepted

FLAVOR = Flavor(name="m1.small", vcpus=1, memory_mb=2048, disk_gb=20)

#: What a host answers to each command, in order, the ending last.
ANSWERS: dict[str, tuple[object, ...]] = {
    "BuildGuest": (
        instance.BuildAccepted(node="node"),
        instance.NetworkAllocationStarted(),
        instance.BlockDevicesPreparing(),
        instance.GuestSpawning(),
        instance.GuestBuilt(power_state=1),
    ),
    "StopGuest": (instance.GuestStopped(power_state=4),),
    "StartGuest": (instance.GuestStarted(power_state=1),),
    "PauseGuest": (instance.GuestPaused(power_state=3),),
    "UnpauseGuest": (instance.GuestUnpaused(power_state=1),),
    "RebootGuest": (
        instance.RebootPending(),
        instance.RebootStarted(),
        instance.GuestRebooted(power_state=1),
    ),
    "DestroyGuest": (instance.GuestDestroyed(),),
    "CheckDestination": (migration.DestinationChecked(),),
    "CheckSource": (migration.SourceChecked(),),
    "QueueLiveMigration": (migration.LiveMigrationQueued(), migration.LiveMigrationAdmitted()),
    "PrepareDestination": (migration.DestinationPrepared(),),
    "LiveMigrateGuest": (
        migration.LiveMigrationStarted(),
        *(
            migration.LiveMigrationProgressed(
                memory_total=2048,
                memory_processed=processed,
                memory_remaining=2048 - processed,
                disk_total=0,
                disk_processed=0,
                disk_remaining=0,
            )
            for processed in (512, 1024, 1536)
        ),
        migration.GuestHandedOver(),
    ),
    "FinishLiveMigration": (migration.LiveMigrationFinished(power_state=1),),
    "CleanUpSource": (migration.SourceCleanedUp(),),
    "PrepareResize": (migration.ResizePrepared(),),
    "ResizeGuest": (
        migration.ResizeStarted(),
        migration.ResizeCopied(),
        migration.ResizeMigrated(),
    ),
    "FinishResize": (migration.ResizeFinishing(), migration.ResizeFinished(power_state=1)),
    "ConfirmResize": (migration.ResizeConfirmed(),),
}
LIVES = (
    ("create", "live_migrate", "reboot_soft", "delete"),
    ("create", "live_migrate", "stop", "start", "reboot_hard"),
    ("create", "resize", "confirm_resize", "live_migrate"),
    ("create", "live_migrate", "pause", "unpause", "live_migrate"),
)


#: The two states that a fact met, and what happened; and the two states that it left.
Met = tuple[str | None, str | None, str]
Left = tuple[str | None, str | None]


@dataclass(slots=True)
class Seen:
    """What came of all lives."""

    accepted: int = 0
    transitions: dict[Met, Left] = field(default_factory=dict)


@dataclass
class _Chain:
    sequence: int = 0
    prev: bytes = FIRST


@dataclass
class Life:
    """One instance's facts, from its create on."""

    instance_id: str
    topics: Topics
    keyring: MasterKeyring
    partitions: int
    random: random.Random
    #: µs UTC at which it begins: a log refuses requests that are older than an hour.
    begin_us: int
    #: What the accepted facts of all lives did to the two states, and how many they are.
    seen: Seen
    rules: Rules = field(default_factory=lambda: Rules(partitions=1))
    held: Held | None = None
    offset: int = 0
    chains: dict[str, _Chain] = field(default_factory=dict)

    def facts(self, hosts: int, wanted: int) -> Iterator[Message]:
        """Yield about `wanted` messages: whole operations, power reports between them."""
        said = 0
        while said < wanted:
            for action in self.random.choice(LIVES):
                if (action == "create") == (self.held is not None):
                    continue
                for message in self.operation(action, hosts):
                    yield message
                    said += 1
            if self.held is not None and self.held.vm_state == "deleted":
                return

    def operation(self, action: str, hosts: int, illegal: float = 0.009) -> Iterator[Message]:
        """Yield what is said in the course of an operation, and the power report after it."""
        flavor = FLAVOR if action in ("create", "resize") else None
        request = ActionRequested(
            action=action, user_id="user", project_id="project", flavor=flavor
        )
        yield self._say("api", request, request_id=f"req-{self.instance_id}-{self.offset}")
        while outstanding := resume(self.held):
            letter = outstanding[0]
            command, address = type(letter.command).__name__, letter.address
            if command == "ChooseDestination":
                taken = self.held.host if self.held is not None else None
                names = [f"host{n}" for n in range(hosts) if f"host{n}" != taken]
                chosen = self.random.choice(names)
                yield self._say(
                    "conductor",
                    DestinationChosen(
                        saga_id=address.saga_id,
                        step=address.step,
                        attempt=address.attempt,
                        host=chosen,
                        node=chosen,
                    ),
                )
                continue
            for fact in ANSWERS[command]:
                yield self._say(
                    COMPUTE + address.host,
                    fact,
                    command_id=address.command_id,
                    request_id=address.request_id,
                )
        if self.held is not None and self.held.host is not None and self.held.vm_state != "deleted":
            report = instance.PowerStateReported(power_state=self.held.power_state)
            yield self._say(COMPUTE + self.held.host, report)
            if self.random.random() < illegal:  # Illegal: it answers nothing.
                yield self._say(COMPUTE + self.held.host, instance.GuestBuilt(power_state=1))

    def _say(
        self,
        source: str,
        fact: object,
        *,
        command_id: str | None = None,
        request_id: str | None = None,
    ) -> Message:
        self.offset += 1
        name = source.removeprefix(COMPUTE)
        numbered = source.startswith(COMPUTE)
        chain = self.chains.setdefault(source, _Chain()) if numbered else _Chain(prev=b"")
        chain.sequence += int(numbered)
        meta = Meta(
            source=source,
            boot_epoch=int(numbered),
            sequence=chain.sequence,
            instance_id=self.instance_id,
            generation=0 if self.held is None else self.held.generation,
            command_id=command_id,
            request_id=request_id,
            occurred_at=self.begin_us + self.offset,
        )
        value = encode_fact(meta, fact)
        message = sealed_message(
            topic=self.topics.instance_events,
            partition=partition_of(self.instance_id, self.partitions),
            key=self.instance_id,
            value=value,
            prev=chain.prev,
            by=self.keyring.key(name, 1),
        )
        record = Record("t", 0, self.offset, b"", value, (), self.begin_us + self.offset, 0)
        envelope = Envelope(fact, meta, host_in(meta.source), record, digest(value), chain.prev, 1)
        if numbered:
            chain.prev = digest(value)
        self._fold(envelope)
        return message

    def _fold(self, envelope: Envelope[object]) -> None:
        before, outcome = self.held, step(self.held, envelope, self.rules)
        self.held = outcome.after
        if isinstance(outcome.verdict, Accepted):
            assert self.held is not None
            left = (self.held.vm_state, self.held.task_state)
            self.seen.transitions[(*states_of(before), happened(envelope.fact))] = left
            self.seen.accepted += 1


def states_of(held: Held | None) -> Left:
    """Return the two states of an instance; none of an instance that is not known."""
    return (None, None) if held is None else (held.vm_state, held.task_state)


def happened(fact: object) -> str:
    """Name what a fact says: the action that is asked for, or the fact itself."""
    return fact.action if isinstance(fact, ActionRequested) else type(fact).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How much is said, and by how many."""

    instances: int
    #: Facts of each instance, about.
    facts_each: int
    hosts: int
    partitions: int
    #: µs UTC of the first.
    begin_us: int
    seed: int = 1


def messages(mix: Mix, topics: Topics, keyring: MasterKeyring, seen: Seen) -> Iterator[Message]:
    """Yield the facts of many instances, interleaved, each instance's in order.

    What came of them is in `seen` when the last was taken.
    """
    draw = random.Random(mix.seed)
    lives = [
        Life(
            str(UUID(int=draw.getrandbits(128), version=4)),
            topics,
            keyring,
            mix.partitions,
            random.Random(draw.random()),
            mix.begin_us,
            seen,
        ).facts(mix.hosts, mix.facts_each)
        for _ in range(mix.instances)
    ]
    while lives:
        still: list[Iterator[Message]] = []
        for life in lives:
            message = next(life, None)
            if message is not None:
                yield message
                still.append(life)
        lives = still
