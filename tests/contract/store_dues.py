"""What every store promises about what falls due by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from events.log import TopicPartition
from projections.rows import put
from projections.store import Batch, DueRow, Standing, Store
from tests.contract.store_base import Owned, StoreContract
from tests.contract.store_data import (
    BIGGEST,
    LIMIT,
    P0,
    P1,
    TOPIC,
    S,
    batch,
    instance,
    own,
    state,
)


def due(
    uuid: str = "i1", *, since: int = 5 * S, after_s: int = 60, partition: TopicPartition = P0
) -> DueRow:
    """Return something that falls due one minute after it began."""
    return DueRow(
        instance_uuid=uuid,
        action="confirm_resize",
        topic=partition.topic,
        partition=partition.partition,
        since=since,
        after_s=after_s,
        due_at=since + after_s * S,
    )


def named(owned: Owned, *dues: DueRow, begin: int = 0, partition: TopicPartition = P0) -> Batch:
    """Return a batch in which states name what falls due."""
    made = batch(owned, begin, partition=partition)
    made.dues = {(d.instance_uuid, d.action): d for d in dues}
    return made


def standing(store: Store, *so: Standing) -> tuple[str, ...]:
    """Name the instances of the first partition that a takeover looks at."""
    return store.may_fall_due([P0], so)[P0]


class DuesContract(StoreContract):
    """What falls due by itself."""

    def test_many_fall_due_beside_few_rows(self, store: Store, owned: Owned) -> None:
        dues = [due(f"i{n}", since=n * S) for n in range(1, 151)]
        made = named(owned, *dues)
        put(made.changes, *state("i1"))

        store.commit([made])

        assert store.elapsed(owned, BIGGEST, len(dues)) == tuple(dues)
        assert store.states(["i1"]) == {"i1": b"body"}

    def test_what_a_state_names_is_due_when_its_time_has_come(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([named(owned, due("i2"), due("i1"), due("i3", since=1 * S))])

        assert store.elapsed(owned, 61 * S - 1, LIMIT) == ()
        assert store.elapsed(owned, 61 * S, LIMIT) == (due("i3", since=1 * S),)
        assert [d.instance_uuid for d in store.elapsed(owned, 65 * S, LIMIT)] == ["i3", "i1", "i2"]
        assert [d.instance_uuid for d in store.elapsed(owned, 65 * S, 2)] == ["i3", "i1"]

    def test_what_a_state_no_longer_names_is_gone(self, store: Store, owned: Owned) -> None:
        store.commit([named(owned, due("i1"), due("i2"))])
        after = named(owned, begin=1)
        after.forget_dues = {("i1", "confirm_resize"), ("i9", "confirm_resize")}

        store.commit([after])

        assert store.elapsed(owned, BIGGEST, LIMIT) == (due("i2"),)

    def test_a_due_that_began_anew_takes_the_place_of_the_old_one(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([named(owned, due())])

        store.commit([named(owned, due(since=90 * S), begin=1)])

        assert store.elapsed(owned, BIGGEST, LIMIT) == (due(since=90 * S),)

    def test_a_batch_that_is_fenced_leaves_none(
        self, store: Store, owned: Owned, open_store: Callable[[], Store]
    ) -> None:
        now_owned = own(open_store())

        with pytest.raises(Exception, match="epoch"):
            store.commit([named(owned, due())])

        assert store.elapsed(now_owned, BIGGEST, LIMIT) == ()

    def test_only_owned_partitions_are_looked_at(self, store: Store) -> None:
        both = own(store, P0, P1)
        store.commit([named(both, due("i1")), named(both, due("i2", partition=P1), partition=P1)])

        assert store.elapsed({P1: both[P1]}, BIGGEST, LIMIT) == (due("i2", partition=P1),)
        assert store.elapsed({P0: both[P0] + 1}, BIGGEST, LIMIT) == ()
        assert store.elapsed({}, BIGGEST, LIMIT) == ()

    def test_what_the_log_was_told_is_due_again_later(self, store: Store, owned: Owned) -> None:
        store.commit([named(owned, due("i1"), due("i2"))])

        store.put_off([due("i1"), due("i9")], 200 * S)

        assert [d.instance_uuid for d in store.elapsed(owned, 200 * S - 1, LIMIT)] == ["i2"]
        assert [d.instance_uuid for d in store.elapsed(owned, 200 * S, LIMIT)] == ["i2", "i1"]

    def test_what_began_anew_meanwhile_is_not_put_off(self, store: Store, owned: Owned) -> None:
        store.commit([named(owned, due(since=90 * S))])

        store.put_off([due(since=5 * S)], BIGGEST)

        assert store.elapsed(owned, 150 * S, LIMIT) == (due(since=90 * S),)

    def test_after_takeover_nothing_is_born_overdue(self, store: Store, owned: Owned) -> None:
        store.commit([named(owned, due("i1"), due("i2", after_s=500))])

        store.postpone(owned, until_us=100 * S)

        assert store.elapsed(owned, 100 * S - 1, LIMIT) == ()
        found = store.elapsed(owned, BIGGEST, LIMIT)
        assert [d.due_at for d in found] == [100 * S, 505 * S]

    def test_a_zombie_postpones_nothing(
        self, store: Store, owned: Owned, open_store: Callable[[], Store]
    ) -> None:
        store.commit([named(owned, due())])
        now_owned = own(open_store())

        store.postpone(owned, until_us=100 * S)

        assert store.elapsed(now_owned, 65 * S, LIMIT) == (due(),)

    def test_a_take_over_looks_at_instances_in_such_a_state_and_at_those_with_a_due(
        self, store: Store, owned: Owned
    ) -> None:
        rows = [
            *(instance("i1", vm_state="resized"), state("i1")),
            *(instance("i2", vm_state="active"), state("i2")),
            *(instance("i3", vm_state="shelved", task_state="unshelving"), state("i3")),
            *(instance("i4", vm_state="stopped", power_state=4), state("i4")),
        ]
        first = batch(owned, rows=rows)
        first.dues = {("i2", "confirm_resize"): due("i2")}
        store.commit([first])

        waiting = Standing(("resized", "rescued"), (), ())
        shelved = Standing(("shelved",), (), ())
        assert standing(store, waiting) == ("i1", "i2")
        assert standing(store, waiting, shelved) == ("i1", "i2", "i3")

    def test_a_take_over_looks_at_several_partitions_at_once(self, store: Store) -> None:
        p2 = TopicPartition(TOPIC, 2)
        owned = own(store, P0, P1, p2)
        first = batch(owned, rows=[instance("i1", vm_state="resized"), state("i1")])
        second = named(owned, due("i3", partition=P1), partition=P1)
        for each in (instance("i2", vm_state="resized"), state("i2", partition=1)):
            put(second.changes, *each)
        store.commit([first, second])

        waiting = [Standing(("resized",), (), ())]
        assert store.may_fall_due([P0, P1], waiting) == {P0: ("i1",), P1: ("i2", "i3")}
        assert store.may_fall_due([P1, p2], waiting) == {P1: ("i2", "i3"), p2: ()}

    def test_a_take_over_tells_tasks_and_power_states_apart(
        self, store: Store, owned: Owned
    ) -> None:
        rows = [
            *(instance("i1", vm_state="stopped", task_state=None, power_state=1), state("i1")),
            *(instance("i2", vm_state="stopped", task_state=None, power_state=4), state("i2")),
            *(instance("i3", vm_state="stopped", task_state="resize_prep"), state("i3")),
        ]
        store.commit([batch(owned, rows=rows)])

        assert standing(store, Standing(("stopped",), (None,), (1, 3))) == ("i1",)
        assert standing(store, Standing(("stopped",), (None,), ())) == ("i1", "i2")
        assert standing(store, Standing(("stopped",), ("resize_prep",), ())) == ("i3",)
        either = Standing(("stopped",), (None, "resize_prep"), ())
        assert standing(store, either) == ("i1", "i2", "i3")

    def test_what_is_restored_replaces_what_those_instances_had(
        self, store: Store, owned: Owned
    ) -> None:
        store.commit([named(owned, due("i1"), due("i2"), due("i4"))])

        store.restore_dues(owned, P0, ["i1", "i2", "i3"], [due("i2", after_s=90), due("i3")])

        assert store.elapsed(owned, BIGGEST, LIMIT) == (
            due("i3"),
            due("i4"),
            due("i2", after_s=90),
        )

    def test_what_is_there_already_keeps_its_time(self, store: Store, owned: Owned) -> None:
        store.commit([named(owned, due())])
        store.put_off([due()], 300 * S)

        store.restore_dues(owned, P0, ["i1"], [due()])

        assert [d.due_at for d in store.elapsed(owned, BIGGEST, LIMIT)] == [300 * S]

    def test_a_zombie_restores_none(
        self, store: Store, owned: Owned, open_store: Callable[[], Store]
    ) -> None:
        now_owned = own(open_store())

        store.restore_dues(owned, P0, ["i1"], [due()])

        assert store.elapsed(now_owned, BIGGEST, LIMIT) == ()
