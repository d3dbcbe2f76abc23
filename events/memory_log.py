"""The log in memory, for tests and the simulation: the same offsets and the same errors.

Knows records and members of groups; keeps nothing beyond the process. What happens to real logs
(an expired beginning, a lost tail, a topic made again, a member taken for dead) is a method here,
for a test to call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from events.errors import UnknownTopic
from events.log import Message, Owner, Record, TopicInfo, TopicPartition
from events.ports import Clock
from events.positions import Extent, Positions, check_partitions
from events.topics import TopicSpec


@dataclass(slots=True)
class _Partition:
    begin: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.begin + len(self.records)


@dataclass(slots=True)
class _Topic:
    info: TopicInfo
    partitions: list[_Partition]


class MemoryLog:
    """A log that lives as long as this object."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._topics: dict[str, _Topic] = {}
        self._made_count = 0
        self._groups: dict[str, _Group] = {}

    def writer(self) -> MemoryWriter:
        """Return a writer."""
        return MemoryWriter(self)

    def reader(self) -> MemoryReader:
        """Return a reader of chosen partitions."""
        return MemoryReader(self, None)

    def group(self, group_id: str) -> MemoryReader:
        """Return a member of a group."""
        return MemoryReader(self, self._groups.setdefault(group_id, _Group()))

    def admin(self) -> MemoryAdmin:
        """Return what makes and lists topics."""
        return MemoryAdmin(self)

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Append as `LogWriter` says."""
        partitions = [self.partition(TopicPartition(m.topic, m.partition)) for m in messages]
        now_us = self._clock.now_us()
        offsets = []
        for message, partition in zip(messages, partitions, strict=True):
            offsets.append(partition.end)
            partition.records.append(
                Record(
                    message.topic,
                    message.partition,
                    partition.end,
                    message.key,
                    message.value,
                    message.headers,
                    now_us,
                    0,
                )
            )
        return tuple(offsets)

    def partition(self, partition: TopicPartition) -> _Partition:
        """Return what is kept of a partition; raises UnknownTopic."""
        of = self.topic(partition.topic).partitions
        if not 0 <= partition.partition < len(of):
            raise UnknownTopic(
                f"Expected partition {partition.partition} of {partition.topic},"
                f" but it has {len(of)}."
            )
        return of[partition.partition]

    def topic(self, name: str) -> _Topic:
        """Return what is kept of a topic; raises UnknownTopic."""
        found = self._topics.get(name)
        if found is None:
            raise UnknownTopic(f"Expected topic {name}, but the log has none of that name.")
        return found

    def extent(self, partition: TopicPartition) -> Extent:
        """Say what the log holds of a partition."""
        kept = self.partition(partition)
        topic_id = self._topics[partition.topic].info.topic_id
        return Extent(topic_id, kept.begin, kept.begin + len(kept.records))

    def infos(self) -> tuple[TopicInfo, ...]:
        """Describe every topic."""
        return tuple(self._topics[name].info for name in sorted(self._topics))

    def make(self, spec: TopicSpec) -> bool:
        """Make a topic if it is missing and say whether it was; raises TopicMismatch."""
        if (found := self._topics.get(spec.name)) is not None:
            check_partitions(spec, found.info.partitions)
            return False
        self._made_count += 1
        info = TopicInfo(
            spec.name, f"memory-{self._made_count}", spec.partitions, spec.retention_ms
        )
        self._topics[spec.name] = _Topic(info, [_Partition() for _ in range(spec.partitions)])
        return True

    def delete_topic(self, name: str) -> None:
        """Forget a topic, as an operator's mistake would."""
        del self._topics[name]

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Forget what lies before `offset`, as expiry would."""
        kept = self.partition(partition)
        del kept.records[: offset - kept.begin]
        kept.begin = offset

    def truncate(self, partition: TopicPartition, offset: int) -> None:
        """Forget `offset` and all behind it, as a lost disk would."""
        kept = self.partition(partition)
        del kept.records[offset - kept.begin :]

    def expel(self, member: MemoryReader) -> None:
        """Take a member of a group for dead: its partitions go to the others."""
        member.be_expelled()


class MemoryWriter:
    """Appends to a log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Append as `LogWriter` says."""
        return self._log.append(messages)

    def close(self) -> None:
        """Release nothing."""


class MemoryAdmin:
    """Makes and lists the topics of a log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def create(self, specs: Iterable[TopicSpec]) -> tuple[str, ...]:
        """Make the topics that are missing and return their names."""
        return tuple(spec.name for spec in specs if self._log.make(spec))

    def topics(self) -> tuple[TopicInfo, ...]:
        """Describe every topic."""
        return self._log.infos()

    def close(self) -> None:
        """Release nothing."""


