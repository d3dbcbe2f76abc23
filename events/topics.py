"""Which topics there are, who writes them, and which partition a key belongs to.

Pure functions of names. Clients' default partitioners differ (Java, librdkafka and kafka-python
hash differently for null keys and some defaults), so every writer of ours computes the partition
here and passes it explicitly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: Partitions of the event topics where nobody says otherwise; fixed when the topic is made.
PARTITIONS_KAFKA: Final = 64
PARTITIONS_EMBEDDED: Final = 4

#: The key of a control record; exempt from the key check because it goes to every partition.
CONTROL_KEY: Final = "control"

HEARTBEATS_RETENTION_MS: Final = 3_600_000
COMMANDS_RETENTION_MS: Final = 7 * 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it has to be: name, partitions, and for how long its records are kept."""

    name: str
    partitions: int
    #: Milliseconds; -1 keeps for ever.
    retention_ms: int = -1


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of every topic under one prefix (`[conductor] topic`)."""

    prefix: str = "regente"

    @property
    def instance_events(self) -> str:
        """Facts about instances, keyed by instance uuid."""
        return f"{self.prefix}.instance.events.v1"

    @property
    def node_events(self) -> str:
        """Facts about hosts, keyed by host."""
        return f"{self.prefix}.node.events.v1"

    @property
    def heartbeats(self) -> str:
        """Heartbeats of hosts, keyed by host; never folded."""
        return f"{self.prefix}.node.heartbeats.v1"

    def commands(self, host: str) -> str:
        """Commands for one host; one partition, read by that host's agent alone."""
        return f"{self.prefix}.commands.{host}"

    def specs(self, partitions: int) -> tuple[TopicSpec, ...]:
        """Say how the shared topics have to be; command topics are made by `node enroll`."""
        return (
            TopicSpec(name=self.instance_events, partitions=partitions),
            TopicSpec(name=self.node_events, partitions=partitions),
            TopicSpec(
                name=self.heartbeats, partitions=partitions, retention_ms=HEARTBEATS_RETENTION_MS
            ),
        )

    def command_spec(self, host: str) -> TopicSpec:
        """Say how the command topic of a host has to be."""
        return TopicSpec(name=self.commands(host), partitions=1, retention_ms=COMMANDS_RETENTION_MS)


@lru_cache(maxsize=65_536)  # Hashing costs 18 µs in Python; an instance speaks many times.
def partition_of(key: str, partitions: int) -> int:
    """Name the partition of a key: `(murmur2(key) & 0x7fffffff) mod partitions`.

    Source:  Kafka's DefaultPartitioner, so that Java tools agree with us.
    """
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 of `data`, unsigned."""
    length = len(data)
    m = 0x5BD1E995
    h = (0x9747B28C ^ length) & 0xFFFFFFFF
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * m) & 0xFFFFFFFF
        k ^= k >> 24
        k = (k * m) & 0xFFFFFFFF
        h = ((h * m) & 0xFFFFFFFF) ^ k
    if tail := data[whole:]:
        h = ((h ^ int.from_bytes(tail, "little")) * m) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * m) & 0xFFFFFFFF
    h ^= h >> 15
    return h
