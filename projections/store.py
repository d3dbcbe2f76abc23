"""What the conductor asks of a database: the one transaction, and the turns of a partition's owner.

Three implementations obey one contract suite: PostgreSQL and SQLite (`projections.sql_store`) and
the simulation's model. Every write of an owner is conditional on its epoch: a conductor that was
fenced changes nothing, however late it wakes.

Operational tables (never compared with the log): checkpoints, outbox, timers, dues, reservations,
answers, last-seen of hosts, markers, set_aside. Everything else is rows of `projections.rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from events.log import TopicPartition
from projections.rows import Changes
from projections.survey_rows import GuestRecorded, HostSurvey

#: The outbox's word for the executor inside the conductor.
SCHEDULER_HOST = "@scheduler"
_Owned = Mapping[TopicPartition, int]
#: The step of what waits for a host's missing facts; no saga waits there, so none is told.
RESEND_STEP = "resend"
#: Due time of a command whose answer may take as long as it takes.
NEVER: Final = 2**63 - 1


class Checkpoint(NamedTuple):
    """How far a partition has been taken, under which epoch, and what it looked like there."""

    topic: str
    partition: int
    #: The offset that will be taken next.
    next_offset: int
    #: Rises at each takeover; every write of the owner names it.
    epoch: int
    #: Empty before the first batch.
    topic_id: str
    leader_epoch: int
    #: Hash over every record taken so far; 32 zero bytes before the first.
    chain: bytes
    #: The rules in force, as the fold stores them; empty before the first.
    rules: bytes


class Standing(NamedTuple):
    """Where instances stand that something may fall due of; an empty choice means any."""

    vm_states: tuple[str, ...]
    task_states: tuple[str | None, ...]
    power_states: tuple[int, ...]


class Order(NamedTuple):
    """A command in the outbox: what some saga's `resume` still names."""

    command_id: str
    topic: str
    partition: int
    instance_uuid: str
    saga_id: str
    step: str
    attempt: int
    command: str
    #: The host, or SCHEDULER_HOST.
    host: str
    #: Encoded command (`events.codec.encode_command`).
    value: bytes
    #: Seconds that an answer may take, counted from the sending.
    deadline_s: int
    created_at: int
    #: When it goes, of those that wait: the lowest first, and then the oldest.
    rank: int = 5


class Timer(NamedTuple):
    """A command that was sent and waits for its answer."""

    command_id: str
    topic: str
    partition: int
    instance_uuid: str
    saga_id: str
    step: str
    attempt: int
    host: str
    #: µs UTC of the owner's clock.
    due_at: int


class DueRow(NamedTuple):
    """What falls due by itself: the state of an instance names it, and its time will come."""

    instance_uuid: str
    #: One of nova's 59.
    action: str
    topic: str
    partition: int
    #: µs UTC, since when the state has lasted.
    since: int
    #: Seconds from then, as the rules in force had it.
    after_s: int
    #: µs UTC of the owner's clock, when the log is told (again).
    due_at: int


class Answer(NamedTuple):
    """What the scheduler answered and the log may not have yet."""

    command_id: str
    topic: str
    partition: int
    instance_uuid: str
    #: Encoded fact.
    value: bytes


class HostSeen(NamedTuple):
    """Liveness of a host, for the timers."""

    host: str
    boot_epoch: int
    #: µs UTC of the log's append time of its last heartbeat; 0 for never.
    last_seen_at: int
    status: str
    lost_count: int


class HostRoom(NamedTuple):
    """What a host has and what is taken of it: claims plus open reservations."""

    host: str
    node: str
    status: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    vcpus_used: int
    memory_mb_used: int
    disk_gb_used: int


class Reservation(NamedTuple):
    """Room held for a choice that the log has not judged yet."""

    host: str
    vcpus: int
    memory_mb: int
    disk_gb: int


