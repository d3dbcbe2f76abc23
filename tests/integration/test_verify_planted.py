"""A verify that goes on finds whatever was done to a row, in each table, on either database.

Rows are changed, taken away and added behind everybody's back: of an instance of which the new part
of the log speaks, and of one of which it does not. Each is put back before the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import and_, delete, insert

from conductor.auditor import Audit
from conductor.auditor import verify as verify_rows
from conductor.replay import LogCutOff, Replay, Replayed
from events.log import TopicPartition
from projections.digests import by_mark, mark_of
from projections.kept import Keeper, Kept
from projections.rows import TABLES, Key, Row
from projections.store import StoreUnavailable
from projections.tables import ROWS
from tests.integration.conftest import fresh_name
from tests.integration.test_store_faults import cut_off_everybody
from tests.integration.test_verify_further import KEY, TINY, UIDS
from tests.integration.theatre import Theatre, theatre
from tests.parts import wishes
from tests.requeueing import said_too_early

SPOKEN_OF, SILENT, GONE = UIDS[:3]
EVERYTHING = wishes(metadata='{"role": "db"}', tags='["blue"]')
Tables = Mapping[str, Mapping[Key, Row]]


class Stage:
    """A cloud that was verified once, and its rows of then and of now."""

    def __init__(self, stage: Theatre, folder: Path) -> None:
        self.stage, self.cloud = stage, stage.cloud
        self.keeper = Keeper(folder, key=KEY, code="today")
        for uid in (SPOKEN_OF, SILENT, GONE):
            self.cloud.request("create", uid, flavor=TINY, arguments=EVERYTHING)
        stage.rest()
        for uid in (SPOKEN_OF, SILENT):
            self.say_what_is_refused(uid)
        first = self.verify()
        assert (first.is_well, first.went_on_after) == (True, 0)
        self.then = self.tables()
        self.cloud.request("live_migrate", SPOKEN_OF)
        self.cloud.request("delete", GONE)
        stage.rest()
        self.say_what_is_refused(SPOKEN_OF)
        self.now = self.tables()

    def say_what_is_refused(self, uid: str) -> None:
        """Leave a rejection and a record in quarantine."""
        self.cloud.request("start", uid)
        self.cloud.append(said_too_early(self.cloud.home(uid), uid, self.cloud.keyring))
        self.stage.rest()

    def tables(self) -> Tables:
        """Return all rows by key."""
        return {
            name: {cast("Key", tuple(row[:width])): row for row in self.stage.table(name)}
            for name, (_, width) in TABLES.items()
        }

    def verify(self) -> Audit:
        """Verify, from where the last one came."""
        return self.cloud.verify(self.stage.store, self.keeper)

    def put(self, table: str, key: Key, row: Row | None) -> None:
        """Leave a row at a key behind everybody's back, or none."""
        columns = list(ROWS[table].columns)[: len(key)]
        where = and_(*(column == value for column, value in zip(columns, key, strict=True)))
        with self.stage.store._engine.begin() as connection:
            connection.execute(delete(ROWS[table]).where(where))
            if row is not None:
                connection.execute(insert(ROWS[table]).values(row._asdict()))

    def found(self, table: str, key: Key, row: Row | None) -> set[tuple[str, Key]]:
        """Return the rows that a verify names while a row stands at a key; put it back then."""
        self.put(table, key, row)
        try:
            return {(each.table, each.key) for each in self.verify().differences}
        finally:
            self.put(table, key, self.now[table].get(key))


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """On both, one after the other."""
    name, url, server = fresh_name(), "", None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.create_database(name)
    with theatre(tmp_path, url) as stage:
        yield Stage(stage, tmp_path / "audit")
    if server is not None:
        server.drop_database(name)


def replaced(row: Row, values: Mapping[str, Any]) -> Row:
    """Return a row with other values."""
    return row._replace(**values)


def changed(row: Row, width: int) -> Row | None:
    """Return a row with another value in its last column that is not of its key; None without."""
    for name, value in reversed(list(zip(row._fields, row, strict=True))[width:]):
        if isinstance(value, int | str):
            other = value + 1 if isinstance(value, int) else value + "x"
            return replaced(row, {name: other})
    return None


def of_another_key(row: Row, width: int) -> tuple[Key, Row]:
    """Return a row with another key, of the same instance where its key is of more."""
    name, value = row._fields[width - 1], row[width - 1]
    other = value + 1_000 if isinstance(value, int) else f"{value!s}x"
    new = replaced(row, {name: other})
    return cast("Key", tuple(new[:width])), new


