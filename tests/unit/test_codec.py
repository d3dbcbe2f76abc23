"""Bytes and facts: both ways, and what hostile bytes can do (nothing but BadRecord)."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.codec import (
    HEADER_BYTES,
    MARKER,
    decode_closely,
    decode_command,
    decode_fact,
    encode_command,
    encode_fact,
    fingerprint_in,
    fingerprints,
    registry,
)
from events.envelope import Address, Letter, Meta
from events.errors import BadRecord
from events.instance import GuestBuilt, GuestStopFailed
from events.register import COMMANDS, FACTS
from events.requests import ActionRequested
from events.values import replace
from tests.answers import sample
from tests.story import SMALL

META = Meta(
    source="compute/h1",
    boot_epoch=2,
    sequence=3,
    instance_id="i",
    generation=4,
    command_id="c",
    request_id="req-1",
    occurred_at=5,
)
ADDRESS = Address(
    command_id="c",
    saga_id="s",
    saga="stop",
    step="ask",
    attempt=1,
    instance_id="i",
    generation=2,
    host="h1",
)
RICH = ActionRequested(
    action="create",
    user_id="ü",
    project_id="",
    flavor=SMALL,
    arguments={"name": "näme", "image": "x" * 300},
)
LONG = 2**62


def refused(value: bytes) -> str:
    """Return why a value is no fact."""
    with pytest.raises(BadRecord) as caught:
        decode_fact(value)
    return caught.value.code


def varint(number: int) -> bytes:
    """Return a long as Avro writes it."""
    number = (number << 1) ^ (number >> 63)
    out = b""
    while number & ~0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_comes_back_as_it_was(name: str) -> None:
    fact = sample(FACTS[name])
    value = encode_fact(META, fact)

    assert decode_fact(value) == (META, fact)
    assert decode_closely(value) == (*decode_fact(value), True)
    assert fingerprint_in(value).hex() in fingerprints()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_comes_back_as_it_was(name: str) -> None:
    letter = Letter(sample(COMMANDS[name]), ADDRESS)

    assert decode_command(encode_command(letter)) == letter


def test_a_fact_with_everything_in_it_comes_back() -> None:
    nobody = replace(META, command_id=None, request_id=None)

    assert decode_fact(encode_fact(nobody, RICH)) == (nobody, RICH)


def test_the_bytes_of_a_fact_are_always_the_same() -> None:
    assert encode_fact(META, RICH) == encode_fact(META, RICH)


def test_a_command_is_no_fact_and_a_fact_no_command() -> None:
    command = encode_command(Letter(sample(COMMANDS["StopGuest"]), ADDRESS))

    assert refused(command) == "wrong-kind"
    with pytest.raises(BadRecord, match="address"):
        decode_command(encode_fact(META, RICH))


@pytest.mark.parametrize("value", [b"", b"\xc3", b"\x00" * 20, MARKER + b"1234567"])
def test_what_is_not_framed_is_not_avro(value: bytes) -> None:
    assert refused(value) == "not-avro"


def test_a_schema_that_nobody_knows_is_named() -> None:
    assert refused(MARKER + bytes(8)) == "unknown-schema"


def test_bytes_behind_the_end_are_refused() -> None:
    assert refused(encode_fact(META, RICH) + b"\0") == "trailing-bytes"


def test_every_truncation_is_refused() -> None:
    value = encode_fact(META, RICH)

    assert {refused(value[:n]) for n in range(len(value))} <= {"not-avro", "undecodable"}


def decodes_or_is_bad(value: bytes) -> None:
    """Nothing but BadRecord comes out of bytes."""
    for decode in (decode_fact, decode_command):
        try:
            decode(value)
        except BadRecord:
            continue


def test_a_flipped_bit_decodes_or_is_bad_and_never_anything_else() -> None:
    value = encode_fact(META, RICH)
    for n in range(len(value) * 8):
        flipped = bytearray(value)
        flipped[n // 8] ^= 1 << n % 8
        decodes_or_is_bad(bytes(flipped))


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from([*FACTS, *COMMANDS]), body=st.binary(max_size=200))
def test_any_body_under_any_schema_decodes_or_is_bad(name: str, body: bytes) -> None:
    decodes_or_is_bad(MARKER + registry().newest[name].fingerprint + body)


BOMBS = {
    "a string of 2^62 bytes": varint(LONG),
    "a string of a negative length": varint(-LONG),
    "an endless number": b"\xff" * 4096,
    "2^62 pairs in a map": b"\0" * 20 + varint(LONG),
    "blocks of a negative count": varint(-LONG) * 30,
    "nothing but zeros": bytes(200_000),
    "nothing but ones": b"\x01" * 200_000,
    "a thousand empty blocks": varint(1) * 100_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("name", ["ActionRequested", "RulesPublished", "NovaReported"])
def test_a_bomb_is_refused_at_once(bomb: str, name: str) -> None:
    head = encode_fact(META, sample(FACTS[name]))
    body_of_meta = len(encode_fact(META, sample(FACTS["NodeStopped"])))
    for value in (
        head[:HEADER_BYTES] + BOMBS[bomb],
        head[:body_of_meta] + BOMBS[bomb],
        head[:-1] + BOMBS[bomb],
    ):
        before = time.process_time()
        decodes_or_is_bad(value)
        assert time.process_time() - before < 0.1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x82\x80\x00", id="overlong number"),
        pytest.param(varint(-1), id="a branch below none"),
        pytest.param(varint(9), id="a branch above all"),
    ],
)
def test_malleable_forms_are_refused_or_not_canonical(body: bytes) -> None:
    value = encode_fact(META, GuestStopFailed(power_state=1, reason="x"))
    for n in range(HEADER_BYTES, len(value)):
        twisted = value[:n] + body + value[n + 1 :]
        try:
            *said, is_canonical = decode_closely(twisted)
        except BadRecord:
            continue
        assert tuple(said) != decode_fact(value) or not is_canonical


#: What may stand where a number, or a length, or a branch is awaited.
NUMBERS = (
    *(bytes([byte]) for byte in range(256)),
    *(varint(n) for n in (*range(-70, -60), *range(60, 70), -(2**32), 2**32, 2**62, -(2**63))),
    *(varint(n)[:-1] + bytes([varint(n)[-1] | 0x80]) + b"\x00" for n in (0, -1, 1, -65, 64)),
    *(filler * 9 + bytes([last]) for filler in (b"\x80", b"\xff") for last in (0, 1, 2, 3, 0x7F)),
    b"\x80\x80\x00",
    b"\xff" * 12 + b"\x01",
)


@pytest.mark.parametrize("name", ["PowerStateReported", "GuestStopFailed"])
def test_a_value_is_canonical_where_an_encoder_makes_it_of_what_it_says(name: str) -> None:
    value = encode_fact(replace(META, source="a", instance_id="i"), sample(FACTS[name]))
    found: Counter[bool] = Counter()
    for n in range(HEADER_BYTES, len(value)):
        for number in NUMBERS:
            twisted = value[:n] + number + value[n + 1 :]
            try:
                meta, fact, is_canonical = decode_closely(twisted)
            except BadRecord:
                assert refused(twisted)
                continue
            assert (meta, fact) == decode_fact(twisted)
            assert is_canonical == (encode_fact(meta, fact) == twisted), twisted
            found[is_canonical] += 1
    assert min(found[True], found[False]) > 50


def test_a_string_that_is_not_utf_8_is_refused() -> None:
    value = encode_fact(META, GuestStopFailed(power_state=1, reason="abcdef"))

    assert refused(value.replace(b"abcdef", b"\xff\xfe\xfdabc")) == "undecodable"


def test_a_fact_of_the_smallest_kind_is_small() -> None:
    assert len(encode_fact(META, GuestBuilt(power_state=1))) < 64
