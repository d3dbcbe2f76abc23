"""From a record to an envelope: who speaks, about whom. Raises BadRecord for all else.

Size, key and MAC were checked before (`events.seal`); what is left is whether the authentic
record says what it may: its own name as source, the record's key as subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Final

from events.codec import decode_fact, fingerprint_in, registry
from events.envelope import API, COMPUTE, CONDUCTOR, NOVA, Envelope, Meta
from events.errors import BadRecord
from events.log import Record
from events.requests import RecordRequeued
from events.seal import MAC, PREV, Sealed, digest, framing, key_id_in, split_key_id
from statemachines.rules import Rules

#: Names whose keys never leave the control plane.
PLANE: Final = frozenset({API, CONDUCTOR, NOVA})
#: The chain of a partition before its first record.
START_OF_CHAIN: Final = bytes(32)
#: Words of an operator about a record behind which its instance waits.
_LEADING_OUT: Final = ("RecordDiscarded", "RecordReleased")
#: What reads an authentic record; an auditor's looks closer.
Decode = Callable[[Record], tuple[Meta, object]]
_OFFSET: Final = Struct(">Q").pack
_SIZE: Final = Struct(">I").pack
#: Stands in the place of a size where there is nothing at all.
_ABSENT: Final = b"\xff"


def chained(chain: bytes, record: Record) -> bytes:
    """Return the hash of a partition up to and with a record."""
    key, value, headers = record.key, record.value, record.headers
    if key is not None and value is not None and len(headers) == 2:
        (_, prev), (_, mac) = headers
        if prev is not None and mac is not None:
            # Nearly every record: as below, packed at once, in half the time.
            k, v, p, m = len(key), len(value), len(prev), len(mac)
            pack = framing("32sQ", k, v, p, m)
            return sha256(pack(chain, record.offset, k, key, v, value, p, prev, m, mac)).digest()
    parts = (key, value, *[part for _, part in headers])
    framed = [_ABSENT if part is None else _SIZE(len(part)) + part for part in parts]
    return sha256(b"".join((chain, _OFFSET(record.offset), *framed))).digest()


def chained_over(chain: bytes, records: Iterable[Record]) -> bytes:
    """Return the hash of a partition up to and with these records."""
    for record in records:
        chain = chained(chain, record)
    return chain


def text_of(key: bytes | None) -> str:
    """Return a record's key as text; empty where there is none."""
    if not key:
        return ""
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise BadRecord("bad-key", "Expected a key in UTF-8, but it is not") from error


def source_of(sealed: Sealed) -> str:
    """Return the source that the holder of a key speaks as."""
    return _speaker(sealed.name)[0]


@lru_cache(maxsize=65_536)
def _speaker(name: str) -> tuple[str, str | None]:
    """Return source and host as which the holder of a key speaks; no host for the control plane."""
    return (name, None) if name in PLANE else (COMPUTE + name, name)


def claimed_source(record: Record) -> str:
    """Return the source that a record names, believed or not; empty where it names none."""
    try:
        name, _ = split_key_id(key_id_in(record.headers))
    except ValueError:
        return ""
    if "\0" in name:  # No column of PostgreSQL could hold it.
        return ""
    return _speaker(name)[0]


def believed(sealed: Sealed, rules: Rules) -> None:
    """Raise BadRecord where the writer's key is not open in this partition."""
    if sealed.name != CONDUCTOR and not rules.is_open(sealed.key_id):
        raise BadRecord(
            "closed-key", f"Expected a key that is open here, but {sealed.key_id} is not"
        )


def requeued(word: Record, fact: RecordRequeued) -> Record:
    """Return the record that a word carries, at the position and time of the word."""
    return word._replace(
        key=fact.key or None, value=fact.value, headers=((PREV, fact.prev), (MAC, fact.mac))
    )


def leads_out(record: Record, sealed: Sealed) -> bool:
    """Say whether a record ends the waiting of its instance: it can't wait behind it."""
    if sealed.name != API or record.value is None:
        return False
    newest, found = registry().newest, fingerprint_in(record.value)
    return found in {newest[each].fingerprint for each in _LEADING_OUT}


def decoded(record: Record) -> tuple[Meta, object]:
    """Return what an authentic record says; raises BadRecord where it is no fact of ours."""
    return decode_fact(record.value or b"")


def envelope_of(
    record: Record, sealed: Sealed, key: str, decode: Decode = decoded
) -> Envelope[object]:
    """Return the fact of an authentic record; raises BadRecord where it says what it may not."""
    assert record.value is not None, f"Expected a value at {record.offset}, but a tombstone"
    meta, fact = decode(record)
    source, host = _speaker(sealed.name)
    if meta.source != source:
        raise BadRecord("wrong-source", f"Expected {source} to speak, but it says {meta.source}")
    if meta.instance_id != key:
        raise BadRecord("wrong-key", f"Expected a fact about {key}, but {meta.instance_id}")
    return Envelope(fact, meta, host, record, digest(record.value), sealed.prev, sealed.enrolment)
