"""Values that are made and copied the fast way are as any frozen dataclass."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, dataclass, field
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import Address, Letter
from events.ids import NAMESPACE, uuid_of
from events.values import quick, replace


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """A value with every kind of field."""

    name: str
    number: int = 7
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The same, made the slow way."""

    name: str
    number: int = 7
    words: dict[str, str] = field(default_factory=dict)


def test_a_quick_value_has_the_fields_of_a_plain_one() -> None:
    quick_one, plain = Quick(name="a"), Plain(name="a")

    assert dataclasses.asdict(quick_one) == dataclasses.asdict(plain)
    assert quick_one == Quick(name="a", number=7, words={})
    assert quick_one.words is not Quick(name="a").words


def test_a_quick_value_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Quick(name="a").name = "b"  # type: ignore[misc]  # that is what is tried


@pytest.mark.parametrize("words", [{}, {"name": "a", "nothing": 1}])
def test_a_quick_value_refuses_what_a_plain_one_refuses(words: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Quick(**words)  # type: ignore[arg-type]  # that is what is tried


@given(st.text(), st.integers())
def test_a_copy_differs_in_what_was_changed(name: str, number: int) -> None:
    copied = replace(Quick(name="a", words={"k": "v"}), name=name, number=number)

    assert copied == Quick(name=name, number=number, words={"k": "v"})
    assert type(copied) is Quick


def test_a_copy_leaves_the_first_as_it_was() -> None:
    first = Quick(name="a")
    replace(first, name="b")

    assert first == Quick(name="a")


def test_a_copy_with_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(AssertionError, match="Expected fields of"):
        replace(Quick(name="a"), nothing=1)  # type: ignore[call-arg]  # that is what is tried


def test_a_quick_value_may_hold_a_value_of_any_type() -> None:
    address = Address(
        command_id="c",
        saga_id="s",
        saga="stop",
        step="stopping",
        attempt=1,
        instance_id="i",
        generation=1,
        host="h",
    )

    assert Letter("command", address).command == "command"


@given(st.text())
def test_an_id_is_the_uuid5_of_its_name(name: str) -> None:
    assert uuid_of(name) == str(uuid5(NAMESPACE, name))
