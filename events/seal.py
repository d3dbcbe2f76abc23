"""Who wrote a record: keys, MACs and the two headers that carry them.

Header `mac` is the key id, a NUL and HMAC-SHA256 over topic, key, `prev` and value, each preceded
by its length (4 bytes, big-endian), so that no two records share a message. Header `prev` is the
hash of the writer's previous record about this instance. Keys derive from one master key of the
control plane; a host knows only its own, and commands to it are sealed under a key derived from
that.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from struct import Struct as Layout
from typing import Final, Protocol

from msgspec import Struct

from events.codec import VALUE_BYTES_MAX
from events.errors import BadRecord
from events.log import Headers, Message, Record

MAC: Final = "mac"
PREV: Final = "prev"
EXPIRES_AT: Final = "expires_at"
#: `prev` of number 1 of a chain.
FIRST: Final = bytes(32)
MAC_BYTES: Final = 32
KEY_ID_BYTES_MAX: Final = 300
ENROLMENT_DIGITS_MAX: Final = 18
_SIZE: Final = Layout(">I").pack


@dataclass(frozen=True, slots=True)
class Key:
    """A secret and the name under which it is known: `<name>/<enrolment>`."""

    key_id: str
    secret: bytes


class Keyring(Protocol):
    """Finds the secret of a key id; None where the key is unknown or closed."""

    def secret(self, key_id: str) -> bytes | None:
        """Return the secret, or None."""
        ...


class Sealed(Struct, frozen=True, gc=False):
    """What the headers of an authentic record say."""

    name: str
    enrolment: int
    prev: bytes
    key_id: str


def host_key(master: bytes, name: str, enrolment: int) -> Key:
    """Derive the key of a host, or of `api`, `conductor`, `nova`, for one enrolment."""
    message = b"\0".join((b"host", name.encode(), str(enrolment).encode()))
    return Key(f"{name}/{enrolment}", hmac.digest(master, message, "sha256"))


def command_key(key: Key) -> Key:
    """Derive the key under which commands to the holder of `key` are sealed."""
    return Key(key.key_id, hmac.digest(key.secret, b"command", "sha256"))


def split_key_id(key_id: str) -> tuple[str, int]:
    """Return name and enrolment of a key id; raises ValueError where it is none."""
    name, slash, enrolment = key_id.rpartition("/")
    plain = enrolment.isascii() and enrolment.isdigit() and len(enrolment) <= ENROLMENT_DIGITS_MAX
    if not (slash and name and plain and enrolment == str(int(enrolment))):
        raise ValueError(f"Expected a key id <name>/<enrolment>, but {key_id!r}")
    return name, int(enrolment)


class MasterKeyring:
    """Derives every key from the master key of the control plane."""

    def __init__(self, master: bytes) -> None:
        self._derived = lru_cache(maxsize=65_536)(self._derive)
        self._master = master

    def secret(self, key_id: str) -> bytes | None:
        """Return the secret of any well-formed key id; which are open is the rules' to say."""
        return self._derived(key_id)

    def key(self, name: str, enrolment: int) -> Key:
        """Return the key of a host, or of a part of the control plane."""
        return host_key(self._master, name, enrolment)

    def _derive(self, key_id: str) -> bytes | None:
        try:
            name, enrolment = split_key_id(key_id)
        except ValueError:
            return None
        return host_key(self._master, name, enrolment).secret


class OneKey:
    """The keyring of a host that reads its commands."""

    def __init__(self, key: Key) -> None:
        self._keys: Mapping[str, bytes] = {key.key_id: key.secret}

    def secret(self, key_id: str) -> bytes | None:
        """Return the host's own secret, or None."""
        return self._keys.get(key_id)


def digest(value: bytes) -> bytes:
    """Return the hash that the writer's next record names as `prev`."""
    return sha256(value).digest()


