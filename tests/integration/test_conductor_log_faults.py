"""A log that is not what the rows were written from: the conductor stops and says so.

It never skips, and never starts from elsewhere; partitions that are as they were go on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conductor.errors import ForeignRules
from conductor.rulebook import Rulebook, of_this_installation
from conductor.speaker import Speaker
from conductor.wiring import Conductor
from events.errors import LogRecreated, TopicMismatch
from events.log import TopicPartition
from events.memory_log import MemoryLog
from events.ports import SystemClock
from events.topics import Topics
from statemachines.rules import SETTINGS
from tests.e2e.cloud import SMALL, Cloud, instances, spin

if TYPE_CHECKING:
    from tests.servers.kafka import KafkaServer


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Cloud]:
    """A log that can be broken at will, and rows in a file."""
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    with closing(Cloud(log=MemoryLog(SystemClock()), url=url, topics=Topics("t"))) as cloud:
        cloud.found()
        yield cloud


def _broken(cloud: Cloud) -> MemoryLog:
    assert isinstance(cloud.log, MemoryLog)
    return cloud.log


def _two(cloud: Cloud) -> tuple[str, str]:
    """Return two instances in different partitions."""
    one = str(uuid.uuid4())
    while cloud.home(other := str(uuid.uuid4())) == cloud.home(one):
        pass
    return one, other


def _folded(cloud: Cloud) -> tuple[Conductor, str, str]:
    """Leave a conductor that has folded a request about each of two instances."""
    conductor, store = cloud.conductor(), cloud.store()
    one, other = _two(cloud)
    for uid in (one, other):
        cloud.request("create", uid, flavor=SMALL)
    spin([conductor], lambda: len(instances(store)) == 2, what="two instances")
    spin([conductor], lambda: cloud.lag(store) == 0, what="no lag")
    return conductor, one, other


def _turns(conductor: Conductor, until: Callable[[], bool] = lambda: False) -> None:
    """Let it take turns until something is raised, or a condition holds."""
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline, "Expected the conductor to stop, but it goes on"
        conductor.turn()


def test_a_topic_made_anew_stops_the_conductor(memory: Cloud) -> None:
    conductor, *_ = _folded(memory)
    conductor.stop()
    _broken(memory).delete_topic(memory.topics.instance_events)
    _broken(memory).admin().create(memory.topics.specs(memory.partitions))

    with pytest.raises(LogRecreated, match=r"^Expected topic t\.instance.* it was made anew"):
        _turns(memory.conductor())


def test_a_topic_made_anew_stops_the_conductor_that_reads_it(memory: Cloud) -> None:
    conductor, *_ = _folded(memory)
    _broken(memory).delete_topic(memory.topics.instance_events)
    _broken(memory).admin().create(memory.topics.specs(memory.partitions))

    with pytest.raises(LogRecreated, match="deleted and made again"):
        _turns(conductor)


@pytest.mark.servers
def test_a_topic_with_more_partitions_stops_the_conductor(
    on_servers: Cloud, kafka: KafkaServer
) -> None:
    from kafka.admin import KafkaAdminClient

    on_servers.found()
    conductor, *_ = _folded(on_servers)
    conductor.stop()
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.create_partitions({on_servers.topics.instance_events: on_servers.partitions + 2})
    admin.close()

    with pytest.raises(TopicMismatch, match=r"^Expected topic .* to have 4 partitions, .* has 6"):
        _turns(on_servers.conductor())


def test_a_lost_tail_stops_its_partition_and_no_other(memory: Cloud) -> None:
    conductor, one, other = _folded(memory)
    conductor.stop()
    home = memory.home(one)
    end = memory.log.reader().end_offsets([home])[home]
    _broken(memory).truncate(home, end - 1)

    _stops_alone(memory, memory.conductor(), home, other, "to reach")


def test_a_tail_that_is_lost_meanwhile_stops_its_partition_and_no_other(memory: Cloud) -> None:
    conductor, one, other = _folded(memory)
    home = memory.home(one)
    end = memory.log.reader().end_offsets([home])[home]
    _broken(memory).truncate(home, end - 1)

    _stops_alone(memory, conductor, home, other, "to hold offset")


def test_offsets_that_expired_unread_stop_their_partition_and_no_other(memory: Cloud) -> None:
    conductor, one, other = _folded(memory)
    conductor.stop()
    home = memory.home(one)
    for _ in range(2):
        memory.request("stop", one)
    end = memory.log.reader().end_offsets([home])[home]
    _broken(memory).delete_before(home, end - 1)

    _stops_alone(memory, memory.conductor(), home, other, "to hold offset")


@pytest.mark.servers
def test_records_that_kafka_gave_up_unread_stop_their_partition_and_no_other(
    on_servers: Cloud, kafka: KafkaServer
) -> None:
    from kafka import TopicPartition as TheirPartition
    from kafka.admin import KafkaAdminClient

    on_servers.found()
    conductor, one, other = _folded(on_servers)
    conductor.stop()
    home = on_servers.home(one)
    on_servers.append(*[on_servers.request_message("stop", one)[1] for _ in range(3)])
    taken = {(c.topic, c.partition): c.next_offset for c in on_servers.store().checkpoints()}
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.delete_records({TheirPartition(*home): taken[home] + 2})
    admin.close()

    _stops_alone(on_servers, on_servers.conductor(), home, other, "to hold offset")


def _stops_alone(
    cloud: Cloud, conductor: Conductor, home: TopicPartition, other: str, why: str
) -> None:
    owned = conductor.owned.partitions
    before = {(c.topic, c.partition): c.next_offset for c in cloud.store().checkpoints()}
    _turns(conductor, lambda: home in owned and owned[home].stopped is not None)
    cloud.request("stop", other)
    elsewhere = cloud.home(other)
    store = cloud.store()

    def taken(at: TopicPartition) -> int:
        return {(c.topic, c.partition): c.next_offset for c in store.checkpoints()}[at]

    _turns(conductor, lambda: taken(elsewhere) > before[elsewhere])
    assert taken(home) == before[home]
    assert why in (owned[home].stopped or "")
    assert {at for at, mine in owned.items() if mine.stopped} == {home}
    assert home not in conductor.owned.acting(home.topic)
    conductor.stop()


@pytest.mark.parametrize("is_there_before", [False, True], ids=["meanwhile", "at the start"])
def test_rules_that_this_code_does_not_know_are_not_folded(
    memory: Cloud, is_there_before: bool
) -> None:
    conductor, one, _ = _folded(memory)
    store = memory.store()
    if is_there_before:
        conductor.stop()
    writer, reader = memory.log.writer(), memory.log.reader()
    book = Rulebook(
        speaker=Speaker(writer, memory.keyring, memory.clock), reader=reader, topics=memory.topics
    )
    before = {(c.topic, c.partition): c.next_offset for c in store.checkpoints()}
    rules = of_this_installation(2, SETTINGS)
    rules.versions["resize"] = "2"
    book.say(rules)
    memory.request("stop", one)
    if is_there_before:
        conductor = memory.conductor()

    with pytest.raises(ForeignRules, match=r"^Expected rules in .* resize version 2 .* upgrade"):
        _turns(conductor)

    conductor.stop()
    assert {(c.topic, c.partition): c.next_offset for c in store.checkpoints()} == before
    assert conductor.owned.partitions == {}
    home = memory.home(one)
    assert store.mark(home, before[home]) == 1, "Expected no marker: nobody died"
