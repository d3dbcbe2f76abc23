"""Values are frozen, and a copy differs in what was changed."""

from __future__ import annotations

from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from events.ids import NAMESPACE, uuid_of
from events.register import COMMANDS, FACTS
from events.values import replace
from statemachines import held, notes


class Value(Struct, frozen=True, kw_only=True, gc=False):
    """A value with every kind of field."""

    name: str
    number: int = 7
    words: dict[str, str] = field(default_factory=dict)


def test_two_values_share_no_default_that_can_change() -> None:
    assert Value(name="a").words is not Value(name="a").words


@pytest.mark.parametrize("cls", [*FACTS.values(), *COMMANDS.values(), held.Held, notes.SagaNote])
def test_every_value_is_frozen_and_out_of_the_collectors_sight(cls: type[Struct]) -> None:
    config = cls.__struct_config__

    assert (config.frozen, config.gc, cls.__dictoffset__) == (True, False, 0)


@given(st.text(), st.integers())
def test_a_copy_differs_in_what_was_changed(name: str, number: int) -> None:
    first = Value(name="a", words={"k": "v"})
    copied = replace(first, name=name, number=number)

    assert copied == Value(name=name, number=number, words={"k": "v"})
    assert first == Value(name="a", words={"k": "v"})


def test_a_copy_with_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="nothing"):
        replace(Value(name="a"), nothing=1)  # type: ignore[call-arg]  # that is what is tried


@given(st.text())
def test_an_id_is_the_uuid5_of_its_name(name: str) -> None:
    assert uuid_of(name) == str(uuid5(NAMESPACE, name))
