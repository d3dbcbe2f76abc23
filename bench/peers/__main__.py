"""`make bench-peers`: what others offer, beside the service, turn about, on the same servers.

Each peer runs in a virtual environment of its own (`.cache/peers/`), from a lock file with hashes,
and is set up as its own documentation recommends. What each does is said in its script; none does
all that the service does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import make_url

from bench import sagas
from bench.backlog import service_backlog
from bench.contest import Figure, apart, paired
from bench.load import Load, filled
from bench.peers.rabbit import rabbit, rabbit_script
from bench.places import POSTGRES, Places, Scale
from bench.report import keep, table
from events.codec import registry
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

HERE: Final = Path(__file__).parent
VENVS: Final = HERE.parent.parent / ".cache" / "peers"
RUN_S: Final = 900
#: eventsourcing writes an event a transaction: fewer do.
INSTANCES: Final = 200
EVENTS_EACH: Final = 20
WORKFLOWS: Final = 200
RUNS: Final = 3
#: How long nova-conductor is saved through.
SAVING_S: Final = 5


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment, made and filled where it is not there."""
    folder, lock = VENVS / peer, HERE / f"{peer}.txt"
    ready = folder / ".ready"
    if not ready.exists() or ready.read_text() != lock.read_text():
        venv.create(folder, with_pip=True, clear=True)
        install = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        wheels = ["--only-binary", ":all:"]
        subprocess.run([folder / "bin" / "python", *install, *wheels, "-r", lock], check=True)
        ready.write_text(lock.read_text())
    return folder / "bin" / "python"


def run(peer: str, script: str, given: dict[str, Any]) -> dict[str, float]:
    """Return what a peer's script printed last."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(given, file)
        file.flush()
        done = subprocess.run(
            [python_of(peer), HERE / script, file.name],
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"Expected {script} to end well, but: {done.stderr[-3000:]}")
    answer: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def database_of(url: str) -> dict[str, object]:
    """Return a database's URL as the arguments of a client."""
    found = make_url(url)
    place = {
        "host": found.host or str(found.query.get("host")),
        "port": found.port or 5432,
        "dbname": found.database,
        "user": found.username or "postgres",
    }
    return place | ({"password": found.password} if found.password else {})


def backlog(places: Places, broker: str | None) -> list[Figure]:
    """Return Quix Streams and the service on the same topic, and eventsourcing's projection.

    And nova-conductor, where a RabbitMQ is given.
    """
    load = filled(
        places.kafka, "peers", instances=places.scale.instances, facts_each=places.scale.facts_each
    )
    ours: list[float] = []
    quix: list[float] = []
    projected: list[float] = []
    saved: list[float] = []
    nova: list[float] = []
    for n in range(places.scale.runs):
        ours.append(load.facts / apart(service_backlog, load, places.database(f"p{n}")).wall_s)
        answer = run("quix", "quix_backlog.py", quix_input(load, places, n))
        quix.append(load.facts / answer["seconds"])
        answer = run("eventsourcing", "eventsourcing_projection.py", life_of(places, n))
        projected.append(answer["events_per_s"])
        saved.append(answer["saves_per_s"])
        if broker is not None:
            given = nova_input(places, broker, n)
            nova.append(run("nova", "nova_conductor.py", given)["saves_per_s"])
    return [
        *([nova_figure(nova, ours)] if nova else []),
        Figure(
            line="2a",
            name="the service, the same minute",
            unit="facts/s",
            runs=ours,
            conditions={"facts": load.facts},
        ),
        Figure(
            line="2b",
            name="Quix Streams 3.28.1: state, table, PostgreSQL sink, at least once",
            unit="facts/s",
            runs=quix,
            to="it, line 2a",
            ratios=[1 / each for each in paired(quix, ours)],
            target="service ≥ 2.5 ×, beyond ≥ 4 ×",
        ),
        Figure(
            line="2c",
            name="eventsourcing 9.5.6: projection",
            unit="events/s",
            runs=projected,
            to="it, line 2a",
            ratios=[1 / each for each in paired(projected, ours)],
            target="service ≥ 15 ×, beyond ≥ 30 ×",
            conditions={"events": INSTANCES * EVENTS_EACH},
        ),
        Figure(
            line="2d",
            name="eventsourcing 9.5.6: saves, one thread",
            unit="events/s",
            runs=saved,
        ),
    ]


