"""Lines 7 and 8: what a fact costs among a million instances, and what a worker keeps of many.

Line 7: the same number of facts of active instances, once where they are all there are, once where
the database holds many more. Line 8: the memory of the process after a million facts.
"""

from __future__ import annotations

import psycopg

from bench import service
from bench.backlog import conninfo_of, cpu_us
from bench.contest import Figure, Took, apart, paired, rounded
from bench.crowd import Crowd
from bench.load import HOSTS, PARTITIONS, Load, append, begun
from bench.places import Places
from events.ports import SystemClock


def measure(places: Places) -> list[Figure]:
    """Return the cost in a large database over that in a small one."""
    scale = places.scale
    facts = scale.growth_facts
    small, few = _settled(places, "few", scale.few_instances, scale.few_instances, facts)
    large, many = _settled(places, "many", scale.many_instances, scale.many_active, facts)
    runs: dict[str, list[Took]] = {few.prefix: [], many.prefix: []}
    written = {few.prefix: 0.0, many.prefix: 0.0}
    for run in range(scale.long_runs):
        for load, crowded in ((few, small), (many, large)):
            name = f"{load.prefix}{run}"
            url = places.postgres.create_database(name, template=crowded)
            before = _wal_bytes(url)
            runs[load.prefix].append(apart(service.backlog, load, url))
            written[load.prefix] = (_wal_bytes(url) - before) / load.facts
            places.postgres.drop_database(name)
    costs = {
        each.prefix: [took.wall_s / each.facts * 1e6 for took in runs[each.prefix]]
        for each in (few, many)
    }
    return [
        Figure(
            line="7",
            name=f"a fact among {scale.many_instances:,} instances, {scale.many_active:,} active",
            unit="µs",
            runs=costs[many.prefix],
            to=f"a fact among {scale.few_instances:,}, all active",
            ratios=paired(costs[many.prefix], costs[few.prefix]),
            target="≤ 1.15, beyond ≤ 1.05",
            conditions={
                "facts_few_many": [few.facts, many.facts],
                "us_per_fact_few": [rounded(each) for each in costs[few.prefix]],
                "cpu_us_per_fact_few_many": [
                    cpu_us(few, runs[few.prefix]),
                    cpu_us(many, runs[many.prefix]),
                ],
                "wal_bytes_per_fact_few_many": [rounded(each) for each in written.values()],
            },
        )
    ]


def _settled(places: Places, name: str, count: int, active: int, wanted: int) -> tuple[str, Load]:
    """Leave a database in which a crowd stands, and a log in which some of it goes on to live."""
    topics = begun(places.kafka, name, hosts=HOSTS)
    crowd = Crowd(topics, PARTITIONS, SystemClock().now_us(), count)
    crowd.settle(places.database(f"{name}_settled"))
    rounds = max(1, round(wanted / (3 * active)))
    facts = append(places.kafka, crowd.says(active, rounds))
    load = Load(address=places.kafka, prefix=name, facts=facts, accepted=crowd.seen.accepted)
    return f"{name}_settled", load


def _wal_bytes(url: str) -> int:
    """Return the bytes that the server has written ahead so far: most are of pages, whole."""
    with psycopg.connect(conninfo_of(url)) as connection:
        found = connection.execute("SELECT wal_bytes FROM pg_stat_wal").fetchone()
    assert found is not None
    return int(found[0])


def measure_memory(places: Places) -> list[Figure]:
    """Return the most memory that a worker held in the course of very many facts."""
    scale = places.scale
    count = scale.memory_instances
    name, load = _settled(places, "memory", count, count, scale.memory_facts)
    url = places.postgres.create_database("memory_run", template=name)
    took: Took = apart(service.backlog, load, url)
    return [
        Figure(
            line="8",
            name=f"memory of a worker, {load.facts:,} facts over {scale.memory_instances:,}"
            " instances",
            unit="MB",
            runs=[took.memory_mb],
            target="≤ 300, beyond ≤ 150",
            conditions={
                "at_0_25_50_75_100_percent_mb": [rounded(each) for each in took.held_mb],
                "cpu_us_per_fact": cpu_us(load, [took]),
            },
        )
    ]
