"""Every law holds in a cloud under the faults of a seed; and planted mistakes are caught."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from projections import schema
from projections.sql_store import open_store
from tests.simulation.planted import PLANTED, QUIET, Planted
from tests.simulation.run import Result, simulate, story

SEEDS: Final = 500
#: A test of five takes about as long as others of its kind, and workers share them well.
CHUNK: Final = 5
#: Seeds within which a planted mistake must be caught.
CAUGHT_WITHIN: Final = 12
#: A real database is slower than the model: fewer steps, but with whatever moves partitions about.
TWINS: Final = replace(
    QUIET, steps=200, rates={"conductor_stalls": 0.01, "store_loses_answer": 0.02, "host_out": 0.01}
)
ROOT: Final = Path(__file__).parent.parent.parent


def run(planted: Planted, seed: int) -> Result:
    """Run a seed with a mistake in its place."""
    with planted.switch():
        return simulate(seed, plan=planted.in_plan(), forgets_begun=planted.forgets_begun)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_law_holds_under_the_faults_of_a_seed(first: int) -> None:
    failed = [result for seed in range(first, first + CHUNK) if (result := simulate(seed)).broken]

    assert not failed, "\n".join(story(each) for each in failed)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_caught_and_nothing_is_found_without_it(name: str) -> None:
    planted = PLANTED[name]
    for seed in range(CAUGHT_WITHIN):
        result = run(planted, seed)
        if result.broken:
            break
    else:
        pytest.fail(f"Expected {name} to be caught within {CAUGHT_WITHIN} seeds, but it was not")

    assert any(law in result.broken[0] for law in planted.caught_by), story(result)
    honest = [simulate(n, plan=planted.in_plan()) for n in range(seed + 1)]
    assert [each.broken for each in honest] == [[]] * (seed + 1)


def test_a_seed_that_fails_names_the_one_command_that_repeats_it() -> None:
    result = run(PLANTED["mark before send"], 0)

    assert "make simulate SEED=0" in story(result)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_model_of_the_database_answers_as_a_database_does(seed: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    schema.upgrade(url)
    store = open_store(url)

    result = simulate(seed, plan=TWINS, beside=store)

    store.close()
    assert not result.broken, story(result)
    assert result.trace == simulate(seed, plan=TWINS).trace


@pytest.mark.parametrize("seed", [3, 14])
def test_the_same_seed_leaves_the_same_trace_whatever_order_python_hashes_in(seed: int) -> None:
    traces = {_run_alone(seed, hash_seed) for hash_seed in ("1", "2")}

    assert traces == {simulate(seed).trace}


def _run_alone(seed: int, hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", str(seed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split("trace ")[1].split()[0]
