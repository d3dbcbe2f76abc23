"""Line 4: from a host's journal to the row that shows it, at a steady rate, both turn about.

A fact's time begins when it is due to be written into its host's journal, not when it could be: a
journal or a log that stands still delays everything behind it, and that counts. It ends when the
commit has returned that made the row visible. The way into the log is the same for both, and would
hide a difference between them; so the time from the append on is told too.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from bench import lean, service
from bench.contest import Figure, paired
from bench.hosts import Times, speak
from bench.lives import Mix, Seen, messages
from bench.load import HOSTS, KEYRING, PARTITIONS, Load, begun
from bench.places import Places
from conductor.ready import ready_to_fold
from events.kafka_log.options import Fetcher
from events.ports import SystemClock
from tests.servers.postgres import conninfo_of

RATE: Final = 500
#: Seconds at the beginning that do not count: the first fetches and plans.
WARM_S: Final = 2
#: (when it was committed, end of each partition that was).
Commits = list[tuple[float, dict[int, int]]]
#: p50 and p99 from the journal on, p50 and p99 from the append on; ms.
Quantiles = tuple[float, float, float, float]
#: Reads a load into a database, and says when how much was committed.
Read = Callable[[Load, str], Commits]
#: Where a machine keeps files in memory.
MEMORY: Final = "/dev/shm"  # a directory of random name within it is ours
#: What each of these is called.
NAMES: Final = (
    "journal to row, p50",
    "journal to row, p99",
    "of it from the append on, p50",
    "of it from the append on, p99",
)


def measure(places: Places) -> list[Figure]:
    """Return p50 and p99 of the service over those of the lean pipeline, by either fetcher."""
    contestants: tuple[tuple[str, Read, Fetcher], ...] = (
        ("lean", lean_commits, "kafka-python"),
        ("service", service_commits, "kafka-python"),
        ("fetching", service_commits, "librdkafka"),
    )
    found: dict[str, list[Quantiles]] = {name: [] for name, _, _ in contestants}
    for run in range(places.scale.runs):
        for name, read, fetcher in contestants:
            load = _load(places, f"latency{run}{name}").fetched_by(fetcher)
            with (
                tempfile.TemporaryDirectory(dir=_disk_of_hosts(places)) as folder,
                ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
            ):
                reading = pool.submit(read, load, places.database(load.prefix))
                said = pool.submit(paced, load, Path(folder))
                found[name].append(quantiles(said.result(), reading.result()))
    return [
        _figure(line, f"{name}{what}", [r[n] for r in found[ours]], [r[n] for r in found["lean"]])
        for line, ours, what in (("4", "service", ""), ("4r", "fetching", ", librdkafka fetches"))
        for n, name in enumerate(NAMES)
    ]


def _disk_of_hosts(places: Places) -> str:
    """Name a disk that is not the database's: a host's journal is synced to one of its own."""
    return MEMORY if Path(MEMORY).is_dir() else places.folder


def _figure(line: str, name: str, ours: list[float], theirs: list[float]) -> Figure:
    return Figure(
        line=line,
        name=f"{RATE} facts/s of {HOSTS} hosts, {name}",
        unit="ms",
        runs=ours,
        to="lean",
        ratios=paired(ours, theirs),
        target="≤ 2, beyond ≤ 1.2",
        conditions={"lean_ms": round(statistics.median(theirs), 1)},
    )


def _load(places: Places, prefix: str) -> Load:
    """Leave a log in which nothing has been said, and tell what will be."""
    topics = begun(places.kafka, prefix, hosts=HOSTS)
    seen, facts = Seen(), RATE * (places.scale.latency_s + WARM_S)
    for _ in islice(messages(_mix(facts), topics, KEYRING, seen), facts):
        pass
    return Load(
        address=places.kafka,
        prefix=prefix,
        facts=facts,
        accepted=seen.accepted,
        transitions=[[*met, *left] for met, left in seen.transitions.items()],
    )


def _mix(facts: int) -> Mix:
    now = SystemClock().now_us()
    # More instances than the facts are for: what they say is cut off, and none runs dry.
    return Mix(
        instances=facts // 10, facts_each=20, hosts=HOSTS, partitions=PARTITIONS, begin_us=now
    )


def paced(load: Load, folder: Path) -> Times:
    """Let hosts say facts at the rate; return when each was said, but for the first."""
    ready = list(islice(messages(_mix(load.facts), load.topics, KEYRING, Seen()), load.facts))
    times = speak(load, ready, RATE, folder)
    counts_from = min(said.due for said in times.values()) + WARM_S
    return {at: said for at, said in times.items() if said.due >= counts_from}


def lean_commits(load: Load, url: str) -> Commits:
    """Return when the lean pipeline had committed how much."""
    conninfo = conninfo_of(url)
    lean.make_tables(conninfo)
    pipeline = lean.Lean(load, conninfo)
    wanted = sum(pipeline.ends.values()) + load.facts
    commits: Commits = []
    while pipeline.taken < wanted:
        if offsets := pipeline.step(50):
            commits.append((time.time(), offsets))
    pipeline.close()
    return commits


def service_commits(load: Load, url: str) -> Commits:
    """Return when the service had committed how much."""
    service.new_database(url)
    wanted = dict.fromkeys(load.ends(), 0)
    total = sum(load.ends().values()) + load.facts
    commits: Commits = []
    with service.conducting(load, url) as conductor:
        folds = conductor.owned.partitions
        ready_to_fold()
        while True:
            # The load speaks for hosts and scheduler too: relay and scheduler would contradict it.
            conductor.worker.turn()
            ends = {tp.partition: folds[tp].fold.next_offset for tp in wanted if tp in folds}
            if not commits or commits[-1][1] != ends:
                commits.append((time.time(), ends))
            if sum(ends.values()) >= total:
                service.check(load, conductor.worker.counts)
                return commits


def quantiles(times: Times, commits: Commits) -> Quantiles:
    """Return the time that half, and 99 of 100, facts took from either beginning on, ms."""
    seen: dict[int, int] = {}
    from_journal: list[float] = []
    from_append: list[float] = []
    for when, ends in commits:
        for partition, end in ends.items():
            for offset in range(seen.get(partition, 0), end):
                if said := times.get((partition, offset)):
                    from_journal.append((when - said.due) * 1_000)
                    from_append.append((when - said.appended) * 1_000)
            seen[partition] = max(end, seen.get(partition, 0))
    count = len(from_journal)
    assert count == len(times), f"Expected {len(times)} facts to be seen, but {count}"
    return *_p50_p99(from_journal), *_p50_p99(from_append)


def _p50_p99(took: list[float]) -> tuple[float, float]:
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]