class _Group:
    """Who is a member, and who holds which partition: a partition has at most one holder."""

    def __init__(self) -> None:
        self.members: list[MemoryReader] = []
        self.holders: dict[TopicPartition, MemoryReader] = {}

    def share_of(
        self, member: MemoryReader, partitions: Sequence[TopicPartition]
    ) -> set[TopicPartition]:
        rank = self.members.index(member)
        return set(partitions[rank :: len(self.members)])

    def leave(self, member: MemoryReader) -> None:
        if member in self.members:
            self.members.remove(member)
        self.holders = {p: holder for p, holder in self.holders.items() if holder is not member}


class MemoryReader:
    """Reads chosen partitions, or as a member of a group those that the group gives it."""

    def __init__(self, log: MemoryLog, group: _Group | None) -> None:
        self._log = log
        self._group = group
        self._topics: tuple[str, ...] = ()
        self._owner: Owner | None = None
        self._positions = Positions()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions and no others, each from its offset on."""
        self._positions.replace(positions)

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return up to `max_records` next records; never waits, for nobody else is running."""
        del timeout_s
        if self._owner is not None:
            self._rebalance(self._owner)
        records: list[Record] = []
        for partition, offset in self._positions.due(self._log.extent):
            if len(records) == max_records:
                break
            kept = self._log.partition(partition)
            first = offset - kept.begin
            taken = kept.records[first : first + max_records - len(records)]
            records += taken
            self._positions.move(partition, offset + len(taken))
        return records

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still holds."""
        return {each: self._log.extent(each).begin for each in partitions}

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record of each partition will get."""
        return {each: self._log.extent(each).end for each in partitions}

    def topic(self, name: str) -> TopicInfo:
        """Describe a topic; raises UnknownTopic."""
        return self._log.topic(name).info

    def subscribe(self, topics: Sequence[str], owner: Owner) -> None:
        """Join the group; `owner` hears of partitions within later calls of `poll`."""
        assert self._group is not None, "Expected a member of a group, but this reads by itself."
        self._group.leave(self)
        self._positions.replace({})
        self._topics, self._owner = tuple(topics), owner
        self._group.members.append(self)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read an assigned partition from `offset` on."""
        self._positions.move(partition, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Return no records of these assigned partitions until they are resumed."""
        self._positions.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Return records of these partitions again."""
        self._positions.resume(partitions)

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Tell nobody: no lag tool reads a log in memory."""

    def be_expelled(self) -> None:
        """Lose the membership without knowing it before the next poll."""
        if self._group is not None:
            self._group.leave(self)

    def close(self) -> None:
        """Let the partitions go and leave the group."""
        if self._owner is not None and (held := tuple(self._positions)):
            self._owner.revoked(held)
        self.be_expelled()
        self._owner = None
        self._positions.replace({})

    def _rebalance(self, owner: Owner) -> None:
        group = self._group
        assert group is not None, "Expected a group, but this reader has an owner and no group."
        if self not in group.members:  # taken for dead, and alive
            self._let_go(owner, set(self._positions))
            group.members.append(self)
        share = group.share_of(self, self._partitions())
        self._let_go(owner, set(self._positions) - share)
        free = sorted(each for each in share if each not in group.holders)
        if free:
            self._positions.add(owner.assigned(free))
            group.holders.update(dict.fromkeys(free, self))

    def _let_go(self, owner: Owner, partitions: set[TopicPartition]) -> None:
        if not partitions:
            return
        owner.revoked(sorted(partitions))
        self._positions.remove(partitions)
        assert self._group is not None, "Expected a group, but this reader has none."
        for each in partitions:
            if self._group.holders.get(each) is self:
                del self._group.holders[each]

    def _partitions(self) -> list[TopicPartition]:
        infos = [self._log.topic(name).info for name in self._topics]
        return [TopicPartition(info.name, n) for info in infos for n in range(info.partitions)]
