"""What a process that folds does at its beginning."""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from conductor.ready import APART_MIN, keep_large_apart


@pytest.mark.parametrize("freed", [APART_MIN, 16 * APART_MIN])
def test_large_blocks_lie_apart_however_large_the_ones_were_that_are_gone(freed: int) -> None:
    # In a new process: others have room in their heaps.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert not pool.submit(_lies_in_heap, freed).result()


def _lies_in_heap(freed: int) -> bool:
    keep_large_apart()
    block = bytes(freed)
    del block  # glibc as it is would put what is smaller than this among small blocks from now on.
    block = bytes(APART_MIN)
    maps = Path("/proc/self/maps").read_text()
    found = re.findall(r"^(\w+)-(\w+) .*\[heap\]$", maps, re.M)
    return any(int(begin, 16) <= id(block) < int(end, 16) for begin, end in found)
