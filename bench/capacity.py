"""How much one worker carries, by the figures as they stand: the table for operators.

Arithmetic and nothing else. A worker's time goes to facts, to heartbeats and to sagas, and the
shares add up; half of it is left free, so that what piled up during an outage is caught up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

#: Hosts of one worker, row by row.
HOSTS: Final = (100, 1_000, 5_000, 10_000, 50_000)
#: The share of a worker that is planned with.
PLANNED: Final = 0.5
REPORT_INTERVAL_S: Final = 10
DAY_S: Final = 86_400
#: The lines that it is made of: a backlog, live migrations, heartbeats.
LINES: Final = frozenset({"1", "5", "10"})


@dataclass(frozen=True, slots=True)
class Costs:
    """What each thing takes of a worker, in µs."""

    fact_us: float
    heartbeat_us: float
    saga_us: float

    @classmethod
    def of(cls, figures: Sequence[Mapping[str, Any]]) -> Self | None:
        """Return the costs by the medians of these figures; None where a line is missing."""
        median = {each["line"]: each["median"] for each in figures}
        if not median.keys() >= LINES:
            return None
        # Line 10 is the percentage of a worker that 1,000 heartbeats a second take.
        return cls(1e6 / median["1"], median["10"] / 100 * 1e3, 1e6 / median["5"])

    def beating(self, hosts: int) -> float:
        """Return the share of a worker that the heartbeats of so many hosts take."""
        return hosts / REPORT_INTERVAL_S * self.heartbeat_us / 1e6

    def facts_left(self, hosts: int) -> float:
        """Return the facts a second that the planned share carries beside these heartbeats."""
        return max(0.0, PLANNED - self.beating(hosts)) / self.fact_us * 1e6

    def sagas_left(self, hosts: int) -> float:
        """Return the live migrations a second that it carries instead of these facts."""
        return max(0.0, PLANNED - self.beating(hosts)) / self.saga_us * 1e6


def capacity(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return the table as Markdown, with the arithmetic; empty where a figure is missing."""
    costs = Costs.of(figures)
    if costs is None:
        return ""
    lines = [
        f"f = {costs.fact_us:.0f} µs a fact (10⁶ / line 1), h = {costs.heartbeat_us:.1f} µs a"
        f" heartbeat (line 10: percent × 10), s = {costs.saga_us / 1e3:.1f} ms a live migration"
        " with all its commands and facts (10³ / line 5).",
        "",
        "| Hosts of one worker | Their heartbeats | Facts/s beside them, at half load"
        " | or live migrations/s | Instances, if each is migrated once a day |",
        "|---|---|---|---|---|",
    ]
    for hosts in HOSTS:
        sagas = costs.sagas_left(hosts)
        lines.append(
            f"| {hosts:,} | {costs.beating(hosts) * 100:.2g} % | {_rough(costs.facts_left(hosts))}"
            f" | {sagas:.0f} | {_rough(sagas * DAY_S)} |"
        )
    return "\n".join(lines) + "\n"


def _rough(value: float) -> str:
    """Return a number with the two digits that a plan is worth."""
    return f"{float(f'{value:.2g}'):,.0f}"
