"""Metadata and tags: they take effect in the fold, bounded, and hosts never hear of them."""

from __future__ import annotations

import json

import pytest

from statemachines.immediate import METADATA_CHARS_MAX, METADATA_ITEMS_MAX, TAG_CHARS_MAX, TAGS_MAX
from statemachines.verdict import Duplicate, Rejected
from tests.beginnings import begin, built
from tests.hosts import World
from tests.story import SMALL, must


def update(world: World, **items: str) -> None:
    """Let a user note items."""
    world.request("update_instance_metadata", arguments={"metadata": json.dumps(items)})


def code(world: World) -> str | None:
    """Return the code with which the last fact was refused; None where it was accepted."""
    verdict = world.verdicts[-1]
    return verdict.code if isinstance(verdict, Rejected) else None


def test_items_are_merged_and_replaced_only_where_that_is_asked() -> None:
    world = built()
    update(world, b="1", a="1")
    update(world, a="2")
    assert world.here.metadata == {"a": "2", "b": "1"}
    whole = {"metadata": json.dumps({"c": "3"}), "delete": "true"}
    must(world.request("update_instance_metadata", arguments=whole))

    assert world.here.metadata == {"c": "3"}
    assert world.here.generation == built().here.generation
    assert world.orders == []


def test_an_item_is_deleted_and_one_that_is_not_there_is_not_found() -> None:
    world = built()
    update(world, a="1", b="2")
    must(world.request("delete_instance_metadata", arguments={"key": "a"}))
    assert world.here.metadata == {"b": "2"}
    world.request("delete_instance_metadata", arguments={"key": "a"})

    assert code(world) == "no-such-key"


def test_tags_are_a_set() -> None:
    world = built()
    must(world.request("update_tags", arguments={"tags": '["web", "blue", "web"]'}))
    assert list(world.here.tags) == ["blue", "web"]
    must(world.request("update_tags", arguments={"tags": "[]"}))

    assert list(world.here.tags) == []


def test_a_create_may_bring_both() -> None:
    world = World()
    arguments = {"metadata": '{"role": "db"}', "tags": '["blue"]'}
    must(world.request("create", flavor=SMALL, arguments=arguments))

    assert (world.here.metadata, world.here.tags) == ({"role": "db"}, ("blue",))


def test_each_is_an_action_that_is_over_at_once_and_a_repeat_changes_nothing() -> None:
    world = built().from_here()
    must(world.request("update_tags", "req-1", arguments={"tags": '["a"]'}))
    outcome = world.request("update_tags", "req-1", arguments={"tags": '["b"]'})

    assert isinstance(outcome.verdict, Duplicate)
    assert world.here.tags == ("a",)
    assert world.actions == [("update_tags", None)]


def test_they_may_be_asked_while_something_else_goes_on_and_change_nothing_of_it() -> None:
    world = begin("live_migrate")
    before = world.saga
    update(world, a="1")

    assert world.here.metadata == {"a": "1"}
    assert world.saga == before
    world.settle()
    assert world.here.metadata == {"a": "1"}


def test_a_tombstone_has_none() -> None:
    world = built()
    update(world, a="1")
    must(world.request("update_tags", arguments={"tags": '["a"]'}))
    must(world.request("delete"))
    world.settle()

    assert (world.here.metadata, world.here.tags) == ({}, ())


GARBAGE: dict[str, tuple[str, dict[str, str]]] = {
    "nothing": ("update_instance_metadata", {}),
    "no JSON": ("update_instance_metadata", {"metadata": "{"}),
    "no object": ("update_instance_metadata", {"metadata": "[]"}),
    "a value that is no text": ("update_instance_metadata", {"metadata": '{"a": 1}'}),
    "a key with a slash": ("update_instance_metadata", {"metadata": '{"a/b": ""}'}),
    "no key": ("update_instance_metadata", {"metadata": '{"": ""}'}),
    "NUL": ("update_instance_metadata", {"metadata": '{"a": "\\u0000"}'}),
    "a long value": (
        "update_instance_metadata",
        {"metadata": json.dumps({"a": "x" * (METADATA_CHARS_MAX + 1)})},
    ),
    "a word that is no flag": (
        "update_instance_metadata",
        {"metadata": "{}", "delete": "yes"},
    ),
    "too many items": (
        "update_instance_metadata",
        {"metadata": json.dumps({f"k{n}": "" for n in range(METADATA_ITEMS_MAX + 1)})},
    ),
    "no key to delete": ("delete_instance_metadata", {}),
    "no tags": ("update_tags", {}),
    "tags that are no list": ("update_tags", {"tags": "{}"}),
    "a tag that is no text": ("update_tags", {"tags": "[1]"}),
    "a tag with a comma": ("update_tags", {"tags": '["a,b"]'}),
    "an empty tag": ("update_tags", {"tags": '[""]'}),
    "a long tag": ("update_tags", {"tags": json.dumps(["x" * (TAG_CHARS_MAX + 1)])}),
    "too many tags": ("update_tags", {"tags": json.dumps([f"t{n}" for n in range(TAGS_MAX + 1)])}),
}


@pytest.mark.parametrize(("action", "arguments"), GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused_and_changes_nothing(action: str, arguments: dict[str, str]) -> None:
    world = built()
    before = (world.here.metadata, world.here.tags)
    world.request(action, arguments=arguments)

    assert code(world) == "bad-request"
    assert (world.here.metadata, world.here.tags) == before


def test_items_noted_one_by_one_have_the_same_bound() -> None:
    world = built()
    for n in range(METADATA_ITEMS_MAX):
        update(world, **{f"k{n}": ""})
    assert code(world) is None
    update(world, one_more="")

    assert code(world) == "bad-request"
    assert len(world.here.metadata) == METADATA_ITEMS_MAX


def test_garbage_in_a_create_leaves_no_instance() -> None:
    for arguments in ({"metadata": "[]"}, {"tags": "{}"}):
        world = World()
        world.request("create", flavor=SMALL, arguments=arguments)

        assert code(world) == "bad-request"
        assert world.held is None
