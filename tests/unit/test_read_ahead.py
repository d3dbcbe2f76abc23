"""The next records are read while a batch is written, and whatever becomes of it, none is lost.

The worker, its fold and its rows are the real ones; the log and the database do what is told.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from conductor.commits import SWITCH_S, AtOnce, Beside, InThread
from conductor.wiring import Conductor, Options
from events.errors import LogUnavailable
from events.log import LogGroup, Owner, Record, TopicPartition
from events.memory_log import MemoryLog, MemoryReader
from events.ports import SystemClock
from events.topics import Topics
from projections.sql_store import SqlStore
from projections.store import Batch, StoreUnavailable
from tests.e2e.cloud import SMALL, Cloud, rows, spin
from tests.stage import INSTANCE

#: One record a batch, and each is enough to read ahead.
ONE_BY_ONE = Options(batch_records_max=1, read_ahead_records_min=1)
WAIT_S = 5.0


class Database:
    """A store of which the next commit is in a hook's hands; everything else is the real one."""

    def __init__(self, store: SqlStore, told: list[str]) -> None:
        self._store = store
        self._told = told
        self.once: Callable[[Callable[[], None]], None] | None = None
        #: What the next commit waits for, in a thread.
        self.waits_for: Event | None = None

    def commit(self, batches: Sequence[Batch]) -> None:
        hook, self.once = self.once, None
        self._told.append("commit")
        if self.waits_for is not None:
            assert self.waits_for.wait(WAIT_S), "Expected a poll while the batch is written"
        try:
            if hook is None:
                self._store.commit(batches)
            else:
                hook(lambda: self._store.commit(batches))
        finally:
            self._told.append("end of commit")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Group:
    """A member of a group whose next polls begin with hooks, and which is heard."""

    def __init__(self, group: LogGroup, told: list[str]) -> None:
        self._group = group
        self._told = told
        self._owner: Owner | None = None
        self.hooks: list[Callable[[], object]] = []

    def subscribe(self, topics: Sequence[str], owner: Owner) -> None:
        self._owner = owner
        self._group.subscribe(topics, self)

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        self._told.append("poll")
        if self.hooks:
            self.hooks.pop(0)()
        return self._group.poll(max_records, timeout_s)

    def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        assert self._owner is not None
        found = self._owner.assigned(partitions)
        self._told.append("assigned")
        return found

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        assert self._owner is not None
        self._owner.revoked(partitions)
        self._told.append("revoked")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)


class House:
    """One conductor that has folded what was there, and two requests that it has not read."""

    def __init__(self, cloud: Cloud, beside: Beside) -> None:
        self.cloud, self.beside = cloud, beside
        self.told: list[str] = []
        cloud.found()
        self.store = cloud.store()
        self.database = Database(cloud.store(), self.told)
        self.group = Group(cloud.log.group(f"{cloud.topics.prefix}.conductors"), self.told)
        self.conductor: Conductor = cloud.conductor(
            ONE_BY_ONE, self.database, group=self.group, beside=beside
        )
        self.worker = self.conductor.worker
        self.rest()
        self.uid = INSTANCE
        self.home = cloud.home(self.uid)
        cloud.request("create", self.uid, flavor=SMALL)
        cloud.request("unlock", self.uid)
        self.told.clear()
        self.worker.counts.clear()

    def meanwhile(self, hook: Callable[[], object]) -> None:
        """Have this happen in the poll after the next: the one while the batch is written."""
        is_polled = Event()
        if isinstance(self.beside, InThread):
            self.database.waits_for = is_polled

        def poll() -> None:
            is_polled.set()
            hook()

        self.group.hooks = [lambda: None, poll]

    @property
    def position(self) -> int:
        """Return how far the partition is in the database."""
        found = {(c.topic, c.partition): c.next_offset for c in self.store.checkpoints()}
        return found[self.home]

    def rest(self, *others: Conductor) -> None:
        """Let everybody work until the log is folded."""
        those = [self.worker, *(each.worker for each in others)]
        spin(those, lambda: self.cloud.lag(self.store) == 0, what="no lag")

    def is_whole(self) -> None:
        """Both requests were folded once, and the rows are what the log says."""
        assert len(rows(self.store, "instance_actions")) == 2
        audit = self.cloud.verify(self.store)
        assert audit.is_equal, audit.differences

    def is_counted_once(self) -> None:
        """This conductor heard both, and neither a second time."""
        assert dict(self.worker.counts) == {"accepted": 2}


def no_log() -> None:
    """Be away, as a log."""
    raise LogUnavailable("Expected the log to answer, but it is away.")


def no_answer(_commit: Callable[[], None]) -> None:
    """Be away, as a database, before anything is written."""
    raise StoreUnavailable("Expected an answer to COMMIT, but it was lost.")


def lost_answer(commit: Callable[[], None]) -> None:
    """Be away, as a database, when everything is written."""
    commit()
    raise StoreUnavailable("Expected an answer to COMMIT, but it was lost.")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """A log of which everything can be asked, and rows in a file; a partition of each topic."""
    url = f"sqlite:///{tmp_path / 'rows.sqlite'}"
    log = MemoryLog(SystemClock())
    with closing(
        Cloud(log=log, url=url, topics=Topics("t"), partitions=1, hosts=("host1",))
    ) as cloud:
        yield cloud


