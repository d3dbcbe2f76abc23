"""A real Kafka of several brokers, one of which may die: `with KafkaCluster() as cluster: …`.

Every topic is kept by all nodes, and a record is acknowledged when a majority has it. A node is a
container where this machine's tier is containers, else a process of `java`; never somebody else's
broker, for one is killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from types import TracebackType
from typing import Protocol, Self

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from tests.servers.kafka import IMAGE
from tests.servers.kafka_contained import ContainedNode
from tests.servers.kafka_node import (
    HINT,
    KAFKA_VERSION,
    KafkaNode,
    Plan,
    identity_of,
    is_java_here,
)
from tests.servers.tiers import TierMissing, free_ports, is_docker_here

HEAP_MB = 320
ANSWER_S = 90.0
POLL_S = 0.2


class _Node(Protocol):
    @property
    def bootstrap(self) -> str: ...

    @property
    def is_running(self) -> bool: ...

    def launch(self) -> None: ...

    def wait_until_it_listens(self) -> None: ...

    def kill(self) -> None: ...

    def stop(self) -> None: ...


class KafkaCluster:
    """Brokers that answer at `bootstrap` while the context is open; `tier` says what they are."""

    def __init__(self, *, count: int = 3) -> None:
        self.tier, make = _choose()
        self.tier = f"{count} × {self.tier}"
        ports = free_ports(2 * count)
        brokers, controllers = ports[:count], ports[count:]
        name = ",".join(map(str, ports))
        voters = tuple(
            (n, controller, identity_of(f"{name}/{n}"))
            for n, controller in enumerate(controllers, start=1)
        )
        self.nodes: dict[int, _Node] = {
            n: make(
                Plan(
                    node_id=n,
                    broker=broker,
                    controller=controller,
                    cluster_id=identity_of(name),
                    voters=voters,
                )
            )
            for (n, controller, _), broker in zip(voters, brokers, strict=True)
        }

    @property
    def bootstrap(self) -> str:
        """Return the addresses that clients are given."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    def leaders(self, topic: str) -> dict[int, int]:
        """Return which node leads each partition of a topic."""
        with closing(self._admin()) as admin:
            (found,) = admin.describe_topics([topic])
        return {p["partition_index"]: p["leader_id"] for p in found["partitions"]}

    def wait_until_all_answer(self) -> None:
        """Return when every node is a member; raises TimeoutError."""
        deadline, pause = time.monotonic() + ANSWER_S, threading.Event()
        while time.monotonic() < deadline:
            try:
                with closing(self._admin()) as admin:
                    if len(admin.describe_cluster()["brokers"]) == len(self.nodes):
                        return
            except KafkaError:
                pass
            pause.wait(POLL_S)
        raise TimeoutError(f"Expected {len(self.nodes)} brokers within {ANSWER_S} s, but not so")

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=5000)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes.values():
                node.launch()
            for node in self.nodes.values():
                node.wait_until_it_listens()
            self.wait_until_all_answer()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        for node in self.nodes.values():
            if node.is_running:
                node.kill()  # A clean stop waits for a quorum that the last two have not.
            node.stop()


def _choose() -> tuple[str, Callable[[Plan], _Node]]:
    """Return what a node is on this machine, and who makes one; raises TierMissing."""
    if is_docker_here(IMAGE):
        return f"container of {IMAGE}", ContainedNode
    if not is_java_here():
        raise TierMissing(HINT)
    return f"Apache Kafka {KAFKA_VERSION} by java", lambda plan: KafkaNode(
        plan=plan, heap_mb=HEAP_MB
    )
