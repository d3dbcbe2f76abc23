"""What a takeover, or a database made anew, has to put back: orders nobody waits for, and dues.

A partition is repaired once it has caught up, and again when its rules change. Until then nobody
acts for it.
"""

from __future__ import annotations

from conductor.due_rows import WAITING, not_before
from conductor.limits import REPAIR_INSTANCES_MAX
from conductor.office import Office
from conductor.owned import Ownership
from events.log import TopicPartition
from projections.store import Order


class Repair:
    """Puts back what the rows of a partition of ours lack."""

    def __init__(self, office: Office) -> None:
        self._store = office.ports.store
        self._clock = office.ports.clock
        self._topic = office.ports.topics.instance_events
        self._owned = office.owned
        self._down_us = office.options.service_down_time_s * 1_000_000

    def turn(self) -> bool:
        """Repair one partition that has caught up; say whether there was any."""
        for partition, mine in self._owned.partitions.items():
            if not mine.repaired and mine.caught_up and mine.stopped is None:
                if partition.topic == self._topic:
                    self._put_back(partition, mine)
                    self._put_back_dues(partition, mine)
                mine.repaired = True
                return True
        return False

    def _put_back(self, partition: TopicPartition, mine: Ownership) -> None:
        """A step with neither an outbox row nor a timer gets its outbox row back."""
        uuids = self._store.open_instances(partition)
        for start in range(0, len(uuids), REPAIR_INSTANCES_MAX):
            orders: list[Order] = []
            for uuid in uuids[start : start + REPAIR_INSTANCES_MAX]:
                orders += mine.fold.outstanding(uuid, self._clock.now_us())
            missing = self._store.missing([o.command_id for o in orders])
            if missing:
                back = [o for o in orders if o.command_id in missing]
                self._store.restore({partition: mine.epoch}, back)
                mine.to_send.look()
                mine.to_choose.look()

    def _put_back_dues(self, partition: TopicPartition, mine: Ownership) -> None:
        """Whatever falls due by itself by the rules in force has its row, and nothing else has."""
        if mine.may_fall_due is None:
            self._ask()
        uuids, mine.may_fall_due = mine.may_fall_due or (), None
        quiet = mine.taken_at + self._down_us
        for start in range(0, len(uuids), REPAIR_INSTANCES_MAX):
            some = uuids[start : start + REPAIR_INSTANCES_MAX]
            rows = [not_before(d, quiet) for uuid in some for d in mine.fold.falling_due(uuid)]
            self._store.restore_dues({partition: mine.epoch}, partition, some, rows)

    def _ask(self) -> None:
        """Ask at once for every partition that has to be repaired: a look is through all rows."""
        asking = {
            tp: mine
            for tp, mine in self._owned.partitions.items()
            if tp.topic == self._topic and not mine.repaired and mine.may_fall_due is None
        }
        for partition, names in self._store.may_fall_due(asking, WAITING).items():
            asking[partition].may_fall_due = names
