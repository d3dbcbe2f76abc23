"""Measuring fairly: each contestant in a process of its own, turn about, ratios pair by pair.

A figure is kept with every run that made it. Facts per second are of the machine on which they were
taken; the ratio of two that ran in turn within the same minute travels.
"""

from __future__ import annotations

import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class Took:
    """What a stretch of work took, in this process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    #: The most memory that the process has held so far, its libraries included.
    memory_mb: float = 0.0
    #: What it held at times on the way.
    held_mb: list[float] = field(default_factory=list)


def resident_mb() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def most_resident_mb() -> float:
    """Return the most memory that this process has held.

    Not what `getrusage` says: a process begins there with what its parent held when it made it.
    """
    (line,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    return int(line) / 1024


@contextmanager
def measured() -> Iterator[Took]:
    """Leave in what it gives what was taken within."""
    took = Took()
    wall, cpu = time.perf_counter(), time.process_time()
    yield took
    took.wall_s, took.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    took.memory_mb = most_resident_mb()


def apart(
    work: Callable[Arguments, Answer], *args: Arguments.args, **named: Arguments.kwargs
) -> Answer:
    """Return what a function of a module returns in a process of its own, new and then gone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args, **named).result()


@contextmanager
def beside(work: Callable[..., None], *args: object) -> Iterator[tuple[Connection, int]]:
    """Give our end of a pipe to a function of a module in a process of its own, and its pid.

    It is called with its own end and the arguments, and is waited for when ours is closed.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    assert process.pid is not None
    try:
        yield ours, process.pid
    finally:
        ours.close()
        process.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was measured, with all its runs."""

    line: str
    name: str
    unit: str
    runs: Sequence[float]
    #: What its ratio is to, and that ratio pair by pair.
    to: str | None = None
    ratios: Sequence[float] = ()
    #: The target of the ratio (of the figure itself where it has none), as a person reads it.
    target: str = ""
    conditions: Mapping[str, object] = field(default_factory=dict)

    def plain(self) -> dict[str, object]:
        """Return the figure as it stands in `results.json`."""
        found: dict[str, object] = {
            "line": self.line,
            "name": self.name,
            "unit": self.unit,
            **summary(self.runs),
        }
        if self.to is not None:
            found["ratio"] = {"to": self.to, **summary(self.ratios)}
        if self.target:
            found["target"] = self.target
        return found | ({"conditions": dict(self.conditions)} if self.conditions else {})


def summary(runs: Sequence[float]) -> dict[str, float | int]:
    """Return median, least, most and number of the runs."""
    return {
        "median": rounded(statistics.median(runs)),
        "min": rounded(min(runs)),
        "max": rounded(max(runs)),
        "runs": len(runs),
    }


def rounded(value: float) -> float | int:
    """Return a figure with as many digits as it is worth."""
    if value >= 100:
        return round(value)
    return round(value, 2 if value >= 10 else 3 if value >= 0.1 else 5)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratios of runs that were taken turn about."""
    return [mine / its for mine, its in zip(ours, theirs, strict=True)]
