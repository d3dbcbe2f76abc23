"""An installation on Kafka and PostgreSQL, set up by the commands that an operator uses.

Settings in a file, with the bounds of a test (short sessions, a short `service_down_time`); the
services are `regente conductor` and `regente compute`, each in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from events.kafka_log import KafkaLog, KafkaOptions
from events.seal import MasterKeyring
from events.topics import Topics
from regente.state_folder import StateFolder
from tests.e2e.cloud import Cloud

COMMAND_S = 60
ROOT = Path(__file__).parent.parent.parent
_SETTINGS = """\
state_dir = "{state}"
service_down_time = {service_down_time_s}
report_interval = 1
max_concurrent_live_migrations = 4
[conductor]
workers = 1
topic = "{prefix}"
[kafka]
bootstrap_servers = "{bootstrap}"
session_timeout = {session_timeout_s}
[database]
connection = "{url}"
[topics]
partitions = {partitions}
"""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where everything is, and how patient everybody is."""

    bootstrap: str
    url: str
    prefix: str
    folder: Path
    partitions: int = 6
    hosts: tuple[str, ...] = ("host1", "host2", "host3")
    session_timeout_s: float = 4.0
    service_down_time_s: int = 8

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.folder / "state")

    @property
    def settings(self) -> Path:
        return self.folder / "regente.toml"

    def found(self) -> None:
        """Leave the settings written, topics and tables made, and every host enrolled."""
        text = _SETTINGS.format(
            state=self.state.path,
            prefix=self.prefix,
            bootstrap=self.bootstrap,
            url=self.url,
            partitions=self.partitions,
            session_timeout_s=self.session_timeout_s,
            service_down_time_s=self.service_down_time_s,
        )
        self.settings.write_text(text)
        self._run("topics", "create")
        self._run("db", "upgrade")
        for host in self.hosts:
            self._run("node", "enroll", host)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "regente", "--config", str(self.settings), *words]

    def environment(self) -> dict[str, str]:
        """Return ours without settings of the house: the file alone shall decide."""
        return {name: value for name, value in os.environ.items() if "REGENTE_" not in name}

    def cloud(self) -> Cloud:
        """Return what a test sees of it and says to it."""
        options = KafkaOptions(bootstrap=self.bootstrap, session_timeout_s=self.session_timeout_s)
        return Cloud(
            log=KafkaLog(options),
            url=self.url,
            topics=Topics(self.prefix),
            partitions=self.partitions,
            hosts=self.hosts,
            keyring=MasterKeyring(self.state.master()),
        )

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            self.command(*words),
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, f"Expected {words} to end well, but {done.returncode}: {said}"
