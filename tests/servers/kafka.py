"""A real Kafka for tests, demo and benchmark: `with KafkaServer() as kafka: … kafka.bootstrap`.

Takes the first that this machine has: the broker named by REGENTE_TEST_KAFKA, a container, Apache
Kafka run by `java`. Knows how to start each and to wait until it answers; what is done with it is
the caller's business.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from testcontainers.core.container import DockerContainer

from tests.servers.kafka_node import KAFKA_VERSION, KafkaNode
from tests.servers.tiers import free_ports, is_docker_here

BOOTSTRAP_VARIABLE = "REGENTE_TEST_KAFKA"
#: Made from files of this machine, or another of the same interface: `apache/kafka:…`.
IMAGE = os.environ.get("REGENTE_TEST_KAFKA_IMAGE", f"regente-test/kafka:{KAFKA_VERSION}")
ANSWER_S = 60.0


class _Broker(Protocol):
    bootstrap: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...


class KafkaServer:
    """A broker that answers at `bootstrap` while the context is open; `tier` says which it is."""

    def __init__(self, *, heap_mb: int = 512) -> None:
        self.tier, self._broker = _choose(heap_mb)

    @property
    def bootstrap(self) -> str:
        """Return the address that clients are given."""
        return self._broker.bootstrap

    @property
    def is_ours(self) -> bool:
        """Say whether we started it; somebody else's is not ours to freeze."""
        return not isinstance(self._broker, _Given)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep the broker alive and silent meanwhile; clients see no broken connection."""
        self._broker.freeze()
        try:
            yield
        finally:
            self._broker.thaw()

    def __enter__(self) -> Self:
        self._broker.start()
        try:
            _wait_until_it_answers(self.bootstrap)
        except BaseException:
            self._broker.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._broker.stop()


def _choose(heap_mb: int) -> tuple[str, _Broker]:
    if given := os.environ.get(BOOTSTRAP_VARIABLE):
        return f"the Kafka at {given}", _Given(given)
    if is_docker_here(IMAGE):
        return f"container of {IMAGE}", _Container()
    return f"Apache Kafka {KAFKA_VERSION} by java", KafkaNode(heap_mb=heap_mb)


class _Given:
    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def start(self) -> None:
        """Trust whoever named it to have started it."""

    def stop(self) -> None:
        """Leave it to whoever started it."""

    def freeze(self) -> None:
        raise RuntimeError(
            f"Expected a broker of our own to freeze, but {BOOTSTRAP_VARIABLE} names another's."
        )

    def thaw(self) -> None:
        """Do nothing: it was never frozen."""


class _Container:
    def __init__(self) -> None:
        self.bootstrap = ""
        self._container: DockerContainer | None = None

    def start(self) -> None:
        # The broker must know the port under which clients see it, so the port is chosen first.
        (port,) = free_ports(1)
        container = DockerContainer(IMAGE).with_bind_ports(9092, port)
        for line in SETTINGS.format(port=port).split():
            container.with_env(*line.split("=", 1))
        container.start()
        self._container = container
        self.bootstrap = f"127.0.0.1:{port}"

    def stop(self) -> None:
        if self._container is not None:
            self._container.stop()
            self._container = None

    def freeze(self) -> None:
        self._running().get_wrapped_container().pause()

    def thaw(self) -> None:
        self._running().get_wrapped_container().unpause()

    def _running(self) -> DockerContainer:
        assert self._container is not None, "Expected a broker that runs, but none was started."
        return self._container


SETTINGS = """\
KAFKA_NODE_ID=1
KAFKA_PROCESS_ROLES=broker,controller
KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093
KAFKA_LISTENERS=PLAINTEXT://:9092,CONTROLLER://:9093
KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:{port}
KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER
KAFKA_INTER_BROKER_LISTENER_NAME=PLAINTEXT
KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
KAFKA_AUTO_CREATE_TOPICS_ENABLE=false
KAFKA_LOG_MESSAGE_TIMESTAMP_TYPE=LogAppendTime
KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS=2
KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1
KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1
KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1
KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR=1
KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR=1
KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0
KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS=1000
"""


def _wait_until_it_answers(bootstrap: str) -> None:
    deadline = time.monotonic() + ANSWER_S
    while True:
        try:
            admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=5000)
        except KafkaError:
            if time.monotonic() > deadline:
                raise
        else:
            admin.close()
            return
