"""What the house asks of a log: values, and the protocols that every log fulfils.

A log is a set of topics; a topic is a fixed number of partitions; a partition is a sequence of
records at offsets that only grow (they may have holes). Three implementations pass one contract
suite: `memory_log`, `sqlite_log`, `kafka_log`. This module knows no codec and no library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, Protocol

from events.topics import TopicSpec

#: Headers as Kafka has them: in order, names may repeat, values are bytes or null.
Headers = tuple[tuple[str, bytes | None], ...]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Record(NamedTuple):
    """Bytes at a position of the log, as they were appended."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    #: When the log appended it, µs UTC on the log's own clock.
    timestamp_us: int
    leader_epoch: int


def by_partition(records: Iterable[Record]) -> dict[TopicPartition, list[Record]]:
    """Return the records of each partition, in the order in which they come."""
    found: dict[TopicPartition, list[Record]] = {}
    for at, those in groupby(records, key=itemgetter(0, 1)):  # As they were polled: in long runs.
        found.setdefault(TopicPartition(*at), []).extend(those)
    return found


class Message(NamedTuple):
    """Bytes to append; the writer names the partition (`events.topics.partition_of`)."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class TopicInfo(NamedTuple):
    """A topic as the log has it."""

    name: str
    #: Changes when a topic is deleted and made again.
    topic_id: str
    partitions: int
    retention_ms: int


class LogWriter(Protocol):
    """Appends messages."""

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Leave every message in the log, those of one partition in the order given.

        Returns the offset of each. Raises LogUnavailable when that is not known within the writer's
        time bound: any of them may be in the log then, and appending them again is the caller's
        right. Raises UnknownTopic before anything is appended.
        """
        ...

    def close(self) -> None:
        """Release the connection; nothing is lost, for `append` leaves nothing pending."""
        ...


class LogReader(Protocol):
    """Reads chosen partitions from chosen offsets; no group, no committed positions."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions and no others, each from its offset on."""
        ...

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return up to `max_records` next records, in order per partition; empty when none came.

        Raises PositionLost when an assigned offset is before the beginning or behind the end
        (truncated log), UnknownTopic, LogUnavailable.
        """
        ...

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still holds."""
        ...

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record of each partition will get."""
        ...

    def topic(self, name: str) -> TopicInfo:
        """Describe a topic; raises UnknownTopic."""
        ...

    def close(self) -> None:
        """Stop reading and release the connection."""
        ...


class Owner(Protocol):
    """Who is told which partitions are its own; called from within `LogGroup.poll`."""

    def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Take the partitions over and return the offset from which to read each."""
        ...

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Let the partitions go; nothing more may be written for them."""
        ...


class LogGroup(LogReader, Protocol):
    """Reads the partitions that the group gives to this member."""

    def subscribe(self, topics: Sequence[str], owner: Owner) -> None:
        """Join the group; `owner` hears of partitions within later calls of `poll`.

        Called again, it joins anew: every partition is given up without a word to the owner, and
        comes (to this member or to another) by a new assignment.
        """
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read an assigned partition from `offset` on."""
        ...

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Return no records of these assigned partitions until they are resumed."""
        ...

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Return records of these partitions again."""
        ...

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Tell lag tools how far we are; a courtesy, failures are swallowed by the log."""
        ...


class LogAdmin(Protocol):
    """Makes and lists topics."""

    def create(self, specs: Iterable[TopicSpec]) -> tuple[str, ...]:
        """Make the topics that are missing and return their names.

        Raises TopicMismatch when one exists with another number of partitions.
        """
        ...

    def topics(self) -> tuple[TopicInfo, ...]:
        """Describe every topic of the log."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


class Log(Protocol):
    """A log, whichever it is: opens what a part of the house needs of it."""

    def writer(self) -> LogWriter:
        """Return a writer; close it."""
        ...

    def reader(self) -> LogReader:
        """Return a reader of chosen partitions; close it."""
        ...

    def group(self, group_id: str) -> LogGroup:
        """Return a member of the group, not yet subscribed; close it."""
        ...

    def admin(self) -> LogAdmin:
        """Return what makes and lists topics; close it."""
        ...