def sealed_message(
    *, topic: str, partition: int, key: str, value: bytes, prev: bytes, by: Key
) -> Message:
    """Return a message whose headers say who wrote it and what it wrote before."""
    mac = _mac(by.secret, topic, key.encode(), prev, value)
    headers: Headers = ((PREV, prev), (MAC, by.key_id.encode() + b"\0" + mac))
    return Message(topic, partition, key.encode(), value, headers)


def unseal(record: Record, keyring: Keyring) -> Sealed:
    """Say who wrote a record, having checked size, key and MAC in this order.

    Raises BadRecord with `tombstone`, `oversized`, `no-key`, `no-mac`, `unknown-key` or `bad-mac`.
    """
    value, key = record.value, record.key
    if value is None:
        raise BadRecord("tombstone", "Expected a value, but the record is a tombstone")
    if len(value) > VALUE_BYTES_MAX:
        size = len(value)
        raise BadRecord("oversized", f"Expected at most {VALUE_BYTES_MAX} bytes, but {size}")
    if not key:
        raise BadRecord("no-key", "Expected the instance or host as key, but the key is empty")
    prev, key_id, mac = _read_headers(record.headers)
    secret = keyring.secret(key_id)
    if secret is None:
        raise BadRecord("unknown-key", f"Expected a key that is open, but {key_id!r}")
    if not hmac.compare_digest(mac, _mac(secret, record.topic, key, prev, value)):
        raise BadRecord("bad-mac", f"Expected the MAC of {key_id}, but the record has another")
    name, enrolment = _split(key_id)
    return Sealed(name, enrolment, prev, key_id)


def key_id_in(headers: Headers) -> str:
    """Return the key id that a record claims, believed or not; empty where it claims none."""
    try:
        return _read_headers(headers)[1]
    except BadRecord:
        return ""


def _read_headers(headers: Headers) -> tuple[bytes, str, bytes]:
    found = dict(headers)
    prev, mac = found.get(PREV), found.get(MAC)
    if prev is None or mac is None:
        raise _missing()
    if len(prev) not in (0, 32):
        raise _missing() if len(mac) > KEY_ID_BYTES_MAX + 1 + MAC_BYTES else _bad_form()
    return prev, _key_id(mac[:-MAC_BYTES]), mac[-MAC_BYTES:]


def _missing() -> BadRecord:
    return BadRecord("no-mac", "Expected headers prev and mac, but one is missing or too long")


def _bad_form() -> BadRecord:
    return BadRecord("no-mac", "Expected <key id> NUL <32 bytes> and a prev, but not of that form")


#: A key speaks many times; what of its MAC and its name is the same each time is kept.
_split = lru_cache(maxsize=65_536)(split_key_id)


@lru_cache(maxsize=65_536)
def _key_id(before_mac: bytes) -> str:
    """Return the key id of which, with a NUL behind it, a header `mac` begins."""
    if len(before_mac) > KEY_ID_BYTES_MAX + 1:
        raise _missing()
    if before_mac[-1:] != b"\0":
        raise _bad_form()
    try:
        return before_mac[:-1].decode()
    except UnicodeDecodeError as error:
        raise BadRecord("no-mac", "Expected a key id in UTF-8, but it is not") from error


@lru_cache(maxsize=65_536)
def _keyed(secret: bytes, topic: str) -> hmac.HMAC:
    """Return the MAC of what every record of a topic begins with."""
    name = topic.encode()
    return hmac.new(secret, _SIZE(len(name)) + name, "sha256")


@lru_cache(maxsize=8_192)
def framing(begins: str, *sizes: int) -> Callable[..., bytes]:
    """Return what packs a beginning (as `struct` names it) and parts, each behind its size."""
    return Layout(">" + begins + "".join([f"I{size}s" for size in sizes])).pack


def _mac(secret: bytes, topic: str, key: bytes, prev: bytes, value: bytes) -> bytes:
    k, p, v = len(key), len(prev), len(value)
    mac = _keyed(secret, topic).copy()
    mac.update(framing("", k, p, v)(k, key, p, prev, v, value))
    return mac.digest()
