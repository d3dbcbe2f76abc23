"""Who owns a partition may change at any moment; what is in the database is written by one alone.

A conductor that lost its partitions without knowing it changes nothing; one that does not know what
became of its COMMIT finds out; one that is asked to stop leaves nothing half done.
"""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from compute.memory_journal import MemoryJournal
from compute.world import MemoryWorld
from conductor.wiring import Conductor
from events.log import TopicPartition
from events.memory_log import MemoryLog
from events.ports import SystemClock
from events.topics import Topics
from projections.rows import TABLES
from projections.sql_store import SqlStore
from projections.store import Batch, StoreUnavailable
from tests.e2e.cloud import SMALL, Cloud, TakesTurns, instances, open_sagas, rows, spin, states
from tests.e2e.fleet import Fleet
from tests.e2e.installation import Installation
from tests.integration.conftest import fresh_name
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

ACTIVE = ("active", None)


class Hooked:
    """A store whose COMMIT can be delayed, or its answer lost; everything else is the real one."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        #: Called once, in place of the next commit, with what would do it.
        self.once: Callable[[Callable[[], None]], None] | None = None

    def commit(self, batches: Sequence[Batch]) -> None:
        hook, self.once = self.once, None
        if hook is None:
            self._store.commit(batches)
        else:
            hook(lambda: self._store.commit(batches))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Cloud]:
    """A log of which members can be expelled, and rows in a file."""
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    with closing(Cloud(log=MemoryLog(SystemClock()), url=url, topics=Topics("t"))) as cloud:
        cloud.found()
        yield cloud


def _everything(store: SqlStore) -> dict[str, object]:
    found: dict[str, object] = {table: rows(store, table) for table in TABLES}
    return found | {"checkpoints": store.checkpoints()}


def _agents(cloud: Cloud) -> list[TakesTurns]:
    world = MemoryWorld()
    agents = [cloud.agent(host, world, MemoryJournal()) for host in cloud.hosts]
    return [turn for agent in agents for turn in agent.turns]


def _expel(cloud: Cloud, conductor: Conductor) -> None:
    assert isinstance(cloud.log, MemoryLog)
    group: Any = conductor._ports.group
    cloud.log.expel(group)


def _proves_equal(cloud: Cloud, store: SqlStore) -> None:
    audit = cloud.verify(store)
    assert audit.is_equal, audit.differences


def test_two_members_share_the_partitions_and_one_goes_on_when_the_other_is_gone(
    memory: Cloud,
) -> None:
    first, second, store = memory.conductor(), memory.conductor(), memory.store()
    agents = _agents(memory)
    both: list[TakesTurns] = [first, second, *agents]
    spin(both, lambda: len(rows(store, "nodes")) == 3, what="three hosts")
    spin(both, lambda: bool(first.owned.partitions and second.owned.partitions), what="shares")
    uids = [str(uuid.uuid4()) for _ in range(8)]
    for uid in uids:
        memory.request("create", uid, flavor=SMALL)
    spin(both, lambda: len(instances(store)) > 4, what="some instances")

    _expel(memory, first)
    alone: list[TakesTurns] = [second, *agents]
    spin(alone, lambda: states(store, uids) == [ACTIVE] * 8, what="every server")
    spin(alone, lambda: not open_sagas(store) and memory.lag(store) == 0, what="the end")

    assert len(second.owned.partitions) == 2 * memory.partitions
    _proves_equal(memory, store)


def test_a_zombie_changes_nothing_and_then_takes_part_again(memory: Cloud) -> None:
    store = memory.store()
    hooked = Hooked(memory.store())
    zombie = memory.conductor(store=hooked)
    spin([zombie], lambda: memory.lag(store) == 0, what="no lag")
    second = memory.conductor()
    uid = str(uuid.uuid4())
    seen: list[dict[str, object]] = []

    def pause(commit: Callable[[], None]) -> None:
        """While it stands before its COMMIT, it is taken for dead and another goes on."""
        _expel(memory, zombie)
        spin([second], lambda: memory.lag(store) == 0, what="the other to have folded it")
        seen.append(_everything(store))
        try:
            commit()
        finally:
            seen.append(_everything(store))

    hooked.once = pause
    memory.request("create", uid, flavor=SMALL)
    zombie.turn()

    assert len(seen) == 2, "Expected the zombie to stand before a COMMIT"
    assert seen[0] == seen[1]
    assert zombie.owned.partitions == {}
    both: list[TakesTurns] = [zombie, second]
    spin(both, lambda: bool(zombie.owned.partitions), what="the zombie to take part again")
    agents = _agents(memory)
    spin([*both, *agents], lambda: len(rows(store, "nodes")) == 3, what="three hosts")
    another = str(uuid.uuid4())
    memory.request("create", another, flavor=SMALL)
    spin([*both, *agents], lambda: states(store, [another]) == [ACTIVE], what="a server")
    _proves_equal(memory, store)


@pytest.mark.parametrize("is_in_it", [True, False], ids=["it is in", "it is not in"])
def test_a_commit_whose_answer_is_lost_is_applied_once(memory: Cloud, is_in_it: bool) -> None:
    store = memory.store()
    hooked = Hooked(memory.store())
    conductor = memory.conductor(store=hooked)
    spin([conductor], lambda: memory.lag(store) == 0, what="no lag")
    uid = str(uuid.uuid4())

    def lose(commit: Callable[[], None]) -> None:
        if is_in_it:
            commit()
        raise StoreUnavailable("Expected an answer to COMMIT, but the connection is gone.")

    hooked.once = lose
    memory.request("create", uid, flavor=SMALL)
    with pytest.raises(StoreUnavailable):
        conductor.turn()
    memory.request("unlock", uid)

    spin([conductor], lambda: memory.lag(store) == 0, what="no lag")
    assert conductor.worker.counts["accepted"] == 2 + 1  # and what the scheduler answered
    assert conductor.worker.counts["duplicate"] == conductor.worker.counts["rejected"] == 0
    assert len(rows(store, "instance_actions")) == 2
    _proves_equal(memory, store)


@pytest.mark.servers
def test_a_conductor_that_was_fenced_joins_anew_and_goes_on(cloud: Cloud) -> None:
    cloud.found()
    conductor, store = cloud.conductor(), cloud.store()
    spin([conductor], lambda: cloud.lag(store) == 0, what="no lag")
    # As a rebuild does, which takes every partition away from whoever has it.
    store.take_over(TopicPartition(c.topic, c.partition) for c in store.checkpoints())
    uid = str(uuid.uuid4())

    cloud.request("create", uid, flavor=SMALL)

    spin([conductor], lambda: uid in instances(store), what="the instance")
    spin([conductor], lambda: cloud.lag(store) == 0, what="no lag")
    assert len(conductor.owned.partitions) == 2 * cloud.partitions
    _proves_equal(cloud, store)
    conductor.stop()


# Real processes.


@pytest.fixture
def fleet(kafka: KafkaServer, postgres: PostgresServer, tmp_path: Path) -> Iterator[Fleet]:
    name = fresh_name()
    installation = Installation(
        bootstrap=kafka.bootstrap,
        url=postgres.create_database(name),
        prefix=name,
        folder=tmp_path,
        hosts=(),
        session_timeout_s=60.0,
    )
    installation.found()
    fleet = Fleet(installation)
    yield fleet
    fleet.end()
    postgres.drop_database(name)


def _owns_all(store: SqlStore, epoch: int, partitions: int) -> Callable[[], bool]:
    def all_there() -> bool:
        found = store.checkpoints()
        return len(found) == 2 * partitions and all(c.epoch >= epoch for c in found)

    return all_there


def _wait(until: Callable[[], bool], wait_s: float) -> float:
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < wait_s, f"Expected it within {wait_s} s"
        time.sleep(0.05)
    return time.monotonic() - began


def test_a_conductor_that_is_asked_to_stop_leaves_the_group_and_another_goes_on_at_once(
    fleet: Fleet,
) -> None:
    with closing(fleet.installation.cloud()) as cloud:
        store = cloud.store()
        fleet.start("conductor1", "conductor")
        _wait(_owns_all(store, 1, cloud.partitions), 60)

        statuses = fleet.stop()
        fleet.start("conductor2", "conductor")
        took_s = _wait(_owns_all(store, 2, cloud.partitions), 60)

        assert statuses == {"conductor1": 0}
        assert took_s < 45, f"Expected nobody to wait for a session to end, but {took_s} s"
        assert fleet.stop() == {"conductor2": 0}


def test_a_second_signal_ends_a_conductor_at_once(fleet: Fleet, kafka: KafkaServer) -> None:
    if not kafka.is_ours:
        pytest.skip("the broker is somebody else's and can't be frozen")
    with closing(fleet.installation.cloud()) as cloud:
        fleet.start("conductor1", "conductor")
        _wait(_owns_all(cloud.store(), 1, cloud.partitions), 60)
        process = fleet.running["conductor1"]

        with kafka.frozen():  # so that a clean end takes its time
            process.terminate()
            began = time.monotonic()
            while process.poll() is None:  # one signal after the other: two at once are one
                assert time.monotonic() - began < 20, "Expected an end at once"
                time.sleep(0.2)
                process.terminate()

        assert process.returncode == 128 + signal.SIGTERM
