"""What every store promises the fold: positions, the one transaction, what is read back, guards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from events.log import TopicPartition
from projections.rows import TABLES, drop
from projections.store import Batch, Fenced, Store
from tests.contract.store_base import StoreContract
from tests.contract.store_data import (
    BIGGEST,
    LIMIT,
    ODD_TEXT,
    P0,
    P1,
    S,
    batch,
    choice,
    instance,
    node,
    order,
    own,
    parked,
    saga,
    sample,
    state,
)


class FoldContract(StoreContract):
    """Positions, batches, states and rows of a partition."""

    # Positions.

    def test_a_partition_begins_at_zero_under_the_first_epoch(self, store: Store) -> None:
        checkpoint = store.take_over([P0])[P0]

        assert checkpoint == (*P0, 0, 1, "", 0, bytes(32), b"")

    def test_each_takeover_raises_the_epoch_and_keeps_the_position(self, store: Store) -> None:
        store.commit([batch(own(store))])

        checkpoint = store.take_over([P0])[P0]

        assert checkpoint == (*P0, 1, 2, "topic-1", 3, b"\x01" * 32, b"")

    def test_checkpoints_come_in_order(self, store: Store) -> None:
        store.take_over([P1, P0])

        found = [(each.topic, each.partition) for each in store.checkpoints()]

        assert found == [P0, P1]

    def test_taking_nothing_over_changes_nothing(self, store: Store) -> None:
        assert store.take_over([]) == {}
        assert store.checkpoints() == ()

    def test_rules_stay_until_others_are_given(self, store: Store) -> None:
        owned = own(store)
        first = batch(owned)
        first.rules = b"rules-1"
        store.commit([first])

        store.commit([batch(owned, begin=1)])

        assert store.checkpoints()[0].rules == b"rules-1"

    # The one transaction.

    def test_a_committed_state_is_read_back(self, store: Store) -> None:
        body = bytes(range(256)) * 20

        store.commit([batch(own(store), rows=[state("i1", body), node("host1", body=body)])])

        assert store.states(["i1", "i2"]) == {"i1": body}
        assert store.node_bodies(["host1", "host2"]) == {"host1": body}

    def test_a_later_row_replaces_an_earlier(self, store: Store) -> None:
        owned = own(store)
        store.commit([batch(owned, rows=[state("i1", b"old")])])

        store.commit([batch(owned, begin=1, rows=[state("i1", b"new")])])

        assert store.states(["i1"]) == {"i1": b"new"}

    def test_a_dropped_row_is_gone(self, store: Store) -> None:
        owned = own(store)
        store.commit([batch(owned, rows=[state("i1"), state("i2")])])
        second = batch(owned, begin=1)
        drop(second.changes, "instance_states", ("i1",))

        store.commit([second])

        assert store.states(["i1", "i2"]) == {"i2": b"body"}

    def test_to_drop_what_is_not_there_changes_nothing(self, store: Store) -> None:
        first = batch(own(store))
        drop(first.changes, "claims", ("i1", "s1", "host1"))

        store.commit([first])

        assert store.checkpoints()[0].next_offset == 1

    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("count", [1, 15, 150])
    def test_rows_of_every_table_are_written_written_again_and_dropped(
        self, store: Store, table: str, count: int
    ) -> None:
        owned, width = own(store), TABLES[table][1]
        rows = [(table, sample(table, n)) for n in range(count)]
        store.commit([batch(owned, rows=rows)])
        store.commit([batch(owned, begin=1, rows=rows)])
        last = batch(owned, begin=2)
        for _, row in rows:
            drop(last.changes, table, row[:width])  # type: ignore[arg-type]  # no key has a null

        store.commit([last])

        assert store.checkpoints()[0].next_offset == 3

    @pytest.mark.parametrize("count", [1, 9, 10, 99, 100, 1500])
    def test_few_rows_and_many_take_different_ways_to_the_same_end(
        self, store: Store, count: int
    ) -> None:
        owned = own(store)
        names = [f"i{n}" for n in range(count)]
        store.commit([batch(owned, rows=[state(each, b"old") for each in names])])

        store.commit([batch(owned, begin=1, rows=[state(each, each.encode()) for each in names])])

        assert store.states(names) == {each: each.encode() for each in names}

    def test_odd_text_and_the_biggest_number_survive(self, store: Store) -> None:
        row = instance(ODD_TEXT, display_name=ODD_TEXT, launched_at=BIGGEST)

        store.commit([batch(own(store), rows=[row, state(ODD_TEXT, b"\x00")])])

        assert store.states([ODD_TEXT]) == {ODD_TEXT: b"\x00"}

    def test_a_column_of_nothing_but_nulls_is_written(self, store: Store) -> None:
        rows = [instance(f"i{n}", host=None, node=None, launched_at=None) for n in range(3)]

        store.commit([batch(own(store), rows=rows)])

        assert store.checkpoints()[0].next_offset == 1

    def test_batches_of_several_partitions_are_written_together(self, store: Store) -> None:
        owned = own(store, P0, P1)

        store.commit(
            [
                batch(owned, rows=[state("i2")], partition=P1),
                batch(owned, rows=[state("i1")], partition=P0),
            ]
        )

        assert [each.next_offset for each in store.checkpoints()] == [1, 1]
        assert set(store.states(["i1", "i2"])) == {"i1", "i2"}

    def test_no_batches_are_no_transaction(self, store: Store) -> None:
        store.commit([])

        assert store.checkpoints() == ()

    # Fencing.

    def test_an_older_epoch_writes_nothing(self, open_store: Callable[[], Store]) -> None:
        zombie, heir = open_store(), open_store()
        owned = own(zombie)
        heir.take_over([P0])

        with pytest.raises(Fenced) as fenced:
            zombie.commit([batch(owned, rows=[state("i1")], orders=[order()])])

        assert fenced.value.partitions == (P0,)
        assert not fenced.value.retriable
        assert heir.states(["i1"]) == {}
        assert heir.checkpoints()[0].next_offset == 0
        assert heir.missing(["c1"]) == {"c1"}

    def test_a_batch_that_begins_elsewhere_is_fenced(self, store: Store) -> None:
        owned = own(store)
        store.commit([batch(owned, rows=[state("i1", b"first")])])

        with pytest.raises(Fenced):
            store.commit([batch(owned, rows=[state("i1", b"twice")])])

        assert store.states(["i1"]) == {"i1": b"first"}

    def test_a_partition_that_was_never_taken_over_is_fenced(self, store: Store) -> None:
        with pytest.raises(Fenced):
            store.commit([Batch(partition=P0, epoch=1, begin=0, end=1)])

    def test_one_lost_partition_holds_back_the_others_of_its_transaction(
        self, open_store: Callable[[], Store]
    ) -> None:
        zombie, heir = open_store(), open_store()
        owned = own(zombie, P0, P1)
        heir.take_over([P1])

        with pytest.raises(Fenced) as fenced:
            zombie.commit(
                [
                    batch(owned, rows=[state("i1")], partition=P0),
                    batch(owned, rows=[state("i2")], partition=P1),
                ]
            )

        assert fenced.value.partitions == (P1,)
        assert heir.states(["i1", "i2"]) == {}

    # Orders.

    def test_a_forgotten_command_leaves_nothing_behind(self, store: Store) -> None:
        owned = own(store)
        store.commit([batch(owned, orders=[order("c1"), order("c2"), choice("c3")])])
        store.sent(owned, [order("c2")], now_us=0)
        second = batch(owned, begin=1)
        second.forget = {"c1", "c2", "c3", "never-there"}

        store.commit([second])

        assert store.missing(["c1", "c2", "c3"]) == {"c1", "c2", "c3"}
        assert store.unsent(owned, LIMIT, scheduler=True) == ()
        assert store.due(owned, BIGGEST, LIMIT) == ()

    def test_an_order_that_is_forgotten_in_the_same_batch_is_never_sent(self, store: Store) -> None:
        owned = own(store)
        only = batch(owned, orders=[order("c1")])
        only.forget = {"c1"}

        store.commit([only])

        assert store.unsent(owned, LIMIT, scheduler=False) == ()

    # Guards.

    def test_instances_that_wait_for_a_schema_are_named_once(self, store: Store) -> None:
        rows = [parked(3, "i2"), parked(4, "i1"), parked(5, "i1"), parked(6, "i3", "early")]
        store.commit([batch(own(store), rows=rows)])

        assert store.waiting_for_schema(P0) == ("i1", "i2")
        assert store.waiting_for_schema(P1) == ()

    def test_a_marker_counts_the_tries(self, store: Store) -> None:
        assert [store.mark(P0, 7) for _ in range(3)] == [1, 2, 3]
        assert store.mark(P1, 7) == 1

    def test_a_marker_of_another_offset_counts_anew(self, store: Store) -> None:
        store.mark(P0, 7)
        store.mark(P0, 8)

        assert store.mark(P0, 7) == 1

    def test_an_unmarked_partition_counts_anew(self, store: Store) -> None:
        store.mark(P0, 7)

        store.unmark(P0)

        assert store.mark(P0, 7) == 1

    def test_offsets_are_set_aside_once_each(self, store: Store) -> None:
        owned = own(store)
        assert store.note_set_aside(owned, P0, 7, "crashed twice")
        assert store.note_set_aside(owned, P0, 7, "again")
        assert store.note_set_aside(owned, P0, 9, "bomb")

        assert store.set_aside(P0) == {7, 9}
        assert store.set_aside(P1) == frozenset()

    def test_whoever_was_fenced_sets_nothing_aside(self, store: Store) -> None:
        owned = own(store)
        own(store)

        assert not store.note_set_aside(owned, P0, 7, "crashed twice")

        assert store.set_aside(P0) == frozenset()

    # Hosts.

    def test_a_host_is_seen_at_its_last_heartbeat(self, store: Store) -> None:
        store.commit([batch(own(store), rows=[node("host1", boot_epoch=2), node("host2")])])

        store.seen({"host1": (2, 50 * S), "host9": (1, 50 * S)})
        store.seen({"host1": (2, 40 * S)})

        assert store.hosts(1, {0}) == (
            ("host1", 2, 50 * S, "started", 0),
            ("host2", 1, 0, "started", 0),
        )

    def test_hosts_are_those_of_owned_partitions(self, store: Store) -> None:
        hosts = [f"host{n}" for n in range(20)]
        store.commit([batch(own(store), rows=[node(each) for each in hosts])])

        found = [(each.host, n) for n in range(4) for each in store.hosts(4, {n})]

        assert sorted(host for host, _ in found) == sorted(hosts)
        assert len({n for _, n in found}) > 1
        assert store.hosts(4, ()) == ()

    def test_a_host_is_surveyed_when_it_said_something_since(self, store: Store) -> None:
        rows = [
            node("host1", start_sequence=3, digest_sequence=2, surveyed_sequence=2, digest="ab"),
            node("host2", start_sequence=1, digest_sequence=9, surveyed_sequence=1),
            node("host3", start_sequence=1, digest_sequence=9, surveyed_sequence=9),
            node("host4", start_sequence=5, status="lost"),
            node("host5", start_sequence=5, status="forced_down"),
        ]
        store.commit([batch(own(store), rows=rows)])

        assert store.surveys("", LIMIT) == (
            ("host1", 1, 1, 3, 2, 2, "ab"),
            ("host2", 1, 1, 1, 9, 1, ""),
        )

    def test_hosts_to_survey_come_so_many_at_a_time_by_name(self, store: Store) -> None:
        hosts = ("host3", "host1", "host4", "host2")
        rows = [node(each, start_sequence=3, surveyed_sequence=1) for each in hosts]
        store.commit([batch(own(store), rows=rows)])

        first = store.surveys("", 3)

        assert [each.host for each in first] == ["host1", "host2", "host3"]
        assert [each.host for each in store.surveys("host3", 3)] == ["host4"]
        assert store.surveys("host4", 3) == ()

    def test_the_guests_of_hosts_are_the_instances_that_are_there(self, store: Store) -> None:
        rows = [
            instance("i3", host="host1", power_state=1),
            instance("i1", host="host1", power_state=4),
            instance("i2", host="host2"),
            instance("i4", host="host1", deleted=1),
            instance("i5", host="host1", origin="nova"),
            instance("i6", host="host3"),
            saga("s1", instance_uuid="i1", deadline_s=60),
            saga("s2", instance_uuid="i3", deadline_s=0),
            saga("s3", instance_uuid="i3", deadline_s=60, status="ended"),
        ]
        store.commit([batch(own(store), rows=rows)])

        found = store.guests_of(["host2", "host1", "host9"])

        assert dict(found) == {
            "host1": (("i1", 4, True), ("i3", 1, False)),
            "host2": (("i2", 1, False),),
        }
        assert store.guests_of([]) == {}

    def test_a_partition_of_another_topic_is_another_partition(self, store: Store) -> None:
        other = TopicPartition("another", 0)
        store.take_over([P0])

        assert store.take_over([other])[other].epoch == 1
