"""The schema files: each is what its class asks for, and none can be turned into a bomb."""

from __future__ import annotations

import json
from typing import Any

import pytest

from events.codec import FINGERPRINTS, registry, schema_of, schema_of_state
from events.register import COMMANDS, FACTS, schema_file
from events.write_schemas import FOLDER, fingerprints_text, newest_version, text_of
from statemachines.state_schemas import STATES
from tests.schemas import walk

FILES = sorted(FOLDER.glob("*.avsc"))
OF_FILE = pytest.mark.parametrize("path", FILES, ids=[p.stem for p in FILES])
DEPTH_MAX = 8
PLAIN = {"string", "long", "bytes", "boolean"}


def read(name: str) -> Any:
    """Return the newest schema of a class."""
    return json.loads((FOLDER / schema_file(name, newest_version(name))).read_text())


def depth_of(schema: Any, named: dict[str, Any]) -> int:
    """Return how deep values of a schema may be nested, names looked up."""
    if isinstance(schema, str):
        return depth_of(named[schema], named) if schema in named else 0
    if isinstance(schema, list):
        return max(depth_of(branch, named) for branch in schema)
    inner = [f["type"] for f in schema.get("fields", ())]
    inner += [schema[key] for key in ("items", "values") if key in schema]
    return 1 + max((depth_of(each, named) for each in inner), default=0)


def names_in(schema: Any) -> dict[str, Any]:
    """Return the records of a schema by name."""
    return {s["name"]: s for s, _ in walk(schema) if isinstance(s, dict) and "name" in s}


def is_zero_width(schema: Any, named: dict[str, Any]) -> bool:
    """Say whether a value of a schema takes no bytes at all."""
    if isinstance(schema, str):
        return schema == "null" or (schema in named and is_zero_width(named[schema], named))
    if isinstance(schema, dict) and schema["type"] == "record":
        return all(is_zero_width(f["type"], named) for f in schema["fields"])
    return False


@pytest.mark.parametrize("name", [*FACTS, *COMMANDS])
def test_the_newest_schema_is_what_the_class_asks_for(name: str) -> None:
    path = FOLDER / schema_file(name, newest_version(name))

    assert path.read_text() == text_of(schema_of(name))


@pytest.mark.parametrize("name", STATES)
def test_the_newest_schema_of_a_state_is_what_the_class_asks_for(name: str) -> None:
    path = FOLDER / schema_file(name, newest_version(name))

    assert path.read_text() == text_of(schema_of_state(name, STATES[name]))


@OF_FILE
def test_a_schema_has_plain_types_only(path: Any) -> None:
    schema = json.loads(path.read_text())
    named = names_in(schema)
    for each, _ in walk(schema):
        if isinstance(each, str):
            assert each in PLAIN or each in named or each == "null"
        elif isinstance(each, list):
            assert each[0] == "null"
            assert len(each) == 2
        else:
            assert "logicalType" not in each
            assert each["type"] in ("record", "array", "map")


@OF_FILE
def test_a_schema_does_not_contain_itself(path: Any) -> None:
    schema = json.loads(path.read_text())

    def visit(each: Any, open_names: tuple[str, ...]) -> None:
        if isinstance(each, str):
            assert each not in open_names
        elif isinstance(each, list):
            for branch in each:
                visit(branch, open_names)
        else:
            inside = (*open_names, each["name"]) if "name" in each else open_names
            for field in each.get("fields", ()):
                visit(field["type"], inside)
            for key in ("items", "values"):
                if key in each:
                    visit(each[key], inside)

    visit(schema, ())


@OF_FILE
def test_a_schema_is_not_deep_and_its_items_take_room(path: Any) -> None:
    schema = json.loads(path.read_text())
    named = names_in(schema)

    assert depth_of(schema, named) <= DEPTH_MAX
    for each, _ in walk(schema):
        if isinstance(each, dict):
            for key in ("items", "values"):
                assert key not in each or not is_zero_width(each[key], named)


def test_no_two_schemas_have_one_fingerprint() -> None:
    forms = registry().by_fingerprint

    assert len(forms) == sum(newest_version(name) for name in (*FACTS, *COMMANDS))


def test_every_file_belongs_to_a_class() -> None:
    known = {schema_file(n, v) for n in (*FACTS, *COMMANDS, *STATES) for v in range(1, 9)}

    assert {p.name for p in FILES} <= known


def test_versions_of_a_schema_have_no_holes() -> None:
    for name in (*FACTS, *COMMANDS, *STATES):
        versions = len(list(FOLDER.glob(schema_file(name, 1).replace(".v1.", ".v*."))))
        assert versions == newest_version(name) >= 1


def test_the_fingerprint_of_every_schema_is_written_down() -> None:
    assert (FOLDER / FINGERPRINTS).read_text() == fingerprints_text()
