"""The table for operators says what the figures say, by arithmetic that one can do by hand."""

from __future__ import annotations

import pytest

from bench.capacity import Costs, capacity

FIGURES = [
    {"line": "1", "median": 9_357},
    {"line": "5", "median": 133},
    {"line": "10", "median": 6.189},
]


def test_ten_thousand_hosts_leave_so_much_of_half_a_worker() -> None:
    costs = Costs.of(FIGURES)
    assert costs is not None

    assert costs.beating(1_000) == pytest.approx(0.006189)
    assert costs.beating(10_000) == pytest.approx(0.06189)
    assert costs.facts_left(10_000) == pytest.approx((0.5 - 0.06189) * 9_357)
    assert costs.sagas_left(10_000) == pytest.approx((0.5 - 0.06189) * 133)


def test_hosts_that_take_all_leave_nothing() -> None:
    costs = Costs.of(FIGURES)
    assert costs is not None

    assert costs.facts_left(1_000_000) == 0
    assert costs.sagas_left(1_000_000) == 0


def test_each_row_names_its_hosts_and_what_is_left() -> None:
    assert "| 10,000 | 6.2 % | 4,100 | 58 | 5,000,000 |" in capacity(FIGURES).splitlines()


def test_there_is_no_table_of_figures_that_were_not_taken() -> None:
    assert capacity(FIGURES[:2]) == ""
