"""Line 11: how long a person waits for the command, and for a small cloud that is up."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.contest import Figure
from bench.places import Places

COMMAND = Path(sys.executable).with_name("regente")


def measure(places: Places) -> list[Figure]:
    """Return the seconds until help is printed, and until `regente up` says that it is."""
    return [
        Figure(
            line="11",
            name="`regente --help`",
            unit="s",
            runs=[helped() for _ in range(places.scale.runs)],
            target="≤ 0.4",
        ),
        Figure(
            line="11",
            name="`regente up` until it is",
            unit="s",
            runs=[up() for _ in range(places.scale.runs)],
            target="≤ 3",
        ),
    ]


def helped() -> float:
    """Return the seconds of one call."""
    begin = time.perf_counter()
    subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def up() -> float:
    """Return the seconds until a new cloud in an empty folder says that it is up."""
    with tempfile.TemporaryDirectory(prefix="regente-bench-") as folder:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [COMMAND, "up"], stdout=subprocess.PIPE, cwd=folder, env=os.environ | {"HOME": folder}
        )
        assert process.stdout is not None
        said = process.stdout.readline()
        took = time.perf_counter() - begin
        process.terminate()
        process.communicate()
    assert said.startswith(b"Regente is up"), f"Expected to hear that it is up, but {said!r}"
    return took
