"""What every store promises the owner of a partition: relay, scheduler, timers, take-over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from events.log import TopicPartition
from projections.store import RESEND_STEP, Decision, HostRoom, Order, Reservation, Store
from tests.contract.store_data import (
    BIGGEST,
    LIMIT,
    NODES_P0,
    P0,
    P1,
    S,
    batch,
    choice,
    claim,
    node,
    order,
    own,
    saga,
)

Owned = Mapping[TopicPartition, int]


def first_fit(rooms: Sequence[HostRoom]) -> Decision:
    """Take one VCPU of the first host that has one."""
    for each in rooms:
        if each.vcpus_used < each.vcpus:
            return Decision(each.host.encode(), Reservation(each.host, 1, 1024, 10))
    return Decision(b"none", None)


def rooms_of(store: Store, owned: Owned, probe: Order) -> tuple[HostRoom, ...]:
    """Return the rooms that a choice is shown."""
    shown: list[HostRoom] = []

    def look(rooms: Sequence[HostRoom]) -> Decision:
        shown.extend(rooms)
        return Decision(b"looked", None)

    assert store.decide(owned, probe, look, 0) is not None
    return tuple(shown)


class OwnerContract:
    """A subclass supplies `open_store`: each call opens the same database once more."""

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Store:
        return open_store()

    @pytest.fixture
    def owned(self, store: Store) -> dict[TopicPartition, int]:
        return own(store)

    # Relay.

    def test_orders_leave_in_the_order_in_which_they_came(self, store: Store, owned: Owned) -> None:
        names = [f"c{n}" for n in (3, 1, 2)]
        store.commit([batch(owned, orders=[order(each) for each in names])])
        store.commit([batch(owned, begin=1, orders=[order("c0")])])

        found = store.unsent(owned, LIMIT, scheduler=False)

        assert found == tuple(order(each) for each in (*names, "c0"))
        assert store.unsent(owned, 2, scheduler=False) == found[:2]

    def test_orders_of_a_lower_rank_overtake_those_that_wait(
        self, store: Store, owned: Owned
    ) -> None:
        orders = [order("c1"), order("c2")._replace(rank=9), order("c3")._replace(rank=0)]
        store.commit([batch(owned, orders=[*orders, order("c4")])])
        choices = [choice("s1"), choice("s2")._replace(rank=1)]
        store.commit([batch(owned, begin=1, orders=choices)])

        found = store.unsent(owned, LIMIT, scheduler=False)

        assert [each.command_id for each in found] == ["c3", "c1", "c4", "c2"]
        assert [o.command_id for o in store.unsent(owned, 1, scheduler=True)] == ["s2"]

    def test_the_scheduler_and_the_hosts_have_orders_of_their_own(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([batch(owned, orders=[order("c1"), choice("c2")])])

        assert store.unsent(owned, LIMIT, scheduler=False) == (order("c1"),)
        assert store.unsent(owned, LIMIT, scheduler=True) == (choice("c2"),)

    def test_only_orders_of_owned_partitions_are_shown(self, store: Store) -> None:
        both = own(store, P0, P1)
        store.commit(
            [
                batch(both, orders=[order("c1")], partition=P0),
                batch(both, orders=[order("c2", partition=P1)], partition=P1),
            ]
        )

        assert store.unsent({P1: both[P1]}, LIMIT, scheduler=False) == (order("c2", partition=P1),)
        assert store.unsent({}, LIMIT, scheduler=False) == ()
        assert store.unsent({P0: both[P0] + 1}, LIMIT, scheduler=False) == ()

    def test_a_sent_order_turns_into_a_timer(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, orders=[order("c1", deadline_s=60)])])

        store.sent(owned, [order("c1")], now_us=100 * S)

        assert store.unsent(owned, LIMIT, scheduler=False) == ()
        assert store.missing(["c1"]) == frozenset()
        assert store.due(owned, 160 * S - 1, LIMIT) == ()
        (timer,) = store.due(owned, 160 * S, LIMIT)
        assert timer == ("c1", *P0, "i1", "s1", "ask", 1, "host1", 160 * S)

    def test_an_order_without_a_deadline_is_never_due(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, orders=[order("c1", deadline_s=0)])])

        store.sent(owned, [order("c1", deadline_s=0)], now_us=100 * S)

        assert store.missing(["c1"]) == frozenset()
        assert store.due(owned, BIGGEST - 1, LIMIT) == ()

    def test_an_order_that_was_forgotten_meanwhile_gets_no_timer(
        self, store: Store, owned: Owned
    ) -> None:
        store.sent(owned, [order("c1")], now_us=0)

        assert store.due(owned, BIGGEST, LIMIT) == ()

    def test_a_zombie_takes_nothing_out_of_the_outbox(
        self, store: Store, owned: Owned, open_store: Callable[[], Store]
    ) -> None:
        store.commit([batch(owned, orders=[order("c1")])])
        now_owned = own(open_store())

        store.sent(owned, [order("c1")], now_us=0)

        assert store.unsent(now_owned, LIMIT, scheduler=False) == (order("c1"),)

    # Scheduler.

    def test_a_choice_sees_claims_and_reservations_and_stores_its_answer(
        self, store: Store, owned: Owned
    ) -> None:
        rows = [node("host2"), node("host1", status="lost"), claim("i7", "host2", vcpus=2)]
        store.commit([batch(owned, rows=rows, orders=[choice("c1"), choice("c2")])])

        answer = store.decide(
            owned, choice("c1"), lambda _: Decision(b"a", Reservation("host2", 1, 512, 5)), 7 * S
        )

        assert answer == ("c1", *P0, "i1", b"a")
        assert store.answers(owned, LIMIT) == (answer,)
        assert rooms_of(store, owned, choice("c2")) == (
            ("host1", "host1.node", "lost", 4, 8192, 100, 0, 0, 0),
            ("host2", "host2.node", "started", 4, 8192, 100, 3, 2560, 25),
        )

    def test_a_choice_is_made_once(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])
        store.decide(owned, choice("c1"), first_fit, 0)

        assert store.decide(owned, choice("c1"), first_fit, 0) is None
        assert store.unsent(owned, LIMIT, scheduler=True) == ()
        assert store.missing(["c1"]) == frozenset()

    def test_a_choice_that_nobody_waits_for_is_not_made(self, store: Store, owned: Owned) -> None:
        assert store.decide(owned, choice("c1"), first_fit, 0) is None

    def test_a_zombie_chooses_nothing(
        self, store: Store, owned: Owned, open_store: Callable[[], Store]
    ) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])
        now_owned = own(open_store())

        assert store.decide(owned, choice("c1"), first_fit, 0) is None
        assert store.answers(now_owned, LIMIT) == ()

    def test_a_choice_that_fails_leaves_nothing(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])

        def fail(_: Sequence[HostRoom]) -> Decision:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.decide(owned, choice("c1"), fail, 0)

        assert store.answers(owned, LIMIT) == ()
        assert store.unsent(owned, LIMIT, scheduler=True) == (choice("c1"),)

    def test_a_choice_has_a_timer_of_its_own(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])

        store.decide(owned, choice("c1"), first_fit, now_us=100 * S)

        (timer,) = store.due(owned, 160 * S, LIMIT)
        assert (timer.command_id, timer.due_at) == ("c1", 160 * S)

    def test_room_is_counted_once_while_a_reservation_turns_into_a_claim(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1"), choice("c2")])])
        store.decide(owned, choice("c1"), first_fit, 0)
        judged = batch(owned, begin=1, rows=[claim("i1", vcpus=1)])
        judged.forget = {"c1"}

        store.commit([judged])

        (room,) = rooms_of(store, owned, choice("c2"))
        assert (room.vcpus_used, room.memory_mb_used, room.disk_gb_used) == (1, 1024, 10)

    def test_a_told_answer_is_not_told_again_until_takeover(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([batch(owned, rows=[node()], orders=[choice("c1")])])
        answer = store.decide(owned, choice("c1"), first_fit, 0)

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
            answers = [store.decide(mine, each, first_fit, 0) for each in orders[partition]]
            return [each.value for each in answers if each is not None]

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

    # Timers.

    def test_timers_fire_in_the_order_of_their_time_and_once(
        self, store: Store, owned: Owned
    ) -> None:
        orders = [order("c1", deadline_s=30), order("c2", deadline_s=10), order("c3")]
        store.commit([batch(owned, orders=orders)])
        store.sent(owned, orders, now_us=0)

        assert [each.command_id for each in store.due(owned, 30 * S, LIMIT)] == ["c2", "c1"]
        assert [each.command_id for each in store.due(owned, 30 * S, 1)] == ["c2"]
        store.fired(["c2"])
        assert [each.command_id for each in store.due(owned, 30 * S, LIMIT)] == ["c1"]

    def test_after_takeover_nothing_is_born_overdue(self, store: Store, owned: Owned) -> None:
        orders = [order("c1", deadline_s=10), order("c2", deadline_s=500)]
        store.commit([batch(owned, orders=orders)])
        store.sent(owned, orders, now_us=0)
        store.fired(["c1"])

        store.postpone(owned, until_us=100 * S)

        assert store.due(owned, 100 * S - 1, LIMIT) == ()
        assert [each.due_at for each in store.due(owned, BIGGEST, LIMIT)] == [100 * S, 500 * S]

    @pytest.mark.parametrize("status", ["lost", "forced_down"])
    def test_waits_for_a_host_that_is_gone_are_named_once_they_were_sent(
        self, store: Store, owned: Owned, status: str
    ) -> None:
        orders = [order("c1"), order("c2"), order("c3", host="host2")]
        rows = [node("host1", status=status), node("host2")]
        store.commit([batch(owned, rows=rows, orders=orders)])
        assert store.waiting_on_lost(owned, LIMIT) == ()
        store.sent(owned, orders, now_us=0)

        found = store.waiting_on_lost(owned, LIMIT)

        assert [(each.command_id, each.host) for each in found] == [
            ("c1", "host1"),
            ("c2", "host1"),
        ]
        store.fired(["c1", "c2"])
        assert store.waiting_on_lost(owned, LIMIT) == ()
        store.postpone(owned, 0)
        assert len(store.waiting_on_lost(owned, LIMIT)) == 2

    def test_a_wait_that_was_told_stays_told_when_it_is_sent(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([batch(owned, rows=[node(status="lost")], orders=[order("c1")])])
        store.fired(["c1"])

        store.sent(owned, [order("c1")], now_us=0)

        assert store.waiting_on_lost(owned, LIMIT) == ()

    def test_debts_are_owed_by_hosts_that_are_there(self, store: Store, owned: Owned) -> None:
        rows = [
            node("host1"),
            node("host2", status="lost"),
            saga("s1", instance_uuid="i1", deadline_s=0, waits_for="host1"),
            saga("s2", instance_uuid="i2", deadline_s=0, waits_for="host2"),
            saga("s3", instance_uuid="i3", deadline_s=60, waits_for="host1"),
            saga("s4", instance_uuid="i4", deadline_s=0, waits_for="host2,host1", entered_at=9),
            saga("s5", instance_uuid="i5", deadline_s=0, waits_for="host1", status="ended"),
            saga("s6", instance_uuid="i6", deadline_s=0, waits_for="host1", partition=1),
        ]
        store.commit([batch(owned, rows=rows)])

        assert store.owed(owned, LIMIT) == (("i1", "host1"), ("i4", "host1"))
        assert store.owed(owned, 1) == (("i1", "host1"),)

    def test_the_partitions_of_hosts_own_no_sagas(self, store: Store) -> None:
        owned = own(store, P0, NODES_P0)
        rows = [node(), saga("s1", deadline_s=0, waits_for="host1")]
        store.commit([batch(owned, rows=rows)])

        assert store.owed({NODES_P0: owned[NODES_P0]}, LIMIT) == ()
        assert store.open_instances(NODES_P0) == ()

    # Take-over.

    def test_open_instances_have_a_saga_that_goes_on(self, store: Store, owned: Owned) -> None:
        rows = [
            saga("s1", instance_uuid="i2"),
            saga("s2", instance_uuid="i2", status="needs_operator"),
            saga("s3", instance_uuid="i1", status="needs_operator"),
            saga("s4", instance_uuid="i3", status="ended"),
            saga("s5", instance_uuid="i4", partition=1),
        ]
        store.commit([batch(owned, rows=rows)])

        assert store.open_instances(P0) == ("i1", "i2")

    def test_missing_orders_are_restored_and_others_left(self, store: Store, owned: Owned) -> None:
        store.commit([batch(owned, orders=[order("c1"), order("c2")])])
        store.sent(owned, [order("c2")], now_us=0)
        assert store.missing(["c1", "c2", "c3"]) == {"c3"}

        store.restore(owned, [order("c1"), order("c2"), order("c3")])

        assert store.missing(["c1", "c2", "c3"]) == frozenset()
        assert store.unsent(owned, LIMIT, scheduler=False) == (order("c1"), order("c3"))

    def test_what_was_sent_is_sent_again_when_it_is_asked_again(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([batch(owned, orders=[order("c1"), order("c2")])])
        store.sent(owned, [order("c1")], now_us=0)

        store.restore(owned, [order("c1"), order("c2")], again=True)

        assert store.unsent(owned, LIMIT, scheduler=False) == (order("c2"), order("c1"))
        assert store.due(owned, BIGGEST, LIMIT) == ()
        store.sent(owned, [order("c1")], now_us=7 * S)
        assert [each.due_at for each in store.due(owned, BIGGEST, LIMIT)] == [67 * S]

    def test_what_waits_for_missing_facts_tells_no_saga_that_its_host_is_gone(
        self, store: Store, owned: Owned
    ) -> None:
        orders = [order("c1")._replace(step=RESEND_STEP)]
        store.commit([batch(owned, rows=[node("host1", status="lost")], orders=orders)])
        store.sent(owned, orders, now_us=0)

        assert store.waiting_on_lost(owned, LIMIT) == ()

    def test_a_zombie_restores_nothing(
        self, store: Store, owned: Owned, open_store: Callable[[], Store]
    ) -> None:
        own(open_store())

        store.restore(owned, [order("c1")])

        assert store.missing(["c1"]) == {"c1"}
