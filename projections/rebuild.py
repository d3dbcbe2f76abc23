"""A second set of tables beside the first: filled from a fold, compared, then put in its place.

Who folds is not known here; rows and positions come in as plain values. The exchange is one
transaction that also raises every epoch, so whoever owned a partition before must come back and
start from the rebuilt position. Rows that were operational are emptied: the new owner's take-over
puts back the orders that are missing, and what falls due by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlalchemy import Connection, Engine, Index, MetaData, Table, delete, func, insert, select

from events.log import TopicPartition
from projections.bulk import bulk_of
from projections.engine import open_engine
from projections.rows import TABLES, Row
from projections.snapshot import Digest, digest_of, read_values, snapshot
from projections.sql_write import all_checkpoints
from projections.store import Checkpoint, StoreError
from projections.tables import (
    ANSWERS,
    CERTIFICATES,
    CHECKPOINTS,
    DUES,
    OUTBOX,
    RESERVATIONS,
    ROWS,
    TIMERS,
    indexes_of,
    row_table,
)
from projections.transactions import snapshotting, writing

#: What the second set of tables is called while it stands beside the first.
SUFFIX: Final = "__new"
#: Rows per transaction of a load; on SQLite the live writer waits for as long as one of them takes.
LOAD_ROWS: Final = 10_000

_NEW: Final = MetaData()
_TABLES: Final[Mapping[str, Table]] = {name: row_table(name, _NEW, SUFFIX) for name in TABLES}
_EMPTIED: Final = (OUTBOX, TIMERS, DUES, RESERVATIONS, ANSWERS)


class RebuildRefused(StoreError):
    """The rebuilt tables can't take the place of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a rebuild made: a digest of every table, and the positions up to which it folded."""

    checkpoints: tuple[Checkpoint, ...]
    digests: tuple[Digest, ...]

    def to_json(self) -> str:
        """Return it as it is kept in `certificates`."""
        positions = [
            {
                "topic": each.topic,
                "partition": each.partition,
                "next_offset": each.next_offset,
                "topic_id": each.topic_id,
                "chain": each.chain.hex(),
            }
            for each in self.checkpoints
        ]
        return json.dumps({"positions": positions, "tables": [d._asdict() for d in self.digests]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the rebuilt tables differ from those in use."""

    #: Partitions whose checkpoint in use is not the rebuilt position: tables may differ by that.
    elsewhere: tuple[TopicPartition, ...]
    #: Digest in use and digest rebuilt of each table that differs.
    different: tuple[tuple[Digest, Digest], ...]

    @property
    def is_equal(self) -> bool:
        """Whether both stand at the same positions with the same rows."""
        return not self.elsewhere and not self.different


def load(
    database: str | Engine,
    tables: Mapping[str, Iterable[Row]],
    checkpoints: Sequence[Checkpoint],
) -> Certificate:
    """Leave a second set of tables with these rows, and nothing of an earlier one.

    The tables in use are not touched. A table that is not named gets no rows; of the checkpoints
    everything but the epoch counts. Raises StoreUnavailable, SchemaMismatch.
    """
    if unknown := sorted(set(tables) - set(TABLES)):
        raise RebuildRefused(f"Expected tables of {sorted(TABLES)}, but got {unknown}.")
    with engine_of(database) as engine:
        with writing(engine) as connection:
            _NEW.drop_all(connection)
            _NEW.create_all(connection)
        for name, rows in tables.items():
            _fill(engine, _TABLES[name], rows)
        if engine.dialect.name == "postgresql":
            _index_beside(engine)
        with snapshotting(engine) as connection:
            digests = [digest_of(n, read_values(connection, n, t)) for n, t in _TABLES.items()]
    return Certificate(checkpoints=tuple(sorted(checkpoints)), digests=tuple(digests))


def compare(database: str | Engine, certificate: Certificate) -> Comparison:
    """Say how the tables in use differ from the rebuilt ones."""
    with engine_of(database) as engine, snapshot(engine) as now:
        live = {TopicPartition(each.topic, each.partition): each for each in now.checkpoints}
        rebuilt = {_of(each): each for each in certificate.checkpoints}
        return Comparison(
            elsewhere=tuple(
                each
                for each in sorted(live.keys() | rebuilt.keys())
                if _position(live.get(each)) != _position(rebuilt.get(each))
            ),
            different=tuple(
                (here, there)
                for there in certificate.digests
                if (here := now.digest(there.table)) != there
            ),
        )


def switch(database: str | Engine, certificate: Certificate, now_us: int) -> tuple[Checkpoint, ...]:
    """Leave the rebuilt tables in use, every partition at its rebuilt position under a new epoch.

    One transaction: whoever reads sees either set. Privileges granted on single tables go with the
    old ones. Raises RebuildRefused, StoreUnavailable (nothing changed, or read the checkpoints).
    """
    with engine_of(database) as engine, writing(engine) as connection:
        # Every writer of rows locks a checkpoint before anything else: none is under way now.
        connection.execute(select(CHECKPOINTS.c.epoch).order_by(*_KEY).with_for_update()).all()
        live = {_of(each): each for each in all_checkpoints(connection)}
        _refuse_unfit(connection, certificate, live)
        _exchange(connection)
        raised = tuple(_raised(each, live.get(_of(each))) for each in certificate.checkpoints)
        if raised:
            bulk_of(engine).upsert(connection, CHECKPOINTS, raised)
        for table in _EMPTIED:
            connection.execute(delete(table))
        kept = {"switched_at": now_us, "body": certificate.to_json()}
        connection.execute(insert(CERTIFICATES), kept)
        return raised


def discard(database: str | Engine) -> None:
    """Leave no second set of tables."""
    with engine_of(database) as engine, writing(engine) as connection:
        _NEW.drop_all(connection)


_KEY: Final = (CHECKPOINTS.c.topic, CHECKPOINTS.c.partition)


@contextmanager
def engine_of(database: str | Engine) -> Iterator[Engine]:
    """Give the engine, or one of a URL that is closed behind the block."""
    if isinstance(database, Engine):
        yield database
        return
    engine = open_engine(database)
    try:
        yield engine
    finally:
        engine.dispose()


def _fill(engine: Engine, table: Table, rows: Iterable[Row]) -> None:
    bulk, coming = bulk_of(engine), iter(rows)
    # The rows are drawn outside of the transaction: a fold may take its time over them.
    while some := list(islice(coming, LOAD_ROWS)):
        with writing(engine) as connection:
            bulk.load(connection, table, some)


def _index_beside(engine: Engine) -> None:
    for name, table in _TABLES.items():
        for index, columns in indexes_of(name):
            with writing(engine) as connection:
                _index(table, index + SUFFIX, columns, connection)


def _index(table: Table, name: str, columns: tuple[str, ...], connection: Connection) -> None:
    made = Index(name, *(table.c[each] for each in columns))
    made.create(connection)
    # The description of the table is used again, for other tables of the same name.
    table.indexes.discard(made)


def _refuse_unfit(
    connection: Connection,
    certificate: Certificate,
    live: Mapping[TopicPartition, Checkpoint],
) -> None:
    if lost := sorted(live.keys() - {_of(each) for each in certificate.checkpoints}):
        raise RebuildRefused(f"Expected a rebuilt position of every partition, but none of {lost}.")
    for each in certificate.digests:
        table = _TABLES[each.table]
        count = connection.scalar(select(func.count()).select_from(table))
        if count != each.rows:
            raise RebuildRefused(
                f"Expected {each.rows} rows in {table.name}, but there are {count}:"
                " somebody else rebuilds too."
            )


def _exchange(connection: Connection) -> None:
    is_postgres = connection.dialect.name == "postgresql"
    run = connection.exec_driver_sql
    if is_postgres:
        # All at once and in one order: readers of several tables wait here, not half-way.
        run(f"LOCK TABLE {', '.join(ROWS)} IN ACCESS EXCLUSIVE MODE")
    for name, table in ROWS.items():
        run(f"DROP TABLE {name}")
        run(f"ALTER TABLE {name}{SUFFIX} RENAME TO {name}")
        if is_postgres:
            run(f"ALTER INDEX pk_{name}{SUFFIX} RENAME TO pk_{name}")
        for index, columns in indexes_of(name):
            if is_postgres:
                run(f"ALTER INDEX {index}{SUFFIX} RENAME TO {index}")
            else:  # SQLite renames no index
                run(f"CREATE INDEX {index} ON {table.name} ({', '.join(columns)})")


def _raised(rebuilt: Checkpoint, live: Checkpoint | None) -> Checkpoint:
    return rebuilt._replace(epoch=1 if live is None else live.epoch + 1)


def _of(checkpoint: Checkpoint) -> TopicPartition:
    return TopicPartition(checkpoint.topic, checkpoint.partition)


def _position(checkpoint: Checkpoint | None) -> int:
    return 0 if checkpoint is None else checkpoint.next_offset
