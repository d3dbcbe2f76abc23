"""Run many cells of the matrix, on several processors, and tell what came of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from random import Random

from tests.simulation.cells import Cell, cells, not_applicable
from tests.simulation.matrix import Result, State, run, story, summary

#: Cells that a process takes at a time.
CHUNK: int = 50


@cache
def sample(count: int) -> tuple[Cell, ...]:
    """Return so many cells, the same ones each time, of those that the tables leave possible."""
    possible = [cell for cell in cells() if not_applicable(cell) is None]
    return tuple(Random("matrix").sample(possible, min(count, len(possible))))


def chosen(operations: Sequence[str], count: int | None) -> tuple[Cell, ...]:
    """Return the cells of these operations (of all, where none is named), or a sample."""
    found = cells() if count is None else sample(count)
    return tuple(cell for cell in found if not operations or cell.operation in operations)


def run_all(wanted: Iterable[Cell], jobs: int) -> Iterator[Result]:
    """Yield how each cell ended, in order."""
    if jobs == 1:
        yield from map(run, wanted)
        return
    with ProcessPoolExecutor(jobs, initializer=_hush) as pool:
        yield from pool.map(run, wanted, chunksize=CHUNK)


def tell(wanted: Sequence[Cell], jobs: int) -> bool:
    """Run cells and print what failed, then the counts; say whether every law held."""
    began, results = time.perf_counter(), list[Result]()
    for result in run_all(wanted, jobs):
        results.append(result)
        if result.state is State.FAILED:
            print(story(result), flush=True)
    print(summary(results))
    ran = sum(each.state is not State.NOT_APPLICABLE for each in results)
    spent = time.perf_counter() - began
    print(f"{len(results)} cells, {ran} run, {spent:.0f} s")
    return all(each.state is not State.FAILED for each in results)


def _hush() -> None:
    logging.disable(logging.CRITICAL)
