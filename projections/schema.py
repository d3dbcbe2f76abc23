"""Bring a database to the shape that this code expects, or say how it differs.

Alembic's environment, in code: there is no alembic.ini and no env.py. Changes of the database are
called revisions, for a migration moves a guest in this house.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from projections.engine import open_engine
from projections.store import SchemaMismatch
from projections.tables import METADATA
from projections.transactions import reading, writing

_FOLDER: Final = Path(__file__).with_name("revisions")

#: A revision waits this long for whoever uses a table, then gives up: it must not stop everybody.
LOCK_MS: Final = 2_000
#: Any number, the same for all, so that two upgrades at a time wait for each other.
_ADVISORY_LOCK: Final = 7_227_463_001


def upgrade(url: str) -> str:
    """Bring the database to this code's revision, in one transaction, and return its name.

    Raises UnusableUrl, StoreUnavailable, SchemaMismatch where a newer Regente was there before.
    """
    engine = open_engine(url)
    try:
        with writing(engine) as connection:
            return _upgrade(connection)
    finally:
        engine.dispose()


def current(url: str) -> str | None:
    """Return the revision that the database has; None where it has none."""
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            return _current(connection)
    finally:
        engine.dispose()


def check(url: str) -> str:
    """Return the revision of a database that has this code's; raises SchemaMismatch otherwise."""
    engine = open_engine(url)
    try:
        return check_engine(engine)
    finally:
        engine.dispose()


def check_engine(engine: Engine) -> str:
    """Return the revision of a database that has this code's; raises SchemaMismatch otherwise."""
    with reading(engine) as connection:
        found = _current(connection)
    scripts = _scripts()
    expected = _head(scripts)
    if found == expected:
        return expected
    begun = f"Expected the database at revision {expected}, but it"
    if found is None:
        raise SchemaMismatch(f"{begun} has none: run `regente db upgrade`.")
    _refuse_unknown(scripts, found)
    raise SchemaMismatch(f"{begun} is at {found}: run `regente db upgrade`.")


def head() -> str:
    """Name the revision that this code expects."""
    return _head(_scripts())


def _upgrade(connection: Connection) -> str:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
    scripts = _scripts()
    if (found := _current(connection)) is not None:
        _refuse_unknown(scripts, found)

    def steps(revision: str | tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type]  # as Alembic does

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=METADATA)
        environment.run_migrations()
    return _head(scripts)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_FOLDER), version_locations=[str(_FOLDER)])


def _head(scripts: ScriptDirectory) -> str:
    newest = scripts.get_current_head()
    assert newest is not None, f"Expected revisions in {_FOLDER}, but there are none"
    return newest


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_unknown(scripts: ScriptDirectory, found: str) -> None:
    known = {each.revision for each in scripts.walk_revisions()}
    if found not in known:
        raise SchemaMismatch(
            f"Expected the database at revision {_head(scripts)}, but it is at {found}, which this"
            " code doesn't know: a newer Regente was here. Install that, or use another database."
        )
