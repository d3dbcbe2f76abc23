"""What was measured, kept: `bench/results.json`, and the table of `docs/PERFORMANCE.md`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.capacity import capacity
from bench.chart import CHART, draw
from bench.contest import Figure

RESULTS: Final = Path(__file__).with_name("results.json")
#: The condition of a figure that was taken while others were at work; the table says so.
BUSY: Final = "busy machine"
PAGE: Final = Path(__file__).parent.parent / "docs" / "PERFORMANCE.md"
_BEGIN: Final = "<!-- written by make bench -->"
_CAPACITY: Final = "<!-- written by make bench: capacity -->"
_END: Final = "<!-- end -->"


def keep(figures: Iterable[Figure], lines: Sequence[str]) -> None:
    """Leave the figures of these lines in the results and on the page; others stay as they are."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    others = [each for each in known.get("figures", []) if each["line"] not in lines]
    found = sorted([*others, *(each.plain() for each in figures)], key=_order)
    result = {"conditions": _conditions(), "figures": found}
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    page = _replaced(PAGE.read_text(), _BEGIN, table(found))
    PAGE.write_text(_replaced(page, _CAPACITY, capacity(found)))
    CHART.write_text(draw(found))


def _replaced(page: str, mark: str, text: str) -> str:
    """Return the page with this text between the mark and the next end."""
    before, rest = page.split(mark)
    _, after = rest.split(_END, 1)
    return f"{before}{mark}\n\n{text}\n{_END}{after}"


def table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures as a table of Markdown."""
    rows = [
        "| # | Figure | Median (min–max), runs | Ratio (min–max) | Target |",
        "|---|---|---|---|---|",
    ]
    for each in figures:
        ratio = each.get("ratio")
        shown = "" if ratio is None else f"{_spread(ratio)} of {ratio['to']}"
        value = f"{_spread(each)} {each['unit']}, {each['runs']}"
        if each.get("conditions", {}).get("machine") == BUSY:
            value += f", {BUSY}"
        rows.append(
            f"| {each['line']} | {each['name']} | {value} | {shown} | {each.get('target', '')} |"
        )
    return "\n".join(rows) + "\n"


def _spread(of: Mapping[str, Any]) -> str:
    middle, least, most = of["median"], of["min"], of["max"]
    return f"{middle:,}" if of["runs"] == 1 else f"{middle:,} ({least:,}–{most:,})"


def _order(figure: Mapping[str, Any]) -> tuple[int, str]:
    digits = "".join(c for c in figure["line"] if c.isdigit())
    return int(digits or 99), figure["line"]


def _conditions() -> dict[str, object]:
    return {
        "taken": datetime.now(tz=UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores shared with broker and database",
    }
