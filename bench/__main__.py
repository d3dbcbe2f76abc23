"""`make bench`: the service as it is, beside the lean pipeline in the same run.

Starts a real Kafka and a real PostgreSQL, measures line by line (`docs/PERFORMANCE.md` says what
each is), prints the table, and writes it there and to `bench/results.json`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from typing import Final

from bench import auditing, backlog, counted, growth, heartbeats, latency, sagas, starting, workers
from bench.contest import Figure
from bench.places import Places, Scale
from bench.report import keep, table
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

#: What can be measured by itself, and the lines of the table that come of it.
MEASURES: Final[Mapping[str, tuple[Callable[[Places], list[Figure]], tuple[str, ...]]]] = {
    "counted": (counted.measure, ("G",)),
    "backlog": (backlog.measure, ("0", "1", "9")),
    "latency": (latency.measure, ("4",)),
    "sagas": (sagas.measure, ("5",)),
    "auditing": (auditing.measure, ("6",)),
    "further": (auditing.measure_further, ("6b",)),
    "growth": (growth.measure, ("7",)),
    "memory": (growth.measure_memory, ("8",)),
    "heartbeats": (heartbeats.measure, ("10",)),
    "starting": (starting.measure, ("11",)),
    "workers": (workers.measure, ("3",)),
}


def main() -> int:
    """Measure, print the table, and keep it."""
    options = _options()
    names = options.measures or list(MEASURES)
    failed: list[str] = []
    with (
        KafkaServer() as kafka,
        PostgresServer() as postgres,
        tempfile.TemporaryDirectory(prefix="regente-bench-") as folder,
    ):
        scale = Scale(runs=options.runs).divided(options.divide)
        places = Places(kafka=kafka.bootstrap, postgres=postgres, folder=folder, scale=scale)
        for name in names:
            measure, lines = MEASURES[name]
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                figures = measure(places)
            except Exception:  # What could not be measured shall not hide what can.
                traceback.print_exc()
                failed.append(name)
                continue
            print(table([each.plain() for each in figures]), flush=True)
            if not options.dry:
                keep(figures, lines)
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="measure", help="all without")
    parser.add_argument("--runs", type=int, default=Scale().runs)
    parser.add_argument("--divide", type=int, default=1, help="do less, to try the bench itself")
    parser.add_argument("--dry", action="store_true", help="print, but keep nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
