"""`make bench`: facts per second of one worker, beside the bare client on the same topic.

The bare client polls and decodes and does nothing else: the ceiling of a Python consumer. Both
read the same topic, turn about, and the ratio is taken pair by pair; absolute figures hold for
the machine that they were taken on.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.lives import Mix, messages
from conductor.rulebook import Rulebook
from conductor.speaker import Speaker
from conductor.wiring import Conductor, Options, Ports
from events.codec import decode_fact
from events.control import KeyOpened
from events.kafka_log import KafkaLog, KafkaOptions
from events.log import Log, LogReader, Message, TopicPartition
from events.ports import SystemClock
from events.seal import MasterKeyring
from events.sqlite_log import SqliteLog
from events.topics import Topics
from projections import schema
from projections.sql_store import open_store
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

PARTITIONS: Final = 6
HOSTS: Final = 20
CHUNK: Final = 2_000
RESULTS: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Load:
    """A log filled with facts."""

    log: Log
    topics: Topics
    keyring: MasterKeyring
    facts: int


def main() -> int:
    """Measure, print the table, and write `bench/results.json`."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--instances", type=int, default=2_000)
    parser.add_argument("--facts", type=int, default=20, help="facts of each instance, about")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with (
        KafkaServer() as kafka,
        PostgresServer() as postgres,
        tempfile.TemporaryDirectory(prefix="regente-bench-") as folder,
    ):
        broker = filled(KafkaLog(KafkaOptions(bootstrap=kafka.bootstrap)), options)
        file = filled(SqliteLog(Path(folder) / "log.sqlite", SystemClock()), options)
        figures: dict[str, list[float]] = {name: [] for name in NAMES}
        for run in range(options.runs):
            url = postgres.create_database(f"bench{run}")
            figures["bare client: poll + decode"].append(bare(broker))
            figures["one worker, Kafka + PostgreSQL"].append(worker(broker, url))
            rows = f"sqlite:///{folder}/rows{run}.sqlite"
            figures["one worker, SQLite log + SQLite"].append(worker(file, rows))
        report(figures, broker.facts, options.runs)
    return 0


NAMES: Final = (
    "bare client: poll + decode",
    "one worker, Kafka + PostgreSQL",
    "one worker, SQLite log + SQLite",
)


def filled(log: Log, options: argparse.Namespace) -> Load:
    """Return a log with rules, open keys and the facts of many lives."""
    topics, clock, keyring = Topics(), SystemClock(), MasterKeyring(b"b" * 32)
    log.admin().create(topics.specs(PARTITIONS))
    writer, reader = log.writer(), log.reader()
    book = Rulebook(speaker=Speaker(writer, keyring, clock), reader=reader, topics=topics)
    book.begin({})
    for n in range(HOSTS):
        book.say(KeyOpened(key_id=f"host{n}/1"))
    count = 0
    chunk: list[Message] = []
    mix = Mix(
        instances=options.instances,
        facts_each=options.facts,
        hosts=HOSTS,
        partitions=PARTITIONS,
    )
    for message in messages(mix, topics, keyring):
        chunk.append(message)
        if len(chunk) == CHUNK:
            writer.append(chunk)
            count += len(chunk)
            chunk = []
    if chunk:
        writer.append(chunk)
    writer.close()
    reader.close()
    return Load(log, topics, keyring, count + len(chunk))


def ends(load: Load, reader: LogReader) -> dict[TopicPartition, int]:
    """Return the end of every partition of the instance topic."""
    topic = load.topics.instance_events
    return reader.end_offsets([TopicPartition(topic, p) for p in range(PARTITIONS)])


def bare(load: Load) -> float:
    """Return records per second of polling and decoding alone."""
    reader = load.log.reader()
    wanted = ends(load, reader)
    reader.assign(dict.fromkeys(wanted, 0))
    left, count = sum(wanted.values()), 0
    begin = time.perf_counter()
    while count < left:
        for record in reader.poll(5_000, 1.0):
            decode_fact(record.value or b"")
            count += 1
    took = time.perf_counter() - begin
    reader.close()
    return count / took


def worker(load: Load, url: str) -> float:
    """Return facts per second of one conductor that takes everything from the beginning."""
    schema.upgrade(url)
    store = open_store(url)
    log, clock = load.log, SystemClock()
    reader = log.reader()
    wanted = ends(load, reader)
    group = log.group(f"bench-{time.monotonic_ns()}")
    writer = log.writer()
    conductor = Conductor(
        Ports(
            group=group,
            reader=log.reader(),
            writer=writer,
            store=store,
            clock=clock,
            keyring=load.keyring,
            topics=load.topics,
        ),
        Options(),
    )
    until(conductor, lambda: bool(conductor.owned.partitions))
    begin = time.perf_counter()
    until(conductor, lambda: folded(conductor, wanted))
    took = time.perf_counter() - begin
    assert not conductor.worker.counts["quarantined"], conductor.worker.counts
    conductor.stop()
    writer.close()
    reader.close()
    store.close()
    return load.facts / took


def folded(conductor: Conductor, wanted: Mapping[TopicPartition, int]) -> bool:
    """Say whether every partition has been folded to the end that is wanted."""
    owned = conductor.owned.partitions
    return all(tp in owned and owned[tp].fold.next_offset >= end for tp, end in wanted.items())


def until(conductor: Conductor, done: Callable[[], bool]) -> None:
    """Give the worker turns until it is done."""
    while not done():
        conductor.worker.turn()


def report(figures: Mapping[str, list[float]], facts: int, runs: int) -> None:
    """Print the table and keep it."""
    base = figures[NAMES[0]]
    rows = []
    for name in NAMES:
        found = figures[name]
        ratios = [a / b for a, b in zip(found, base, strict=True)]
        rows.append(
            {
                "name": name,
                "facts_per_s": {
                    "median": round(statistics.median(found)),
                    "min": round(min(found)),
                    "max": round(max(found)),
                },
                "ratio_to_bare_client": round(statistics.median(ratios), 3),
            }
        )
    conditions = {
        "facts": facts,
        "runs": runs,
        "partitions": PARTITIONS,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    RESULTS.write_text(json.dumps({"conditions": conditions, "figures": rows}, indent=2) + "\n")
    print(f"{facts} facts, {runs} runs, turn about; median (min-max)")
    for row in rows:
        rate = row["facts_per_s"]
        assert isinstance(rate, dict)
        print(
            f"{row['name']:34} {rate['median']:>8,} facts/s ({rate['min']:,}-{rate['max']:,})"
            f"  ratio {row['ratio_to_bare_client']}"
        )


if __name__ == "__main__":
    sys.exit(main())
