"""What every store promises the scheduler: choices with all hosts locked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from events.log import TopicPartition
from projections.store import Decision, HostRoom, Order, Reservation, Store
from tests.contract.store_base import Owned, StoreContract
from tests.contract.store_data import (
    LIMIT,
    P0,
    S,
    batch,
    choice,
    claim,
    node,
    own,
)


def first_fit(_: Order, rooms: Sequence[HostRoom]) -> Decision:
    """Take one VCPU of the first host that has one."""
    for each in rooms:
        if each.vcpus_used < each.vcpus:
            return Decision(each.host.encode(), Reservation(each.host, 1, 1024, 10))
    return Decision(b"none", None)


def rooms_of(store: Store, owned: Owned, probe: Order) -> tuple[HostRoom, ...]:
    """Return the rooms that a choice is shown."""
    shown: list[HostRoom] = []

    def look(_: Order, rooms: Sequence[HostRoom]) -> Decision:
        shown.extend(rooms)
        return Decision(b"looked", None)

    assert store.decide(owned, [probe], look, 0)
    return tuple(shown)


class ChoiceContract(StoreContract):
    """Choices, with all hosts locked, each in the knowledge of the ones before it."""

    def test_a_choice_sees_claims_and_reservations_and_stores_its_answer(
        self, store: Store, owned: Owned
    ) -> None:
        rows = [node("host2"), node("host1", status="lost"), claim("i7", "host2", vcpus=2)]
        store.commit([batch(owned, rows=rows, orders=[choice("c1"), choice("c2")])])

        (answer,) = store.decide(
            owned, [choice("c1")], lambda *_: Decision(b"a", Reservation("host2", 1, 512, 5)), 7 * S
        )

        assert answer == ("c1", *P0, "i1", b"a")
        assert store.answers(owned, LIMIT) == (answer,)
        assert rooms_of(store, owned, choice("c2")) == (
            ("host1", "host1.node", "lost", 4, 8192, 100, 0, 0, 0),
            ("host2", "host2.node", "started", 4, 8192, 100, 3, 2560, 25),
        )

    def test_choices_of_a_turn_see_what_the_ones_before_them_took(
        self, store: Store, owned: Owned
    ) -> None:
        orders = [choice("c1"), choice("c2"), choice("c3")]
        store.commit([batch(owned, rows=[node(vcpus=2)], orders=orders)])

        answers = store.decide(owned, [*orders, choice("unknown")], first_fit, 0)

        assert [each.value for each in answers] == [b"host1", b"host1", b"none"]
        assert store.answers(owned, LIMIT) == answers

    def test_a_choice_that_fails_leaves_nothing_of_the_ones_before_it(
        self, store: Store, owned: Owned
    ) -> None:
        orders = [choice("c1"), choice("c2")]
        store.commit([batch(owned, rows=[node()], orders=orders)])

        def second_fails(order: Order, rooms: Sequence[HostRoom]) -> Decision:
            if order.command_id == "c2":
                raise ZeroDivisionError
            return first_fit(order, rooms)

        with pytest.raises(ZeroDivisionError):
            store.decide(owned, orders, second_fails, 0)

        assert store.answers(owned, LIMIT) == ()
        assert store.unsent(owned, LIMIT, scheduler=True) == tuple(orders)

    def test_a_choice_is_made_once(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])
        store.decide(owned, [choice("c1")], first_fit, 0)

        assert store.decide(owned, [choice("c1")], first_fit, 0) == ()
        assert store.unsent(owned, LIMIT, scheduler=True) == ()
        assert store.missing(["c1"]) == frozenset()

    def test_a_choice_that_nobody_waits_for_is_not_made(self, store: Store, owned: Owned) -> None:
        assert store.decide(owned, [choice("c1")], first_fit, 0) == ()

    def test_a_zombie_chooses_nothing(
        self, store: Store, owned: Owned, open_store: Callable[[], Store]
    ) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])
        now_owned = own(open_store())

        assert store.decide(owned, [choice("c1")], first_fit, 0) == ()
        assert store.answers(now_owned, LIMIT) == ()

    def test_a_choice_that_fails_leaves_nothing(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])

        def fail(*_: object) -> Decision:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.decide(owned, [choice("c1")], fail, 0)

        assert store.answers(owned, LIMIT) == ()
        assert store.unsent(owned, LIMIT, scheduler=True) == (choice("c1"),)

    def test_a_choice_has_a_timer_of_its_own(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])

        store.decide(owned, [choice("c1")], first_fit, now_us=100 * S)

        (timer,) = store.due(owned, 160 * S, LIMIT)
        assert (timer.command_id, timer.due_at) == ("c1", 160 * S)

    def test_room_is_counted_once_while_a_reservation_turns_into_a_claim(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1"), choice("c2")])])
        store.decide(owned, [choice("c1")], first_fit, 0)
        judged = batch(owned, begin=1, rows=[claim("i1", vcpus=1)])
        judged.forget = {"c1"}

        store.commit([judged])

        (room,) = rooms_of(store, owned, choice("c2"))
        assert (room.vcpus_used, room.memory_mb_used, room.disk_gb_used) == (1, 1024, 10)

    def test_a_told_answer_is_not_told_again_until_takeover(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])
        (answer,) = store.decide(owned, [choice("c1")], first_fit, 0)

        store.told(["c1"])

        assert store.answers(owned, LIMIT) == ()
        store.postpone(owned, 0)
        assert store.answers(owned, LIMIT) == (answer,)

    def test_concurrent_choices_never_take_more_than_there_is(
        self, open_store: Callable[[], Store]
    ) -> None:
        workers, each_has, room = 4, 5, 7
        stores = [open_store() for _ in range(workers)]
        partitions = [TopicPartition(P0.topic, n) for n in range(workers)]
        owned = own(stores[0], *partitions)
        orders = {p: [choice(f"{p.partition}-{n}", p) for n in range(each_has)] for p in partitions}
        hosts = [node("host1", vcpus=room - 3), node("host2", vcpus=3)]
        stores[0].commit(
            [
                batch(owned, rows=hosts if p == P0 else (), orders=orders[p], partition=p)
                for p in partitions
            ]
        )
        together = Barrier(workers)

        def choose_all(store: Store, partition: TopicPartition) -> list[bytes]:
            together.wait()
            mine = {partition: owned[partition]}
            first, *rest = orders[partition]
            answers = [*store.decide(mine, [first], first_fit, 0)]
            answers += store.decide(mine, rest, first_fit, 0)
            return [each.value for each in answers]

        with ThreadPoolExecutor(workers) as pool:
            made = [
                value for values in pool.map(choose_all, stores, partitions) for value in values
            ]

        assert len(made) == workers * each_has
        assert {each: made.count(each) for each in set(made)} == {
            b"host1": room - 3,
            b"host2": 3,
            b"none": workers * each_has - room,
        }
