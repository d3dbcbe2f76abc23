"""One seed from beginning to end: safety, healing, rest, and a last clearing up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from conductor import fold
from tests.simulation.cloud import Cloud, NoRest
from tests.simulation.faults import Plan
from tests.simulation.invariants import at_rest, audit, empty
from tests.simulation.watch import Broken


@dataclass(slots=True)
class Result:
    """How a seed ended."""

    seed: int
    trace: str = ""
    broken: list[str] = field(default_factory=list)
    steps: int = 0
    records: int = 0
    struck: dict[str, int] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Did every law hold?"""
        return not self.broken


def simulate(seed: int, *, plan: Plan | None = None, forgets_begun: bool = False) -> Result:
    """Return how the run of a seed ended; the same seed ends the same."""
    cloud = Cloud(seed, plan=plan, forgets_begun=forgets_begun)
    result = Result(seed)
    with _watched(cloud):
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


@contextmanager
def _watched(cloud: Cloud) -> Iterator[None]:
    """Have every fact that is folded seen by the watch."""
    before = fold.step
    fold.step = cloud.watch.step
    try:
        yield
    finally:
        fold.step = before
