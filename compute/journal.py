"""What a journal keeps and promises: one database for a host's facts and for its inbox.

The number of a fact, its hash and the state of the command that it answers change together or not
at all, so that a crash at any instruction neither invents nor loses a transition. This module knows
no disk: `sqlite_journal` is the real one, `memory_journal` the one that a simulation crashes; both
pass one contract. It knows no codec either: values are bytes that `compute.scribe` made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import NamedTuple, Protocol

from msgspec import Struct


class Head(NamedTuple):
    """The last number of a chain, and the hash of the value that has it."""

    sequence: int
    digest: bytes


class Entry(NamedTuple):
    """A fact as it was written, so that it can be sent again with the same bytes."""

    #: Place in the journal, rising; 0 before it is written.
    number: int
    topic: str
    partition: int
    #: The instance, or the host in the node topic: the key of the record.
    subject: str
    sequence: int
    prev: bytes
    value: bytes
    #: The fact's class, for people and for finding what was said about a command.
    kind: str
    command_id: str | None
    #: µs UTC on the host's clock; decides only how long the entry is kept.
    written_at_us: int


class Position(NamedTuple):
    """How far the command topic was taken."""

    topic_id: str
    offset: int


class TaskState(StrEnum):
    """How far a command came."""

    TAKEN = "taken"
    BEGUN = "begun"
    DONE = "done"


class Task(Struct, frozen=True, kw_only=True, gc=False):
    """A command in the inbox."""

    command_id: str
    instance_id: str
    #: `<instance>/<saga id>/<step>/<command>`: the same in every attempt.
    purpose: str
    #: The command as it came.
    value: bytes
    state: TaskState
    #: The entry that ended it.
    ending: int | None = None
    #: Did it end as it was asked to?
    is_success: bool = False
    #: The later attempt under whose id this one is answered.
    continued_by: str | None = None


class Journal(Protocol):
    """A host's memory. Whatever changes it is called within `transaction`."""

    def transaction(self) -> AbstractContextManager[None]:
        """Leave everything written within durable together, or nothing of it."""
        ...

    def enrolment(self) -> int:
        """Return the enrolment that the journal belongs to; 0 while it is empty."""
        ...

    def boot_epoch(self) -> int:
        """Return how often the agent has started with this journal."""
        ...

    def raise_boot_epoch(self, enrolment: int) -> int:
        """Return the new boot epoch; raises WrongEnrolment where the journal is another's."""
        ...

    def position(self) -> Position | None:
        """Return how far the command topic was taken; None before the first time."""
        ...

    def move(self, position: Position) -> None:
        """Leave `position` as the place from which commands are read."""
        ...

    def head(self, topic: str, subject: str) -> Head:
        """Return the end of a chain; number 0 and 32 zero bytes where it has not begun."""
        ...

    def append(self, entry: Entry) -> int:
        """Write a fact behind the head of its chain, unsent, and return its number."""
        ...

    def entry(self, number: int) -> Entry | None:
        """Return a fact; None where it was forgotten."""
        ...

    def unsent(self, limit: int) -> list[Entry]:
        """Return the first facts that the log has not taken, in the order of their numbers."""
        ...

    def unsent_count(self) -> int:
        """Return how many facts the log has not taken."""
        ...

    def mark_sent(self, numbers: Iterable[int]) -> None:
        """Note that the log has these facts."""
        ...

    def mark_unsent(self, numbers: Iterable[int]) -> None:
        """Have these facts sent again."""
        ...

    def chain(self, topic: str, subject: str, from_sequence: int) -> list[int]:
        """Return the numbers of the facts of a chain from one on, as far as they are kept."""
        ...

    def kinds_said(self, command_ids: Sequence[str]) -> frozenset[str]:
        """Return the classes of the facts that answer any of these commands."""
        ...

    def forget_before(self, time_us: int) -> int:
        """Drop sent facts written before, and the tasks that they ended; heads stay."""
        ...

    def generation(self, instance_id: str) -> int:
        """Return the highest generation told of an instance; 0 where none was."""
        ...

    def raise_generation(self, instance_id: str, generation: int) -> None:
        """Note a generation where it is higher than the one known."""
        ...

    def task(self, command_id: str) -> Task | None:
        """Return a command of the inbox."""
        ...

    def put_task(self, task: Task) -> None:
        """Leave a command in the inbox as it is here; a new one behind all others."""
        ...

    def attempts(self, purpose: str) -> list[Task]:
        """Return every attempt at a purpose, in the order in which they were taken."""
        ...

    def open_tasks(self) -> list[Task]:
        """Return what is taken or begun, in the order in which it was taken."""
        ...

    def slots(self) -> dict[str, bool]:
        """Return the instances that hold a place for a live migration, and whether to abort it."""
        ...

    def put_slot(self, instance_id: str, *, is_aborted: bool) -> None:
        """Give an instance a place for its live migration."""
        ...

    def incoming(self) -> frozenset[str]:
        """Return the instances that hold a place for a live migration to this host."""
        ...

    def put_incoming(self, instance_id: str) -> None:
        """Give an instance a place for its live migration to this host."""
        ...

    def free_incoming(self, instance_id: str) -> None:
        """Take that place back, if it was given."""
        ...

    def free_slot(self, instance_id: str) -> None:
        """Take the place back, if it was given."""
        ...

    def close(self) -> None:
        """Let the journal go."""
        ...
