"""Bytes ⇄ facts and commands: Avro single-object encoding, the one door to fastavro.

A value is `C3 01`, the 8-byte CRC-64-AVRO fingerprint of its schema, and the body
`{meta, …payload}` (a command: `{address, …arguments}`). Schemas are the `.avsc` files of this
package, found by fingerprint; none is ever fetched. Size and MAC are checked before anything here
runs (`events.seal`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO
from operator import itemgetter
from typing import Any, Final, cast

import fastavro
import msgspec
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form
from msgspec import Struct

from events.envelope import Address, Letter, Meta
from events.errors import BadRecord
from events.register import COMMANDS, FACTS, schema_file
from events.shape import Shape, shape_of

MARKER: Final = b"\xc3\x01"
HEADER_BYTES: Final = 10
#: A value larger than this is refused unread; our largest fact is a hundredth of it.
VALUE_BYTES_MAX: Final = 256 * 1024
#: Names the fingerprint of each schema file.
FINGERPRINTS: Final = "fingerprints.json"

#: A schema as fastavro wants it.
Parsed = dict[str, object]


class Form(Struct, frozen=True, kw_only=True):
    """One schema of one class: what the writer wrote, what the reader makes of it."""

    name: str
    version: int
    fingerprint: bytes
    schema: Parsed
    shape: Shape
    #: Is a body without its head, as it is, the keyword arguments of the class?
    is_plain: bool
    #: `meta` or `address`; None for a state, which is stored in another form and never sent.
    head: str | None
    #: All text of the head in one: a pattern, and what reads the fields that are put into it.
    head_pattern: str
    head_texts: Callable[[Any], object]
    #: The same of the other fields, and those of them that have text deeper inside.
    pattern: str
    texts: Callable[[Any], object]
    nested: tuple[str, ...]


class Registry:
    """Every schema that this code knows, by fingerprint and by class."""

    def __init__(self, forms: list[Form]) -> None:
        self.by_fingerprint: Mapping[bytes, Form] = {f.fingerprint: f for f in forms}
        #: By all that stands before a body.
        self.by_header: Mapping[bytes, Form] = {MARKER + f.fingerprint: f for f in forms}
        newest: dict[str, Form] = {}
        for form in sorted(forms, key=lambda f: f.version):
            newest[form.name] = form
        self.newest: Mapping[str, Form] = newest


@cache
def registry() -> Registry:
    """Return the schemas of facts and commands; read once from the package's files."""
    return Registry([form for name in (*FACTS, *COMMANDS) for form in _forms(name)])


def fingerprints() -> tuple[str, ...]:
    """Return the fingerprints of all facts that this code can read, hex, sorted."""
    known = registry().by_fingerprint.items()
    return tuple(sorted(mark.hex() for mark, form in known if form.head == "meta"))


def schema_of(name: str) -> dict[str, object]:
    """Return the schema that the class of a fact or command asks for now."""
    cls, head, head_name = _class(name)
    seen: set[str] = set()
    head_field = {"name": head_name, "type": shape_of(head).schema(seen)}
    return {
        "type": "record",
        "name": f"regente.{name}",
        "doc": (cls.__doc__ or "").split("\n")[0],
        "fields": [head_field, *shape_of(cls).fields(seen)],
    }


def schema_of_state(name: str, cls: type) -> dict[str, object]:
    """Return the schema that a state class asks for now; it has no head, for it is never sent."""
    return {
        "type": "record",
        "name": f"regente.{name}",
        "doc": (cls.__doc__ or "").split("\n")[0],
        "fields": shape_of(cls).fields(set()),
    }


def encode_fact(meta: Meta, fact: object) -> bytes:
    """Return the value of a record that says `fact`."""
    form = registry().newest[type(fact).__name__]
    return _encode(form, {"meta": shape_of(Meta).dump(meta), **form.shape.dump(fact)})


def encode_command(letter: Letter[object]) -> bytes:
    """Return the value of a record that asks for a command."""
    form = registry().newest[type(letter.command).__name__]
    address = shape_of(Address).dump(letter.address)
    return _encode(form, {"address": address, **form.shape.dump(letter.command)})


def fingerprint_in(value: bytes) -> bytes:
    """Return the fingerprint that a value names; raises BadRecord where it names none."""
    if len(value) < HEADER_BYTES or value[:2] != MARKER:
        start = value[:2].hex() or "nothing"
        raise BadRecord("not-avro", f"Expected a value that begins with c301, but it is {start}")
    return value[2:HEADER_BYTES]


