"""An update in a table full of rows stays on its page, so that no index has to be written.

Among a million instances most of what an update costs is pages: each that is touched first after a
checkpoint is written whole, and a row that finds no room moves and takes its indexes along.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, MetaData, text

from projections.bulk import bulk_of
from projections.rows import TABLES, InstanceStateRow
from projections.tables import ROWS, row_table
from projections.transactions import reading, writing

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer
from tests.servers.rows import tables_in

STATES = ROWS["instance_states"]
#: Bytes of a state, and rows that fill some forty pages with them.
BODY, COUNT = 500, 500


@pytest.fixture
def engine(postgres: PostgresServer) -> Iterator[Engine]:
    with tables_in(postgres, "room_to_update") as engine:
        yield engine


def pages(engine: Engine) -> dict[str, int]:
    """Return the page on which each row stands."""
    with reading(engine) as connection:
        found = connection.execute(
            text("SELECT instance_uuid, (ctid::text::point)[0]::int AS page FROM instance_states")
        )
        return {row.instance_uuid: row.page for row in found}


def test_every_twelfth_row_of_a_full_table_finds_room_beside_itself(engine: Engine) -> None:
    rows = [InstanceStateRow(f"{n:036}", 0, bytes(BODY)) for n in range(COUNT)]
    bulk, some = bulk_of(engine), [each._replace(body=bytes([1]) * BODY) for each in rows[::12]]
    with writing(engine) as connection:
        bulk.load(connection, STATES, rows)
    before = pages(engine)

    with writing(engine) as connection:
        bulk.upsert(connection, STATES, some)

    after = pages(engine)
    assert len(set(before.values())) > 20
    assert {each[0] for each in some if after[each[0]] != before[each[0]]} == set()


def test_tables_made_by_rebuild_have_the_room_of_those_that_they_replace(engine: Engine) -> None:
    with writing(engine) as connection:
        for name in TABLES:
            row_table(name, MetaData(), "_made").create(connection)
    with reading(engine) as connection:
        found = connection.execute(text("SELECT relname, reloptions FROM pg_class"))
        options = {row.relname: row.reloptions for row in found}

    assert {name: options[f"{name}_made"] for name in TABLES} == {n: options[n] for n in TABLES}
