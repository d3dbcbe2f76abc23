"""A conductor or an agent as a process: `python -m tests.e2e.process KIND CONFIG [HOST]`.

The composition roots of conductor and compute over Kafka and PostgreSQL, with the bounds of a test
(short sessions, a short `service_down_time`). SIGTERM ends it cleanly, a second one at once.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from compute.file_world import FileWorld
from compute.run import run as run_agent
from compute.wiring import open_journal
from conductor.run import run as run_conductor
from conductor.wiring import Options
from events.kafka_log import KafkaLog, KafkaOptions
from events.topics import Topics
from regente.stopping import StopSignals
from tests.e2e.cloud import Cloud


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every process of one test is told."""

    bootstrap: str
    url: str
    prefix: str
    folder: str
    partitions: int = 6
    hosts: tuple[str, ...] = ("host1", "host2", "host3")
    session_timeout_s: float = 4.0
    service_down_time_s: int = 8

    def cloud(self) -> Cloud:
        options = KafkaOptions(bootstrap=self.bootstrap, session_timeout_s=self.session_timeout_s)
        return Cloud(
            log=KafkaLog(options),
            url=self.url,
            topics=Topics(self.prefix),
            partitions=self.partitions,
            hosts=tuple(self.hosts),
        )

    @property
    def world(self) -> Path:
        return Path(self.folder) / "world.sqlite"

    @staticmethod
    def read(path: Path) -> Config:
        return Config(**json.loads(path.read_text()))

    def write(self) -> Path:
        path = Path(self.folder) / "config.json"
        path.write_text(json.dumps(asdict(self)))
        return path


def main(kind: str, config_file: str, host: str = "") -> int:
    stop = StopSignals()
    stop.install()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.WARNING)
    config = Config.read(Path(config_file))
    cloud = config.cloud()
    logging.info("%s %s runs as %d", kind, host, os.getpid())
    if kind == "conductor":
        conductor = cloud.conductor(Options(service_down_time_s=config.service_down_time_s))
        run_conductor([conductor], cloud.clock, stop)
        logging.info("stops: %s", dict(conductor.worker.counts))
        conductor.stop()
    else:
        journal = open_journal(Path(config.folder) / "journals", host)
        parts = cloud.agent(host, FileWorld(config.world), journal)
        run_agent(parts, cloud.clock, stop)
        journal.close()
    cloud.close()
    logging.info("ends")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
