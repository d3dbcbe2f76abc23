"""The host watch: reads heartbeats and says which hosts are lost, and which are back.

A host is lost only after this owner itself has missed its heartbeat for `service_down_time`; what
it heard is counted on its own clock, so that nobody's wrong clock makes a host disappear.
Heartbeats are never folded.
"""

from __future__ import annotations

from conductor import limits
from conductor.office import Office
from events.codec import decode_fact
from events.errors import BadRecord, PositionLost
from events.log import Record, TopicPartition
from events.node import HeartbeatSent, NodeLost, NodeReturned
from events.seal import Sealed, unseal
from events.topics import partition_of
from projections.store import HostSeen


class HostWatch:
    """Watches the hosts whose node partitions are ours."""

    def __init__(self, office: Office) -> None:
        self._reader = office.ports.reader
        self._store = office.ports.store
        self._speaker = office.speaker
        self._keyring = office.ports.keyring
        self._topics = office.ports.topics
        self._clock = office.ports.clock
        self._owned = office.owned
        self._down_us = office.options.service_down_time_s * 1_000_000
        self._reading: frozenset[int] = frozenset()
        #: The heartbeat that is read next, by partition.
        self._next: dict[TopicPartition, int] = {}
        #: µs of our clock since when each partition's heartbeats are listened to.
        self._since: dict[int, int] = {}
        #: host → (boot epoch, µs of our clock at which it was last heard).
        self._heard: dict[str, tuple[int, int]] = {}
        self._next_look_s = 0.0
        self._next_poll_s = 0.0

    def turn(self) -> bool:
        """Read a bounded number of heartbeats, then look who is missing; say whether any came."""
        partitions = frozenset(tp.partition for tp in self._owned.acting(self._topics.node_events))
        if partitions != self._reading:
            self._read_on(partitions)
        if not partitions:
            return False
        records: list[Record] = []
        if self._clock.monotonic_s() >= self._next_poll_s:
            records = self._poll()
            if not records:  # Else the next turn goes on.
                self._next_poll_s = self._clock.monotonic_s() + limits.SOON_LOOK_S
        if records:
            self._hear(records)
        if self._clock.monotonic_s() >= self._next_look_s:
            self._look(partitions)
            self._next_look_s = self._clock.monotonic_s() + limits.SLOW_LOOK_S
        return bool(records)

    def forget(self) -> None:
        """Start the wait for every host anew: the log was away, so nobody could be heard."""
        now = self._clock.now_us()
        self._heard = {host: (boot, now) for host, (boot, _) in self._heard.items()}

    def _read_on(self, partitions: frozenset[int]) -> None:
        """Go on with the partitions that are read already, and read new ones from now on.

        A host can't have been missed before anybody listened, however long ago the takeover was.
        """
        topic, now = self._topics.heartbeats, self._clock.now_us()
        fresh = [TopicPartition(topic, p) for p in sorted(partitions - self._reading)]
        ends = self._reader.end_offsets(fresh) if fresh else {}
        kept = {at: offset for at, offset in self._next.items() if at.partition in partitions}
        self._next = kept | ends
        self._since = {p: self._since[p] if p in self._reading else now for p in partitions}
        self._reader.assign(self._next)
        self._reading = partitions

    def _poll(self) -> list[Record]:
        try:
            return self._reader.poll(limits.HEARTBEATS_MAX, 0.0)
        except PositionLost:
            # Kept for an hour only: what expired unread is of no use to anybody.
            self._reading, self._next = frozenset(), {}
            return []

    def _hear(self, records: list[Record]) -> None:
        now = self._clock.now_us()
        seen: dict[str, tuple[int, int]] = {}
        for record in records:
            self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1
            try:
                sealed = unseal(record, self._keyring)
                meta, fact = decode_fact(record.value or b"")
            except BadRecord:
                continue
            is_own = isinstance(fact, HeartbeatSent) and sealed.name == meta.instance_id
            if is_own and self._is_open(record.partition, sealed):
                seen[sealed.name] = (meta.boot_epoch, record.timestamp_us)
                self._heard[sealed.name] = (meta.boot_epoch, now)
        if seen:
            self._store.seen(seen)

    def _is_open(self, partition: int, sealed: Sealed) -> bool:
        """Say whether a key is believed: a host that was revoked is not heard any more."""
        fold = self._owned.fold_of(TopicPartition(self._topics.node_events, partition))
        return fold is not None and fold.rules.is_open(sealed.key_id)

    def _look(self, partitions: frozenset[int]) -> None:
        topic = self._topics.node_events
        mine = {p: self._owned.partitions.get(TopicPartition(topic, p)) for p in partitions}
        count = next(m.fold.rules.partitions for m in mine.values() if m is not None)
        facts: list[tuple[TopicPartition, str, object]] = []
        for host in self._store.hosts(count, partitions):
            partition = partition_of(host.host, count)
            owner = mine[partition]
            if owner is None:
                continue
            fact = self._judge(host, max(owner.taken_at, self._since[partition]))
            if fact is not None:
                facts.append((TopicPartition(topic, partition), host.host, fact))
        if any(isinstance(fact, NodeLost) for _, _, fact in facts) and not self._has_heard_all():
            # This process stood still (paused, database away) and has not listened yet.
            facts = [each for each in facts if not isinstance(each[2], NodeLost)]
        self._speaker.say(facts)

    def _has_heard_all(self) -> bool:
        """Say whether every heartbeat was read that the log has now."""
        ends = self._reader.end_offsets(self._next)
        return all(self._next[partition] >= end for partition, end in ends.items())

    def _judge(self, host: HostSeen, since: int) -> NodeLost | NodeReturned | None:
        now = self._clock.now_us()
        boot, heard_at = self._heard.get(host.host, (host.boot_epoch, 0))
        missing = now - max(heard_at, since) > self._down_us
        if host.status in ("started", "stopped") and missing:
            return NodeLost(boot_epoch=host.boot_epoch, n=host.lost_count + 1)
        fresh = heard_at > 0 and now - heard_at <= self._down_us
        if host.status == "lost" and fresh and boot == host.boot_epoch:
            return NodeReturned(boot_epoch=host.boot_epoch, n=host.lost_count)
        return None
