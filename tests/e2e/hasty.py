"""A worker that reads ahead at every batch, in a process of its own: for tests that kill it."""

from __future__ import annotations

import sys
from contextlib import closing

from conductor.wiring import Options
from events.kafka_log import KafkaLog, KafkaOptions
from events.topics import Topics
from tests.e2e.cloud import Cloud

OPTIONS = Options(batch_records_max=40, read_ahead_records_min=1)


def main(bootstrap: str, url: str, prefix: str) -> None:
    """Fold until somebody ends it."""
    log = KafkaLog(KafkaOptions(bootstrap=bootstrap, session_timeout_s=6.0))
    with closing(Cloud(log=log, url=url, topics=Topics(prefix))) as cloud:
        conductor = cloud.conductor(OPTIONS)
        while True:
            conductor.turn()


if __name__ == "__main__":
    main(*sys.argv[1:])
