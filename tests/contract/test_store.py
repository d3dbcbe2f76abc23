"""The stores that we have, under the contract of `projections.store`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine

from projections import schema
from projections.sql_store import SqlStore, open_store
from projections.store import Store
from projections.tables import METADATA
from projections.transactions import writing
from tests.contract.store_dues import DuesContract
from tests.contract.store_fold import FoldContract
from tests.contract.store_owner import OwnerContract

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer
from tests.servers.rows import tables_in

Opener = Callable[[], Store]


def opener(url: str) -> Iterator[Opener]:
    stores: list[SqlStore] = []

    def one_more() -> Store:
        stores.append(open_store(url))
        return stores[-1]

    yield one_more
    for each in stores:
        each.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Opener]:
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    schema.upgrade(url)
    yield from opener(url)


@pytest.fixture(scope="module")
def postgres_engine(postgres: PostgresServer) -> Iterator[Engine]:
    with tables_in(postgres, "store_contract") as engine:
        yield engine


@pytest.fixture
def postgres_store(postgres_engine: Engine) -> Iterator[Opener]:
    with writing(postgres_engine) as connection:
        names = ", ".join(METADATA.tables)
        connection.exec_driver_sql(f"TRUNCATE {names}")
    yield from opener(postgres_engine.url.render_as_string(hide_password=False))


class TestFoldOnSqlite(FoldContract):
    @pytest.fixture
    def open_store(self, sqlite_store: Opener) -> Opener:
        return sqlite_store


class TestOwnerOnSqlite(OwnerContract):
    @pytest.fixture
    def open_store(self, sqlite_store: Opener) -> Opener:
        return sqlite_store


class TestFoldOnPostgres(FoldContract):
    @pytest.fixture
    def open_store(self, postgres_store: Opener) -> Opener:
        return postgres_store


class TestOwnerOnPostgres(OwnerContract):
    @pytest.fixture
    def open_store(self, postgres_store: Opener) -> Opener:
        return postgres_store


class TestDuesOnSqlite(DuesContract):
    @pytest.fixture
    def open_store(self, sqlite_store: Opener) -> Opener:
        return sqlite_store


class TestDuesOnPostgres(DuesContract):
    @pytest.fixture
    def open_store(self, postgres_store: Opener) -> Opener:
        return postgres_store
