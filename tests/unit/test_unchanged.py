"""Rows that the log has not changed have the digests that were kept of them, page by page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import cast

import pytest

from conductor.further import changed_rows, check_unchanged
from conductor.replay import Replayed
from projections.digests import DIGEST_BYTES, mark_of
from projections.kept import Kept, KeptUnusable
from projections.rows import TABLES, Key, Row

TABLE = "sagas"


class Remembered:
    """What was kept of one table."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self._entries = list(entries)

    def entries(self, table: str) -> list[bytes]:
        """Return it."""
        assert table == TABLE
        return self._entries


def pages(*rows: str) -> list[bytes]:
    """Return a value for each page of rows, which are written as key and content: `a1 b1`."""
    return [
        b"".join(
            mark_of((row[0],)) + sha256(row.encode()).digest()[:DIGEST_BYTES]
            for row in page.split()
        )
        for page in rows
    ]


def keys(names: Iterable[str]) -> frozenset[Key]:
    """Return the keys of these names."""
    return frozenset((name,) for name in names)


def rows_of(then: Sequence[bytes], now: Sequence[bytes], *, folded: str, read: str) -> int:
    """Count the rows, where the fold has touched some and some of these were read."""
    found = Replayed()
    found.tables[TABLE] = cast("dict[Key, Row]", dict.fromkeys(keys(folded)))
    kept = cast("Kept", Remembered(then))
    return check_unchanged(TABLE, now, found, kept, keys(read))


def test_rows_that_were_added_and_changed_by_the_log_are_as_they_should_be() -> None:
    then, now = pages("a1 b1", "c1 d1"), pages("a1 b1", "c1 d2 e1")

    assert rows_of(then, now, folded="de", read="de") == 5


def test_a_row_that_went_to_another_page_is_where_it_was() -> None:
    assert rows_of(pages("a1 b1", "c1"), pages("b1", "c1 a1"), folded="", read="") == 3


def test_a_row_that_the_log_named_and_left_as_it_was_is_found_in_its_page() -> None:
    then, now = pages("a1 b1", "c1"), pages("a1 b1", "c1 d1")

    assert rows_of(then, now, folded="ad", read="ad") == 4


@pytest.mark.parametrize(
    ("now", "folded", "read"),
    [
        (pages("a1 b2", "c1"), "", ""),
        (pages("a1", "c1"), "", ""),
        (pages("a1 b1", "c1", "d1"), "", ""),
        (pages("a1 b1", "c1", "a1"), "", ""),
        (pages("a1 b1", "a1 b1", "c1"), "", ""),
        (pages("a1 b1", "c1 d1"), "d", ""),
        (pages("a1 b1", "c1 d1"), "ad", "a"),
        (pages("a1 b1", "c1"), "d", "d"),
        (pages("a1 b1", "c1"), "b", ""),
    ],
    ids=[
        "changed",
        "gone",
        "added",
        "twice the same",
        "a page twice",
        "of an instance that nobody read",
        "one read for another",
        "read, and not there",
        "there, and not read",
    ],
)
def test_anything_else_is_not_gone_on_from(now: list[bytes], folded: str, read: str) -> None:
    with pytest.raises(KeptUnusable):
        rows_of(pages("a1 b1", "c1"), now, folded=folded, read=read)


class Database:
    """Rows of one moment."""

    def __init__(self, *rows: tuple[object, ...]) -> None:
        self._rows = list(rows)

    def values(self, table: str) -> Iterator[list[tuple[object, ...]]]:
        """Yield all."""
        yield self._rows

    def picked(
        self, table: str, column: str, names: Collection[str]
    ) -> Iterator[list[tuple[object, ...]]]:
        """Yield those of some instances: all."""
        yield self._rows


def test_two_rows_under_one_key_are_not_gone_on_from() -> None:
    """A database whose index is broken: one of the two may stand in a page that nobody reads."""
    width = len(TABLES[TABLE][0]._fields)
    row = ("a", *[""] * (width - 1))

    with pytest.raises(KeptUnusable, match=r"Expected one row of sagas under a key"):
        changed_rows(TABLE, Database(row, row), Replayed(), {"i"}, {})
