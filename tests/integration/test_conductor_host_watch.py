"""A host is lost when it was silent for long enough, and never because nobody listened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from compute.memory_journal import MemoryJournal
from compute.world import MemoryWorld
from conductor.wiring import Conductor, Options
from events.memory_log import MemoryLog
from events.topics import Topics
from projections.rows import NodeRow
from tests.e2e.cloud import Cloud, TakesTurns, rows

DOWN_S = 60
TURNS = 30


class HandClock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us

    def monotonic_s(self) -> float:
        return self.us / 1e6

    def sleep(self, seconds: float) -> None:
        self.us += int(seconds * 1e6)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def cloud(tmp_path: Path, clock: HandClock) -> Iterator[Cloud]:
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    log = MemoryLog(clock)
    with closing(Cloud(log=log, url=url, topics=Topics("t"), clock=clock)) as cloud:
        cloud.found()
        yield cloud


def _turns(*those: TakesTurns) -> None:
    for _ in range(TURNS):
        for each in those:
            each.turn()


def _statuses(cloud: Cloud) -> set[str]:
    return {row.status for row in rows(cloud.store(), "nodes") if isinstance(row, NodeRow)}


def _agents(cloud: Cloud) -> list[TakesTurns]:
    world = MemoryWorld()
    agents = [cloud.agent(host, world, MemoryJournal()) for host in cloud.hosts]
    return [turn for agent in agents for turn in agent.turns]


def _conductor(cloud: Cloud) -> Conductor:
    return cloud.conductor(Options(service_down_time_s=DOWN_S))


def test_hosts_that_are_silent_for_too_long_are_lost(cloud: Cloud, clock: HandClock) -> None:
    conductor = _conductor(cloud)
    _turns(conductor, *_agents(cloud))

    clock.sleep(DOWN_S - 1)
    _turns(conductor)
    before = _statuses(cloud)
    clock.sleep(2)
    _turns(conductor)

    assert (before, _statuses(cloud)) == ({"started"}, {"lost"})


def test_no_host_is_lost_because_its_new_owner_took_long_to_catch_up(
    cloud: Cloud, clock: HandClock
) -> None:
    first, agents = _conductor(cloud), _agents(cloud)
    _turns(first, *agents)
    first.stop()
    second = _conductor(cloud)
    second.worker.turn()
    assert second.owned.partitions

    clock.sleep(3 * DOWN_S)  # a long backlog, or the database was away
    _turns(second)
    assert _statuses(cloud) == {"started"}

    clock.sleep(2)
    _turns(second, *agents)
    assert _statuses(cloud) == {"started"}


def test_no_host_is_lost_because_its_owner_stood_still(cloud: Cloud, clock: HandClock) -> None:
    conductor, agents = _conductor(cloud), _agents(cloud)
    _turns(conductor, *agents)

    for _ in range(3 * DOWN_S):  # paused, while the hosts go on
        clock.sleep(1)
        for each in agents:
            each.turn()
    _turns(conductor)

    assert _statuses(cloud) == {"started"}
