"""One seed from beginning to end: safety, healing, rest, and a last clearing up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conductor import fold
from tests.simulation.cloud import Cloud, NoRest
from tests.simulation.faults import Plan
from tests.simulation.invariants import at_rest, audit, empty
from tests.simulation.laws import Broken
from tests.simulation.patching import patched, uncollected

if TYPE_CHECKING:
    from projections.sql_store import SqlStore


@dataclass(slots=True)
class Result:
    """How a seed ended."""

    seed: int
    trace: str = ""
    broken: list[str] = field(default_factory=list)
    steps: int = 0
    records: int = 0
    struck: dict[str, int] = field(default_factory=dict)


def story(result: Result) -> str:
    """Return how a seed ended, and how to repeat it where it ended badly."""
    struck = ", ".join(f"{name} {count}" for name, count in sorted(result.struck.items()))
    lines = [
        f"seed {result.seed}: {result.steps} steps, {result.records} records, trace {result.trace}",
        f"  faults: {struck or 'none'}",
        *(f"  {sentence}" for sentence in result.broken),
    ]
    if result.broken:
        lines.append(f"  again: make simulate SEED={result.seed}")
    return "\n".join(lines)


def simulate(
    seed: int,
    *,
    plan: Plan | None = None,
    forgets_begun: bool = False,
    beside: SqlStore | None = None,
) -> Result:
    """Return how the run of a seed ended; it ends the same, with a database beside it too."""
    cloud = Cloud(seed, plan=plan, forgets_begun=forgets_begun, beside=beside)
    result = Result(seed)
    with uncollected(), patched((fold, "step", cloud.watch.step)):
        try:
            cloud.run()
            if seed % 4 == 0:
                result.broken += audit(cloud)
            cloud.heal()
            cloud.settle()
            result.broken += at_rest(cloud)
            if not result.broken and seed % 2 == 0:
                cloud.workload.delete_all()
                cloud.settle()
                result.broken += empty(cloud)
        except (Broken, NoRest, AssertionError) as broken:
            result.broken.append(f"{type(broken).__name__}: {broken}")
    result.trace = cloud.trace()
    result.steps = cloud.steps
    result.records = sum(cloud.log.partition(tp).end for tp in cloud.partitions())
    result.struck = cloud.dice.struck
    return result
