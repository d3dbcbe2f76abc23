"""Where log and rows are, by the settings: opened on demand, each by the package that may.

The composition of the commands that look and ask; what runs for long is put together by
`conductor.wiring` and `compute.wiring`. Imports Kafka's client or a database's driver only when
it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from events.log import Log
from events.owner_lock import OwnerLock
from events.ports import SystemClock
from events.topics import Topics
from regente.settings import Settings
from regente.state_folder import StateError, StateFolder

if TYPE_CHECKING:
    from events.kafka_log import KafkaOptions
    from projections.views import Views


def topics_of(settings: Settings) -> Topics:
    """Return the names of the topics."""
    return Topics(settings.conductor.topic)


def kafka_options(settings: Settings) -> KafkaOptions:
    """Return how the brokers are reached."""
    from events.kafka_log import KafkaOptions

    kafka = settings.kafka
    if not kafka.bootstrap_servers:
        raise StateError(
            "Expected [kafka] bootstrap_servers where [conductor] use_local is false,"
            " but it is empty."
        )
    return KafkaOptions(
        bootstrap=kafka.bootstrap_servers,
        append_timeout_s=kafka.append_timeout,
        answer_timeout_s=kafka.answer_timeout,
        session_timeout_s=kafka.session_timeout,
        replication=kafka.replication_factor,
        fetcher=kafka.fetcher,
        client=dict(kafka.client),
    )


def open_log(settings: Settings, folder: StateFolder, lock: OwnerLock | None = None) -> Log:
    """Return the log; a file of this machine is made if it is not there."""
    if settings.is_local:
        from events.sqlite_log import SqliteLog

        folder.make()
        return SqliteLog(folder.log, SystemClock(), lock)
    from events.kafka_log import KafkaLog

    return KafkaLog(kafka_options(settings))


def existing_log(settings: Settings, folder: StateFolder) -> Log:
    """Return the log; raises StateError where it is a file that nobody made yet."""
    if settings.is_local and not folder.log.exists():
        raise StateError(
            f"Expected a log in {folder.log}, but there is none: start `regente up`,"
            " or make one with `regente topics create`; --state-dir names another folder."
        )
    return open_log(settings, folder)


def database_url(settings: Settings, folder: StateFolder) -> str:
    """Return the URL of the database."""
    named = settings.database.connection
    if named:
        return named
    if not settings.is_local:
        raise StateError(
            "Expected [database] connection where brokers are configured, but it is empty:"
            " set it to postgresql://…."
        )
    return f"sqlite:///{folder.rows.absolute()}"


def existing_database_url(settings: Settings, folder: StateFolder) -> str:
    """Return the URL of the database; raises StateError where it is a file that nobody made yet."""
    if not settings.database.connection and settings.is_local and not folder.rows.exists():
        raise StateError(
            f"Expected rows in {folder.rows}, but there are none: start `regente up`,"
            " or make the tables with `regente db upgrade`; --state-dir names another folder."
        )
    return database_url(settings, folder)


@contextmanager
def opened_views(url: str) -> Iterator[Views]:
    """Give the questions to a database of this code's revision."""
    from projections.engine import open_engine
    from projections.schema import check_engine
    from projections.views import Views

    engine = open_engine(url)
    try:
        check_engine(engine)
        yield Views(engine)
    finally:
        engine.dispose()
