"""What the world can do to a transaction, and that the store says so in its own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from projections import bulk_postgres, schema
from projections import engine as engines
from projections.bulk_postgres import COPY_ROWS_MIN
from projections.engine import open_engine
from projections.sql_store import SqlStore
from projections.store import Fenced, SchemaMismatch, StoreUnavailable
from projections.transactions import writing
from tests.contract.store_data import P0, P1, batch, own, state
from tests.servers.postgres import conninfo_of

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    found = postgres.create_database("store_faults")
    schema.upgrade(found)
    yield found
    postgres.drop_database("store_faults")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


def cut_off_everybody(url: str) -> None:
    with psycopg.connect(conninfo_of(url), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_session_cut_off_before_commit_leaves_nothing(engine: Engine, url: str) -> None:
    store = SqlStore(engine)
    owned = own(store)

    still_to_cut = [url]

    def cut(_connection: object) -> None:
        while still_to_cut:
            cut_off_everybody(still_to_cut.pop())

    event.listen(engine, "commit", cut)
    with pytest.raises(StoreUnavailable) as unavailable:
        store.commit([batch(owned, rows=[state("i1")])])

    assert unavailable.value.retriable
    assert store.checkpoints()[0].next_offset == 0
    assert store.states(["i1"]) == {}
    store.commit([batch(owned, rows=[state("i1")])])


def test_a_lost_answer_to_commit_is_found_out_by_the_checkpoint(engine: Engine) -> None:
    store = SqlStore(engine)
    owned = own(store)

    def lose_the_answer(dialect_connection: psycopg.Connection[tuple[object, ...]]) -> None:
        dialect_connection.commit()
        raise psycopg.OperationalError("the answer was lost")

    plain = engine.dialect.do_commit
    engine.dialect.do_commit = lose_the_answer  # type: ignore[method-assign, assignment]  # a proxy would do the same
    try:
        with pytest.raises(StoreUnavailable):
            store.commit([batch(owned, rows=[state("i1")])])
    finally:
        engine.dialect.do_commit = plain  # type: ignore[method-assign]  # as it was

    assert store.checkpoints()[0].next_offset == 1
    assert store.states(["i1"]) == {"i1": b"body"}


def test_a_server_that_was_restarted_is_used_again_without_a_word(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "UNUSED_S", 0.0)
    store = SqlStore(engine)
    owned = own(store)

    cut_off_everybody(url)

    store.commit([batch(owned)])
    assert store.checkpoints()[0].next_offset == 1


def test_a_connection_that_was_just_used_is_found_broken_once(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "UNUSED_S", 3600.0)
    store = SqlStore(engine)
    owned = own(store)

    cut_off_everybody(url)

    with pytest.raises(StoreUnavailable) as unavailable:
        store.commit([batch(owned, rows=[state("i1")])])
    assert unavailable.value.retriable
    assert store.states(["i1"]) == {}
    store.commit([batch(owned, rows=[state("i1")])])
    assert store.states(["i1"]) == {"i1": b"body"}


@pytest.mark.parametrize("rows", [1, COPY_ROWS_MIN])
def test_a_fenced_batch_leaves_none_of_its_rows_however_they_go(engine: Engine, rows: int) -> None:
    store = SqlStore(engine)
    owned = own(store)
    names = [f"i{n}" for n in range(rows)]
    store.take_over([P0])

    with pytest.raises(Fenced, match=r"at offset 0, epoch 1, but it is at 0, epoch 2\.$"):
        store.commit([batch(owned, rows=[state(each) for each in names])])

    assert store.states(names) == {}
    assert store.checkpoints()[0].next_offset == 0


def test_a_serialization_failure_is_of_the_world(engine: Engine) -> None:
    with pytest.raises(StoreUnavailable), writing(engine) as connection:
        connection.exec_driver_sql(
            "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$"
        )


def test_a_lock_that_is_not_had_in_time_is_of_the_world(engine: Engine) -> None:
    store = SqlStore(engine)
    own(store)
    with writing(engine) as holder:
        holder.exec_driver_sql("SELECT FROM checkpoints FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="lock timeout"), writing(engine) as waiter:
            waiter.exec_driver_sql(
                "SET LOCAL lock_timeout = 10; SELECT FROM checkpoints FOR UPDATE"
            )


def in_a_copy(zombie: psycopg.Connection[tuple[object, ...]]) -> None:
    zombie.execute("CREATE TEMPORARY TABLE incoming (n bigint)")
    zombie.pgconn.exec_(b"COPY incoming FROM STDIN")


def in_a_pipeline(zombie: psycopg.Connection[tuple[object, ...]]) -> None:
    pgconn = zombie.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(b"SELECT 1", None)
    pgconn.send_flush_request()
    pgconn.flush()


def until_it_waits(url: str, zombie: psycopg.Connection[tuple[object, ...]]) -> None:
    """Leave the server aware that this session waits for its client."""
    found: object = None
    with psycopg.connect(conninfo_of(url), autocommit=True) as connection:
        for _ in range(10_000):
            found = connection.execute(
                "SELECT wait_event FROM pg_stat_activity WHERE pid = %s", [zombie.info.backend_pid]
            ).fetchone()
            if found == ("ClientRead",):
                return
    raise AssertionError(f"Expected the session to wait for its client, but {found}")


@pytest.mark.parametrize("standing", [in_a_copy, in_a_pipeline])
def test_an_owner_that_stands_still_in_the_middle_of_a_write_does_not_stop_a_takeover(
    engine: Engine,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    standing: Callable[[psycopg.Connection[tuple[object, ...]]], None],
) -> None:
    """A paused process holds its locks, and no time-out of PostgreSQL's ends a COPY."""
    monkeypatch.setattr(bulk_postgres, "STUCK_S", 0.0)
    store = SqlStore(engine)
    epochs = own(store)
    zombie = psycopg.connect(conninfo_of(url))
    zombie.execute("UPDATE checkpoints SET next_offset = 1")
    standing(zombie)
    until_it_waits(url, zombie)

    (checkpoint,) = store.take_over([P0]).values()

    assert (checkpoint.epoch, checkpoint.next_offset) == (epochs[P0] + 1, 0)
    zombie.close()


