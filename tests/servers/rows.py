"""A database of PostgreSQL with the house's tables, for as long as a test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from projections import schema
from projections.engine import open_engine
from tests.servers.postgres import PostgresServer


@contextmanager
def tables_in(postgres: PostgresServer, name: str) -> Iterator[Engine]:
    """Give a new database of this name with its tables, and leave none."""
    url = postgres.create_database(name)
    schema.upgrade(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()
    postgres.drop_database(name)
