"""The figures of a backlog as a chart that a page can show: `docs/performance.svg`.

Bars on a logarithmic scale, for what is compared lies orders of magnitude apart. Written by hand:
a plotting library would be the largest thing in the project's environment, for one picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

CHART: Final = Path(__file__).parent.parent / "docs" / "performance.svg"
#: Lines of the table that are drawn, and what they are called there.
BARS: Final[Mapping[str, str]] = {
    "0": "lean pipeline, written by hand (the yardstick)",
    "1": "Regente, Kafka and PostgreSQL, one worker",
    "9": "Regente, embedded (SQLite), one worker",
    "2b": "Quix Streams, at least once",
    "2c": "eventsourcing, projection",
    "2d": "eventsourcing, saves",
}
_LEFT, _WIDTH, _BAR, _GAP, _TOP = 330, 420, 22, 12, 40
_LEAST = 100.0


def draw(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return the chart of those of the figures that are drawn."""
    known = {each["line"]: each for each in figures}
    found = [(label, known[line]) for line, label in BARS.items() if line in known]
    most = max((each["median"] for _, each in found), default=_LEAST)
    decades = range(int(math.log10(_LEAST)), math.ceil(math.log10(most)) + 1)
    scale = _WIDTH / max(1, decades[-1] - decades[0])
    height = _TOP + len(found) * (_BAR + _GAP) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{_LEFT + _WIDTH + 90}" height="{height}" fill="#ffffff"/>',
        '<text x="10" y="22" font-weight="bold">Facts per second, logarithmic scale</text>',
    ]
    for decade in decades:
        x = _LEFT + (decade - decades[0]) * scale
        bottom = height - 25
        lines.append(f'<path d="M{x:.0f} {_TOP - 8}V{bottom}" stroke="#cccccc" fill="none"/>')
        lines.append(
            f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{10**decade:,}</text>'
        )
    for n, (label, each) in enumerate(found):
        y = _TOP + n * (_BAR + _GAP)
        width = max(1.0, (math.log10(each["median"]) - decades[0]) * scale)
        colour = "#2f6f9f" if label.startswith("Regente") else "#9a9a9a"
        middle = y + _BAR * 0.7
        lines += [
            f'<text x="{_LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{width:.0f}" height="{_BAR}" fill="{colour}"/>',
            f'<text x="{_LEFT + width + 6:.0f}" y="{middle:.0f}">{each["median"]:,}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