@pytest.fixture(params=[AtOnce(), InThread()], ids=["at once", "in a thread"])
def house(cloud: Cloud, request: pytest.FixtureRequest) -> House:
    """A house whose batches are written in its worker's time, and one with a thread for it."""
    return House(cloud, request.param)


def test_the_next_records_are_read_while_a_batch_is_written(cloud: Cloud) -> None:
    house = House(cloud, InThread())

    house.meanwhile(lambda: None)
    house.worker.turn()

    assert house.told == ["poll", "commit", "poll", "end of commit"]
    assert [record.offset for record in house.worker._backlog] == [house.position]
    house.rest()
    house.is_counted_once()
    house.is_whole()


def test_threads_change_soon_while_a_batch_is_written_and_only_then(cloud: Cloud) -> None:
    house, before, found = House(cloud, InThread()), sys.getswitchinterval(), list[float]()

    house.database.once = no_answer
    house.meanwhile(lambda: found.append(sys.getswitchinterval()))
    with pytest.raises(StoreUnavailable):
        house.worker.turn()

    assert found == [pytest.approx(SWITCH_S)]
    assert sys.getswitchinterval() == before


def test_nobody_polls_while_a_small_batch_is_written(house: House) -> None:
    house.worker._read_ahead_min = 2

    house.worker.turn()

    assert house.told == ["poll", "commit", "end of commit"]


@pytest.mark.parametrize("answer", [lost_answer, no_answer])
def test_a_lost_answer_to_commit_loses_nothing_of_what_was_read_ahead(
    house: House, answer: Callable[[Callable[[], None]], None]
) -> None:
    begin = house.position

    house.database.once = answer
    with pytest.raises(StoreUnavailable):
        house.worker.turn()

    assert [record.offset for record in house.worker._backlog] == [begin + 1]
    house.rest()
    house.is_counted_once()
    house.is_whole()


def test_a_batch_that_is_fenced_takes_with_it_what_was_read_ahead(house: House) -> None:
    house.store.take_over([house.home])

    house.worker.turn()

    assert house.told.count("poll") == 2
    assert (house.worker._backlog, house.conductor.owned.partitions) == ([], {})
    house.rest()
    house.is_counted_once()
    house.is_whole()


@pytest.mark.parametrize("answer", [None, lost_answer, no_answer])
def test_partitions_are_taken_away_only_when_it_is_known_what_became_of_the_batch(
    house: House, answer: Callable[[Callable[[], None]], None] | None
) -> None:
    log, group = house.cloud.log, house.group._group
    assert isinstance(log, MemoryLog)
    assert isinstance(group, MemoryReader)

    house.database.once = answer
    house.meanwhile(partial(log.expel, group))
    with nullcontext() if answer is None else pytest.raises(StoreUnavailable):
        house.worker.turn()

    assert house.told.index("end of commit") < house.told.index("revoked")
    assert house.told[-1] == "assigned"
    house.rest()
    house.is_whole()


def test_a_batch_that_is_fenced_while_partitions_come_is_forgotten_with_them(house: House) -> None:
    log, group = house.cloud.log, house.group._group
    assert isinstance(log, MemoryLog)
    assert isinstance(group, MemoryReader)
    house.store.take_over([house.home])

    house.meanwhile(partial(log.expel, group))
    house.worker.turn()

    assert (house.worker._backlog, house.conductor.owned.partitions) == ([], {})
    house.rest()
    house.is_counted_once()
    house.is_whole()


def test_partitions_come_only_when_the_batch_is_written(house: House) -> None:
    other = house.cloud.conductor(ONE_BY_ONE)
    spin([house.worker, other.worker], lambda: bool(other.owned.partitions), what="shares")
    assert list(house.conductor.owned.partitions) == [house.home]
    house.cloud.request("lock", house.uid)
    house.told.clear()

    house.meanwhile(other.stop)
    house.worker.turn()

    assert house.told.index("end of commit") < house.told.index("assigned")
    house.rest()
    assert len(house.conductor.owned.partitions) == 2


def test_a_log_that_goes_away_meanwhile_leaves_the_batch_written(house: House) -> None:
    begin = house.position

    house.meanwhile(no_log)
    with pytest.raises(LogUnavailable):
        house.worker.turn()

    assert (house.position, house.worker.counts["accepted"]) == (begin + 1, 1)
    house.rest()
    house.is_counted_once()
    house.is_whole()


def test_a_database_that_is_away_is_heard_of_before_a_log_that_is(house: House) -> None:
    house.database.once = no_answer
    house.meanwhile(no_log)
    with pytest.raises(StoreUnavailable):
        house.worker.turn()

    house.rest()
    house.is_counted_once()
    house.is_whole()


def test_a_tail_that_is_lost_meanwhile_stops_the_partition_with_the_batch_written(
    house: House,
) -> None:
    begin = house.position
    log = house.cloud.log
    assert isinstance(log, MemoryLog)

    house.meanwhile(partial(log.truncate, house.home, begin))
    house.worker.turn()

    assert house.conductor.owned.partitions[house.home].stopped is not None
    assert house.position == begin + 1


def test_a_bug_in_a_commit_is_raised_where_the_batch_was_begun(house: House) -> None:
    def break_down(_commit: Callable[[], None]) -> None:
        raise ZeroDivisionError

    house.database.once = break_down
    with pytest.raises(ZeroDivisionError):
        house.worker.turn()
