"""A real Kafka of several brokers, one of which may die: `with KafkaCluster() as cluster: …`.

Every topic is kept by all nodes, and a record is acknowledged when a majority has it. Run by `java`
alone: what is tested is what clients make of a broker's death, which is the same in a container.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing
from types import TracebackType
from typing import Self

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from tests.servers.kafka_node import HINT, KafkaNode, Plan, identity_of, is_java_here
from tests.servers.tiers import TierMissing, free_ports

ANSWER_S = 90.0
POLL_S = 0.2


class KafkaCluster:
    """Brokers that answer at `bootstrap` while the context is open."""

    def __init__(self, *, count: int = 3, heap_mb: int = 320) -> None:
        ports = free_ports(2 * count)
        brokers, controllers = ports[:count], ports[count:]
        name = ",".join(map(str, ports))
        voters = tuple(
            (n, controller, identity_of(f"{name}/{n}"))
            for n, controller in enumerate(controllers, start=1)
        )
        self.nodes = {
            n: KafkaNode(
                heap_mb=heap_mb,
                plan=Plan(
                    node_id=n,
                    broker=broker,
                    controller=controller,
                    cluster_id=identity_of(name),
                    voters=voters,
                ),
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
        if not is_java_here():
            raise TierMissing(HINT)
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
