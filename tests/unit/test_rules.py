"""The rules in force: settings, versions, schemas admitted and keys open, folded from the log."""

from __future__ import annotations

import pytest

from events.control import KeyClosed, KeyOpened, RulesPublished
from statemachines.dues import ENTRIES
from statemachines.rules import SETTINGS, Rules, evolve
from statemachines.saga import Step
from statemachines.sagas import SAGAS


def test_before_the_first_publication_novas_defaults_are_in_force() -> None:
    rules = Rules()

    assert rules.number_of("migrate_max_retries") == -1
    assert rules.number_of("max_attempts") == 3
    assert rules.number_of("long_rpc_timeout") == 1800
    assert not rules.allows("allow_resize_to_same_host")
    assert rules.admits("anything")


def test_a_publication_sets_what_it_names_and_leaves_the_rest_at_the_default() -> None:
    rules = evolve(Rules(), RulesPublished(number=1, settings={"max_attempts": "5"}))

    assert rules.number_of("max_attempts") == 5
    assert rules.number_of("migrate_max_retries") == -1


def test_only_a_higher_number_counts() -> None:
    first = evolve(Rules(), RulesPublished(number=2, settings={"max_attempts": "5"}))

    for number in (1, 2):
        later = RulesPublished(number=number, settings={"max_attempts": "9"})
        assert evolve(first, later) is first


def test_a_setting_of_nothing_means_the_ceiling() -> None:
    rules = Rules()

    assert rules.deadline_s("move_timeout") == rules.number_of("step_max_s") == 7200
    assert rules.deadline_s("step_timeout") == 600


def test_only_the_schemas_named_are_admitted() -> None:
    rules = evolve(Rules(), RulesPublished(number=1, fingerprints=("aa", "bb")))

    assert rules.admits("aa")
    assert not rules.admits("cc")


def test_a_key_is_open_from_its_opening_to_its_closing() -> None:
    opened = evolve(Rules(), KeyOpened(key_id="h1/1"))
    closed = evolve(opened, KeyClosed(key_id="h1/1", reason="stolen"))
    again = evolve(closed, KeyOpened(key_id="h1/1"))

    assert not Rules().is_open("h1/1")
    assert opened.is_open("h1/1")
    assert not closed.is_open("h1/1")
    assert not again.is_open("h1/1")


@pytest.mark.parametrize("value", ["true", "True", "1", "yes"])
def test_yes_is_said_in_several_ways(value: str) -> None:
    rules = Rules(settings={"allow_resize_to_same_host": value})

    assert rules.allows("allow_resize_to_same_host")


def steps() -> list[Step]:
    """Return every step that has a deadline."""
    return [s for t in SAGAS.values() for s in t.steps.values() if not s.patient]


def test_every_deadline_and_every_leave_to_stay_is_a_setting() -> None:
    named = {step.deadline for step in steps()}
    named |= {entry.setting for entry in ENTRIES}
    named |= {t.same_host for t in SAGAS.values() if t.same_host is not None}

    assert named <= SETTINGS.keys()
