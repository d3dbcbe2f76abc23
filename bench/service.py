"""The service as it is: one conductor on a log and a database, until everything is folded.

Nothing is left out of it: it joins its group, takes its partitions over, polls, checks MACs and
chains, decodes, judges, moves sagas, writes rows, outbox and checkpoints, and gives every other
part its turn. The measure begins when it has its partitions, and ends when the last fact that was
in the log is known to be in the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bench.contest import Took, measured, resident_mb
from bench.load import KEYRING, Load
from conductor.commits import beside
from conductor.ready import ready_to_fold
from conductor.wiring import Conductor, Options, Ports
from events.log import LogGroup, TopicPartition
from events.ports import SystemClock
from projections import schema
from projections.sql_store import open_store


@contextmanager
def conducting(load: Load, url: str) -> Iterator[Conductor]:
    """Give a conductor of a group of its own that has taken every partition over."""
    group = load.log().group(f"bench-{time.monotonic_ns()}")
    with conducting_in(group, load, url) as conductor:
        yield conductor


@contextmanager
def conducting_in(group: LogGroup, load: Load, url: str) -> Iterator[Conductor]:
    """Give a conductor of this group that has some partitions."""
    store, log = open_store(url), load.log()
    reader, writer = log.reader(), log.writer()
    ports = Ports(
        group=group,
        reader=reader,
        writer=writer,
        store=store,
        clock=SystemClock(),
        keyring=KEYRING,
        topics=load.topics,
        beside=beside(is_served=store.is_served),
    )
    conductor = Conductor(ports, Options())
    try:
        until(conductor, lambda: bool(conductor.owned.partitions))
        yield conductor
    finally:
        conductor.stop()
        for each in (reader, writer, store):
            each.close()


def until(conductor: Conductor, done: Callable[[], bool]) -> None:
    """Give the conductor turns until it is done."""
    while not done():
        conductor.turn()


def folded(conductor: Conductor, ends: Mapping[TopicPartition, int]) -> float:
    """Return the share of what is wanted that has been folded."""
    owned = conductor.owned.partitions
    taken = sum(min(owned[tp].fold.next_offset, end) for tp, end in ends.items() if tp in owned)
    return taken / sum(ends.values())


def backlog(load: Load, url: str) -> Took:
    """Return what it took to fold a whole topic, having checked that it was."""
    ends = load.ends()
    with conducting(load, url) as conductor:
        ready_to_fold()  # As every worker does at its beginning.
        with measured() as took:
            took.held_mb.append(resident_mb())
            for look in (0.25, 0.5, 0.75, 1.0):
                while folded(conductor, ends) < look:
                    conductor.turn()
                took.held_mb.append(resident_mb())
        counts = conductor.worker.counts
    check(load, counts)
    return took


def check(load: Load, counts: Mapping[str, int]) -> None:
    """Refuse a measure of anything but the lives as they were lived."""
    found = (counts["accepted"], counts["rejected"])
    expected = (load.accepted, load.facts - load.accepted)
    assert found == expected, f"Expected {expected} facts accepted and rejected, but {counts}"


def new_database(url: str) -> str:
    """Leave an empty database with this code's tables."""
    schema.upgrade(url)
    return url