@dataclass(slots=True)
class Batch:
    """Everything that one stretch of one partition changes; written whole or not at all."""

    partition: TopicPartition
    epoch: int
    #: The offset that the checkpoint must have, and the one that it gets.
    begin: int
    end: int
    topic_id: str = ""
    leader_epoch: int = 0
    chain: bytes = b""
    #: None leaves the rules as they are.
    rules: bytes | None = None
    changes: Changes = field(default_factory=dict)
    #: New commands, by id.
    orders: dict[str, Order] = field(default_factory=dict)
    #: Commands that were sent since, and when (µs UTC of the owner's clock): as `Store.sent`.
    sent: dict[str, int] = field(default_factory=dict)
    #: Commands that no saga names any more: their outbox row, timer, reservation and answer go.
    forget: set[str] = field(default_factory=set)
    #: What falls due by itself from now on, by instance and action.
    dues: dict[tuple[str, str], DueRow] = field(default_factory=dict)
    #: What does not any more: (instance, action).
    forget_dues: set[tuple[str, str]] = field(default_factory=set)


class Decision(NamedTuple):
    """What the scheduler decided: the answer's encoded fact, and the room to hold, if any."""

    value: bytes
    reservation: Reservation | None


#: Picks for an order, seeing what every host has and what is taken of it.
Choose = Callable[["Order", Sequence[HostRoom]], Decision]


class StoreError(Exception):
    """The database did not do what was asked."""

    retriable = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class Fenced(StoreError):
    """Somebody else owns the partition: drop everything of it and rejoin."""

    def __init__(self, partitions: Collection[TopicPartition], message: str | None = None) -> None:
        super().__init__(message)
        self.partitions = tuple(partitions)


class StoreUnavailable(StoreError):
    """The database did not answer; what was being committed may or may not be there."""

    retriable = True


class SchemaMismatch(StoreError):
    """The database has another revision than this code; `regente db upgrade` brings it there."""


