"""`python -m tests.simulation`: run one seed and tell what happened, or many and count.

`--matrix` runs the failure matrix instead, or those cells of it that are named.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.simulation.cells import parse
from tests.simulation.matrix import State, run
from tests.simulation.matrix import story as story_of_cell
from tests.simulation.matrix_run import chosen, tell
from tests.simulation.run import simulate, story


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where every law held in every seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeat this seed")
    parser.add_argument("--seeds", type=int, default=500, help="try this many seeds")
    parser.add_argument("--first", type=int, default=0, help="begin with this seed")
    parser.add_argument("--matrix", action="store_true", help="run the failure matrix")
    parser.add_argument("--cell", action="append", default=[], help="run this cell alone")
    parser.add_argument("--operation", action="append", default=[], help="and of these sagas alone")
    parser.add_argument("--sample", type=int, help="run so many cells, the same each time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    if options.cell:
        results = [run(parse(text)) for text in options.cell]
        print("\n".join(map(story_of_cell, results)))
        return int(any(each.state is State.FAILED for each in results))
    if options.matrix:
        return 0 if tell(chosen(options.operation, options.sample), options.jobs) else 1
    if options.seed is not None:
        result = simulate(options.seed)
        print(story(result))
        return 0 if not result.broken else 1
    began = time.perf_counter()
    failed, struck = 0, Counter[str]()
    for seed in range(options.first, options.first + options.seeds):
        result = simulate(seed)
        struck.update(result.struck)
        if result.broken:
            failed += 1
            print(story(result))
    spent = time.perf_counter() - began
    print(
        f"{options.seeds} seeds, {failed} failed, {options.seeds * 60 / spent:.0f} seeds a minute"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
