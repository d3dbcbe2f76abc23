"""Lines 1 and 9: a backlog of facts, the whole job, beside the lean pipeline on the same topic."""

from __future__ import annotations

from pathlib import Path

from bench import lean, service
from bench.contest import Figure, Took, apart, paired
from bench.load import PARTITIONS, Load, filled
from bench.places import Places
from tests.servers.postgres import conninfo_of


def measure(places: Places) -> list[Figure]:
    """Return facts per second of the service, of the lean pipeline, and of the embedded default."""
    scale = places.scale
    kafka = filled(places.kafka, "backlog", instances=scale.instances, facts_each=scale.facts_each)
    file = str(Path(places.folder) / "backlog.sqlite")
    embedded = filled(file, "backlog", instances=scale.instances, facts_each=scale.facts_each)
    yardstick: list[float] = []
    whole: list[Took] = []
    fetched: list[Took] = []
    small: list[Took] = []
    by_librdkafka = kafka.fetched_by("librdkafka")
    for run in range(scale.runs):
        yardstick.append(apart(lean_backlog, kafka, places.database(f"lean{run}")))
        whole.append(apart(service_backlog, kafka, places.database(f"whole{run}")))
        fetched.append(apart(service_backlog, by_librdkafka, places.database(f"fetched{run}")))
        small.append(
            apart(service_backlog, embedded, f"sqlite:///{places.folder}/rows{run}.sqlite")
        )
    return figures(kafka, yardstick, whole, fetched, small)


def figures(
    load: Load,
    yardstick: list[float],
    whole: list[Took],
    fetched: list[Took],
    small: list[Took],
) -> list[Figure]:
    """Return the figures of runs that were taken turn about."""
    conditions = {"facts": load.facts, "partitions": PARTITIONS}
    lean_rates = [load.facts / s for s in yardstick]
    rates = [load.facts / took.wall_s for took in whole]
    fetched_rates = [load.facts / took.wall_s for took in fetched]
    small_rates = [load.facts / took.wall_s for took in small]
    return [
        Figure(
            line="0",
            name="the lean pipeline: poll, decode, table, fold, binary COPY, exactly once",
            unit="facts/s",
            runs=lean_rates,
            conditions=conditions,
        ),
        Figure(
            line="1",
            name="a backlog, the whole job, Kafka and PostgreSQL",
            unit="facts/s",
            runs=rates,
            to="lean",
            ratios=paired(rates, lean_rates),
            target="≥ 0.6, beyond ≥ 1",
            conditions=conditions | {"cpu_us_per_fact": cpu_us(load, whole)},
        ),
        Figure(
            line="1r",
            name="the same, librdkafka fetches",
            unit="facts/s",
            runs=fetched_rates,
            to="lean",
            ratios=paired(fetched_rates, lean_rates),
            conditions=conditions | {"cpu_us_per_fact": cpu_us(load, fetched)},
        ),
        Figure(
            line="9",
            name="the same on the SQLite log and SQLite",
            unit="facts/s",
            runs=small_rates,
            to="line 1",
            ratios=paired(small_rates, rates),
            target="≥ 0.5, beyond ≥ 1",
            conditions=conditions | {"cpu_us_per_fact": cpu_us(load, small)},
        ),
    ]


def cpu_us(load: Load, runs: list[Took]) -> float:
    """Return the least CPU time of the worker's process for one fact, µs."""
    return round(min(took.cpu_s for took in runs) / load.facts * 1e6, 1)


def lean_backlog(load: Load, url: str) -> float:
    """Return the seconds of the lean pipeline on an empty database."""
    conninfo = conninfo_of(url)
    lean.make_tables(conninfo)
    return lean.backlog(load, conninfo)


def service_backlog(load: Load, url: str) -> Took:
    """Return what the service took on an empty database."""
    return service.backlog(load, service.new_database(url))
