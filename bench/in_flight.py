"""`python -m bench.in_flight`: what 10,000 sagas in flight cost one worker, beside 100.

Both fold as many facts about as many instances: each is created and migrated live; but in one case
100 are under way at a time, in the other all. Batches are small, so that in both a batch holds one
fact of an instance: what a large batch saves by writing an instance once for many facts is another
matter. Beside it, what a look for what is due costs with as many waiting.

The log is a real Kafka, the rows are in a real PostgreSQL (with --sqlite both are files). Both
cases run side by side in processes of their own, a second of each in turn.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from bench.contest import Took
from bench.lives import Life, Seen
from bench.load import CHUNK, HOSTS, KEYRING, Load, begun, open_log
from bench.service import check, folded, new_database
from bench.slices import Contestant, side_by_side
from conductor.ready import ready_to_fold
from conductor.wiring import Conductor, Options, Ports
from events.log import Message, TopicPartition
from events.ports import SystemClock
from events.topics import Topics
from projections.bulk import bulk_of
from projections.engine import open_engine
from projections.sql_store import SqlStore, open_store
from projections.store import DueRow, Timer
from projections.tables import DUES, TIMERS
from projections.transactions import writing
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

FEW: Final = 100
MANY: Final = 10_000
#: Rows that wait while others are looked for.
WAITING: Final = (100, 100_000)
#: Records of a batch: as many as there are sagas in flight in the small case.
BATCH: Final = 100
#: One worker owns them all.
PARTITIONS: Final = 1
#: More than this is more than was asked for.
GROWTH_MAX: Final = 1.10
LOOKS: Final = 200
#: Turns of a worker in one slice: some 5,000 facts.
SLICE_TURNS: Final = 50


class Moved(Life):
    """An instance that is created and migrated live, and no more."""

    def facts(self, hosts: int, wanted: int) -> Iterator[Message]:
        """Yield the facts of both operations."""
        for action in ("create", "live_migrate"):
            yield from self.operation(action, hosts)


class Filled(NamedTuple):
    """A log, and how many sagas were open at a time in it."""

    load: Load
    in_flight: int


class Cost(NamedTuple):
    """What a fact cost, and what the process held at most."""

    cpu_us: float
    wall_us: float
    memory_mb: float


def filled(address: str, *, instances: int, at_a_time: int) -> Filled:
    """Leave topics of a log in which so many instances are at work at a time."""
    topics = begun(address, f"f{at_a_time}", hosts=HOSTS, partitions=PARTITIONS)
    seen, writer, count, most = Seen(), open_log(address).writer(), 0, 0
    for start in range(0, instances, at_a_time):
        numbers = range(start, min(start + at_a_time, instances))
        lives = [_life(n, topics, seen) for n in numbers]
        chunk: list[Message] = []
        for message, open_count in _in_turn(lives):
            most = max(most, open_count)
            chunk.append(message)
            if len(chunk) == CHUNK:
                writer.append(chunk)
                count, chunk = count + len(chunk), []
        writer.append(chunk)
        count += len(chunk)
    writer.close()
    load = Load(
        address=address,
        prefix=topics.prefix,
        facts=count,
        accepted=seen.accepted,
        partitions=PARTITIONS,
    )
    return Filled(load, most)


def _life(number: int, topics: Topics, seen: Seen) -> Moved:
    draw = random.Random(number)
    uuid = str(UUID(int=draw.getrandbits(128), version=4))
    return Moved(uuid, topics, KEYRING, PARTITIONS, draw, SystemClock().now_us(), seen)


def _in_turn(lives: list[Moved]) -> Iterator[tuple[Message, int]]:
    """Yield the facts of all, one of each in turn, and how many sagas are open after each."""
    going = [(life, life.facts(HOSTS, 0)) for life in lives]
    open_count = 0
    while going:
        still = []
        for life, facts in going:
            before = life.held is not None and life.held.saga is not None
            message = next(facts, None)
            after = life.held is not None and life.held.saga is not None
            open_count += int(after) - int(before)
            if message is not None:
                yield message, open_count
                still.append((life, facts))
        going = still


def fold(load: Load, url: str) -> Iterator[None]:
    """Fold the log by one worker, in slices."""
    ends, log = load.ends(), load.log()
    ports = Ports(
        group=log.group(load.prefix),  # A group of its own: the other case stands still.
        reader=log.reader(),
        writer=log.writer(),
        store=open_store(url),
        clock=SystemClock(),
        keyring=KEYRING,
        topics=load.topics,
    )
    conductor = Conductor(ports, Options(batch_records_max=BATCH))
    worker = conductor.worker
    while not conductor.owned.partitions:
        worker.turn()
    ready_to_fold()
    yield
    while folded(conductor, ends) < 1:
        for _ in range(SLICE_TURNS):
            worker.turn()
        yield
    check(load, worker.counts)
    conductor.stop()
    ports.store.close()


def costs_of(cases: Sequence[Filled], urls: Sequence[str]) -> list[Cost]:
    """Measure all cases once, each on an empty database."""
    fold_all = [
        Contestant(fold, (case.load, new_database(url)))
        for case, url in zip(cases, urls, strict=True)
    ]
    return [_cost(case, took) for case, took in zip(cases, side_by_side(fold_all), strict=True)]


def _cost(case: Filled, took: Took) -> Cost:
    per_fact = 1e6 / case.load.facts
    return Cost(took.cpu_s * per_fact, took.wall_s * per_fact, took.memory_mb)


# What is due.


def look(url: str, waiting: int) -> float:
    """Return the µs of a look for what is due, nothing being due, with so many rows waiting."""
    engine = open_engine(new_database(url))
    home = TopicPartition(Topics().instance_events, 0)
    later = 10**15
    timers = [
        (*Timer(f"c{n}", *home, f"i{n}", "s", "ask", 1, "h", later + n), 0) for n in range(waiting)
    ]
    dues = [DueRow(f"i{n}", "confirm_resize", *home, n, 60, later + n) for n in range(waiting)]
    with writing(engine) as connection:
        bulk_of(engine).load(connection, TIMERS, timers)
        bulk_of(engine).load(connection, DUES, dues)
    store = SqlStore(engine)
    owned = {tp: c.epoch for tp, c in store.take_over([home]).items()}
    spent: list[float] = []
    for _ in range(LOOKS):
        begin = time.perf_counter()
        assert not store.due(owned, 1, 200)
        assert not store.elapsed(owned, 1, 200)
        spent.append(time.perf_counter() - begin)
    store.close()
    return statistics.median(spent) * 1e6


def main() -> int:
    """Measure and print; return 1 where it grows by more than it may."""
    parser = argparse.ArgumentParser(prog="python -m bench.in_flight", description=__doc__)
    parser.add_argument("--sagas", type=int, default=MANY, help="in flight in the large case")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sqlite", action="store_true", help="log and rows in files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regente-bench-") as folder, ExitStack() as open_:
        if options.sqlite:
            # What is in a folder has one owner at a time.
            addresses = [f"{folder}/{n}/log.sqlite" for n in range(2)]
            for address in addresses:
                Path(address).parent.mkdir()
            new = _databases(folder, None)
        else:
            addresses = [open_.enter_context(KafkaServer()).bootstrap] * 2
            new = _databases(folder, open_.enter_context(PostgresServer()))
        at_a_time = (FEW, options.sagas)
        cases = [
            filled(address, instances=options.sagas, at_a_time=n)
            for address, n in zip(addresses, at_a_time, strict=True)
        ]
        costs: list[list[Cost]] = [[], []]
        for run in range(options.runs):
            urls = [new(f"{case.load.prefix}-{run}") for case in cases]
            for case, found, cost in zip(cases, costs, costs_of(cases, urls), strict=True):
                found.append(cost)
                print(f"{case.in_flight} in flight: {cost}", file=sys.stderr, flush=True)
        looks = [look(new(f"due-{each}"), each) for each in WAITING]
    return _report(cases, costs, looks)


def _databases(folder: str, postgres: PostgresServer | None) -> Callable[[str], str]:
    """Return what makes an empty database and names its address."""
    if postgres is not None:
        return postgres.create_database
    return lambda name: f"sqlite:///{folder}/rows-{name}.sqlite"


def _report(cases: list[Filled], costs: list[list[Cost]], looks: list[float]) -> int:
    few, many = [Cost(*(statistics.median(c) for c in zip(*case, strict=True))) for case in costs]
    growth = Cost(*(there / here for here, there in zip(few, many, strict=True)))
    print(f"| {cases[0].load.facts:,} facts | in flight | CPU µs a fact | µs a fact | MB at most |")
    print("|---|---|---|---|---|")
    for case, found in zip(cases, (few, many), strict=True):
        print(
            f"| | {case.in_flight:,} | {found.cpu_us:.0f} | {found.wall_us:.0f}"
            f" | {found.memory_mb:.0f} |"
        )
    print(
        f"| growth | | {growth.cpu_us:.2f} | {growth.wall_us:.2f} | {growth.memory_mb:.2f}"
        f" (at most {GROWTH_MAX}) |"
    )
    for waiting, spent in zip(WAITING, looks, strict=True):
        print(f"a look for what is due, {waiting:,} waiting: {spent:.0f} µs")
    return 0 if max(growth) <= GROWTH_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
