"""What every store promises the owner of a partition: relay, scheduler, timers, take-over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from projections.store import RESEND_STEP, Fenced, Store
from tests.contract.store_base import Owned
from tests.contract.store_choices import ChoiceContract
from tests.contract.store_data import (
    BIGGEST,
    LIMIT,
    NODES_P0,
    P0,
    P1,
    S,
    batch,
    choice,
    node,
    order,
    own,
    saga,
)


class OwnerContract(ChoiceContract):
    """All that an owner is promised; the scheduler is a part of him."""

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

    def test_what_a_batch_says_was_sent_turns_into_timers_with_it(
        self, store: Store, owned: Owned
    ) -> None:
        orders = [order("c1"), order("c2", deadline_s=0), order("c3")]
        store.commit([batch(owned, orders=orders)])
        second = batch(owned, begin=1, orders=[order("c4")])
        second.sent = {"c1": 100 * S, "c2": 100 * S, "never-there": 100 * S}

        store.commit([second])

        assert store.unsent(owned, LIMIT, scheduler=False) == (order("c3"), order("c4"))
        assert store.missing(["c1", "c2", "never-there"]) == {"never-there"}
        assert [each[::8] for each in store.due(owned, BIGGEST - 1, LIMIT)] == [("c1", 160 * S)]

    @pytest.mark.parametrize("count", [1, 15, 150])
    def test_few_orders_and_many_are_put_there_sent_and_forgotten(
        self, store: Store, owned: Owned, count: int
    ) -> None:
        orders = [order(f"c{n:03}") for n in range(2 * count)]
        sent, rest = orders[:count], tuple(orders[count:])
        store.commit([batch(owned, orders=orders)])
        second, third = batch(owned, begin=1, orders=orders), batch(owned, begin=2)
        store.commit([second])
        assert store.unsent(owned, 2 * count, scheduler=False) == tuple(orders)
        third.sent = {each.command_id: 0 for each in sent}

        store.commit([third])

        assert store.unsent(owned, 2 * count, scheduler=False) == rest
        assert len(store.due(owned, BIGGEST, 2 * count)) == count
        last = batch(owned, begin=3)
        last.forget = {each.command_id for each in orders}
        store.commit([last])
        assert store.missing(last.forget) == last.forget

    def test_what_was_sent_and_answered_before_a_batch_says_so_leaves_nothing(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([batch(owned, orders=[order("c1"), order("c2")])])
        second = batch(owned, begin=1)
        second.sent, second.forget = {"c1": 0, "c2": 0}, {"c1"}

        store.commit([second])

        assert store.unsent(owned, LIMIT, scheduler=False) == ()
        assert store.missing(["c1", "c2"]) == {"c1"}
        assert [each.command_id for each in store.due(owned, BIGGEST, LIMIT)] == ["c2"]

    def test_a_batch_that_is_fenced_says_of_nothing_that_it_was_sent(
        self, store: Store, owned: Owned, open_store: Callable[[], Store]
    ) -> None:
        store.commit([batch(owned, orders=[order("c1")])])
        now_owned = own(open_store())
        second = batch(owned, begin=1)
        second.sent = {"c1": 0}

        with pytest.raises(Fenced):
            store.commit([second])

        assert store.unsent(now_owned, LIMIT, scheduler=False) == (order("c1"),)
        assert store.due(now_owned, BIGGEST, LIMIT) == ()

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
