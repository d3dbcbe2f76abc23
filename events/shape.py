"""The Avro schema of a value, and the way between its values and plain ones.

A closed set of field types: str, int, bool, bytes, StrEnum, IntEnum, `X | None`, tuple[X, ...],
frozenset[str] (a sorted array), dict[str, X], and other such values. No logical types (they
cost 45 % of the decoding speed), no floats, no recursion. Pure: knows no library and no bytes.
`load` fills fields that an older body lacks with their defaults, which is all that most
upcasts need.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum
from functools import cache
from operator import attrgetter

from msgspec import Struct
from msgspec.structs import fields

Plain = object
Schema = dict[str, object]
_SIMPLE: Mapping[object, str] = {str: "string", int: "long", bool: "boolean", bytes: "bytes"}


def _identity(value: object) -> object:
    return value


class Shape:
    """How values of one class look in Avro, and both ways between them."""

    def __init__(self, cls: type) -> None:
        assert issubclass(cls, Struct), f"Expected a Struct, but {cls!r}"
        self.cls = cls
        hints = typing.get_type_hints(cls)
        self.names = tuple(f.name for f in fields(cls))
        self._all = frozenset(self.names)
        self._forms = {name: _form(hints[name]) for name in self.names}
        self._values = _getter(self.names)
        self._dump = tuple((n, f.dump) for n, f in self._forms.items() if f.dump is not _identity)
        self._load = tuple((n, f.load) for n, f in self._forms.items() if f.load is not _identity)
        self.required = frozenset(f.name for f in fields(cls) if f.required)

    def fields(self, seen: set[str]) -> list[Schema]:
        """Return the Avro fields; record names in `seen` are referred to by name."""
        return [{"name": n, "type": f.schema(seen)} for n, f in self._forms.items()]

    def schema(self, seen: set[str]) -> object:
        """Return the Avro schema of the record, or its name where `seen` has it already."""
        name = _name(self.cls)
        if name in seen:
            return name
        seen.add(name)
        return {"type": "record", "name": name, "fields": self.fields(seen)}

    def dump(self, value: object) -> dict[str, object]:
        """Return the plain form of a value."""
        plain = dict(zip(self.names, self._values(value), strict=True))
        for name, dump in self._dump:
            plain[name] = dump(plain[name])
        return plain

    def is_plain(self, names: set[str]) -> bool:
        """Say whether a plain form with these fields is, as it is, the arguments of the class."""
        return names == self._all and not self._load

    def load(self, plain: Mapping[str, object]) -> object:
        """Return the value of a plain form; unknown fields of a newer writer are dropped."""
        # A body of the version of today has these fields and no others, nearly always.
        known = dict(plain) if plain.keys() == self._all else self._known(plain)
        for name, load in self._load:
            if name in known:
                known[name] = load(known[name])
        return self.cls(**known)

    def _known(self, plain: Mapping[str, object]) -> dict[str, object]:
        return {n: plain[n] for n in self.names if n in plain}


def _name(cls: type) -> str:
    return f"regente.{cls.__name__}"


def _getter(names: tuple[str, ...]) -> Callable[[object], tuple[object, ...]]:
    """Return what reads all of these attributes, in order."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


class _Form(typing.NamedTuple):
    """One field type: its schema, and the functions between value and plain form."""

    schema: Callable[[set[str]], object]
    dump: Callable[[object], object]
    load: Callable[[object], object]


@cache
def shape_of(cls: type) -> Shape:
    """Return the shape of a class of values, made once."""
    return Shape(cls)


def _form(hint: object) -> _Form:
    if hint in _SIMPLE:
        name = _SIMPLE[hint]
        return _Form(lambda _seen: name, _identity, _identity)
    if isinstance(hint, typing.NewType):
        return _form(hint.__supertype__)
    origin = typing.get_origin(hint)
    if origin is types.UnionType or origin is typing.Union:
        return _optional(hint)
    if origin is tuple:
        return _array(hint)
    if origin is dict:
        return _map(hint)
    if hint == frozenset[str]:
        return _STRINGS
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Form(lambda _seen: "string", str, hint)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return _Form(lambda _seen: "long", typing.cast("Callable[[object], object]", int), hint)
    assert isinstance(hint, type), f"Expected a plain type, but {hint!r}"
    assert issubclass(hint, Struct), f"Expected a Struct, but {hint!r}"
    inner = shape_of(hint)
    return _Form(inner.schema, inner.dump, typing.cast("Callable[[object], object]", inner.load))


#: A set has no order, and its bytes must have one.
_STRINGS: typing.Final = _Form(
    lambda _seen: {"type": "array", "items": "string"},
    lambda value: sorted(typing.cast("frozenset[str]", value)),
    lambda plain: frozenset(typing.cast("list[str]", plain)),
)


def _optional(hint: object) -> _Form:
    (inner_hint,) = (a for a in typing.get_args(hint) if a is not types.NoneType)
    inner = _form(inner_hint)
    if inner.dump is _identity and inner.load is _identity:
        return _Form(lambda seen: ["null", inner.schema(seen)], _identity, _identity)
    if isinstance(inner_hint, type) and issubclass(inner_hint, Struct):
        # Named, or the writer would find out which branch it is by looking at every field.
        name = _name(inner_hint)
        return _Form(
            lambda seen: ["null", inner.schema(seen)],
            lambda value: None if value is None else (name, inner.dump(value)),
            lambda plain: None if plain is None else inner.load(plain),
        )
    return _Form(
        lambda seen: ["null", inner.schema(seen)],
        lambda value: None if value is None else inner.dump(value),
        lambda plain: None if plain is None else inner.load(plain),
    )


def _array(hint: object) -> _Form:
    item, ellipsis = typing.get_args(hint)
    assert ellipsis is ..., f"Expected tuple[X, ...], but {hint!r}"
    inner = _form(item)
    if inner.dump is _identity and inner.load is _identity:
        return _Form(
            lambda seen: {"type": "array", "items": inner.schema(seen)},
            typing.cast("Callable[[object], object]", list),
            typing.cast("Callable[[object], object]", tuple),
        )
    dump, load = inner.dump, inner.load
    return _Form(
        lambda seen: {"type": "array", "items": inner.schema(seen)},
        lambda value: [dump(v) for v in value],  # type: ignore[attr-defined]  # the hint says so
        lambda plain: tuple([load(p) for p in plain]),  # type: ignore[attr-defined]  # as above
    )


def _map(hint: object) -> _Form:
    key, item = typing.get_args(hint)
    assert key is str, f"Expected dict[str, X], but {hint!r}"
    inner = _form(item)
    if inner.dump is _identity and inner.load is _identity:
        return _Form(
            lambda seen: {"type": "map", "values": inner.schema(seen)}, _identity, _identity
        )
    return _Form(
        lambda seen: {"type": "map", "values": inner.schema(seen)},
        lambda value: {
            k: inner.dump(v) for k, v in typing.cast("dict[str, object]", value).items()
        },
        lambda plain: {
            k: inner.load(p) for k, p in typing.cast("dict[str, object]", plain).items()
        },
    )