def decode_fact(value: bytes) -> tuple[Meta, object]:
    """Return what a value says; raises BadRecord where it is no fact of ours."""
    return _said(*_decode(value, "meta"))


def decode_closely(value: bytes) -> tuple[Meta, object, bool]:
    """Return what a value says, and whether `encode_fact` would have made the same bytes of it.

    The auditor's question, not the hot path's; raises BadRecord where it is no fact of ours.
    """
    if value[:HEADER_BYTES] in _closed() and not _looks_odd(value, HEADER_BYTES):
        try:
            return *_said(*_decode(value, "meta", _closed())), True
        except BadRecord:
            pass  # Or it has another form than the one that is looked for first.
    form, body = _decode(value, "meta")
    is_canonical = _encode(form, body) == value
    return *_said(form, body), is_canonical


#: What a number has in it that is longer than it has to be, or than 64 bits, and a branch that is
#: too far below none to be refused by `_closed`. Some text and some numbers have it too.
_looks_odd: Final = re.compile(rb"[\x80-\xff](?:\x00|(?<=[\x80-\x8f])\x01|[\x80-\xff]{8})").search
#: Branches that nothing can be read of: from behind the last of them on, a number has two bytes.
_REFUSED: Final = ("refused",) * 64


@cache
def _closed() -> Mapping[bytes, Form]:
    """Return the forms in which nothing that does not look odd can be said in two ways, by header.

    Only numbers, text and bytes, a branch or none: in these an encoder has no choice but in how it
    writes a number. fastavro takes a branch below none as one from the end, so that there each
    finds one that can't be read.
    """
    unions: dict[str, object] = {}
    return {
        header: msgspec.structs.replace(form, schema=_closed_schema(form.schema, unions))
        for header, form in registry().by_header.items()
        if _has_one_form(form.schema)
    }


def _has_one_form(schema: Any) -> bool:
    """Say whether a schema has no list, no map and no flag in it, of which any may vary."""
    if isinstance(schema, list):
        return len(schema) <= 8 and all(map(_has_one_form, schema))
    if isinstance(schema, dict):
        fields = schema.get("fields", ())
        return schema["type"] == "record" and all(_has_one_form(f["type"]) for f in fields)
    return schema in ("null", "long", "string", "bytes")


def _closed_schema(schema: Any, unions: dict[str, object]) -> Any:
    """Return a schema whose branches are closed; equal unions are one, for they are long now."""
    if isinstance(schema, list):
        closed = [_closed_schema(branch, unions) for branch in schema]
        return unions.setdefault(json.dumps(schema), [*closed, *_REFUSED])
    if isinstance(schema, dict):
        fields = [{**f, "type": _closed_schema(f["type"], unions)} for f in schema["fields"]]
        return {**schema, "fields": fields}
    return schema


def decode_command(value: bytes) -> Letter[object]:
    """Return the command in a value; raises BadRecord where it is no command of ours."""
    form, body = _decode(value, "address")
    address = Address(**body.pop("address"))  # type: ignore[arg-type]  # as above
    return Letter(_load(form, body), address)


def versions_of(name: str, cls: type) -> tuple[bytes, ...]:
    """Return the fingerprint of every version of a state that is stored, oldest first."""
    return tuple(form.fingerprint for form in _forms_of(name, shape_of(cls), None))


def _class(name: str) -> tuple[type, type, str]:
    if name in FACTS:
        return FACTS[name], Meta, "meta"
    return COMMANDS[name], Address, "address"


def _forms(name: str) -> list[Form]:
    cls, _, head = _class(name)
    return _forms_of(name, shape_of(cls), head)


def _forms_of(name: str, shape: Shape, head: str | None) -> list[Form]:
    found: list[Form] = []
    version = 1
    while (mark_hex := _fingerprints().get(schema_file(name, version))) is not None:
        raw = json.loads((_folder() / schema_file(name, version)).read_text())
        mark = bytes.fromhex(mark_hex)
        heads = [f["type"]["fields"] for f in raw["fields"] if f["name"] == head]
        own = [f for f in raw["fields"] if f["name"] != head]
        head_pattern, head_texts = _texts([f for fields in heads for f in fields])
        pattern, texts = _texts(own)
        nested = tuple(f["name"] for f in own if _is_text(f["type"]) and not _is_flat(f["type"]))
        found.append(
            Form(
                name=name,
                version=version,
                fingerprint=mark,
                schema=cast("Parsed", parse_schema(raw)),
                shape=shape,
                is_plain=shape.is_plain({f["name"] for f in raw["fields"]} - {head}),
                head=head,
                head_pattern=head_pattern,
                head_texts=head_texts,
                pattern=pattern,
                texts=texts,
                nested=nested,
            )
        )
        version += 1
    return found


