"""Clouds for integration tests: on the embedded default, on real servers, or on either in turn."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from events.ports import SystemClock
from events.sqlite_log import SqliteLog
from events.topics import Topics
from tests.e2e.cloud import Cloud

if TYPE_CHECKING:
    from tests.servers.kafka import KafkaServer
    from tests.servers.postgres import PostgresServer


def fresh_name() -> str:
    return f"t-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud on the SQLite log and SQLite rows."""
    log = SqliteLog(tmp_path / "log.sqlite", SystemClock())
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    with closing(Cloud(log=log, url=url, topics=Topics(fresh_name()))) as cloud:
        yield cloud


@pytest.fixture
def on_servers(kafka: KafkaServer, postgres: PostgresServer) -> Iterator[Cloud]:
    """A cloud on Kafka and PostgreSQL."""
    from events.kafka_log import KafkaLog, KafkaOptions

    name = fresh_name()
    log = KafkaLog(KafkaOptions(bootstrap=kafka.bootstrap, session_timeout_s=6.0))
    url = postgres.create_database(name)
    with closing(Cloud(log=log, url=url, topics=Topics(name))) as cloud:
        yield cloud
    postgres.drop_database(name)


@pytest.fixture(params=["embedded", "on_servers"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Both, one after the other."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Cloud)
    return found
