"""Lines 7 and 8: what a fact costs among a million instances, and what a worker keeps of many.

Line 7: as many facts of each active instance, once where these are all there are, once where the
database holds many more. The first word of each is not measured: the databases are copies that
nobody has read yet, and every page that is touched first after a checkpoint is written ahead whole.
Line 8: the memory of the process after a million facts.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from bench import service
from bench.contest import Figure, Took, apart, measured, paired, rounded
from bench.crowd import Crowd
from bench.load import HOSTS, PARTITIONS, Load, append, begun
from bench.places import Places
from conductor.ready import ready_to_fold
from events.ports import SystemClock
from tests.servers.postgres import conninfo_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of the facts of a log, and what each of them took."""

    wall_us: float
    cpu_us: float
    wal_bytes: float


def measure(places: Places) -> list[Figure]:
    """Return the cost in a large database over that in a small one."""
    scale = places.scale
    rounds = scale.growth_rounds
    few = _settled(places, "few", scale.few_instances, scale.few_instances, rounds)
    many = _settled(places, "many", scale.many_instances, scale.many_active, rounds)
    first: dict[str, list[Stretch]] = {"few": [], "many": []}
    later: dict[str, list[Stretch]] = {"few": [], "many": []}
    for run in range(scale.long_runs):
        for load in (few, many):
            url = places.postgres.create_database(
                f"{load.prefix}{run}", template=f"{load.prefix}_settled"
            )
            begin, rest = apart(stretches, load, url, (1 / rounds, 1.0))
            first[load.prefix].append(begin)
            later[load.prefix].append(rest)
            places.postgres.drop_database(f"{load.prefix}{run}")
    cost = {name: [each.wall_us for each in found] for name, found in later.items()}
    cold = {name: [each.wall_us for each in found] for name, found in first.items()}
    return [
        Figure(
            line="7",
            name=f"a fact among {scale.many_instances:,} instances, {scale.many_active:,} active",
            unit="µs",
            runs=cost["many"],
            to=f"a fact among {scale.few_instances:,}, all active",
            ratios=paired(cost["many"], cost["few"]),
            target="≤ 1.15, beyond ≤ 1.05",
            conditions={
                "facts_few_many": [few.facts, many.facts],
                "facts_of_each_active_instance": [3, 3 * (rounds - 1)],
                "us_per_fact_few": [rounded(each) for each in cost["few"]],
                "ratio_of_the_first_facts": [rounded(r) for r in paired(cold["many"], cold["few"])],
                "cpu_us_per_fact_few_many": [
                    [rounded(each.cpu_us) for each in found] for found in later.values()
                ],
                "wal_bytes_per_fact_few_many": [
                    [rounded(each.wal_bytes) for each in found] for found in later.values()
                ],
            },
        )
    ]


def stretches(load: Load, url: str, shares: tuple[float, ...]) -> list[Stretch]:
    """Fold a whole topic in stretches that end at these shares of it; return what each took."""
    ends, found = load.ends(), list[Stretch]()
    with service.conducting(load, url) as conductor:
        ready_to_fold()
        for share in shares:
            begun, written = service.folded(conductor, ends), _wal_bytes(url)
            with measured() as took:
                while (now := service.folded(conductor, ends)) < share:
                    conductor.turn()
            facts = (now - begun) * load.facts
            found.append(
                Stretch(
                    wall_us=took.wall_s / facts * 1e6,
                    cpu_us=took.cpu_s / facts * 1e6,
                    wal_bytes=(_wal_bytes(url) - written) / facts,
                )
            )
        counts = conductor.worker.counts
    service.check(load, counts)
    return found


def _settled(places: Places, name: str, count: int, active: int, rounds: int) -> Load:
    """Leave a database in which a crowd stands, and a log in which some of it goes on to live."""
    topics = begun(places.kafka, name, hosts=HOSTS)
    crowd = Crowd(topics, PARTITIONS, SystemClock().now_us(), count)
    crowd.settle(places.database(f"{name}_settled"))
    facts = append(places.kafka, crowd.says(active, rounds))
    return Load(address=places.kafka, prefix=name, facts=facts, accepted=crowd.seen.accepted)


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
    rounds = max(1, round(scale.memory_facts / (3 * count)))
    load = _settled(places, "memory", count, count, rounds)
    url = places.postgres.create_database("memory_run", template="memory_settled")
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
                "cpu_us_per_fact": rounded(took.cpu_s / load.facts * 1e6),
            },
        )
    ]
