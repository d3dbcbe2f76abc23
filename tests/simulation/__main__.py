"""`python -m tests.simulation`: run one seed and tell what happened, or many and count."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.simulation.run import simulate, story


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where every law held in every seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeat this seed")
    parser.add_argument("--seeds", type=int, default=500, help="try this many seeds")
    parser.add_argument("--first", type=int, default=0, help="begin with this seed")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
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
