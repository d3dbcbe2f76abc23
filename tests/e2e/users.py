"""Whoever asks a cloud of an end-to-end test for things: at random, and only for what is legal."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from events.log import LogWriter, Message
from events.requests import Flavor
from projections.rows import InstanceRow, MigrationRow
from projections.sql_store import SqlStore
from statemachines.permissions import PERMISSIONS, state_allows
from statemachines.sagas import BY_ACTION
from statemachines.states import TaskState, VmState
from tests.e2e.cloud import Cloud, instances, rows

TINY = Flavor(name="m1.nano", vcpus=1, memory_mb=192, disk_gb=1)
MICRO = Flavor(name="m1.micro", vcpus=1, memory_mb=256, disk_gb=1)
#: What random users ask for, with how often: an end is rarer than a beginning.
WISHES = {
    "stop": 4,
    "start": 6,
    "reboot_soft": 2,
    "reboot_hard": 2,
    "pause": 3,
    "unpause": 6,
    "suspend": 2,
    "resume": 4,
    "rescue": 2,
    "unrescue": 4,
    "soft_delete": 1,
    "restore": 4,
    "trigger_crash_dump": 1,
    "get_diagnostics": 1,
    "resize": 4,
    "migrate": 3,
    "confirm_resize": 6,
    "revert_resize": 4,
    "live_migrate": 6,
    "live_migrate_abort": 2,
    "live_migrate_force_complete": 2,
    "snapshot": 2,
    "snapshot_volume_backed": 1,
    "backup": 2,
    "volume_snapshot_create": 1,
    "volume_snapshot_delete": 1,
    "shelve": 2,
    "shelve_offload": 3,
    "unshelve": 6,
    "rebuild": 2,
    "delete": 1,
}
_VOLUME_SNAPSHOT = {"volume_id": "v", "snapshot_id": "s"}
#: What belongs to a wish, where it is not made without.
ARGUMENTS = {
    "snapshot": {"name": "a snapshot"},
    "snapshot_volume_backed": {"name": "a snapshot"},
    "backup": {"name": "a backup", "backup_type": "daily", "rotation": "1"},
    "volume_snapshot_create": _VOLUME_SNAPSHOT,
    "volume_snapshot_delete": _VOLUME_SNAPSHOT,
}


@dataclass
class Users:
    """Whoever asks for things: at random, but only for what is legal as the rows stand."""

    cloud: Cloud
    store: SqlStore
    writer: LogWriter
    dice: random.Random
    uuids: list[str]
    asked: Counter[str] = field(default_factory=Counter)
    #: When each was asked something last: nobody asks again before the rows have moved.
    marks: dict[str, int] = field(default_factory=dict)

    def create_all(self) -> None:
        self._say(
            [
                ("create", uid, {"flavor": TINY, "arguments": {"name": uid[:8], "image": "cirros"}})
                for uid in self.uuids
            ]
        )

    def ask_something(self, most: int) -> int:
        """Ask up to so many instances for something legal, and return how many were asked."""
        known = instances(self.store)
        moves = {
            m.instance_uuid: m
            for m in rows(self.store, "migrations")
            if isinstance(m, MigrationRow)
        }
        wishes: list[tuple[str, str, dict[str, object]]] = []
        for uid in self.dice.sample(self.uuids, len(self.uuids)):
            row = known.get(uid)
            if len(wishes) == most:
                break
            if row is None or row.deleted or self.marks.get(uid, -1) >= row.updated_at:
                continue
            action = self._wish(row, moves.get(uid))
            if action is not None:
                self.marks[uid] = row.updated_at
                flavor = MICRO if row.flavor_name == TINY.name else TINY
                fields: dict[str, object] = {"flavor": flavor} if action == "resize" else {}
                fields["arguments"] = ARGUMENTS.get(action, {})
                wishes.append((action, uid, fields))
        self._say(wishes)
        return len(wishes)

    def _wish(self, row: InstanceRow, move: MigrationRow | None) -> str | None:
        vm, task = VmState(row.vm_state), TaskState(row.task_state) if row.task_state else None
        legal = [
            action
            for action in WISHES
            if action in BY_ACTION
            and state_allows(PERMISSIONS[action], vm, task)
            and self._fits(action, row, move)
        ]
        if task is not None and self.dice.random() > 0.002:
            # Delete is legal whatever goes on; if it always came then, nothing else would be left.
            legal = [action for action in legal if action != "delete"]
        if not legal:
            return None
        return self.dice.choices(legal, [WISHES[each] for each in legal])[0]

    def _fits(self, action: str, row: InstanceRow, move: MigrationRow | None) -> bool:
        permission = PERMISSIONS[action]
        if permission.migration_statuses:
            return move is not None and move.status in permission.migration_statuses
        return row.launched_at is not None or action == "delete"

    def _say(self, wishes: list[tuple[str, str, dict[str, object]]]) -> None:
        messages: list[Message] = []
        for action, uid, fields in wishes:
            self.asked[action] += 1
            messages.append(self.cloud.request_message(action, uid, **fields)[1])
        if messages:
            self.writer.append(messages)
