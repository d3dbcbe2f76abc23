"""`make bench`: the service as it is, beside the lean pipeline in the same run.

Measures line by line (`docs/PERFORMANCE.md` says what each is), prints the table, and writes it
there and to `bench/results.json`. Each measure has a Kafka and a PostgreSQL of its own and a bound
of time: what goes wrong in one is said at the end, and the next goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from bench import auditing, backlog, counted, growth, heartbeats, latency, sagas, starting, workers
from bench.bounds import BUSY_SHARE, bounded, others_share
from bench.contest import Figure
from bench.places import POSTGRES, Places, Scale
from bench.report import BUSY, keep, table
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

#: What can be measured by itself, and the lines of the table that come of it.
MEASURES: Final[Mapping[str, tuple[Callable[[Places], list[Figure]], tuple[str, ...]]]] = {
    "counted": (counted.measure, ("G",)),
    "backlog": (backlog.measure, ("0", "1", "1r", "9")),
    "latency": (latency.measure, ("4", "4r")),
    "sagas": (sagas.measure, ("5", "5r")),
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
    failed: dict[str, str] = {}
    for name in options.measures or list(MEASURES):
        measure, lines = MEASURES[name]
        print(f"{name} …", file=sys.stderr, flush=True)
        begin_s = time.monotonic()
        try:
            figures = _measured(measure, options)
        except Exception as error:  # What could not be measured shall not hide what can.
            traceback.print_exc()
            failed[name] = f"{type(error).__name__}: {error}"
            continue
        finally:
            print(f"{name}: {time.monotonic() - begin_s:.0f} s", file=sys.stderr, flush=True)
        print(table([each.plain() for each in figures]), flush=True)
        if not options.dry:
            keep(figures, lines)
    for name, why in failed.items():
        print(f"not measured: {name}: {why}", file=sys.stderr)
    return len(failed)


def _measured(
    measure: Callable[[Places], list[Figure]], options: argparse.Namespace
) -> list[Figure]:
    """Return what was measured on servers that are new and then gone, and how busy it was."""
    scale = Scale(runs=options.runs).divided(options.divide)
    with (
        bounded(options.bound),
        KafkaServer() as kafka,
        PostgresServer(settings=POSTGRES) as postgres,
        tempfile.TemporaryDirectory(prefix="regente-bench-") as folder,
    ):
        places = Places(kafka=kafka.bootstrap, postgres=postgres, folder=folder, scale=scale)
        before, begin_s = others_share(), time.monotonic()
        figures = measure(places)
        took_s, after = time.monotonic() - begin_s, others_share()
    busy = max(before, after)
    conditions = {
        "machine": BUSY if busy > BUSY_SHARE else "quiet",
        "others_took_percent_before_and_after": [round(before * 100), round(after * 100)],
        "measure_s": round(took_s),
        "postgresql": dict(POSTGRES),
    }
    return [replace(each, conditions={**each.conditions, **conditions}) for each in figures]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="measure", help="all without")
    parser.add_argument("--runs", type=int, default=Scale().runs)
    parser.add_argument("--divide", type=int, default=1, help="do less, to try the bench itself")
    parser.add_argument("--bound", type=int, default=600, help="seconds that one measure may take")
    parser.add_argument("--dry", action="store_true", help="print, but keep nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