@cache
def _folder() -> Traversable:
    return files("events") / "schemas"


@cache
def _fingerprints() -> dict[str, str]:
    """Return the fingerprint of every schema file: to compute them takes longer than all else."""
    return cast("dict[str, str]", json.loads((_folder() / FINGERPRINTS).read_text()))


def fingerprint_of(schema: dict[str, object]) -> str:
    """Return the CRC-64-AVRO of a schema's canonical form, hex."""
    return str(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def _texts(fields: list[Any]) -> tuple[str, Callable[[Any], object]]:
    """Return a pattern for all text of a record that is not deeper inside, and what reads it."""
    names = [f["name"] for f in fields if _is_text(f["type"]) and _is_flat(f["type"])]
    if not names:
        return "", lambda _record: ()
    return "%s" * len(names), itemgetter(*names)


def _is_flat(schema: Any) -> bool:
    """Say whether values of a schema are no records, lists or maps."""
    branches = schema if isinstance(schema, list) else [schema]
    return all(branch in ("null", "string", "long", "boolean", "bytes") for branch in branches)


def _is_text(schema: Any) -> bool:
    """Say whether a schema has text in it; a name of a record may."""
    if isinstance(schema, list):
        return any(_is_text(branch) for branch in schema)
    return schema not in ("null", "long", "boolean", "bytes")


def _encode(form: Form, body: Mapping[str, object]) -> bytes:
    out = BytesIO()
    out.write(MARKER)
    out.write(form.fingerprint)
    fastavro.schemaless_writer(out, form.schema, body)
    return out.getvalue()


def _decode(
    value: bytes, head: str, forms: Mapping[bytes, Form] | None = None
) -> tuple[Form, dict[str, dict[str, object]]]:
    form = (forms or registry().by_header).get(value[:HEADER_BYTES])
    if form is None or form.head != head:
        raise _not_ours(value, head)
    stream = BytesIO(value)
    stream.seek(HEADER_BYTES)
    try:
        body: Any = fastavro.schemaless_reader(stream, form.schema, None)
    except Exception as error:  # fastavro raises what Python raises: EOFError, KeyError, Unicode …
        # Not in the library's words: the sentence becomes a row, the same in every replay.
        size = len(value) - HEADER_BYTES
        sentence = f"Expected a body of {form.name} v{form.version}, but {size} bytes of no such"
        raise BadRecord("undecodable", sentence) from error
    if stream.tell() != len(value):
        extra = len(value) - stream.tell()
        raise BadRecord("trailing-bytes", f"Expected {form.name} to end, but {extra} bytes follow")
    if (  # No column of PostgreSQL can hold a NUL. What is no text here is None, and harmless.
        "\0" in form.head_pattern % form.head_texts(body[head])
        or (form.pattern and "\0" in form.pattern % form.texts(body))
        or (form.nested and _has_nul([body[name] for name in form.nested]))
    ):
        raise BadRecord("bad-text", f"Expected text without NUL in {form.name}, but there is one")
    return form, body


def _not_ours(value: bytes, head: str) -> BadRecord:
    """Say why no body with this head can be read from a value."""
    mark = fingerprint_in(value)
    form = registry().by_fingerprint.get(mark)
    if form is None:
        return BadRecord("unknown-schema", f"Expected a known schema, but {mark.hex()}")
    return BadRecord("wrong-kind", f"Expected a body with {head}, but it is a {form.name}")


def _has_nul(values: Iterable[Any]) -> bool:
    """Say whether any text in plain values holds a NUL."""
    for value in values:
        kind = value.__class__
        if kind is str:
            if "\0" in value:
                return True
        elif kind is dict:
            if _has_nul((*value, *value.values())):
                return True
        elif kind is list and _has_nul(value):
            return True
    return False


def _said(form: Form, body: dict[str, dict[str, object]]) -> tuple[Meta, object]:
    # The schema vouches for the types.
    meta = Meta(**body.pop("meta"))  # type: ignore[arg-type]
    return meta, form.shape.cls(**body) if form.is_plain else _load(form, body)


def _load(form: Form, body: Mapping[str, object]) -> object:
    try:
        return form.shape.load(body)
    except (TypeError, ValueError) as error:
        sentence = f"Expected the fields of {form.name}, but {error}"
        raise BadRecord("undecodable", sentence) from error
