"""Our words against nova's: the same is done here as in each recording of a real nova.

What is not the same stands in `tests.different_words`, with what is said here instead and the row
of the README's table that names it. A difference that is not there fails, and so does one that is
gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.different_words import AS_LIBVIRT, DIFFERENT
from tests.plays import PLAYS, compare
from tests.recordings import ASPECTS, TRACES, api, differences

README: Final = Path(__file__).parents[2] / "README.md"
#: What notifications alone tell, where the API was not asked at the end.
TOLD_BY_NOTIFICATIONS: Final = ("states", "power", "owners")


#: Recordings that begin in the middle of what nobody was told of, and that end by nova's rules
#: for a start from a row alone.
FROM_A_ROW: Final = {"init_powering_off_db"}


def test_every_recording_is_played() -> None:
    names = {path.name.split(".")[0] for path in TRACES.glob("*.notifications.jsonl")}

    assert names - PLAYS.keys() == FROM_A_ROW


@pytest.mark.parametrize("name", sorted(PLAYS))
def test_the_words_are_novas_but_for_what_the_readme_names(name: str) -> None:
    theirs, ours = compare(name, PLAYS[name])
    aspects = ASPECTS if api(name) else TOLD_BY_NOTIFICATIONS

    found = differences(theirs, ours, aspects)
    intended = {aspect: d.ours for (of, aspect), d in DIFFERENT.items() if of == name}

    assert found == intended, f"nova says {[(a, getattr(theirs, a)) for a in found]}"


def test_every_difference_is_one_of_a_play_and_named_in_the_readme() -> None:
    left_cells = {
        line.split("|")[1].strip()
        for line in README.read_text().splitlines()
        if line.startswith("| ")
    }

    for (name, aspect), differs in DIFFERENT.items():
        assert name in PLAYS
        assert aspect in ASPECTS
        named = any(cell.startswith(differs.row) for cell in left_cells)
        assert named or differs.row.startswith(AS_LIBVIRT), differs.row
