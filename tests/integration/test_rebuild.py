"""Snapshot, second set of tables and exchange, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, select

from projections import schema
from projections.engine import open_engine
from projections.rebuild import RebuildRefused, compare, discard, load, switch
from projections.rebuild_instance import put_instance
from projections.rows import TABLES, Key, Row
from projections.snapshot import digest_of, snapshot
from projections.sql_store import SqlStore
from projections.store import Checkpoint, Fenced
from projections.tables import CERTIFICATES, METADATA
from projections.transactions import reading
from tests.contract.store_data import (
    LIMIT,
    ODD_TEXT,
    P0,
    P1,
    S,
    batch,
    choice,
    claim,
    instance,
    node,
    order,
    own,
    rejection,
    saga,
    state,
)

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer

ROWS = [
    instance(ODD_TEXT),
    instance("i1", host=None),
    instance("Z"),
    instance("a"),
    state("i1", bytes(range(256))),
    node("host1"),
    claim("i1"),
    saga("s1"),
    *(rejection(n, f"req-{n}") for n in (10, 9, 100)),
]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'rows.sqlite'}"


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.create_database("rebuild_test")
    postgres.drop_database("rebuild_test")


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    url = request.getfixturevalue(f"{request.param}_url")
    schema.upgrade(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> SqlStore:
    return SqlStore(engine)


def tables_of(engine: Engine) -> dict[str, list[Row]]:
    with snapshot(engine) as now:
        return {name: list(now.read(name)) for name in TABLES}


def test_rows_come_back_as_they_were_written_in_key_order(engine: Engine, store: SqlStore) -> None:
    store.commit([batch(own(store), rows=ROWS)])

    found = tables_of(engine)

    assert found["instances"] == sorted(row for name, row in ROWS if name == "instances")
    assert found["rejections"] == sorted(row for name, row in ROWS if name == "rejections")
    assert found["migrations"] == []
    assert sum(len(rows) for rows in found.values()) == len(ROWS)


def test_a_snapshot_shows_one_moment(engine: Engine, store: SqlStore) -> None:
    owned = own(store)
    store.commit([batch(owned, rows=ROWS)])

    with store.snapshot() as now:
        store.commit([batch(owned, begin=1, rows=[instance("i2"), instance("i1", host="other")])])
        hosts = {row.uuid: row.host for row in now.read("instances")}  # type: ignore[union-attr]  # of instances
        positions = [each.next_offset for each in now.checkpoints]

    assert positions == [1]
    assert "i2" not in hosts
    assert hosts["i1"] is None


def test_a_digest_is_the_same_of_a_table_and_of_the_rows_of_a_fold(
    engine: Engine, store: SqlStore
) -> None:
    store.commit([batch(own(store), rows=ROWS)])
    folded = sorted(row for name, row in ROWS if name == "instances")

    with snapshot(engine) as now:
        assert now.digest("instances") == digest_of("instances", [folded])


def test_a_rebuild_of_the_same_rows_is_equal(engine: Engine, store: SqlStore) -> None:
    store.commit([batch(own(store), rows=ROWS)])

    certificate = load(engine, tables_of(engine), store.checkpoints())

    assert compare(engine, certificate).is_equal


def test_a_rebuild_names_tables_and_positions_that_differ(engine: Engine, store: SqlStore) -> None:
    owned = own(store, P0, P1)
    store.commit([batch(owned, rows=ROWS)])
    tables = tables_of(engine) | {"claims": []}
    positions = [each._replace(next_offset=1) for each in store.checkpoints()]

    found = compare(engine, load(engine, tables, positions))

    assert not found.is_equal
    assert found.elsewhere == (P1,)
    assert [(here.table, here.rows, there.rows) for here, there in found.different] == [
        ("claims", 1, 0)
    ]


def test_to_load_touches_nothing_in_use_and_can_be_repeated(
    engine: Engine, store: SqlStore
) -> None:
    store.commit([batch(own(store), rows=ROWS)])
    before = tables_of(engine)

    load(engine, {"instances": iter([ROWS[0][1]])}, store.checkpoints())
    certificate = load(engine, {"instances": iter([ROWS[0][1]])}, store.checkpoints())

    assert certificate.digests[0].rows == 1
    assert tables_of(engine) == before
    discard(engine)


def test_one_instance_is_exchanged_and_the_owner_of_its_partition_fenced(
    engine: Engine, store: SqlStore
) -> None:
    owned = own(store, P0, P1)
    store.commit([batch(owned, rows=ROWS, orders=[order("c1", instance="i1")])])
    wanted: dict[str, dict[Key, Row]] = {name: {} for name in TABLES} | {
        "instances": {("i1",): instance("i1", host="host2")[1]},
        "instance_states": {("i1",): state("i1", b"made again")[1]},
    }
    seen: list[int] = []

    def rows_at(position: int) -> dict[str, dict[Key, Row]]:
        seen.append(position)
        return wanted

    looked = put_instance(engine, "i1", P0, rows_at, is_dry=True)
    assert tables_of(engine)["claims"]
    done = put_instance(engine, "i1", P0, rows_at, is_dry=False)

    after = tables_of(engine)
    tables = ("instances", "instance_states", "claims", "sagas", "rejections")
    assert looked.different == done.different == tables
    assert seen == [1, 1]
    assert [r.host for r in after["instances"] if r.uuid == "i1"] == ["host2"]  # type: ignore[union-attr]  # of instances
    assert len(after["instances"]) == 4
    assert (after["claims"], after["sagas"], after["rejections"]) == ([], [], [])
    assert store.unsent({P0: owned[P0] + 1}, 10, scheduler=False) == ()
    with pytest.raises(Fenced):
        store.commit([batch(owned, begin=1)])
    store.commit([batch(owned, partition=P1)])


def test_an_instance_of_a_partition_that_nobody_folded_is_refused(engine: Engine) -> None:
    with pytest.raises(RebuildRefused, match="nobody ever folded it"):
        put_instance(engine, "i1", P0, lambda _: {}, is_dry=False)


def test_the_exchange_puts_the_rebuilt_rows_in_use_under_a_new_epoch(
    engine: Engine, store: SqlStore
) -> None:
    owned = own(store)
    orders = [order("c1"), order("c2"), choice("c3")]
    store.commit([batch(owned, rows=[node(), instance("gone")], orders=orders)])
    store.sent(owned, [order("c2")], now_us=0)
    rebuilt: dict[str, list[Row]] = {}
    for name, row in ROWS:
        rebuilt.setdefault(name, []).append(row)
    position = Checkpoint(*P0, 7, 0, "topic-2", 4, b"c" * 32, b"rules")

    checkpoints = switch(engine, load(engine, rebuilt, [position]), now_us=5 * S)

    assert checkpoints == store.checkpoints() == (position._replace(epoch=2),)
    assert tables_of(engine) == {name: sorted(rebuilt.get(name, [])) for name in TABLES}
    assert store.missing(["c1", "c2", "c3"]) == {"c1", "c2", "c3"}
    with pytest.raises(Fenced):
        store.commit([batch(owned, begin=1)])
    assert store.unsent(own(store), LIMIT, scheduler=False) == ()


def test_after_the_exchange_the_database_is_shaped_as_before(
    engine: Engine, store: SqlStore
) -> None:
    own(store)
    for _ in range(2):
        switch(engine, load(engine, {}, store.checkpoints()), now_us=5 * S)

    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        kept = connection.execute(select(CERTIFICATES.c.switched_at)).all()
    assert [row.switched_at for row in kept] == [5 * S, 5 * S]
    store.commit([batch(own(store), rows=ROWS)])


def test_a_partition_without_a_rebuilt_position_stops_the_exchange(
    engine: Engine, store: SqlStore
) -> None:
    owned = own(store, P0, P1)
    store.commit([batch(owned, rows=ROWS)])
    certificate = load(engine, {}, store.checkpoints()[:1])

    with pytest.raises(RebuildRefused, match="a rebuilt position of every partition"):
        switch(engine, certificate, now_us=0)

    store.commit([batch(owned, begin=1)])
    assert store.states(["i1"]) == {"i1": bytes(range(256))}


def test_another_rebuild_between_load_and_exchange_is_noticed(
    engine: Engine, store: SqlStore
) -> None:
    own(store)
    certificate = load(engine, {}, store.checkpoints())
    digests = tuple(each._replace(rows=each.rows + 1) for each in certificate.digests)

    with pytest.raises(RebuildRefused, match="somebody else rebuilds too"):
        switch(engine, replace(certificate, digests=digests), now_us=0)


def test_a_table_that_there_is_not_is_refused(engine: Engine) -> None:
    with pytest.raises(RebuildRefused, match=r"but got \['nonsense'\]"):
        load(engine, {"nonsense": []}, [])
