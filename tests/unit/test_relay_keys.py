"""Under which key a host is written to, by the rules in force."""

from __future__ import annotations

from conductor.relay import newest_enrolments
from statemachines.rules import Rules


def test_the_newest_enrolment_counts_as_a_number_and_not_as_a_text() -> None:
    rules = Rules(keys_open=frozenset({"host-a/2", "host-a/10", "host-b/1", "rack/7/3"}))

    assert newest_enrolments(rules) == {"host-a": 10, "host-b": 1, "rack/7": 3}


def test_a_key_that_was_closed_is_none() -> None:
    opened = frozenset({"host-a/1", "host-a/2", "host-b/1"})
    rules = Rules(keys_open=opened, keys_closed=frozenset({"host-a/2", "host-b/1"}))

    assert newest_enrolments(rules) == {"host-a": 1}
