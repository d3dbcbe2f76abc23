"""The servers that the other tests stand on do what these tests count on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer


def _name(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid1().hex}"


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("postgresql+psycopg", "postgresql", 1))


def test_the_broker_returns_what_was_sent(kafka: KafkaServer) -> None:
    topic = _name("roundtrip")
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    producer.send(topic, key=b"k", value=b"v", headers=[("h", b"1")], partition=0).get(10)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, fetch_max_wait_ms=20)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)

    records = consumer.poll(timeout_ms=10_000)[partition]

    consumer.close()
    assert [(r.key, r.value, r.headers, r.timestamp_type) for r in records] == [
        (b"k", b"v", [("h", b"1")], 1)
    ]


def test_the_database_answers(postgres: PostgresServer) -> None:
    with _connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_database_made_from_a_template_has_its_rows(postgres: PostgresServer) -> None:
    template, copy = _name("template"), _name("copy")
    with _connect(postgres.create_database(template)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS n")

    with _connect(postgres.create_database(copy, template=template)) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(7,)]

    postgres.drop_database(copy)
    postgres.drop_database(template)


def test_a_server_of_ours_has_the_settings_that_are_asked_for() -> None:
    settings = {"shared_buffers": "64 MB", "checkpoint_timeout": "15 min"}

    with (
        PostgresServer(stoppable=True, settings=settings) as server,
        _connect(server.url) as connection,
    ):
        found = [connection.execute(f"SHOW {name}").fetchall() for name in settings]

    assert found == [[("64MB",)], [("15min",)]]


@pytest.fixture(scope="module")
def ours() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with PostgresServer(stoppable=True) as server:
        yield server


def test_a_server_stopped_immediately_comes_back_with_what_was_committed(
    ours: PostgresServer,
) -> None:
    url = ours.create_database(_name("survivor"))
    cut_off = _connect(url)
    cut_off.execute("CREATE TABLE t AS SELECT 7 AS n")
    cut_off.commit()
    cut_off.execute("INSERT INTO t VALUES (8)")

    ours.stop_immediate()

    with pytest.raises(psycopg.OperationalError):
        cut_off.execute("SELECT 1")
    cut_off.close()
    with pytest.raises(psycopg.OperationalError):
        _connect(url)
    ours.start()
    with _connect(url) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(7,)]
