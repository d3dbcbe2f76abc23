"""How many destinations are chosen in one turn, in one transaction that locks every host."""

from __future__ import annotations

import pytest

from conductor.scheduler import choices_max


@pytest.mark.parametrize(
    ("hosts_count", "expected"),
    [
        pytest.param(0, 100, id="nobody knows yet: as if they were many"),
        pytest.param(1, 2_000, id="one"),
        pytest.param(50, 2_000, id="few: the most"),
        pytest.param(400, 250, id="a bounded number of looks"),
        pytest.param(10_000, 100, id="many: the fewest"),
    ],
)
def test_the_more_hosts_there_are_the_fewer_choices_a_turn_takes(
    hosts_count: int, expected: int
) -> None:
    assert choices_max(hosts_count) == expected
