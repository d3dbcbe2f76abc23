"""A log filled with the lives of many instances, in a form that another process can open.

Whoever measures reads the same records: the service as it is, and the lean pipeline beside it. The
table of what the lives did to the two states goes with them, for a pipeline that knows no machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final

from bench.lives import Mix, Seen, messages
from conductor.rulebook import Rulebook
from conductor.speaker import Speaker
from events.control import KeyOpened
from events.kafka_log import KafkaLog, KafkaOptions
from events.kafka_log.options import Fetcher
from events.log import Log, Message, TopicPartition
from events.ports import SystemClock
from events.seal import MasterKeyring
from events.sqlite_log import SqliteLog
from events.topics import CONTROL_KEY, Topics

PARTITIONS: Final = 6
HOSTS: Final = 20
#: Messages of one append: what a producer of many hosts has in flight.
CHUNK: Final = 2_000
KEYRING: Final = MasterKeyring(b"b" * 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Where the log is, and what is in it."""

    #: Brokers, or the path of a log file.
    address: str
    prefix: str
    facts: int
    #: How many of them are legal.
    accepted: int
    partitions: int = PARTITIONS
    #: (vm_state, task_state, what happened) → (vm_state, task_state), as rows.
    transitions: list[list[str | None]] = field(default_factory=list)

    #: Who fetches for the service.
    fetcher: Fetcher = "kafka-python"

    @property
    def topics(self) -> Topics:
        """The topics of this load."""
        return Topics(self.prefix)

    def log(self) -> Log:
        """Open the log."""
        return open_log(self.address, self.fetcher)

    def fetched_by(self, fetcher: Fetcher) -> Load:
        """Return the same load, fetched by this client."""
        return replace(self, fetcher=fetcher)

    def ends(self) -> dict[TopicPartition, int]:
        """Return the end of every partition of the instance topic."""
        reader = self.log().reader()
        topic = self.topics.instance_events
        try:
            return reader.end_offsets([TopicPartition(topic, p) for p in range(self.partitions)])
        finally:
            reader.close()


def open_log(address: str, fetcher: Fetcher = "kafka-python") -> Log:
    """Return the log at an address: a file where it is a path, brokers otherwise."""
    if "/" in address:
        return SqliteLog(Path(address), SystemClock())
    return KafkaLog(KafkaOptions(bootstrap=address, fetcher=fetcher))


def begun(address: str, prefix: str, *, hosts: int, partitions: int = PARTITIONS) -> Topics:
    """Leave a log with its topics, the rules in force, and an open key for every host."""
    log, topics, clock = open_log(address), Topics(prefix), SystemClock()
    admin, writer, reader = log.admin(), log.writer(), log.reader()
    admin.create(topics.specs(partitions))
    book = Rulebook(speaker=Speaker(writer, KEYRING, clock), reader=reader, topics=topics)
    book.begin({})
    partitions_of_keys = book.partitions()
    speaker = Speaker(writer, KEYRING, clock)
    for start in range(0, hosts, CHUNK // len(partitions_of_keys)):
        speaker.say(
            [
                (each, CONTROL_KEY, KeyOpened(key_id=f"host{n}/1"))
                for n in range(start, min(start + CHUNK // len(partitions_of_keys), hosts))
                for each in partitions_of_keys
            ]
        )
    for each in (writer, reader, admin):
        each.close()
    return topics


def filled(address: str, prefix: str, *, instances: int, facts_each: int) -> Load:
    """Leave a log with the facts of many lives, and say where it is."""
    begun(address, prefix, hosts=HOSTS)
    return lived(address, prefix, instances=instances, facts_each=facts_each)


def lived(address: str, prefix: str, *, instances: int, facts_each: int, seed: int = 1) -> Load:
    """Add the facts of many lives to a log that has begun, and say where it is."""
    mix = Mix(
        instances=instances,
        facts_each=facts_each,
        hosts=HOSTS,
        partitions=PARTITIONS,
        begin_us=SystemClock().now_us(),
        seed=seed,
    )
    seen = Seen()
    facts = append(address, messages(mix, Topics(prefix), KEYRING, seen))
    return Load(
        address=address,
        prefix=prefix,
        facts=facts,
        accepted=seen.accepted,
        transitions=[[*met, *left] for met, left in seen.transitions.items()],
    )


def append(address: str, found: Iterable[Message]) -> int:
    """Leave messages in a log, in order; return how many there were."""
    writer = open_log(address).writer()
    count = 0
    messages = iter(found)
    while chunk := list(islice(messages, CHUNK)):
        writer.append(chunk)
        count += len(chunk)
    writer.close()
    return count
