"""One Apache Kafka node of a cluster in a container of its own, on the network of its machine.

On that network the nodes find each other under the addresses that clients are given, also where
Docker may not change the network's rules. Knows Docker; what a node obeys is its plan's business.
"""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field

from docker.models.containers import Container  # type: ignore[import-untyped] # ships no types
from testcontainers.core.container import DockerContainer

from tests.servers.kafka import IMAGE
from tests.servers.kafka_node import POLL_S, START_S, Plan

#: What Docker reports of a process that SIGKILL has ended: 128 + 9.
KILLED = 137
_SAID_BYTES = 3000


@dataclass(slots=True)
class ContainedNode:
    """A broker that runs from `launch` to `kill` or `stop`; a launch after a kill has its data."""

    plan: Plan
    is_running: bool = False
    _container: DockerContainer | None = field(default=None, repr=False)

    @property
    def bootstrap(self) -> str:
        """Return the address that clients are given."""
        return f"127.0.0.1:{self.plan.broker}"

    def launch(self) -> None:
        """Leave a container that is starting: a new one, or the one that was killed."""
        if self._container is None:
            container = DockerContainer(IMAGE).with_kwargs(network_mode="host")
            for name, value in _environment_of(self.plan).items():
                container.with_env(name, value)
            self._container = container
            container.start()
        else:
            self._wrapped().start()
        self.is_running = True

    def wait_until_it_listens(self) -> None:
        """Return when the broker's port is open; raises RuntimeError with what it said."""
        deadline, pause = time.monotonic() + START_S, threading.Event()
        while time.monotonic() < deadline and self._is_alive():
            with socket.socket() as probe:
                probe.settimeout(POLL_S)
                if probe.connect_ex(("127.0.0.1", self.plan.broker)) == 0:
                    return
            pause.wait(POLL_S)
        said = self._wrapped().logs().decode(errors="replace")[-_SAID_BYTES:]
        raise RuntimeError(
            f"Expected {self} to listen within {START_S:.0f} s, but it said:\n{said}"
        )

    def kill(self) -> None:
        """Leave the broker dead as a power cut would: SIGKILL to its process, no other ending."""
        self._wrapped().kill()
        status = self._wrapped().wait()["StatusCode"]
        assert status == KILLED, f"Expected {self} to die of SIGKILL, but it ended with {status}"
        self.is_running = False

    def stop(self) -> None:
        """Leave neither container nor data."""
        container, self._container = self._container, None
        if container is not None:
            container.stop()
        self.is_running = False

    def _is_alive(self) -> bool:
        wrapped = self._wrapped()
        wrapped.reload()
        return bool(wrapped.status == "running")

    def _wrapped(self) -> Container:
        assert self._container is not None, "Expected a broker that was launched, but it was not."
        return self._container.get_wrapped_container()


def _environment_of(plan: Plan) -> dict[str, str]:
    """Return the plan as the image wants it: A_B for a.b, and voters that need no format tool."""
    settings = plan.settings()
    del settings["controller.quorum.bootstrap.servers"]
    settings["controller.quorum.voters"] = ",".join(
        f"{n}@127.0.0.1:{port}" for n, port, _ in plan.voters
    )
    return {f"KAFKA_{k.upper().replace('.', '_')}": v for k, v in settings.items()}
