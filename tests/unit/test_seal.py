"""Who wrote a record: every changed bit is found, and nobody can speak under another's key."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

import pytest

from events.codec import VALUE_BYTES_MAX, encode_fact
from events.envelope import Meta
from events.errors import BadRecord
from events.instance import GuestBuilt
from events.log import Headers, Message, Record
from events.seal import (
    FIRST,
    Key,
    MasterKeyring,
    OneKey,
    command_key,
    digest,
    host_key,
    key_id_in,
    sealed_message,
    split_key_id,
    unseal,
)

MASTER = b"m" * 32
RING = MasterKeyring(MASTER)
KEY = RING.key("h1", 1)
VALUE = encode_fact(
    Meta(source="compute/h1", sequence=1, instance_id="i-1", occurred_at=1),
    GuestBuilt(power_state=1),
)


def record(message: Message) -> Record:
    """Return a message as a log gives it."""
    return Record(
        message.topic, message.partition, 7, message.key, message.value, message.headers, 1, 0
    )


def sealed(by: Key = KEY, prev: bytes = FIRST) -> Record:
    """Return a sound record."""
    return record(sealed_message(topic="t", partition=1, key="i-1", value=VALUE, prev=prev, by=by))


def refused(bad: Record, ring: MasterKeyring | OneKey = RING) -> str:
    """Return why a record is refused."""
    with pytest.raises(BadRecord) as caught:
        unseal(bad, ring)
    return caught.value.code


def flips(data: bytes) -> Iterator[bytes]:
    """Yield the bytes with each single bit turned over."""
    for n in range(len(data) * 8):
        changed = bytearray(data)
        changed[n // 8] ^= 1 << n % 8
        yield bytes(changed)


def with_headers(prev: bytes | None, mac: bytes | None) -> Record:
    """Return the sound record under other headers."""
    headers: Headers = (("prev", prev), ("mac", mac))
    return sealed()._replace(headers=headers)


def test_a_sound_record_says_who_wrote_it_and_what_before() -> None:
    said = unseal(sealed(prev=digest(b"before")), RING)

    assert (said.name, said.enrolment, said.prev) == ("h1", 1, digest(b"before"))


def test_the_mac_is_the_hmac_that_other_libraries_make_of_the_framed_parts() -> None:
    parts = (b"t", b"i-1", FIRST, VALUE)
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    _, mac = sealed().headers

    assert mac == ("mac", b"h1/1\0" + hmac.digest(KEY.secret, framed, "sha256"))


def test_every_flipped_bit_of_the_value_is_found() -> None:
    assert {refused(sealed()._replace(value=v)) for v in flips(VALUE)} == {"bad-mac"}


def test_every_truncation_of_the_value_is_found() -> None:
    cuts = [VALUE[:n] for n in range(len(VALUE))]

    assert {refused(sealed()._replace(value=v)) for v in cuts} == {"bad-mac"}


def test_every_flipped_bit_of_key_prev_and_mac_is_found() -> None:
    prev, mac = (value for _, value in sealed().headers)
    assert prev is not None
    assert mac is not None
    codes = {refused(sealed()._replace(key=k)) for k in flips(b"i-1")}
    codes |= {refused(with_headers(p, mac)) for p in flips(prev)}
    codes |= {refused(with_headers(prev, m)) for m in flips(mac)}

    assert codes == {"bad-mac", "no-mac", "unknown-key"}


def test_every_truncation_of_the_headers_is_found() -> None:
    prev, mac = (value for _, value in sealed().headers)
    assert prev is not None
    assert mac is not None
    codes = {refused(with_headers(prev[:n], mac)) for n in range(len(prev))}
    codes |= {refused(with_headers(prev, mac[:n])) for n in range(len(mac))}

    assert codes <= {"bad-mac", "no-mac", "unknown-key"}


def test_a_record_moved_to_another_topic_is_found() -> None:
    assert refused(sealed()._replace(topic="u")) == "bad-mac"


def test_fields_cannot_be_shifted_into_each_other() -> None:
    one = sealed_message(topic="ab", partition=0, key="c", value=b"v", prev=b"", by=KEY)
    two = sealed_message(topic="a", partition=0, key="bc", value=b"v", prev=b"", by=KEY)

    assert one.headers != two.headers


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (sealed()._replace(value=None), "tombstone"),
        (sealed()._replace(value=bytes(VALUE_BYTES_MAX + 1)), "oversized"),
        (sealed()._replace(key=None), "no-key"),
        (sealed()._replace(key=b""), "no-key"),
        (sealed()._replace(headers=()), "no-mac"),
        (with_headers(None, b"x"), "no-mac"),
        (with_headers(FIRST, None), "no-mac"),
        (with_headers(FIRST, b"h1/1" + bytes(31)), "no-mac"),
        (with_headers(FIRST, b"x" * 1000 + b"\0" + bytes(32)), "no-mac"),
        (with_headers(b"short", b"h1/1\0" + bytes(32)), "no-mac"),
        (with_headers(FIRST, b"\xff\xfe\0" + bytes(32)), "no-mac"),
        (with_headers(FIRST, b"nobody\0" + bytes(32)), "unknown-key"),
        (with_headers(FIRST, b"h1/1\0" + bytes(32)), "bad-mac"),
    ],
)
def test_what_is_missing_or_malformed_has_a_code(bad: Record, code: str) -> None:
    assert refused(bad) == code


def test_another_host_another_enrolment_and_another_master_have_other_keys() -> None:
    keys = [
        host_key(MASTER, "h1", 1),
        host_key(MASTER, "h2", 1),
        host_key(MASTER, "h1", 2),
        host_key(b"n" * 32, "h1", 1),
        command_key(host_key(MASTER, "h1", 1)),
    ]

    assert len({k.secret for k in keys}) == len(keys)


def test_a_host_cannot_read_the_commands_of_another() -> None:
    mine, others = command_key(RING.key("h1", 1)), command_key(RING.key("h2", 1))

    assert unseal(sealed(mine), OneKey(mine)).name == "h1"
    assert refused(sealed(others), OneKey(mine)) == "unknown-key"


def test_a_record_under_a_stolen_name_is_refused() -> None:
    assert refused(sealed(Key("h2/1", KEY.secret))) == "bad-mac"


@pytest.mark.parametrize(
    "key_id", ["", "h1", "/1", "h1/", "h1/x", "h1/-1", "h1/01", "h1/٣", "h/1e9"]
)
def test_what_is_no_key_id_is_none(key_id: str) -> None:
    with pytest.raises(ValueError, match="key id"):
        split_key_id(key_id)
    assert RING.secret(key_id) is None


def test_a_huge_enrolment_is_no_key_id() -> None:
    assert RING.secret("h1/" + "9" * 5000) is None


def test_a_name_may_have_slashes() -> None:
    assert split_key_id("rack/7/h1/12") == ("rack/7/h1", 12)


def test_the_key_that_a_record_claims_is_read_believed_or_not() -> None:
    assert key_id_in(sealed().headers) == "h1/1"
    assert key_id_in(()) == ""
