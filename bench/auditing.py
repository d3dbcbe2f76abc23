"""Line 6: the log folded again by the auditor and by a rebuild, beside the live worker."""

from __future__ import annotations

from bench import service
from bench.contest import Figure, Took, apart, measured, paired
from bench.load import KEYRING, Load, filled
from bench.places import Places
from conductor.auditor import verify
from conductor.collector import collect_seldom
from conductor.replay import Replay
from projections import rebuild as tables
from projections.sql_store import open_store


def measure(places: Places) -> list[Figure]:
    """Return facts per CPU second of verify and rebuild over those of a worker."""
    scale = places.scale
    load = filled(places.kafka, "auditing", instances=scale.instances, facts_each=scale.facts_each)
    rates: dict[str, list[float]] = {"worker": [], "verify": [], "rebuild": []}
    for run in range(scale.long_runs):
        url = service.new_database(places.database(f"auditing{run}"))
        rates["worker"].append(load.facts / apart(service.backlog, load, url).cpu_s)
        rates["verify"].append(load.facts / apart(verified, load, url).cpu_s)
        rates["rebuild"].append(load.facts / apart(rebuilt, load, url).cpu_s)
    return [
        Figure(
            line="6",
            name=f"{name} of a whole log",
            unit="facts/CPU s",
            runs=rates[name],
            to="line 1, per core",
            ratios=paired(rates[name], rates["worker"]),
            target="≥ 1, beyond ≥ 2",
            conditions={"facts": load.facts},
        )
        for name in ("verify", "rebuild")
    ]


def verified(load: Load, url: str) -> Took:
    """Return what it took to fold the log and compare every row."""
    store, reader = open_store(url), load.log().reader()
    replay = Replay(reader=reader, keyring=KEYRING, topics=load.topics, check_form=True)
    collect_seldom()
    with measured() as took:
        audit = verify(store, replay)
    assert audit.is_equal, f"Expected equal rows, but {audit.differences[:3]}"
    assert audit.counts["accepted"] == load.accepted, f"Expected the lives, but {audit.counts}"
    reader.close()
    store.close()
    return took


def rebuilt(load: Load, url: str) -> Took:
    """Return what it took to fold the log and load a second set of tables, as a rebuild does."""
    reader = load.log().reader()
    replay = Replay(reader=reader, keyring=KEYRING, topics=load.topics)
    collect_seldom()
    with measured() as took:
        found = replay.fold_to(replay.ends())
        loaded = {name: rows.values() for name, rows in found.tables.items()}
        tables.load(url, loaded, found.checkpoints)
    reader.close()
    return took
