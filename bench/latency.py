"""Line 4: from a host's fact to the row that shows it, at a steady rate, both turn about.

A fact's time begins when it is due to be said, not when it could be: a log that stands still
delays everything behind it, and that counts. It ends when the commit has returned that made the
row visible.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Final

from bench import lean, service
from bench.backlog import conninfo_of
from bench.contest import Figure, paired
from bench.lives import Mix, Seen, messages
from bench.load import HOSTS, KEYRING, PARTITIONS, Load, begun, open_log
from bench.places import Places
from conductor.collector import collect_seldom
from events.ports import SystemClock

RATE: Final = 500
#: Seconds at the beginning that do not count: the first fetches and plans.
WARM_S: Final = 2
#: (when it was committed, end of each partition that was).
Commits = list[tuple[float, dict[int, int]]]
#: (partition, offset) → when it was due.
Due = dict[tuple[int, int], float]


def measure(places: Places) -> list[Figure]:
    """Return p50 and p99 of the service over those of the lean pipeline."""
    found: dict[str, list[tuple[float, float]]] = {"lean": [], "service": []}
    for run in range(places.scale.long_runs):
        for name, read in (("lean", lean_commits), ("service", service_commits)):
            load = _load(places, f"latency{run}{name}")
            with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
                reading = pool.submit(read, load, places.database(load.prefix))
                said = pool.submit(paced, load)
                found[name].append(quantiles(said.result(), reading.result()))
    return [
        _figure(name, [r[n] for r in found["service"]], [r[n] for r in found["lean"]])
        for n, name in enumerate(("p50", "p99"))
    ]


def _figure(name: str, ours: list[float], theirs: list[float]) -> Figure:
    return Figure(
        line="4",
        name=f"fact to row at {RATE} facts/s, {name}",
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


def paced(load: Load) -> Due:
    """Say facts at the rate; return when each was due, by its place in the log."""
    ready = list(islice(messages(_mix(load.facts), load.topics, KEYRING, Seen()), load.facts))
    writer = open_log(load.address).writer()
    due: Due = {}
    time.sleep(3.0)  # The reader takes its partitions over meanwhile.
    begin, said = time.time(), 0
    while said < len(ready):
        chunk = ready[said : int((time.time() - begin) * RATE) + 1]
        if not chunk:
            time.sleep(0.0005)
            continue
        for n, (message, offset) in enumerate(zip(chunk, writer.append(chunk), strict=True)):
            due[message.partition, offset] = begin + (said + n) / RATE
        said += len(chunk)
    writer.close()
    return {at: when for at, when in due.items() if when >= begin + WARM_S}


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
        collect_seldom()
        while True:
            # The load speaks for hosts and scheduler too: relay and scheduler would contradict it.
            conductor.worker.turn()
            ends = {tp.partition: folds[tp].fold.next_offset for tp in wanted if tp in folds}
            if not commits or commits[-1][1] != ends:
                commits.append((time.time(), ends))
            if sum(ends.values()) >= total:
                return commits


def quantiles(due: Due, commits: Commits) -> tuple[float, float]:
    """Return the time that half, and 99 of 100, facts took, ms."""
    seen: dict[int, int] = {}
    took: list[float] = []
    for when, ends in commits:
        for partition, end in ends.items():
            for offset in range(seen.get(partition, 0), end):
                if (partition, offset) in due:
                    took.append((when - due[partition, offset]) * 1_000)
            seen[partition] = max(end, seen.get(partition, 0))
    assert len(took) == len(due), f"Expected {len(due)} facts to be seen, but {len(took)}"
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]
