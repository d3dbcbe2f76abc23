"""Reading Kafka: chosen partitions, or those that a consumer group gives to this member.

The client runs a thread of its own, which sends heartbeats and hears of changes in the group. This
module hands those changes to the thread that polls, so that an owner may take its time with a
database and is never called while it works.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import kafka
from kafka import errors as broken
from kafka.structs import MemberState

from events.errors import EventsError, LogRecreated
from events.kafka_log.admin import KafkaAdmin
from events.kafka_log.assignor import EachTopicAssignor
from events.kafka_log.client import (
    Unreadable,
    answering,
    connected,
    milliseconds,
    ours,
    theirs,
    unknown_partition,
)
from events.kafka_log.options import (
    FETCH_WAIT_MS,
    FEW_RECORDS,
    METADATA_AGE_MS,
    MORE_S,
    PARTITION_FETCH_BYTES,
    PATIENCE_MAX_S,
    PATIENCE_S,
    POLL_RECORDS_MAX,
    SLICE_S,
    KafkaOptions,
)
from events.log import Owner, Record, TopicInfo, TopicPartition


class _Change(NamedTuple):
    """What the group did with partitions of ours, as the client's own thread heard it."""

    kind: Literal["assigned", "revoked"]
    partitions: tuple[TopicPartition, ...]


class _Listener(kafka.ConsumerRebalanceListener):
    """Notes changes for the thread that polls.

    The client calls this on the thread that also sends heartbeats, where nobody may ask a database.
    New partitions are paused, at a position that keeps the client from looking for one, until the
    owner has said where to begin.
    """

    def __init__(self, consumer: Any, changes: deque[_Change]) -> None:
        self._consumer = consumer
        self._changes = changes

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        for partition in assigned:
            self._consumer.seek(partition, 0)
            self._consumer.pause(partition)
        self._changes.append(_Change("assigned", ours(assigned)))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._changes.append(_Change("revoked", ours(revoked)))


