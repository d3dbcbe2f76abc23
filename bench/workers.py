"""Line 3: two workers of one group, on the same backlog as one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from bench import service
from bench.contest import Figure, paired
from bench.load import Load, filled
from bench.places import Places
from conductor.collector import collect_seldom

#: Seconds until every worker has its share.
PATIENCE_S: Final = 60.0


def measure(places: Places) -> list[Figure]:
    """Return facts per second of two workers over those of one, turn about."""
    scale = places.scale
    load = filled(places.kafka, "workers", instances=scale.instances, facts_each=scale.facts_each)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for run in range(scale.long_runs):
        for count in (1, 2):
            url = service.new_database(places.database(f"workers{run}{count}"))
            rates[count].append(together(load, url, count, f"workers{run}{count}"))
    return [
        Figure(
            line="3",
            name="two workers on a backlog",
            unit="facts/s",
            runs=rates[2],
            to="one worker",
            ratios=paired(rates[2], rates[1]),
            target="≥ 1.6, beyond ≥ 1.75",
            conditions={"facts": load.facts},
        )
    ]


def together(load: Load, url: str, count: int, group: str) -> float:
    """Return facts per second from when every worker has its share to the last fact of any."""
    with (
        get_context("spawn").Manager() as manager,
        ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool,
    ):
        barrier = manager.Barrier(count)
        runs = [pool.submit(one_of, load, url, group, count, barrier) for _ in range(count)]
        found = [each.result() for each in runs]
    begin, end = min(f[1] for f in found), max(f[2] for f in found)
    return sum(f[0] for f in found) / (end - begin)


def one_of(
    load: Load, url: str, name: str, count: int, barrier: threading.Barrier
) -> tuple[int, float, float]:
    """Fold a share of the log beside others; return how many facts, from when and until when."""
    ends, group = load.ends(), load.log().group(name)
    with service.conducting_in(group, load, url) as conductor:
        mine = conductor.owned.partitions
        end_s = time.monotonic() + PATIENCE_S
        while len(mine) != 2 * len(ends) // count:  # Of both topics.
            group.pause(tuple(mine))
            group.poll(1, 0.1)  # What it gives is given again, after the next lines.
            assert time.monotonic() < end_s, f"Expected a share for each, but {sorted(mine)}"
        for tp, owned in mine.items():
            group.seek(tp, owned.fold.next_offset)
        group.resume(tuple(mine))
        left = sum(ends[tp] - mine[tp].fold.next_offset for tp in mine if tp in ends)
        collect_seldom()
        barrier.wait()
        begin = time.time()
        service.until(
            conductor,
            lambda: all(mine[tp].fold.next_offset >= ends[tp] for tp in mine if tp in ends),
        )
        end = time.time()
        barrier.wait()  # Nobody leaves before all are done: that would divide the group anew.
    return left, begin, end
