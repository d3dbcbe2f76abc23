"""Lines 6 and 6b: the log folded again by auditor and rebuild, and a verify that goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from bench import service
from bench.contest import Figure, Took, apart, measured, paired
from bench.load import KEYRING, Load, filled, lived
from bench.places import Places
from conductor.auditor import Audit, verify
from conductor.collector import collected_seldom
from conductor.replay import Replay
from projections import rebuild as tables
from projections.kept import Keeper
from projections.sql_store import open_store

#: Measures of the same step: PostgreSQL's own upkeep after many facts falls into some of them.
AGAIN: Final = 3


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


def measure_further(places: Places) -> list[Figure]:
    """Return the time of a verify that goes on, a tenth of the log later, over a whole one."""
    scale = places.scale
    size = {"instances": scale.instances, "facts_each": scale.facts_each}
    later = {"instances": scale.instances // 9, "facts_each": scale.facts_each}
    took: dict[str, list[float]] = {"whole": [], "further": []}
    facts: list[int] = []
    for run in range(scale.long_runs):
        name, folder = f"further{run}", Path(places.folder) / f"further{run}"
        load = filled(places.kafka, name, **size)
        url = service.new_database(places.database(name))
        apart(folded_on, load, url)
        apart(kept_on, load, url, folder)
        more = lived(places.kafka, name, **later, seed=2)
        facts = [load.facts, more.facts]
        apart(folded_on, load, url)
        for again in range(AGAIN):
            # Each goes on from what was kept before the facts that came later.
            copied = Path(shutil.copytree(folder, f"{folder}-{again}"))
            took["further"].append(apart(kept_on, load, url, copied).wall_s)
            took["whole"].append(apart(kept_on, load, url, copied / "other").wall_s)
    return [
        Figure(
            line="6b",
            name="a verify that goes on, a tenth of the log later",
            unit="s",
            runs=took["further"],
            to="one from the start",
            ratios=paired(took["further"], took["whole"]),
            target="≤ 0.15",
            conditions={"facts_and_later": facts},
        )
    ]


def folded_on(load: Load, url: str) -> None:
    """Fold whatever is in the log and not in the rows yet."""
    ends = load.ends()
    with service.conducting(load, url) as conductor:
        while service.folded(conductor, ends) < 1:
            conductor.turn()


def kept_on(load: Load, url: str, folder: Path) -> Took:
    """Return what a verify took that goes on from what was kept, and keeps how far it came."""
    took, audit = _verified(load, url, Keeper(folder, key=b"k" * 32, code=""))
    assert bool(audit.went_on_after) != bool(audit.from_start)
    return took


def verified(load: Load, url: str) -> Took:
    """Return what it took to fold the log and compare every row."""
    took, audit = _verified(load, url, None)
    assert audit.counts["accepted"] == load.accepted, f"Expected the lives, but {audit.counts}"
    return took


def _verified(load: Load, url: str, keeper: Keeper | None) -> tuple[Took, Audit]:
    store, reader = open_store(url), load.log().reader()
    replay = Replay(reader=reader, keyring=KEYRING, topics=load.topics, check_form=True)
    with collected_seldom(), measured() as took:  # Made ready within, as the command is.
        audit = verify(store, replay, keeper=keeper)
    assert audit.is_equal, f"Expected equal rows, but {audit.differences[:3]}"
    reader.close()
    store.close()
    return took, audit


def rebuilt(load: Load, url: str) -> Took:
    """Return what it took to fold the log and load a second set of tables, as a rebuild does."""
    reader = load.log().reader()
    replay = Replay(reader=reader, keyring=KEYRING, topics=load.topics)
    with collected_seldom(), measured() as took:  # Made ready within, as the command is.
        found = replay.fold_to(replay.ends())
        loaded = {name: rows.values() for name, rows in found.tables.items()}
        tables.load(url, loaded, found.checkpoints)
    reader.close()
    return took
