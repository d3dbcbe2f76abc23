"""Finding what is due costs the same with 100 and with 100,000 rows waiting: the plans say so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, Engine, event

from events.log import TopicPartition
from projections import schema
from projections.bulk import bulk_of
from projections.engine import open_engine
from projections.sql_store import SqlStore
from projections.store import DueRow, Timer
from projections.tables import DUES, TIMERS
from projections.transactions import writing
from tests.contract.store_data import P0, P1, S, own

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer
from tests.servers.rows import tables_in

FEW, MANY = 100, 100_000
#: Rows that are due, the same however many wait.
OVERDUE = 5
#: Everything before this is due.
NOW = 1_000 * S

Look = Callable[[SqlStore, dict[TopicPartition, int]], tuple[object, ...]]
LOOKS: dict[str, Look] = {
    "dues": lambda store, owned: store.elapsed(owned, NOW, 200),
    "timers": lambda store, owned: store.due(owned, NOW, 200),
}
INDEX = {"dues": "ix_dues_topic_partition_due_at", "timers": "ix_timers_topic_partition_due_at"}


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    schema.upgrade(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(postgres: PostgresServer) -> Iterator[Engine]:
    with tables_in(postgres, "due_lookup") as engine:
        yield engine


def wait(engine: Engine, begin: int, end: int) -> None:
    """Leave rows of both kinds waiting; the first few of all are due."""
    numbers = range(begin, end)
    timers = [
        (*Timer(f"c{n}", *P0, f"i{n}", "s", "ask", 1, "host1", _due_at(n)), 0) for n in numbers
    ]
    dues = [DueRow(f"i{n}", "confirm_resize", *P0, n, 60, _due_at(n)) for n in numbers]
    with writing(engine) as connection:
        bulk_of(engine).load(connection, TIMERS, timers)
        bulk_of(engine).load(connection, DUES, dues)


def analyze(engine: Engine) -> None:
    """Let the database count what it has, as it does by itself some time after."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def _due_at(n: int) -> int:
    return n if n < OVERDUE else NOW + (n + 1) * S


def explained(engine: Engine, table: str, prefix: str) -> list[tuple[Any, ...]]:
    """Return what the database says of the statement by which a store looks for what is due."""
    store = SqlStore(engine)
    owned = own(store, P0, P1)
    said: list[tuple[Any, ...]] = []

    def explain(_c: Connection, cursor: Any, statement: str, values: Any, *_: object) -> None:
        if f" {table} " in statement.replace("\n", " ") and not said:
            cursor.execute(f"{prefix} {statement}", values)
            said.extend(cursor.fetchall())

    event.listen(engine, "before_cursor_execute", explain)
    try:
        assert len(LOOKS[table](store, owned)) == OVERDUE
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    assert said, f"Expected a look at {table}, but there was none"
    return said


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("table", LOOKS)
def test_on_sqlite_what_is_due_is_the_beginning_of_an_index(
    sqlite_engine: Engine, table: str, *, is_counted: bool
) -> None:
    plans = []
    for begin, end in ((0, FEW), (FEW, MANY)):
        wait(sqlite_engine, begin, end)
        if is_counted:
            analyze(sqlite_engine)
        plans.append([row[3] for row in explained(sqlite_engine, table, "EXPLAIN QUERY PLAN")])

    assert plans[0] == plans[1]
    found = f"SEARCH {table} USING INDEX {INDEX[table]} (topic=? AND partition=? AND due_at<?)"
    # What is sorted is what was found there: what is due, and nothing that waits.
    assert plans[0] == [found, "USE TEMP B-TREE FOR ORDER BY"]


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("table", LOOKS)
def test_on_postgres_a_look_reads_as_many_pages_however_many_are_waiting(
    postgres_engine: Engine, table: str, *, is_counted: bool
) -> None:
    pages: list[int] = []
    nodes: list[dict[str, Any]] = []
    for begin, end in ((0, FEW), (FEW, MANY)):
        wait(postgres_engine, begin, end)
        if is_counted:
            analyze(postgres_engine)
        explained(postgres_engine, table, "EXPLAIN (ANALYZE)")  # What is read once is not counted.
        said = explained(postgres_engine, table, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)")
        found = said[0][0]
        plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
        pages.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        nodes = list(nodes_of(plan))

    assert [n["Index Name"] for n in nodes if "Index Name" in n] == [INDEX[table]]
    # A level or two more of the index for each partition, of a table of more than a thousand pages.
    assert pages[1] <= pages[0] + 8


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan, the topmost first."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes_of(each)
