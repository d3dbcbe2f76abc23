"""Line 3: two workers of one group, on the same backlog as one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from bench import service
from bench.contest import Figure, paired
from bench.load import HOSTS, PARTITIONS, Load, begun, lived
from bench.places import Places
from conductor.collector import collect_seldom
from conductor.wiring import Conductor

#: Seconds that one may wait for the others.
PATIENCE_S: Final = 60.0
#: Seconds that a share is kept before it counts as settled.
SETTLED_S: Final = 8.0


def measure(places: Places) -> list[Figure]:
    """Return facts per second of two workers over those of one, turn about."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for run in range(places.scale.long_runs):
        for count in (1, 2):
            rates[count].append(together(places, f"workers{run}{count}", count))
    return [
        Figure(
            line="3",
            name="two workers on a backlog",
            unit="facts/s",
            runs=rates[2],
            to="one worker",
            ratios=paired(rates[2], rates[1]),
            target="≥ 1.6, beyond ≥ 1.75",
        )
    ]


def together(places: Places, prefix: str, count: int) -> float:
    """Return facts per second of so many workers, from the first fact to the last of any.

    They divide the log while nothing is in it; what they fold is written while they wait.
    """
    begun(places.kafka, prefix, hosts=HOSTS)
    load = Load(address=places.kafka, prefix=prefix, facts=0, accepted=0)
    url = service.new_database(places.database(prefix))
    scale = places.scale
    with (
        get_context("spawn").Manager() as manager,
        ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool,
    ):
        barrier = manager.Barrier(count + 1)
        runs = [pool.submit(one_of, load, url, count, barrier) for _ in range(count)]
        barrier.wait(PATIENCE_S)
        lives = {"instances": scale.instances, "facts_each": scale.facts_each}
        facts = lived(places.kafka, prefix, **lives).facts
        barrier.wait(PATIENCE_S)
        barrier.wait(PATIENCE_S)
        found = [each.result() for each in runs]
    return facts / (max(f[1] for f in found) - min(f[0] for f in found))


def one_of(load: Load, url: str, count: int, barrier: threading.Barrier) -> tuple[float, float]:
    """Fold a share of the log beside others; return from when and until when."""
    group = load.log().group(load.prefix)
    with service.conducting_in(group, load, url) as conductor:
        mine = conductor.owned.partitions
        _settle(conductor, 2 * PARTITIONS // count)  # Of both topics.
        barrier.wait(PATIENCE_S)
        collect_seldom()
        barrier.wait(PATIENCE_S)
        begin, ends = time.time(), load.ends()
        while any(mine[tp].fold.next_offset < ends[tp] for tp in mine if tp in ends):
            # The load speaks for hosts and scheduler too: relay and scheduler would contradict it.
            conductor.worker.turn()
        end = time.time()
        barrier.wait(PATIENCE_S)  # Nobody leaves before: that would divide the group anew.
    return begin, end


def _settle(conductor: Conductor, share: int) -> None:
    """Take turns until the worker has its share and keeps it: the others may be joining yet."""
    mine = conductor.owned.partitions
    since_s, end_s = time.monotonic(), time.monotonic() + PATIENCE_S
    while time.monotonic() - since_s < SETTLED_S:
        conductor.worker.turn()
        if len(mine) != share:
            since_s = time.monotonic()
        assert since_s < end_s, f"Expected a share for each worker, but {sorted(mine)}"