def some_of(rows: Mapping[Key, Row]) -> Iterator[tuple[Key, Row]]:
    """Yield a row of the instance that is spoken of, one of the other, and the first and last."""
    found = dict([*list(rows.items())[:1], *list(rows.items())[-1:]])
    for uid in (SPOKEN_OF, SILENT):
        found.update([(key, row) for key, row in rows.items() if uid in row][-1:])
    yield from found.items()


def test_every_table_that_can_have_rows_here_has_some(scene: Stage) -> None:
    without = {name for name, rows in scene.now.items() if not rows}

    assert without <= {"instance_faults", "parked", "accelerators"}


def test_what_was_done_to_a_row_is_named_in_every_table(scene: Stage) -> None:
    for table, (_, width) in TABLES.items():
        for key, row in some_of(scene.now[table]):
            if (other := changed(row, width)) is not None:
                assert scene.found(table, key, other) == {(table, key)}, f"changed {table} {key}"
            assert scene.found(table, key, None) == {(table, key)}, f"missing {table} {key}"
            new_key, new = of_another_key(row, width)
            assert scene.found(table, new_key, new) == {(table, new_key)}, f"new {table} {new_key}"
    audit = scene.verify()
    assert (audit.is_well, audit.from_start) == (True, "")


def test_what_is_as_it_was_before_the_log_went_on_is_named(scene: Stage) -> None:
    """A row that is gone came back, or one that changed did not: its digest was kept."""
    old = {
        (table, key): row
        for table, rows in scene.then.items()
        for key, row in rows.items()
        if scene.now[table].get(key) != row and table != "nodes"
    }
    assert {"claims", "tags", "instances", "virtual_interfaces"} <= {table for table, _ in old}

    for (table, key), row in old.items():
        assert scene.found(table, key, row) == {(table, key)}, f"old {table} {key}"


def test_a_changed_row_that_was_given_to_another_instance_is_named_by_its_column(
    scene: Stage,
) -> None:
    """It is not among the rows of the instances that changed."""
    (migration,) = scene.now["migrations"].items()
    key, row = migration
    scene.put("migrations", key, replaced(row, {"instance_uuid": SILENT}))

    audit = scene.verify()

    assert [(d.key, d.column) for d in audit.differences] == [(key, "instance_uuid")]


def test_two_rows_that_took_each_others_place_are_named(scene: Stage) -> None:
    """As many as before, and each value is somewhere."""
    (one, first), (other, second) = list(scene.now["instance_actions_events"].items())[:2]
    width = TABLES["instance_actions_events"][1]
    for key, row, its in ((one, first, second), (other, second, first)):
        mixed = dict(zip(row._fields[width:], its[width:], strict=True))
        scene.put("instance_actions_events", key, replaced(row, mixed))

    audit = scene.verify()

    assert {each.key for each in audit.differences} == {one, other}


def test_a_database_marks_its_rows_as_we_do(scene: Stage) -> None:
    with scene.stage.store.snapshot() as snapshot, snapshot.digested() as made:
        entries = made()

    for table, rows in scene.now.items():
        assert by_mark(entries[table]).keys() == set(map(mark_of, rows)), table


class Interrupted(Replay):
    """Something happens while it folds."""

    def __init__(self, scene: Stage, error: Exception | None, url: str = "") -> None:
        cloud = scene.cloud
        reader = scene.cloud.log.reader()
        super().__init__(reader=reader, keyring=cloud.keyring, topics=cloud.topics)
        self._error, self._url = error, url

    def fold_to(
        self, positions: Mapping[TopicPartition, int], after: Kept | None = None
    ) -> Replayed:
        if self._error is not None:
            raise self._error
        cut_off_everybody(self._url)
        return super().fold_to(positions, after)


def test_a_fold_that_fails_says_so_and_leaves_the_database_as_it_was(scene: Stage) -> None:
    with pytest.raises(LogCutOff, match="as it must"):
        verify_rows(
            scene.stage.store, Interrupted(scene, LogCutOff("as it must")), keeper=scene.keeper
        )

    assert scene.verify().is_well


@pytest.mark.parametrize("scene", ["postgresql"], indirect=True)
def test_a_database_that_goes_away_meanwhile_is_said_to_have(scene: Stage) -> None:
    with pytest.raises(StoreUnavailable):
        verify_rows(
            scene.stage.store, Interrupted(scene, None, scene.cloud.url), keeper=scene.keeper
        )

    assert scene.verify().is_well
