"""Line 3: two workers of one group, on the same backlog as one."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

from bench import service
from bench.bounds import waited_for_quiet
from bench.contest import Figure, paired, rounded
from bench.load import HOSTS, PARTITIONS, Load, begun, lived
from bench.places import Places
from conductor.ready import ready_to_fold
from conductor.wiring import Conductor
from events.log import TopicPartition

#: Seconds that a worker may take to join and to keep its share.
PATIENCE_S: Final = 120.0
#: Seconds that a share is kept before it counts as settled.
SETTLED_S: Final = 8.0
#: Seconds to wait for others to be done: two workers want both cores, one does not.
QUIET_S: Final = 20.0
#: Seconds that the folding may take.
FOLDING_S: Final = 300.0


class Folded(NamedTuple):
    """What one worker did, and from when until when (seconds of the machine's clock)."""

    facts: int
    begin_s: float
    end_s: float
    cpu_s: float


class Together(NamedTuple):
    """What the workers of one run did."""

    #: Facts per second, from the first fact to the last of any worker.
    rate: float
    #: CPU time of all workers for one fact, µs.
    cpu_us: float
    #: Facts per second of each, in its own time.
    rates: list[int]
    #: The share of all cores that others took when they began.
    others: float


def measure(places: Places) -> list[Figure]:
    """Return facts per second of two workers over those of one, turn about."""
    found: dict[int, list[Together]] = {1: [], 2: []}
    for run in range(places.scale.runs):
        for count in (1, 2):
            found[count].append(together(places, f"workers{run}{count}", count))
    one, two = ([each.rate for each in found[count]] for count in (1, 2))
    return [
        Figure(
            line="3",
            name="two workers on a backlog",
            unit="facts/s",
            runs=two,
            to="one worker",
            ratios=paired(two, one),
            target="≥ 1.6, beyond ≥ 1.75",
            conditions={
                "one_worker_facts_per_s": [rounded(each) for each in one],
                "each_of_two_facts_per_s": [each.rates for each in found[2]],
                "others_took_percent_before_one": [round(e.others * 100) for e in found[1]],
                "others_took_percent_before_two": [round(e.others * 100) for e in found[2]],
                "cpu_us_per_fact_of_one": [rounded(each.cpu_us) for each in found[1]],
                "cpu_us_per_fact_of_two": [rounded(each.cpu_us) for each in found[2]],
            },
        )
    ]


def together(places: Places, prefix: str, count: int) -> Together:
    """Return what so many workers did.

    They divide the log while nothing is in it; what they fold is written while they wait.
    """
    begun(places.kafka, prefix, hosts=HOSTS)
    load = Load(address=places.kafka, prefix=prefix, facts=0, accepted=0)
    url = service.new_database(places.database(prefix))
    context, scale = get_context("spawn"), places.scale
    lines: list[Any] = []
    processes = []
    for _ in range(count):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=one_of, args=(load, url, count, theirs)))
        processes[-1].start()
        theirs.close()
        lines.append(ours)
    try:
        for line in lines:
            _heard(line, PATIENCE_S + SETTLED_S)
        written = lived(
            places.kafka, prefix, instances=scale.instances, facts_each=scale.facts_each
        )
        ends, others = load.ends(), waited_for_quiet(QUIET_S)
        for line in lines:
            line.send(ends)
        found: list[Folded] = [_heard(line, FOLDING_S) for line in lines]
    finally:
        for line in lines:  # Nobody leaves before: that would divide the group anew.
            with suppress(OSError):
                line.send(None)
        for process in processes:
            process.join()
    facts = sum(each.facts for each in found)
    assert facts == written.facts, f"Expected {written.facts} facts to be folded, but {found}"
    return Together(
        rate=facts / (max(f.end_s for f in found) - min(f.begin_s for f in found)),
        cpu_us=sum(f.cpu_s for f in found) / facts * 1e6,
        rates=[round(f.facts / (f.end_s - f.begin_s)) for f in found],
        others=others,
    )


def _heard(line: Connection, patience_s: float) -> Any:
    """Return what a worker says; raises what went wrong with it, in its words."""
    if not line.poll(patience_s):
        raise TimeoutError(f"Expected a worker to answer within {patience_s} s, but it is silent")
    try:
        is_well, said = line.recv()
    except EOFError as gone:
        raise RuntimeError("Expected a worker to answer, but it died") from gone
    if not is_well:
        raise RuntimeError(f"Expected a worker to fold its share, but:\n{said}")
    return said


def one_of(load: Load, url: str, count: int, line: Connection) -> None:
    """Fold a share of the log beside others, and say on the line how it went."""
    try:
        group = load.log().group(load.prefix)
        with service.conducting_in(group, load, url) as conductor:
            share = _settled(conductor, 2 * PARTITIONS // count)  # Of both topics.
            ready_to_fold()
            line.send((True, None))
            line.send((True, _folded(conductor, share, line.recv())))
            line.recv()
    except Exception:  # Whatever it was, the one who waits has to know.
        line.send((False, traceback.format_exc()))


def _settled(conductor: Conductor, share: int) -> frozenset[TopicPartition]:
    """Take turns until the worker has its share and keeps it: the others may be joining yet."""
    mine = conductor.owned.partitions
    since_s, end_s = time.monotonic(), time.monotonic() + PATIENCE_S
    while time.monotonic() - since_s < SETTLED_S:
        conductor.worker.turn()
        if len(mine) != share:
            since_s = time.monotonic()
        assert since_s < end_s, f"Expected a share for each worker, but {sorted(mine)}"
    return frozenset(mine)


def _folded(
    conductor: Conductor, share: frozenset[TopicPartition], ends: Mapping[TopicPartition, int]
) -> Folded:
    mine, counts = conductor.owned.partitions, conductor.worker.counts
    before, begin_s = counts["accepted"] + counts["rejected"], time.time()
    cpu_s = time.process_time()
    while any(mine[tp].fold.next_offset < ends[tp] for tp in mine if tp in ends):
        # The load speaks for hosts and scheduler too: relay and scheduler would contradict it.
        conductor.worker.turn()
    end_s, cpu_s = time.time(), time.process_time() - cpu_s
    assert share == frozenset(mine), f"Expected to keep {sorted(share)}, but {sorted(mine)}"
    return Folded(counts["accepted"] + counts["rejected"] - before, begin_s, end_s, cpu_s)
