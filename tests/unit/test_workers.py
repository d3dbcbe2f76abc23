"""The crew of worker processes: what ends it, what starts a worker again, and that it stops."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from events.ports import SystemClock
from regente.workers import Crew

#: Ends with the status that its n-th start is to have; lives on where there is none for it.
WORKER = """
import pathlib, sys, time
path = pathlib.Path(sys.argv[1])
starts = path.read_text().count("x") if path.exists() else 0
path.write_text("x" * (starts + 1))
statuses = [int(word) for word in sys.argv[2:]]
if starts < len(statuses):
    sys.exit(statuses[starts])
time.sleep(60)
"""


def crew(folder: Path, *statuses: int) -> tuple[Crew, Path]:
    """Return a crew whose worker ends like this, one start after the other."""
    starts = folder / "starts"
    words = [str(status) for status in statuses]
    return Crew([sys.executable, "-c", WORKER, str(starts), *words], SystemClock()), starts


@pytest.mark.parametrize("status", [2, 75])
def test_what_a_restart_does_not_mend_ends_the_crew_at_once(tmp_path: Path, status: int) -> None:
    found, starts = crew(tmp_path, status)

    assert not found.run(1, lambda: False)
    assert starts.read_text() == "x"


def test_an_outage_met_by_a_restarted_worker_does_not_end_the_crew(tmp_path: Path) -> None:
    found, starts = crew(tmp_path, 1, 75)

    assert found.run(1, lambda: starts.exists() and starts.read_text() == "xxx")
