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

from bench.contest import Took, measured
from bench.load import KEYRING, Load
from conductor.collector import collect_seldom
from conductor.wiring import Conductor, Options, Ports
from events.log import TopicPartition
from events.ports import SystemClock
from projections import schema
from projections.sql_store import open_store


@contextmanager
def conducting(load: Load, url: str) -> Iterator[Conductor]:
    """Give a conductor of a group of its own that has taken every partition over."""
    store, log = open_store(url), load.log()
    group, reader, writer = log.group(f"bench-{time.monotonic_ns()}"), log.reader(), log.writer()
    ports = Ports(
        group=group,
        reader=reader,
        writer=writer,
        store=store,
        clock=SystemClock(),
        keyring=KEYRING,
        topics=load.topics,
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


def is_folded(conductor: Conductor, ends: Mapping[TopicPartition, int]) -> bool:
    """Say whether every partition has been folded to the end that is wanted."""
    owned = conductor.owned.partitions
    return all(tp in owned and owned[tp].fold.next_offset >= end for tp, end in ends.items())


def backlog(load: Load, url: str) -> Took:
    """Return what it took to fold a whole topic, having checked that it was."""
    ends = load.ends()
    with conducting(load, url) as conductor:
        collect_seldom()  # As every worker does at its beginning.
        with measured() as took:
            until(conductor, lambda: is_folded(conductor, ends))
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
