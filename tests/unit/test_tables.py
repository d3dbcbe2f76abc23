from __future__ import annotations

from types import NoneType
from typing import get_args, get_type_hints

import pytest
from sqlalchemy.schema import CreateTable

from projections.column_comments import COMMENTS
from projections.engine import UnusableUrl, open_engine
from projections.rows import TABLES, ActionEventRow, ActionRow, Changes, drop, put
from projections.snapshot import digest_of
from projections.store import Answer, Checkpoint, DueRow, HostSeen, Order, Reservation, Timer
from projections.tables import (
    ANSWERS,
    CHECKPOINTS,
    DUES,
    LAST_SEEN,
    METADATA,
    OUTBOX,
    RESERVATIONS,
    ROWS,
    TIMERS,
)

OPERATIONAL = {
    "checkpoints",
    "outbox",
    "timers",
    "dues",
    "reservations",
    "answers",
    "last_seen",
    "markers",
    "set_aside",
    "certificates",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_field_of_a_row_is_a_column_of_its_table(name: str) -> None:
    row, key = TABLES[name]
    table = ROWS[name]

    assert tuple(table.columns.keys()) == row._fields
    assert tuple(each.name for each in table.primary_key) == row._fields[:key]
    for field, hint in get_type_hints(row).items():
        kinds = set(get_args(hint)) or {hint}
        assert table.c[field].nullable == (NoneType in kinds), field
        assert table.c[field].type.python_type in kinds, field


@pytest.mark.parametrize(
    ("table", "fields", "ours"),
    [
        (CHECKPOINTS, Checkpoint._fields, set()),
        (OUTBOX, Order._fields, {"id", "fired"}),
        (TIMERS, Timer._fields, {"fired"}),
        (DUES, DueRow._fields, set()),
        (ANSWERS, Answer._fields, {"told", "created_at"}),
        (RESERVATIONS, Reservation._fields, {"command_id", "created_at"}),
        (LAST_SEEN, ("host", "boot_epoch", "last_seen_at"), set()),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_operational_tables_hold_the_fields_of_the_contract_in_their_order(
    table: object, fields: tuple[str, ...], ours: set[str]
) -> None:
    columns = METADATA.tables[str(table)].columns.keys()

    assert tuple(each for each in columns if each not in ours) == fields


def test_what_is_seen_of_a_host_is_kept_beside_its_node() -> None:
    kept = {*LAST_SEEN.columns.keys(), *ROWS["nodes"].columns.keys()}

    assert set(HostSeen._fields) <= kept


def test_there_are_the_tables_of_the_contract_and_no_others() -> None:
    assert set(METADATA.tables) == set(TABLES) | OPERATIONAL


def test_every_column_says_what_it_means_and_nothing_else_is_said() -> None:
    columns = {table.name: list(table.columns.keys()) for table in METADATA.tables.values()}

    assert {name: list(words) for name, words in COMMENTS.items()} == columns
    assert [c for words in COMMENTS.values() for c in words.values() if not c.strip()] == []


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("timers", ("topic", "partition", "due_at")),
        ("dues", ("topic", "partition", "due_at")),
        ("outbox", ("topic", "partition", "id")),
        ("sagas", ("status", "partition")),
        ("instance_actions", ("request_id",)),
        ("rejections", ("request_id",)),
        ("claims", ("host",)),
        ("timers", ("host",)),
        ("outbox", ("host",)),
    ],
)
def test_what_is_asked_in_every_turn_has_an_index(table: str, columns: tuple[str, ...]) -> None:
    indexes = {tuple(c.name for c in each.columns) for each in METADATA.tables[table].indexes}

    assert columns in indexes


def test_nothing_that_a_row_holds_is_a_float_or_a_date() -> None:
    kinds = {c.type.python_type for table in METADATA.tables.values() for c in table.columns}

    assert kinds == {str, int, bytes}


def test_sqlite_checks_the_types_of_what_it_is_given() -> None:
    engine = open_engine("sqlite://")

    for table in METADATA.tables.values():
        assert "STRICT" in str(CreateTable(table).compile(engine))


def test_a_later_change_of_a_key_replaces_an_earlier() -> None:
    row = ActionRow("i1", "req-1", "stop", "u", "p", 1, None, None, None)
    changes: Changes = {}

    put(changes, "instance_actions", row)
    put(changes, "instance_actions", row._replace(finish_time=2))
    drop(changes, "claims", ("i1", "s1", "host1"))

    assert changes == {
        "instance_actions": {("i1", "req-1"): row._replace(finish_time=2)},
        "claims": {("i1", "s1", "host1"): None},
    }


def test_a_digest_tells_null_from_text_and_text_from_number() -> None:
    row = ActionEventRow(1, "i1", "req-1", "e", None, 1, None, None, "1")
    rows = [row, row._replace(host=""), row._replace(host="None"), row._replace(details=None)]

    digests = {digest_of("instance_actions_events", [[each]]).sha256 for each in rows}

    assert len(digests) == len(rows)


@pytest.mark.parametrize(
    "url", ["sqlite:////tmp/rows.sqlite", "postgresql://u@h/n", "postgresql+psycopg://u@h/n"]
)
def test_a_url_of_either_database_is_taken(url: str) -> None:
    engine = open_engine(url)

    assert engine.dialect.name in url
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgres://u:secret@h/n", "write postgresql://"),
        ("mysql://u:secret@h/n", "but got mysql://u:"),
        ("postgresql+asyncpg://u:secret@h/n", "but got postgresql"),
        ("secret rows.sqlite", "cannot be read as a URL"),
    ],
)
def test_any_other_url_is_refused_with_a_hint_and_without_its_password(url: str, hint: str) -> None:
    with pytest.raises(UnusableUrl) as refused:
        open_engine(url)

    assert str(refused.value).startswith("Expected a database URL like")
    assert hint in str(refused.value)
    assert "secret" not in str(refused.value)
