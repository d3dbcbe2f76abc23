"""A RabbitMQ of our own for the time of a measure, where the machine has its server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.servers.tiers import free_ports

#: The script itself, which runs as whoever calls it; the one on the path wants to be `rabbitmq`.
SCRIPT: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S: Final = 60


def rabbit_script() -> str | None:
    """Return the server's script, None where there is none."""
    return str(SCRIPT) if SCRIPT.exists() else shutil.which("rabbitmq-server")


@contextmanager
def rabbit(folder: Path) -> Iterator[str]:
    """Give the URL of a broker that answers; its files stay in the folder."""
    script = rabbit_script()
    if script is None:
        raise RuntimeError(
            "Expected rabbitmq-server, which nova-conductor needs, but it is absent: install it"
            " (Debian, Ubuntu: rabbitmq-server)."
        )
    port, distribution = free_ports(2)
    environment = os.environ | {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "rabbit"),
        "RABBITMQ_LOG_BASE": str(folder / "rabbit-log"),
        "RABBITMQ_PID_FILE": str(folder / "rabbit.pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "rabbit-plugins"),
    }
    with (folder / "rabbit.out").open("w") as out:
        server = subprocess.Popen(
            [script], env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        _await(server, port, folder / "rabbit.out")
        yield f"rabbit://guest:guest@127.0.0.1:{port}/"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _await(server: subprocess.Popen[bytes], port: int, out: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(
        f"Expected RabbitMQ to answer in {START_S} s, but: {out.read_text()[-2000:]}"
    )
