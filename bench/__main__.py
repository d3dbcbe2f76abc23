"""`make bench`: the service as it is, beside the lean pipeline in the same run.

Starts a real Kafka and a real PostgreSQL, measures line by line (`docs/PERFORMANCE.md` says what
each is), prints the table, and writes it there and to `bench/results.json`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Final

from bench import backlog
from bench.contest import Figure
from bench.places import Places, Scale
from bench.report import keep, table
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

#: What can be measured by itself, and the lines of the table that come of it.
MEASURES: Final[Mapping[str, tuple[Callable[[Places], list[Figure]], tuple[str, ...]]]] = {
    "backlog": (backlog.measure, ("0", "1", "9")),
}


def main() -> int:
    """Measure, print the table, and keep it."""
    options = _options()
    names = options.measures or list(MEASURES)
    with (
        KafkaServer() as kafka,
        PostgresServer() as postgres,
        tempfile.TemporaryDirectory(prefix="regente-bench-") as folder,
    ):
        scale = Scale(instances=options.instances, runs=options.runs)
        places = Places(kafka=kafka.bootstrap, postgres=postgres, folder=folder, scale=scale)
        for name in names:
            measure, lines = MEASURES[name]
            print(f"{name} …", file=sys.stderr, flush=True)
            figures = measure(places)
            print(table([each.plain() for each in figures]), flush=True)
            if not options.dry:
                keep(figures, lines)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="measure", help="all without")
    usual = Scale()
    parser.add_argument("--instances", type=int, default=usual.instances)
    parser.add_argument("--runs", type=int, default=usual.runs)
    parser.add_argument("--dry", action="store_true", help="print, but keep nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
