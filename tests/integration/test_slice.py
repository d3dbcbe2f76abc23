"""One slice of the whole, in one process: requests in, guests on hosts, rows out, verified.

The same story on the embedded default and on real servers: whatever the log and the database are,
the rows are the same.
"""

from __future__ import annotations

import uuid

import pytest

from compute.memory_journal import MemoryJournal
from compute.world import MemoryWorld
from tests.e2e.cloud import MEDIUM, SMALL, Cloud, claims_that_differ, open_sagas, rows, spin, states

IDLE = ("active", None)


@pytest.mark.servers
def test_servers_are_built_moved_resized_and_deleted_and_the_rows_say_what_the_log_says(
    cloud: Cloud,
) -> None:
    cloud.found()
    store, world = cloud.store(), MemoryWorld()
    conductor = cloud.conductor()
    agents = [cloud.agent(host, world, MemoryJournal()) for host in cloud.hosts]
    everybody = [conductor, *(turn for agent in agents for turn in agent.turns)]
    moved, resized, deleted = (str(uuid.uuid4()) for _ in range(3))
    three = (moved, resized, deleted)
    spin(everybody, lambda: len(rows(store, "nodes")) == 3, what="three hosts")

    for each in three:
        cloud.request("create", each, flavor=SMALL, arguments={"name": "n"})
    spin(everybody, lambda: states(store, three) == [IDLE] * 3, what="three servers")
    cloud.request("live_migrate", moved)
    cloud.request("resize", resized, flavor=MEDIUM)
    cloud.request("delete", deleted)
    after = [IDLE, ("resized", None), ("deleted", None)]
    spin(everybody, lambda: states(store, three) == after, what="two moves and a delete")
    cloud.request("confirm_resize", resized)
    end = [IDLE, IDLE, ("deleted", None)]
    spin(everybody, lambda: states(store, three) == end, what="the confirm")
    spin(everybody, lambda: not open_sagas(store), what="every saga to end")
    spin(everybody, lambda: cloud.lag(store) == 0, what="nothing left to fold")

    audit = cloud.verify(store)
    assert audit.is_equal, audit.differences
    assert conductor.worker.counts["rejected"] == 0
    assert sorted(world.running()) == sorted([moved, resized])
    assert all(len(hosts) == 1 for hosts in world.running().values())
    assert set(world.executions().values()) == {1}
    assert claims_that_differ(store, world, cloud.hosts) == []
    conductor.stop()
