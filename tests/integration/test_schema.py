"""Revisions against real databases: they lead to the tables that the code describes, and say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from projections import schema
from projections.engine import open_engine
from projections.sql_store import open_store
from projections.store import SchemaMismatch, StoreUnavailable
from projections.tables import METADATA
from projections.transactions import reading, writing

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'rows.sqlite'}"


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.create_database("schema_test")
    postgres.drop_database("schema_test")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


def differences(url: str) -> list[object]:
    engine = open_engine(url)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[object] = compare_metadata(context, METADATA)
    engine.dispose()
    return found


def test_revisions_lead_to_the_tables_that_the_code_describes(url: str) -> None:
    schema.upgrade(url)

    assert differences(url) == []


def test_an_upgraded_database_is_at_the_revision_of_the_code(url: str) -> None:
    assert schema.current(url) is None

    assert schema.upgrade(url) == schema.head()

    assert schema.current(url) == schema.check(url) == schema.head()
    assert schema.upgrade(url) == schema.head()


def test_a_database_without_tables_is_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(SchemaMismatch, match="but it has none: run `regente db upgrade`"):
        schema.check(url)
    with pytest.raises(SchemaMismatch):
        open_store(url)


def test_a_database_of_an_older_revision_is_refused_with_what_to_do(url: str) -> None:
    schema.upgrade(url)
    stamp(url, "r0001")

    with pytest.raises(SchemaMismatch, match="but it is at r0001: run `regente db upgrade`"):
        schema.check(url)


def test_a_database_of_a_newer_revision_is_left_alone(url: str) -> None:
    schema.upgrade(url)
    stamp(url, "r9999")

    with pytest.raises(SchemaMismatch, match="at r9999, which this code doesn't know"):
        schema.check(url)
    with pytest.raises(SchemaMismatch, match="at r9999, which this code doesn't know"):
        schema.upgrade(url)


def stamp(url: str, revision: str) -> None:
    engine = open_engine(url)
    with writing(engine) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    engine.dispose()


def test_columns_say_what_they_mean_in_the_database(postgres_url: str) -> None:
    schema.upgrade(postgres_url)
    engine = open_engine(postgres_url)

    said = {each["name"]: each.get("comment") for each in inspect(engine).get_columns("timers")}

    engine.dispose()
    assert said["due_at"] == METADATA.tables["timers"].c.due_at.comment


def test_sqlite_is_opened_for_one_writer_and_many_readers(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with reading(engine) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    engine.dispose()

    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 1,
        "busy_timeout": 10_000,
        "foreign_keys": 1,
    }


def test_a_database_that_cannot_be_had_is_unavailable(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such/folder/rows.sqlite", "postgresql://u@127.0.0.1:1/n"):
        with pytest.raises(StoreUnavailable, match="Expected the database to answer, but"):
            schema.check(url)
