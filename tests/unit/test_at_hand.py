"""Orders that a conductor put into the outbox go without being read from there, each once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from conductor import limits
from conductor.fold import Fold
from conductor.office import Office, Options, Ports
from conductor.owned import Owned, Ownership
from conductor.relay import Relay
from conductor.speaker import Speaker
from conductor.worker import hand_on
from events.errors import LogUnavailable
from events.log import TopicPartition
from events.values import replace
from projections.schema import upgrade
from projections.sql_store import open_store
from projections.store import Batch, Order
from tests.contract.store_data import BIGGEST, P0, batch, order, own
from tests.unit.compute_host import KEYRING, TOPICS, BreakableWriter, Cloud
from tests.unit.test_looks import Counted

COMMANDS = TopicPartition(TOPICS.commands("host1"), 0)


class Desk:
    """A relay over one partition of ours, and what has come of its orders."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'rows.sqlite'}"
        upgrade(url)
        self.cloud, self.store = Cloud(), Counted(open_store(url))
        self.cloud.log.admin().create([TOPICS.command_spec("host1")])
        self.writer = BreakableWriter(self.cloud.log.writer())
        ports = Ports(
            group=self.cloud.log.group("conductors"),
            reader=self.cloud.log.reader(),
            writer=self.writer,
            store=self.store,
            clock=self.cloud.clock,
            keyring=KEYRING,
            topics=TOPICS,
        )
        owned = Owned()
        speaker = Speaker(self.writer, KEYRING, self.cloud.clock)
        self.relay = Relay(Office(ports, Options(), owned, speaker))
        self.epochs = own(self.store)
        fold = Fold(P0, keyring=KEYRING, partitions=1, load=self.store.states)
        fold.rules = replace(fold.rules, keys_open=frozenset({"host1/1"}))
        self.mine = owned.partitions[P0] = Ownership(
            fold, self.epochs[P0], "topic-1", 0, 0, repaired=True
        )
        self._begin = 0
        self.relay.turn()  # What is in the outbox from before is looked for once.
        assert self.store.looks() == {"unsent": 1}

    def commit(self, orders: Iterable[Order] = (), forget: Iterable[str] = ()) -> Batch:
        """Have a batch in the database, and hand it on, as the worker does."""
        found = batch(self.epochs, begin=self._begin, orders=orders)
        found.forget = set(forget)
        self._begin += 1
        found.sent = {each.command_id: 0 for each in self.mine.sent}
        self.mine.sent = []
        self.store.commit([found])
        hand_on(found, self.mine, self.cloud.clock.monotonic_s())
        return found

    def sent(self) -> list[str]:
        """Return the commands that the host finds, in order."""
        values = [record.value or b"" for record in self.cloud.records(COMMANDS.topic)]
        return [value[2:].decode() for value in values]

    def waits(self) -> set[str]:
        """Return the commands whose answers are waited for."""
        return {timer.command_id for timer in self.store.due(self.epochs, BIGGEST, 10_000)}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_orders_go_by_rank_and_age_and_nobody_looks(desk: Desk) -> None:
    desk.commit([order("c1"), order("c2")])
    desk.commit([order("c3")._replace(rank=0)])

    assert desk.relay.turn()
    assert not desk.relay.turn()

    assert desk.sent() == ["c3", "c1", "c2"]
    assert desk.store.looks() == {}
    assert desk.store.unsent(desk.epochs, 10, scheduler=False) == ()
    assert desk.waits() == {"c1", "c2", "c3"}


def test_what_was_answered_before_it_went_does_not_go(desk: Desk) -> None:
    desk.commit([order("c1"), order("c2")])
    desk.commit([order("c3"), order("c4")], forget=["c2", "c4"])

    desk.relay.turn()
    desk.commit()

    assert desk.sent() == ["c1", "c3"]
    assert desk.waits() == {"c1", "c3"}


@pytest.mark.parametrize(
    ("count", "at_once"),
    [
        (limits.RELAY_ORDERS_MAX + 1, limits.RELAY_ORDERS_MAX),
        (limits.ORDERS_AT_HAND_MAX + 1, limits.RELAY_ORDERS_MAX),
        (limits.ORDERS_AT_HAND_MAX, limits.ORDERS_AT_HAND_MAX - 1),
    ],
)
def test_of_more_than_go_at_once_each_goes_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, count: int, at_once: int
) -> None:
    monkeypatch.setattr(limits, "RELAY_ORDERS_MAX", at_once)
    names = [f"c{n:04}" for n in range(count)]
    desk.commit([order(each) for each in names])

    while desk.relay.turn():
        pass

    assert desk.sent() == names
    assert desk.waits() == set(names)
    desk.store.looks()
    desk.commit([order("later")])  # What was too much is over: nobody looks any more.
    desk.relay.turn()
    assert desk.sent()[count:] == ["later"]
    assert desk.store.looks() == {}


def test_what_the_log_refuses_is_at_hand_still(desk: Desk) -> None:
    desk.commit([order("c1"), order("c2")])
    desk.writer.is_away = True
    for _ in range(2):
        with pytest.raises(LogUnavailable):
            desk.relay.turn()
        desk.commit(forget=["c1"])
    desk.writer.is_away = False

    desk.relay.turn()

    assert desk.sent() == ["c2"]


def test_what_may_have_gone_goes_again_with_the_same_bytes(desk: Desk) -> None:
    desk.commit([order("c1")])
    desk.writer.loses_answer = True
    with pytest.raises(LogUnavailable):
        desk.relay.turn()

    desk.relay.turn()

    first, second = desk.cloud.records(COMMANDS.topic)
    assert (first.key, first.value) == (second.key, second.value)
    assert desk.mine.sent == [order("c1")]


def test_who_stood_still_asks_whose_orders_they_are(desk: Desk) -> None:
    desk.commit([order("c1"), order("c2")])
    desk.cloud.clock.sleep(limits.AT_HAND_S + 1)
    desk.relay.turn()
    assert desk.sent() == ["c1", "c2"]
    desk.commit([order("c3")])
    desk.cloud.clock.sleep(limits.AT_HAND_S + 1)
    now_owned = own(desk.store)

    assert not desk.relay.turn()

    assert desk.sent() == ["c1", "c2"]
    assert desk.store.unsent(now_owned, 10, scheduler=False) == (order("c3"),)


def test_an_order_to_a_host_without_a_topic_goes_nowhere_and_the_others_go(desk: Desk) -> None:
    desk.mine.fold.rules = replace(
        desk.mine.fold.rules, keys_open=frozenset({"host1/1", "host9/1"})
    )
    desk.commit([order("c1"), order("c2", host="host9"), order("c3", host="host8")])

    assert desk.relay.turn()
    assert not desk.relay.turn()

    assert desk.sent() == ["c1"]
    assert desk.waits() == {"c1", "c2", "c3"}
    said = [record for record in desk.cloud.records(P0.topic) if record.key == b"i1"]
    assert len(said) == 2
    assert desk.store.looks() == {"due": 1}
