"""How an end-to-end test waits for an end, and what must hold there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing

from compute.file_world import FileWorld
from projections.sql_store import SqlStore
from projections.store import StoreUnavailable
from tests.e2e.cloud import Cloud, claims_that_differ, instances
from tests.e2e.installation import Installation

POLL_S = 0.2


def wait(until: Callable[[], bool], what: str, wait_s: float = 60.0) -> float:
    """Look until a condition holds, and return how long it took; the database may be away."""
    began = time.monotonic()
    while True:
        try:
            if until():
                return time.monotonic() - began
        except StoreUnavailable:
            pass
        assert time.monotonic() - began < wait_s, f"Expected {what} within {wait_s} s, but not"
        time.sleep(POLL_S)


def check(installation: Installation, cloud: Cloud, store: SqlStore) -> None:
    """Fail unless rows say what the log says and hosts have what rows say, each thing once."""
    audit = cloud.verify(store)
    assert audit.is_equal, audit.differences[:10]
    print(audit.rows, dict(audit.counts), file=sys.stderr)
    assert audit.rows["quarantine"] == audit.rows["parked"] == 0
    with closing(FileWorld(installation.state.world)) as world:
        twice = {command: n for command, n in world.executions().items() if n != 1}
        assert not twice, f"Expected every command once, but {twice}"
        torn = {uid: hosts for uid, hosts in world.running().items() if len(hosts) > 1}
        assert not torn, f"Expected every guest on one host, but {torn}"
        known = instances(store)
        elsewhere = {
            uid: (hosts, known[uid].host)
            for uid, hosts in world.running().items()
            if hosts != (known[uid].host,)
        }
        assert not elsewhere, f"Expected every guest where its row says, but {elsewhere}"
        assert claims_that_differ(store, world, cloud.hosts) == []
