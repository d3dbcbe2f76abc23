"""A mark and a digest of every row: of its key, and of all of it.

PostgreSQL makes them itself, of the bytes in which it sends a row, and the rows stay where they
are: it works while the caller does, and what comes is one long value of some thousand rows. SQLite
is in this process, so that they are made here. Both make the same marks and each its own digests:
they are compared with what the same database said, and never with another's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b, sha256
from itertools import chain
from threading import Event
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from projections.rows import TABLES, Key

#: Of SHA-256 in PostgreSQL, of BLAKE2b in SQLite; of either this many bytes.
KEY_MARK_BYTES: Final = 16
DIGEST_BYTES: Final = 16
ENTRY_BYTES: Final = KEY_MARK_BYTES + DIGEST_BYTES
#: Pages of a table that are read for one value: 2 MB of rows, at most 0.7 MB of entries. Where none
#: of them was written the value is the same again, and nobody looks into it.
PAGES: Final = 256
_ENTRY: Final = struct.Struct(f"{KEY_MARK_BYTES}s{DIGEST_BYTES}s")
_packed = msgspec.msgpack.Encoder().encode

#: For each table its entries, each a mark and behind it a digest, in whatever order and lengths.
Entries = Mapping[str, list[bytes]]
Values = Iterable[list[tuple[object, ...]]]


class _Given(Exception):
    """Nobody wants the digests any more."""


def mark_of(key: Key) -> bytes:
    """Return the mark of the row with this key, as both databases make it."""
    named = "".join(f"{len(text)}:{text}" for text in map(str, key))
    return sha256(named.encode()).digest()[:KEY_MARK_BYTES]


def by_mark(entries: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the digest of each row by its mark."""
    return dict(chain.from_iterable(map(_ENTRY.iter_unpack, entries)))


def made_here(table: str, values: Values) -> Iterator[bytes]:
    """Yield the entries of rows that were read."""
    width = TABLES[table][1]
    for rows in values:
        yield b"".join(mark_of(row[:width]) + digest_of_row(row) for row in rows)  # type: ignore[arg-type]  # no key has a null or bytes


def digest_of_row(values: tuple[object, ...]) -> bytes:
    """Return the digest of the values of one row, where it is made here."""
    return blake2b(_packed(values), digest_size=DIGEST_BYTES).digest()


@contextmanager
def made_beside(connection: Connection) -> Iterator[Callable[[], Entries]]:
    """Have PostgreSQL make them on a thread, and give what waits for them.

    Until then, or until the block has ended, the connection is the thread's: it is one transaction
    and one moment. Raises what befell the thread where it is waited for.
    """
    stop = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="digests") as pool:
        made = pool.submit(_made_by, connection.connection.driver_connection, stop)
        try:
            yield made.result
        finally:
            stop.set()
            wait([made])


def _made_by(session: Any, stop: Event) -> Entries:
    """Return the entries of every table as PostgreSQL makes them."""
    found: dict[str, list[bytes]] = {}
    with session.cursor(binary=True) as cursor:
        # A row is sent in the encoding of the client, whatever that one would be.
        cursor.execute("SET LOCAL client_encoding = 'UTF8'")
        for table in TABLES:
            found[table] = []
            cursor.execute(
                "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int",
                (table,),
            )
            (pages,) = cursor.fetchone()
            for page in range(0, pages, PAGES):
                if stop.is_set():
                    raise _Given
                cursor.execute(_entries_of(table), (f"({page},0)", f"({page + PAGES},0)"))
                found[table] += [entries for (entries,) in cursor if entries is not None]
    return found


@cache
def _entries_of(table: str) -> str:
    """Return the statement that makes the entries of some pages of a table."""
    row_type, width = TABLES[table]
    names = [f'"{name}"' for name in row_type._fields]
    assert all(re.fullmatch(r'"[a-z_]+"', name) for name in names)
    key = " || ".join(f"length({name}::text) || ':' || {name}" for name in names[:width])
    mark = f"substr(sha256(convert_to({key}, 'UTF8')), 1, {KEY_MARK_BYTES})"
    # Column by column, for a table may have been made with others before.
    row = f"substr(sha256(record_send(ROW({', '.join(names)}))), 1, {DIGEST_BYTES})"
    return (
        f"SELECT string_agg({mark} || {row}, '') FROM \"{table}\""
        " WHERE ctid >= %s::tid AND ctid < %s::tid"
    )