def quix_input(load: Load, places: Places, n: int) -> dict[str, Any]:
    """Return what the script of Quix Streams is told."""
    known = registry().by_fingerprint
    return {
        "bootstrap": load.address,
        "topic": load.topics.instance_events,
        "database": database_of(places.database(f"quix{n}")),
        "schemas": {mark.hex(): (form.name, form.schema) for mark, form in known.items()},
        "transitions": load.transitions,
        "records": sum(load.ends().values()),
        "accepted": load.accepted,
        "rejected": load.facts - load.accepted,
    }


def life_of(places: Places, n: int) -> dict[str, Any]:
    """Return what the script of eventsourcing is told."""
    return {
        "database": database_of(places.database(f"es{n}")),
        "instances": INSTANCES,
        "events_each": EVENTS_EACH,
        "life": [
            ("GuestBuilt", "active", None),
            ("stop", "active", "powering-off"),
            ("GuestStopped", "stopped", None),
            ("start", "stopped", "powering-on"),
            ("GuestStarted", "active", None),
        ],
    }


def nova_input(places: Places, broker: str, n: int) -> dict[str, Any]:
    """Return what the script of nova-conductor is told."""
    folder = Path(places.folder) / f"nova{n}"
    folder.mkdir()
    urls = {
        name: make_url(places.database(f"nova_{name}_{n}"))
        .set(drivername="postgresql+psycopg2")
        .render_as_string(hide_password=False)
        for name in ("api", "cell0", "cell1")
    }
    return {"folder": str(folder), "rabbit": broker, "seconds": SAVING_S, **urls}


def nova_figure(nova: Sequence[float], ours: Sequence[float]) -> Figure:
    """Return how nova-conductor's saves compare with the service's facts."""
    return Figure(
        line="2e",
        name="nova-conductor 34.0.0: saves of instances by RPC, one worker, four threads ask",
        unit="saves/s",
        runs=nova,
        to="it, line 2a",
        ratios=[1 / each for each in paired(nova, ours)],
        target="service ≥ 350 ×, beyond ≥ 600 ×",
        conditions={"a save": "one synchronous call; a fact is one of a batch"},
    )


def workflows(places: Places) -> list[Figure]:
    """Return DBOS's workflows of ten steps, and the service's live migrations beside them."""
    ours: list[float] = []
    rates: list[float] = []
    for n in range(places.scale.runs):
        ours.append(places.scale.sagas / sagas.once(places, f"beside{n}")[0])
        given = {"url": places.database(f"dbos{n}"), "workflows": WORKFLOWS}
        rates.append(run("dbos", "dbos_workflows.py", given)["workflows_per_s"])
    return [
        Figure(
            line="5a",
            name="live-migration sagas, the same minutes",
            unit="sagas/s",
            runs=ours,
            to="line 5b",
            ratios=paired(ours, rates),
            target="≥ 10 ×, beyond ≥ 25 ×",
            conditions={"sagas": places.scale.sagas},
        ),
        Figure(
            line="5b",
            name="DBOS 3.4.0: workflows of ten steps, four threads",
            unit="workflows/s",
            runs=rates,
            conditions={"workflows": WORKFLOWS},
        ),
    ]


def measured_with_nova(places: Places) -> list[Figure]:
    """Return the backlog's figures, with nova-conductor's where this machine has a RabbitMQ."""
    if rabbit_script() is None:
        print("No rabbitmq-server here: nova-conductor is left out.", flush=True)
        return backlog(places, None)
    with rabbit(Path(places.folder)) as broker:
        return backlog(places, broker)


#: What can be measured by itself, and the lines of the table that come of it.
MEASURES: Final[Mapping[str, tuple[Callable[[Places], list[Figure]], tuple[str, ...]]]] = {
    "backlog": (measured_with_nova, ("2a", "2b", "2c", "2d", "2e")),
    "workflows": (workflows, ("5a", "5b")),
}


def main() -> int:
    """Measure, print the tables, and keep them."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="measure", help="all without")
    parser.add_argument("--dry", action="store_true", help="print, but keep nothing")
    options = parser.parse_args()
    for name in options.measures or MEASURES:
        measure, lines = MEASURES[name]
        with (
            KafkaServer() as kafka,
            PostgresServer(settings=POSTGRES) as postgres,
            tempfile.TemporaryDirectory(prefix="regente-bench-") as folder,
        ):
            scale = Scale(runs=RUNS)
            figures = measure(
                Places(kafka=kafka.bootstrap, postgres=postgres, folder=folder, scale=scale)
            )
        print(table([each.plain() for each in figures]), flush=True)
        if not options.dry:
            keep(figures, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
