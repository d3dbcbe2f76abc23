"""Rows compared many at a time are compared one by one where they are not what the log says."""

from __future__ import annotations

import random

import pytest

from conductor.auditor import Audit, Difference, compare
from conductor.bodies import HELD_CODEC
from events.values import replace
from projections.rows import InstanceStateRow, Key, Row, TagRow
from tests.beginnings import built

LOG: dict[Key, Row] = {(f"i{n}", "a"): TagRow(f"i{n}", "a") for n in range(10)}


def values(*gone: int) -> list[tuple[object, ...]]:
    """Return the rows as a database gives them, in an order of its own."""
    kept: list[tuple[object, ...]] = [
        tuple(row) for n, row in enumerate(LOG.values()) if n not in gone
    ]
    random.Random(1).shuffle(kept)
    return kept


def compared(*rows: list[tuple[object, ...]]) -> tuple[list[Difference], dict[Key, Row]]:
    audit = Audit()
    there = compare(audit, "tags", LOG, rows)
    assert audit.difference_count == len(audit.differences)
    return audit.differences, there


def test_where_all_is_equal_the_rows_of_the_log_are_those_of_the_database() -> None:
    rows = values()

    differences, there = compared(rows[:3], rows[3:])

    assert differences == []
    assert there is LOG


def test_what_differs_is_named_by_key_whatever_order_it_came_in() -> None:
    unknown: list[tuple[object, ...]] = [("i5", "b"), ("i0", "b")]

    differences, there = compared(values(7, 2)[:4], values(7, 2)[4:], unknown)

    assert [(d.key, d.log) for d in differences] == [
        (("i0", "b"), None),
        (("i2", "a"), "a TagRow"),
        (("i5", "b"), None),
        (("i7", "a"), "a TagRow"),
    ]
    assert there == {row: row for row in (*values(7, 2), *unknown)}
    assert all(there[key] is LOG[key] for key in there.keys() & LOG.keys())


@pytest.mark.parametrize("at", range(10))
def test_a_row_that_is_there_twice_does_not_stand_for_one_that_is_gone(at: int) -> None:
    """As nobody but a key of the table prevents."""
    rows = values(4)

    differences, _ = compared([*rows[:at], rows[0], *rows[at:]])

    assert [d.log for d in differences].count("a TagRow") == 1
    assert len(differences) == 2


def states(body: bytes) -> list[Difference]:
    """Compare the state of a guest that was just built with a body that is in the database."""
    held = built().here
    key: Key = (held.instance_id,)
    row = InstanceStateRow(held.instance_id, 0, HELD_CODEC.encode(held))
    audit = Audit()
    compare(audit, "instance_states", {key: row}, [[tuple(row._replace(body=body))]])
    return audit.differences


def test_of_two_states_the_fields_that_differ_are_named_and_nothing_else() -> None:
    changed = replace(built().here, generation=9, host="h7")

    found = [(d.column, d.log, d.database) for d in states(HELD_CODEC.encode(changed))]

    assert sorted(found) == [("body.generation", "1", "9"), ("body.host", "'h1'", "'h7'")]


def test_a_body_that_is_no_state_is_named_as_it_is() -> None:
    (found,) = states(b"garbage")

    assert found.column == "body"
    assert str(found.log).startswith("Held(")