def test_a_reader_of_the_checkpoints_is_not_taken_for_an_owner(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_postgres, "STUCK_S", 0.0)
    store = SqlStore(engine)
    own(store)
    with psycopg.connect(conninfo_of(url)) as auditor:
        auditor.execute("SELECT FROM checkpoints")

        store.take_over([P0])

        assert auditor.execute("SELECT 1").fetchone() == (1,)


def test_a_wrong_row_is_a_bug_and_not_of_the_world(engine: Engine) -> None:
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.exec_driver_sql("INSERT INTO set_aside (topic) VALUES ('t')")


def test_a_database_without_our_tables_is_another_schema(postgres: PostgresServer) -> None:
    engine = open_engine(postgres.url)

    with pytest.raises(SchemaMismatch, match="regente db upgrade"):
        SqlStore(engine).checkpoints()

    engine.dispose()


def test_who_is_fenced_reads_where_the_partition_stands(engine: Engine) -> None:
    store = SqlStore(engine)
    owned = own(store)
    store.commit([batch(owned)])

    with pytest.raises(Fenced, match=r"at offset 0, epoch 1, but it is at 1, epoch 1\.$"):
        store.commit([batch(owned)])
    with pytest.raises(Fenced, match=r"Expected a checkpoint of .*/1, but there is none\.$"):
        store.commit([batch({P1: 1}, partition=P1)])


def test_sqlite_held_by_another_writer_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    schema.upgrade(url)
    holder, waiter = open_engine(url), open_engine(url)
    event.listen(waiter, "connect", lambda c, _: c.execute("PRAGMA busy_timeout = 10"))
    store = SqlStore(waiter)

    with writing(holder):
        with pytest.raises(StoreUnavailable, match="locked"):
            store.take_over([P0])
        assert store.checkpoints() == ()

    assert store.take_over([P0])[P0].epoch == 1
    store.close()
    holder.dispose()


def test_sqlite_without_our_tables_is_another_schema(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'rows.sqlite'}")

    with pytest.raises(SchemaMismatch, match="regente db upgrade"):
        SqlStore(engine).checkpoints()

    engine.dispose()
