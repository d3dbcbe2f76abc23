"""Where a reader of a log stands, and what every log has to notice in the same words.

Assigned partitions, next offsets and what is paused, for the logs that we wrote ourselves (memory,
SQLite); a position that the log doesn't hold, a topic that was made again or with other
partitions. Knows nothing of where records are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from events.errors import LogRecreated, PositionLost, TopicMismatch
from events.log import TopicPartition
from events.topics import TopicSpec


class Extent(NamedTuple):
    """What a log holds of a partition: from `begin` up to, but without, `end`."""

    topic_id: str
    begin: int
    end: int


class Positions:
    """The assigned partitions of one reader, and the offset that it takes next from each."""

    def __init__(self) -> None:
        self._next: dict[TopicPartition, int] = {}
        self._topic_ids: dict[str, str] = {}
        self._paused: set[TopicPartition] = set()

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self._next

    def __iter__(self) -> Iterator[TopicPartition]:
        return iter(tuple(self._next))

    def replace(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions and no others."""
        self._next.clear()
        self._paused.clear()
        self._topic_ids.clear()
        self.add(positions)

    def add(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions too."""
        for partition, offset in positions.items():
            assert offset >= 0, f"Expected an offset of {partition}, but {offset=}"
            self._next[partition] = offset

    def remove(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions no more."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._paused.discard(partition)

    def move(self, partition: TopicPartition, offset: int) -> None:
        """Take `offset` next from an assigned partition; it goes behind the others.

        A busy partition must not starve the others when a poll is full.
        """
        assert partition in self._next, f"Expected an assigned partition, but {partition} is not."
        del self._next[partition]
        self._next[partition] = offset

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Offer nothing of these partitions until they are resumed."""
        self._paused.update(each for each in partitions if each in self._next)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Offer these partitions again."""
        self._paused.difference_update(partitions)

    def due(
        self, extent_of: Callable[[TopicPartition], Extent]
    ) -> list[tuple[TopicPartition, int]]:
        """Return each partition that has more, with its next offset; the last moved comes last.

        Raises PositionLost, LogRecreated, and whatever `extent_of` raises: before anything is
        taken, so that no record is taken and then lost with the error.
        """
        due = []
        for partition, offset in self._next.items():
            if partition in self._paused:
                continue
            extent = extent_of(partition)
            self._check(partition, offset, extent)
            if offset < extent.end:
                due.append((partition, offset))
        return due

    def _check(self, partition: TopicPartition, offset: int, extent: Extent) -> None:
        known = self._topic_ids.setdefault(partition.topic, extent.topic_id)
        if known != extent.topic_id:
            raise LogRecreated(
                f"Expected topic {partition.topic} to be {known}, but it is {extent.topic_id}:"
                " it was deleted and made again."
            )
        if not extent.begin <= offset <= extent.end:
            raise PositionLost(
                f"Expected {partition.topic}/{partition.partition} to hold offset {offset},"
                f" but it holds {extent.begin} to {extent.end}.",
                topic=partition.topic,
                partition=partition.partition,
                offset=offset,
            )


def check_partitions(spec: TopicSpec, found: int) -> None:
    """Raise TopicMismatch if a topic has another number of partitions than it has to have."""
    if found != spec.partitions:
        raise TopicMismatch(
            f"Expected topic {spec.name} to have {spec.partitions} partitions, but it has {found}:"
            " the number is fixed when a topic is made, because it decides the order per instance."
        )