class Store(Protocol):
    """The database as the conductor sees it."""

    # The fold.

    def take_over(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Checkpoint]:
        """Raise the epoch of each partition, then return its checkpoint; makes missing ones."""
        ...

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return every checkpoint, in order of topic and partition."""
        ...

    def states(self, uuids: Collection[str]) -> dict[str, bytes]:
        """Return the stored state body of each instance that has one."""
        ...

    def node_bodies(self, hosts: Collection[str]) -> dict[str, bytes]:
        """Return the stored body of each host that has one."""
        ...

    def commit(self, batches: Sequence[Batch]) -> None:
        """Write every batch in one transaction.

        Raises Fenced (nothing was written), StoreUnavailable (read the checkpoints to find out).
        """
        ...

    def waiting_for_schema(self, partition: TopicPartition) -> tuple[str, ...]:
        """Name the instances with records parked for a schema."""
        ...

    # The owner's turns. `owned` maps each partition to the epoch of its owner.

    def unsent(self, owned: _Owned, limit: int, *, scheduler: bool) -> tuple[Order, ...]:
        """Return orders in the outbox, by rank and age: for hosts, or for the scheduler.

        For the scheduler: only those without a stored answer.
        """
        ...

    def sent(self, owned: _Owned, orders: Sequence[Order], now_us: int) -> None:
        """Take sent orders out of the outbox and start their timers, where still owned."""
        ...

    def decide(
        self, owned: _Owned, orders: Sequence[Order], choose: Choose, now_us: int
    ) -> tuple[Answer, ...]:
        """Let `choose` pick for each order with all hosts locked, and store its answers, or none.

        Each choice sees what the ones before it took. Also starts the orders' timers; an order
        stays in the outbox until its answer is judged. Left out are orders whose partition is not
        ours any more, that are gone, or were answered before.
        """
        ...

    def answers(self, owned: _Owned, limit: int) -> tuple[Answer, ...]:
        """Return stored answers that have not been marked as told."""
        ...

    def told(self, command_ids: Collection[str]) -> None:
        """Mark answers as appended to the log; they go when the log's record is judged."""
        ...

    def due(self, owned: _Owned, now_us: int, limit: int) -> tuple[Timer, ...]:
        """Return timers whose time has come and that have not been marked as fired."""
        ...

    def waiting_on_lost(self, owned: _Owned, limit: int) -> tuple[Timer, ...]:
        """Return timers of hosts that are lost or forced down, not marked as fired.

        An order that was not sent yet is none of them: a lost host shall find it when it is back.
        """
        ...

    def fired(self, command_ids: Collection[str]) -> None:
        """Mark that the log has been told of these waits; they go when the fact is judged."""
        ...

    def owed(self, owned: _Owned, limit: int) -> tuple[tuple[str, str], ...]:
        """Return (instance, host) of patient sagas whose host is there, not lost or forced down."""
        ...

    def elapsed(self, owned: _Owned, now_us: int, limit: int) -> tuple[DueRow, ...]:
        """Return what has fallen due by itself, the longest overdue first."""
        ...

    def put_off(self, dues: Sequence[DueRow], until_us: int) -> None:
        """The log was told: these are due again only then, if the state still names them."""
        ...

    def postpone(self, owned: _Owned, until_us: int) -> None:
        """Move every earlier due time to `until_us` and unmark what was marked as fired or told."""
        ...

    def open_instances(self, partition: TopicPartition) -> tuple[str, ...]:
        """Name the instances with a saga that has not ended."""
        ...

    def may_fall_due(
        self, partitions: Collection[TopicPartition], where: Sequence[Standing]
    ) -> Mapping[TopicPartition, tuple[str, ...]]:
        """Name the instances that stand in one of these ways, and those with a due of their own.

        Of each of these partitions of one topic, by one look through all instances.
        """
        ...

    def restore_dues(
        self,
        owned: _Owned,
        partition: TopicPartition,
        uuids: Sequence[str],
        dues: Sequence[DueRow],
    ) -> None:
        """Leave these instances with these dues and no others, where still owned.

        One that is there with the same `since` and `after_s` keeps its time.
        """
        ...

    def missing(self, command_ids: Collection[str]) -> frozenset[str]:
        """Return those that have neither an outbox row nor a timer."""
        ...

    def restore(self, owned: _Owned, orders: Sequence[Order], *, again: bool = False) -> None:
        """Put orders back into the outbox, where still owned and neither there nor sent.

        `again`: those that were sent too, which then wait for nothing until they are sent anew.
        """
        ...

    # Hosts.

    def seen(self, heartbeats: Mapping[str, tuple[int, int]]) -> None:
        """Note (boot_epoch, append time) of each host's last heartbeat."""
        ...

    def hosts(self, partitions: int, owned: Collection[int]) -> tuple[HostSeen, ...]:
        """Return the hosts whose node partition is among `owned`."""
        ...

    def surveys(self, after: str, limit: int) -> tuple[HostSurvey, ...]:
        """Return the first `limit` started hosts behind `after` that spoke since surveyed."""
        ...

    def guests_of(self, hosts: Collection[str]) -> Mapping[str, tuple[GuestRecorded, ...]]:
        """Return every instance of ours on each host by the rows, not deleted, by uuid."""
        ...

    # Crash-loop guard.

    def mark(self, partition: TopicPartition, offset: int) -> int:
        """Note that a batch from `offset` is about to be tried; returns how often, now included."""
        ...

    def unmark(self, partition: TopicPartition) -> None:
        """Forget the marker of a partition."""
        ...

    def set_aside(self, partition: TopicPartition) -> frozenset[int]:
        """Return the offsets that were set aside."""
        ...

    def note_set_aside(
        self,
        owned: _Owned,
        partition: TopicPartition,
        offset: int,
        reason: str,
    ) -> bool:
        """Note that an offset is set aside, before the log is told; False where not owned any more.

        Whoever takes the partition over afterwards obeys it; so the log may say it for ever.
        """
        ...

    def close(self) -> None:
        """Release every connection."""
        ...
