"""What falls due by itself, in the simulation's database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from events.log import TopicPartition
from projections.rows import InstanceRow, InstanceStateRow
from projections.store import Batch, DueRow, Standing
from tests.simulation.database import Database

Owned = Mapping[TopicPartition, int]


class DuesModel:
    """The part of the store that is about dues."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def _write_dues(self, batch: Batch) -> None:
        """Write what a batch changes."""
        for key in batch.forget_dues:
            self._db.dues.pop(key, None)
        self._db.dues.update(batch.dues)

    def elapsed(self, owned: Owned, now_us: int, limit: int) -> tuple[DueRow, ...]:
        """Return what has fallen due by itself, the longest overdue first."""
        mine = [d for d in self._mine(owned) if d.due_at <= now_us]
        return tuple(sorted(mine, key=lambda d: (d.due_at, d.instance_uuid, d.action))[:limit])

    def put_off(self, dues: Sequence[DueRow], until_us: int) -> None:
        """The log was told: these are due again only then, if the state still names them."""
        for each in dues:
            known = self._db.dues.get((each.instance_uuid, each.action))
            if known is not None and known.since == each.since:
                self._set(known._replace(due_at=until_us))

    def _postpone_dues(self, owned: Owned, until_us: int) -> None:
        """Move every earlier due time to `until_us`."""
        for each in self._mine(owned):
            self._set(each._replace(due_at=max(each.due_at, until_us)))

    def may_fall_due(
        self, partitions: Collection[TopicPartition], where: Sequence[Standing]
    ) -> dict[TopicPartition, tuple[str, ...]]:
        """Name the instances that stand in one of these ways, and those with a due of their own."""
        found: dict[TopicPartition, set[str]] = {each: set() for each in partitions}
        numbers = {each.partition: each for each in partitions}
        for due in self._db.dues.values():
            found.get(_home(due), set()).add(due.instance_uuid)
        states = self._db.rows["instance_states"]
        for key, row in self._db.rows["instances"].items():
            state = states.get(key)
            assert isinstance(row, InstanceRow), f"Expected an instance, but {row!r}"
            assert isinstance(state, InstanceStateRow), f"Expected a state, but {state!r}"
            if state.partition in numbers and any(_stands(row, so) for so in where):
                found[numbers[state.partition]].add(row.uuid)
        return {each: tuple(sorted(uuids)) for each, uuids in found.items()}

    def restore_dues(
        self,
        owned: Owned,
        partition: TopicPartition,
        uuids: Sequence[str],
        dues: Sequence[DueRow],
    ) -> None:
        """Leave these instances with these dues and no others, where still owned."""
        with self._db.lock:
            if partition not in self._ours(owned):
                return
            wanted = {(d.instance_uuid, d.action): d for d in dues}
            for key in [k for k in self._db.dues if k[0] in uuids and k not in wanted]:
                del self._db.dues[key]
            for key, due in wanted.items():
                known = self._db.dues.get(key)
                if known is None or (known.since, known.after_s) != (due.since, due.after_s):
                    self._set(due)

    def _set(self, due: DueRow) -> None:
        self._db.dues[due.instance_uuid, due.action] = due

    def _ours(self, owned: Owned) -> set[TopicPartition]:
        known = self._db.checkpoints
        return {tp for tp, epoch in owned.items() if tp in known and known[tp].epoch == epoch}

    def _mine(self, owned: Owned) -> list[DueRow]:
        ours = self._ours(owned)
        return [d for d in self._db.dues.values() if _home(d) in ours]


def _home(due: DueRow) -> TopicPartition:
    return TopicPartition(due.topic, due.partition)


def _stands(row: InstanceRow, so: Standing) -> bool:
    return (
        row.vm_state in so.vm_states
        and (not so.task_states or row.task_state in so.task_states)
        and (not so.power_states or row.power_state in so.power_states)
    )
