"""A small cloud whose clock the test moves: real log, rows in a file, hosts that go and come back.

For stories that are told step by step: what was said is read from the log, what is true now from
the tables, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from compute.memory_journal import MemoryJournal
from compute.wiring import Parts
from compute.world import MemoryWorld, power_failure
from conductor.wiring import Conductor, Options
from events.codec import decode_fact
from events.log import LogGroup, TopicPartition
from events.memory_log import MemoryLog, MemoryReader
from events.topics import Topics, partition_of
from projections.rows import Row
from tests.e2e.cloud import Cloud, rows

S = 1_000_000
DAY_S = 86_400
DOWN_S = 60
#: How far time goes on when nobody has work: heartbeats and looks come in time for `DOWN_S`.
IDLE_S = 4


class TheatreClock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * S

    def now_us(self) -> int:
        return self.now

    def monotonic_s(self) -> float:
        return self.now / S

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * S)


class Said(NamedTuple):
    """A fact about an instance, as the log has it."""

    source: str
    fact: object

    @property
    def name(self) -> str:
        """Name of the fact."""
        return type(self.fact).__name__


class Theatre:
    """One conductor, three hosts, and everybody's clock."""

    def __init__(self, cloud: Cloud, clock: TheatreClock) -> None:
        self.cloud, self.clock = cloud, clock
        self.world = MemoryWorld()
        self.store = cloud.store()
        self.journals = {host: MemoryJournal() for host in cloud.hosts}
        self.on: dict[str, Parts] = {}
        self.conductor: Conductor | None = None
        for host in cloud.hosts:
            self.switch_on(host)
        self.take_over()

    # Who is there.

    def switch_on(self, host: str) -> None:
        """Start a host's agent over its journal."""
        self.on[host] = self.cloud.agent(host, self.world, self.journals[host])

    def switch_off(self, host: str, *, power: bool = False) -> None:
        """Leave a host's agent dead; without power its guests are too."""
        del self.on[host]
        self.journals[host].crash()
        if power:
            power_failure(self.world, host)

    def lose_conductor(self) -> None:
        """Leave nobody who owns a partition: the process is gone, and the group knows it."""
        assert self.conductor is not None
        expel(self.cloud, self.conductor)
        self.conductor = None

    def take_over(self) -> None:
        """Start a conductor, which takes every partition over."""
        self.conductor = self.cloud.conductor(Options(service_down_time_s=DOWN_S))

    # What goes on.

    def turn(self) -> bool:
        """Let everybody take a turn; say whether anybody had work."""
        did = [part.turn() for parts in self.on.values() for part in parts.turns]
        if self.conductor is not None:
            did.append(self.conductor.turn())
        return any(did)

    def until(self, holds: Callable[[], bool], within_s: int = 4_000) -> None:
        """Let time go on until something holds; fail where it does not in time."""
        end = self.clock.now + within_s * S
        while not holds():
            assert self.clock.now < end, f"Expected it within {within_s} s"
            self.clock.now += S // 20 if self.turn() else IDLE_S * S

    def wait(self, seconds: int) -> None:
        """Let time go on, everybody being at work."""
        end = self.clock.now + seconds * S
        self.until(lambda: self.clock.now >= end, seconds + 10)

    def until_said(self, uuid: str, name: str, within_s: int = 4_000) -> None:
        """Let time go on until a fact is in the log."""
        self.until(lambda: name in self.names(uuid), within_s)

    def rest(self) -> None:
        """Let time go on until everything that was said is folded and nothing is outstanding."""
        quiet = 0
        while quiet < 5:
            quiet = 0 if self.turn() or self.cloud.lag(self.store) else quiet + 1
            self.clock.now += S // 20

    # What is there to see.

    def said(self, uuid: str) -> list[Said]:
        """Return every fact about an instance, in order."""
        return self._facts(self.cloud.home(uuid), uuid)

    def said_of_host(self, host: str) -> list[Said]:
        """Return every fact about a host, in order."""
        number = partition_of(host, self.cloud.partitions)
        return self._facts(TopicPartition(self.cloud.topics.node_events, number), host)

    def _facts(self, home: TopicPartition, key: str) -> list[Said]:
        assert isinstance(self.cloud.log, MemoryLog)
        found = [r for r in self.cloud.log.partition(home).records if r.key == key.encode()]
        decoded = [decode_fact(r.value or b"") for r in found]
        return [Said(meta.source, fact) for meta, fact in decoded]

    def names(self, uuid: str) -> list[str]:
        """Return the names of the facts about an instance, in order."""
        return [each.name for each in self.said(uuid)]

    def lines(self, uuid: str, after: int = 0) -> list[str]:
        """Return who said what about an instance, from a number on, without what repeats."""
        said = [f"{s.source.removeprefix('compute/')}: {s.name}" for s in self.said(uuid)[after:]]
        return list(dict.fromkeys(said))

    def table(self, name: str) -> list[Row]:
        """Return the rows of a table that is a function of the log."""
        return rows(self.store, name)

    def count(self, table: str) -> int:
        """Return how many rows an operational table has."""
        with self.store._engine.connect() as connection:
            return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)

    def proves_equal(self) -> None:
        """See that every table is what the log says."""
        audit = self.cloud.verify(self.store)
        assert audit.is_equal, audit.differences


def expel(cloud: Cloud, conductor: Conductor) -> None:
    """Have the group take a conductor for dead."""
    group: LogGroup = conductor._ports.group
    assert isinstance(cloud.log, MemoryLog)
    assert isinstance(group, MemoryReader)
    cloud.log.expel(group)


@contextmanager
def theatre(folder: Path, url: str = "", **settings: str) -> Iterator[Theatre]:
    """Open a cloud on a log in memory and rows in a file, or in another database."""
    clock = TheatreClock()
    url = url or f"sqlite:///{folder / 'rows.sqlite'}"
    cloud = Cloud(log=MemoryLog(clock), url=url, topics=Topics("t"), clock=clock)
    try:
        cloud.found(settings)
        stage = Theatre(cloud, clock)
        stage.until(lambda: len(stage.table("nodes")) == len(cloud.hosts), 60)
        yield stage
    finally:
        cloud.close()
