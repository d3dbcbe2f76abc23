"""Stored states: both ways, and what damaged bytes can do (nothing but BadRecord)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from conductor.bodies import HEADER_BYTES, HELD_CODEC, RULES_CODEC, StateCodec
from events.codec import decode_fact
from events.errors import BadRecord
from events.register import FACTS, schema_file
from events.write_schemas import FOLDER, newest_version
from statemachines.held import Held
from statemachines.node import NodeHeld
from statemachines.rules import Rules
from statemachines.state_schemas import STATES
from tests.answers import sample
from tests.beginnings import built, resized, situations
from tests.hosts import World
from tests.schemas import walk


def held_states() -> list[Held]:
    """Return states with everything in them."""
    worlds = [*situations().values(), built(), resized()]
    return [world.here for world in worlds]


def test_every_state_of_every_situation_comes_back_as_it_was() -> None:
    codec = StateCodec(Held, "Held")

    for held in held_states():
        assert codec.decode(codec.encode(held)) == held


def test_the_bytes_of_a_state_are_always_the_same() -> None:
    codec = StateCodec(Held, "Held")
    for held in held_states():
        body = codec.encode(held)
        assert codec.encode(codec.decode(body)) == body


def test_a_shadow_comes_back_as_it_was() -> None:
    world = World()
    world.tell(world.envelope("nova", sample(FACTS["NovaReported"])))
    codec = StateCodec(Held, "Held")

    assert world.here.shadow is not None
    assert codec.decode(codec.encode(world.here)) == world.here


def test_rules_and_hosts_come_back_as_they_were() -> None:
    rules = Rules(
        number=3,
        fingerprints=frozenset({"b", "a"}),
        keys_open=frozenset({"h2/1", "h1/1"}),
        versions={"resize": "1"},
    )
    node = NodeHeld(host="h1", created_at=1, updated_at=2)

    for state in (rules, Rules(), node):
        codec = StateCodec(type(state), type(state).__name__)
        assert codec.decode(codec.encode(state)) == state


def test_a_damaged_state_is_a_bad_record_and_nothing_else() -> None:
    codec = StateCodec(Held, "Held")
    body = codec.encode(resized().here)
    dice = random.Random(1)
    for _ in range(400):
        damaged = bytearray(body)
        damaged[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
        cut = bytes(damaged)[: dice.choice((len(body), dice.randrange(len(body))))]
        try:
            codec.decode(cut)
        except BadRecord:
            continue


def test_states_are_not_facts() -> None:
    assert set(STATES) & set(FACTS) == set()

    with pytest.raises(BadRecord) as refused:
        decode_fact(HELD_CODEC.encode(built().here))
    assert refused.value.code == "not-avro"


def test_a_state_of_a_version_that_is_not_known_is_refused() -> None:
    body = HELD_CODEC.encode(built().here)

    for unknown in (b"", body[:HEADER_BYTES][:-1], bytes(HEADER_BYTES) + body[HEADER_BYTES:]):
        with pytest.raises(BadRecord) as refused:
            HELD_CODEC.decode(unknown)
        assert refused.value.code == "unknown-schema"


# Versions.


def test_a_body_that_stops_early_has_defaults_for_the_rest() -> None:
    values: list[object] = msgspec.msgpack.decode(
        RULES_CODEC.encode(Rules(number=3))[HEADER_BYTES:]
    )
    older = RULES_CODEC.encode(Rules())[:HEADER_BYTES] + msgspec.msgpack.encode(values[:2])

    assert RULES_CODEC.decode(older) == Rules(number=3)


def structs_in(found: Any) -> Iterator[msgspec.inspect.StructType]:
    """Yield every class of structs that a type is made of."""
    if isinstance(found, msgspec.inspect.StructType):
        yield found
        inner = [field.type for field in found.fields]
    else:
        names = ("types", "item_type", "key_type", "value_type")
        inner = [getattr(found, name) for name in names if hasattr(found, name)]
        inner = [each for some in inner for each in (some if isinstance(some, tuple) else (some,))]
    for each in inner:
        yield from structs_in(each)


@pytest.mark.parametrize("cls", STATES.values())
def test_everything_in_a_state_is_stored_by_position(cls: type) -> None:
    found = list(structs_in(msgspec.inspect.type_info(cls)))

    assert found[0].cls is cls
    assert [each.cls.__name__ for each in found if not each.array_like] == []


def only_grew(old: Any, new: Any) -> bool:
    """Say whether every record of a schema has its old fields first, in their old order."""
    records = {each["name"]: each for each, _ in walk(new) if is_record(each)}
    for each, _ in walk(old):
        if is_record(each):
            before, after = (
                [f["name"] for f in x["fields"]] for x in (each, records[each["name"]])
            )
            if after[: len(before)] != before:
                return False
    return True


def is_record(schema: Any) -> bool:
    """Say whether a schema is of a record, and not the name of one."""
    return isinstance(schema, dict) and schema["type"] == "record"


@pytest.mark.parametrize("name", STATES)
def test_a_new_version_adds_fields_at_the_end(name: str) -> None:
    versions = [
        json.loads((FOLDER / schema_file(name, n)).read_text())
        for n in range(1, newest_version(name) + 1)
    ]
    assert all(only_grew(old, new) for old, new in pairwise(versions))

    newest = versions[-1]
    swapped = {**newest, "fields": newest["fields"][::-1]}
    assert not only_grew(newest, swapped)
