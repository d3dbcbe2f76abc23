"""The hash of a partition: over everything that a record is, its absent parts too."""

from __future__ import annotations

from hashlib import sha256

import pytest

from conductor.opening import START_OF_CHAIN, chained
from events.log import Headers, Record

HEADERS: tuple[Headers, ...] = (
    (("prev", b"p" * 32), ("mac", b"h1/1\0" + bytes(32))),
    (("prev", b""), ("mac", b"")),
    (("prev", None), ("mac", b"m")),
    (("prev", b"p"), ("mac", None)),
    (("prev", b"p"),),
    (("prev", b"p"), ("mac", b"m"), ("more", b"x")),
    (),
)


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("key", [b"i-1", b"", None])
@pytest.mark.parametrize("value", [b"said", b"", None])
def test_every_part_of_a_record_is_in_the_chain_behind_its_size(
    key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    record = Record("t", 0, 7, key, value, headers, 1, 0)

    framed = START_OF_CHAIN + (7).to_bytes(8, "big")
    for part in (key, value, *(value for _, value in headers)):
        framed += b"\xff" if part is None else len(part).to_bytes(4, "big") + part

    assert chained(START_OF_CHAIN, record) == sha256(framed).digest()
