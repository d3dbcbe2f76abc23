"""A worker that reads ahead is killed in the middle, again and again, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from events.log import LogGroup, Record
from projections.sql_store import SqlStore
from projections.store import StoreUnavailable
from tests.e2e.cloud import SMALL, Cloud, rows
from tests.e2e.hasty import OPTIONS
from tests.integration.test_store_faults import cut_off_everybody
from tests.servers.kafka import KafkaServer

ROOT = Path(__file__).parent.parent.parent
REQUESTS = 1_200
#: A bound for what hangs, and no measure of how long it takes on a machine that others use.
WAIT_S = 240.0


def _ask(cloud: Cloud) -> None:
    messages = []
    for n in range(REQUESTS // 2):
        uid = str(uuid.UUID(int=n + 1))
        messages.append(cloud.request_message("create", uid, flavor=SMALL)[1])
        messages.append(cloud.request_message("unlock", uid)[1])
    cloud.append(*messages)


def _proves_whole(cloud: Cloud) -> None:
    store = cloud.store()
    assert cloud.lag(store) == 0
    assert len(rows(store, "instance_actions")) == REQUESTS
    audit = cloud.verify(store)
    assert audit.is_equal, audit.differences


@pytest.mark.servers
def test_a_worker_that_reads_ahead_is_killed_in_the_middle(
    on_servers: Cloud, kafka: KafkaServer
) -> None:
    cloud = on_servers
    cloud.found()
    _ask(cloud)
    store = cloud.store()
    command = [sys.executable, "-m", "tests.e2e.hasty"]
    command += [kafka.bootstrap, cloud.url, cloud.topics.prefix]
    deadline = time.monotonic() + WAIT_S
    for left in (900, 500, 100, 0):
        process = subprocess.Popen(command, cwd=ROOT)
        while cloud.lag(store) > left:
            assert process.poll() is None, "Expected it to live until it is killed"
            assert time.monotonic() < deadline, f"Expected a lag of {left} within {WAIT_S} s"
        process.kill()
        process.wait()

    _proves_whole(cloud)


class CutsOff:
    """A member of a group; at every third poll every session with the database is ended."""

    def __init__(self, group: LogGroup, url: str) -> None:
        self._group = group
        self._url = url
        self._count = 0

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        self._count += 1
        if self._count % 3 == 0:
            cut_off_everybody(self._url)
        return self._group.poll(max_records, timeout_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)


@pytest.mark.servers
def test_a_worker_that_reads_ahead_is_cut_off_from_its_database(on_servers: Cloud) -> None:
    cloud = on_servers
    cloud.found()
    _ask(cloud)
    group: Any = CutsOff(cloud.log.group(f"{cloud.topics.prefix}.conductors"), cloud.url)
    store, conductor, failed = cloud.store(), cloud.conductor(OPTIONS, group=group), 0
    deadline = time.monotonic() + WAIT_S
    while failed == 0 or _lag(cloud, store):
        assert time.monotonic() < deadline, f"Expected failures and no lag within {WAIT_S} s"
        try:
            conductor.turn()
        except StoreUnavailable:
            failed += 1

    conductor.stop()
    _proves_whole(cloud)


def _lag(cloud: Cloud, store: SqlStore) -> int:
    """Return how many records nobody has taken, asked again where the session was ended."""
    while True:
        try:
            return cloud.lag(store)
        except StoreUnavailable:
            continue