class KafkaReader:
    """Reads chosen partitions, or as a member of a group those that the group gives it."""

    def __init__(self, options: KafkaOptions, group_id: str | None) -> None:
        self._options = options
        self._admin = KafkaAdmin(options)
        self._owner: Owner | None = None
        self._changes: deque[_Change] = deque()
        self._topic_ids: dict[str, str] = {}
        self._topics: tuple[str, ...] = ()
        self._empty_since_s = 0.0
        self._patience_s = PATIENCE_S
        #: Few records, while more are waited for; and what went wrong meanwhile.
        self._in_hand: list[Record] = []
        self._owed: EventsError | None = None
        with answering("connect"):
            self._consumer: Any = connected(
                kafka.KafkaConsumer,
                options,
                group_id=group_id,
                partition_assignment_strategy=[EachTopicAssignor],
                session_timeout_ms=milliseconds(options.session_timeout_s),
                heartbeat_interval_ms=milliseconds(options.session_timeout_s / 6),
                max_poll_interval_ms=milliseconds(options.poll_interval_max_s),
                request_timeout_ms=milliseconds(options.answer_timeout_s),
                metadata_max_age_ms=METADATA_AGE_MS,
                auto_offset_reset="none",
                enable_auto_commit=False,
                isolation_level="read_uncommitted",
                allow_auto_create_topics=False,
                max_poll_records=POLL_RECORDS_MAX,
                max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
                fetch_max_wait_ms=FETCH_WAIT_MS,
                metrics_enabled=False,
            )

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions and no others; raises UnknownTopic at once."""
        self._remember({each.topic for each in positions})
        with answering("assign"):
            self._consumer.assign(theirs(positions))
            for partition, offset in positions.items():
                self._consumer.seek(kafka.TopicPartition(*partition), offset)

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return up to `max_records` next records, as soon as there are any.

        While the group divides the partitions anew nobody reads, and this may take longer than
        `timeout_s`: the client forgets an answer of the group that comes between two polls and
        begins again, and with it all the others.
        """
        self._check_same()
        if (owed := self._owed) is not None:
            self._owed = None
            raise owed
        for _ in range(max(1, math.ceil(timeout_s / SLICE_S))):
            self._in_hand = self._poll_slice(max_records, min(timeout_s, SLICE_S))
            if self._in_hand:
                self._take_more(max_records)
                return self._handed_out()
        for _ in range(math.ceil(self._options.session_timeout_s / SLICE_S)):
            if not self._is_joining():
                break
            if records := self._poll_slice(max_records, SLICE_S):
                return records
        self._settle()
        self._check_same()
        self._check_there()
        self._join_anew_if_forgotten()
        return []

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still holds."""
        return self._offsets(self._consumer.beginning_offsets, tuple(partitions))

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record of each partition will get."""
        return self._offsets(self._consumer.end_offsets, tuple(partitions))

    def topic(self, name: str) -> TopicInfo:
        """Describe a topic; raises UnknownTopic."""
        return self._admin.topic(name)

    def subscribe(self, topics: Sequence[str], owner: Owner) -> None:
        """Join the group; `owner` hears of partitions within later calls of `poll`."""
        self._remember(set(topics))
        with answering("subscribe"):
            if self._owner is not None:
                # The client takes a second subscription to the same topics for nothing new.
                self._consumer.unsubscribe()
                self._changes.clear()
            for name in topics:
                # A group that is divided before its leader knows the topics gives out nothing.
                self._consumer.partitions_for_topic(name)
            self._owner = owner
            self._topics = tuple(topics)
            self._empty_since_s = time.monotonic()
            listener = _Listener(self._consumer, self._changes)
            self._consumer.subscribe(list(topics), listener=listener)

    def _join_anew_if_forgotten(self) -> None:
        """Join again where the group has given us nothing for a while.

        The client divides a group even while it knows no partitions of its topics, and is content
        with that. A spare member, for whom there is no partition, asks ever more seldom.
        """
        owner, now_s = self._owner, time.monotonic()
        if owner is None or self._consumer.assignment() or self._is_joining():
            self._empty_since_s = now_s
            return
        if now_s - self._empty_since_s < self._patience_s:
            return
        self._patience_s = min(2 * self._patience_s, PATIENCE_MAX_S)
        self.subscribe(self._topics, owner)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read an assigned partition from `offset` on."""
        self._consumer.seek(kafka.TopicPartition(*partition), offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Return no records of these assigned partitions until they are resumed."""
        self._consumer.pause(*self._still_ours(partitions))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Return records of these partitions again."""
        self._consumer.resume(*self._still_ours(partitions))

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Tell lag tools how far we are; nobody waits for it, failures are nobody's business."""
        offsets = {
            kafka.TopicPartition(*partition): kafka.OffsetAndMetadata(offset, "", -1)
            for partition, offset in positions.items()
        }
        with suppress(broken.KafkaError):
            self._consumer.commit_async(offsets)

    def close(self) -> None:
        """Let the partitions go, leave the group and release the connections."""
        owner, self._owner = self._owner, None
        held = self._still_ours(ours(self._consumer.assignment()))
        try:
            if owner is not None and held:
                owner.revoked(ours(held))
        finally:
            self._admin.close()
            with suppress(broken.KafkaError):
                self._consumer.close(
                    autocommit=False, timeout_ms=milliseconds(self._options.answer_timeout_s)
                )

    def _poll_slice(self, max_records: int, timeout_s: float) -> list[Record]:
        self._settle()
        if self._is_joining():
            # A leader that joins since partitions were added takes itself for joined once it has
            # divided them. If the group's last answer comes between two polls, nobody hears it and
            # no heartbeat is sent again. Asked for a join that is under way, the client waits on.
            self._consumer._coordinator.request_rejoin()
        return self._take(max_records, timeout_s)

    def _take_more(self, max_records: int) -> None:
        """Take to few records in hand what came since they were fetched.

        The client asks for more only when it hands records out, so a few are as old as the batch
        before them, and what came meanwhile would wait until these are written. The owner hears
        nothing of the group in between: what is in hand stays of partitions that it owns.
        """
        few = min(FEW_RECORDS, max_records)
        if self._owner is None or len(self._in_hand) >= few or self._is_joining():
            return
        try:
            self._in_hand += self._take(max_records - len(self._in_hand), MORE_S)
        except EventsError as error:
            self._owed = error  # For the next call: nobody would read these records again.

    def _handed_out(self) -> list[Record]:
        """Return what is in hand.

        It is in no frame while the client waits: the error of a wait in vain keeps the frames of
        its callers, with all that they hold, until the collector of cycles comes.
        """
        records, self._in_hand = self._in_hand, []
        return records

    def _take(self, max_records: int, timeout_s: float) -> list[Record]:
        try:
            with answering("poll"):
                polled = self._consumer.poll(milliseconds(timeout_s), max_records)
        except Unreadable:
            return [self._skip_unreadable()]
        return [_record(each) for records in polled.values() for each in records]

    def _is_joining(self) -> bool:
        if self._owner is None:
            return False
        return bool(self._consumer.group_metadata().state == MemberState.REBALANCING)

    def _settle(self) -> None:
        """Tell the owner what the group did, in order; what fails is told again next time."""
        owner = self._owner
        while owner is not None and self._changes:
            kind, partitions = self._changes[0]
            if kind == "revoked":
                self._let_go(partitions)
                owner.revoked(partitions)
            elif still := ours(self._still_ours(partitions)):
                self._begin(owner.assigned(still))
            self._changes.popleft()

    def _begin(self, positions: Mapping[TopicPartition, int]) -> None:
        for partition, offset in positions.items():
            if still := self._still_ours([partition]):
                self._consumer.seek(still[0], offset)
                self._consumer.resume(still[0])

    def _let_go(self, partitions: Iterable[TopicPartition]) -> None:
        """The client fetches nothing more of what was revoked."""

    def _still_ours(self, partitions: Iterable[TopicPartition]) -> list[Any]:
        assigned = self._consumer.assignment()
        return [each for each in theirs(partitions) if each in assigned]

    def _skip_unreadable(self) -> Record:
        """Step over a record that the client can't parse, and return it empty in its place.

        Only its own writer can have made it so. Without this the client would stay at it for ever
        and take the whole partition with it.
        """
        at = self._consumer._fetcher._next_partition_records.topic_partition
        offset = self._consumer.position(at)
        self._consumer.seek(at, offset + 1)
        return Record(at.topic, at.partition, offset, None, b"", (), 0, -1)

    def _remember(self, topics: set[str]) -> None:
        self._topic_ids = {name: self.topic(name).topic_id for name in topics}

    def _check_same(self) -> None:
        for name, known in self._topic_ids.items():
            found = self._consumer._cluster.topic_id(name)
            if found is not None and str(found) != known:
                raise LogRecreated(
                    f"Expected topic {name} to be {known}, but it is {found}:"
                    " it was deleted and made again."
                )

    def _check_there(self) -> None:
        for name in self._topic_ids:
            if self._consumer._cluster.topic_id(name) is None:
                self.topic(name)  # raises UnknownTopic if it is gone indeed
                # It is there, and the client does not know it yet: a group divided without it would
                # give its partitions to nobody until the client happens to look again.
                self._consumer._cluster.request_update()

    def _offsets(
        self, ask: Callable[..., Mapping[Any, int]], partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]:
        for name in {each.topic for each in partitions}:
            count = self.topic(name).partitions
            for each in partitions:
                if each.topic == name and not 0 <= each.partition < count:
                    raise unknown_partition(name, each.partition)
        with answering("tell offsets"):
            found = ask(theirs(partitions))
        return {each: int(found[kafka.TopicPartition(*each)]) for each in partitions}


def _record(found: Any) -> Record:
    return Record(
        found.topic,
        found.partition,
        found.offset,
        found.key,
        found.value,
        tuple(found.headers),
        found.timestamp * 1_000,
        found.leader_epoch,
    )
