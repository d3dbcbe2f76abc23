"""Whoever asks a cloud of an end-to-end test for things: at random, and only for what is legal."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field

from events.log import LogWriter, Message
from events.requests import Flavor
from projections.rows import BlockDeviceRow, InstanceRow, InterfaceRow, MigrationRow
from projections.sql_store import SqlStore
from statemachines.permissions import PERMISSIONS, state_allows
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
    "attach_volume": 8,
    "detach_volume": 12,
    "swap_volume": 8,
    "attach_interface": 8,
    "detach_interface": 12,
    "add_fixed_ip": 4,
    "set_admin_password": 2,
    "update_instance_metadata": 1,
    "delete_instance_metadata": 1,
    "update_tags": 1,
    "lock": 1,
    "unlock": 6,
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
    "set_admin_password": {"secret_ref": "secrets/1"},
    "update_instance_metadata": {"metadata": json.dumps({"k": "v"})},
    "delete_instance_metadata": {"key": "k"},
    "update_tags": {"tags": json.dumps(["t"])},
}
#: What is legal whatever is being done to the guest, and over at once.
_ANY_TIME = frozenset(
    {
        *("update_instance_metadata", "delete_instance_metadata", "update_tags"),
        *("lock", "unlock", "get_diagnostics", "volume_snapshot_create", "volume_snapshot_delete"),
    }
)
#: What needs a volume, or a port, that the guest has.
_OF_VOLUMES = frozenset({"detach_volume", "swap_volume"})
_OF_PORTS = frozenset({"detach_interface", "add_fixed_ip"})


@dataclass(frozen=True)
class Plugged:
    """Volumes and ports that a guest has and that nothing is being done to."""

    volumes: tuple[str, ...] = ()
    ports: tuple[InterfaceRow, ...] = ()

    @classmethod
    def by_instance(cls, store: SqlStore) -> dict[str, Plugged]:
        """Return what each instance has by the rows."""
        volumes: dict[str, list[str]] = {}
        ports: dict[str, list[InterfaceRow]] = {}
        for row in (*rows(store, "block_device_mapping"), *rows(store, "virtual_interfaces")):
            if isinstance(row, BlockDeviceRow) and row.status == "in-use":
                volumes.setdefault(row.instance_uuid, []).append(row.volume_id)
            elif isinstance(row, InterfaceRow) and row.status == "in-use":
                ports.setdefault(row.instance_uuid, []).append(row)
        return {
            uid: cls(tuple(volumes.get(uid, ())), tuple(ports.get(uid, ())))
            for uid in {*volumes, *ports}
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
    #: Hosts that are off: of their guests nothing is asked but what `evacuate` does.
    off: set[str] = field(default_factory=set)

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
        plugged = Plugged.by_instance(self.store)
        wishes: list[tuple[str, str, dict[str, object]]] = []
        for uid in self.dice.sample(self.uuids, len(self.uuids)):
            row = known.get(uid)
            if len(wishes) == most:
                break
            if row is None or row.deleted or row.host in self.off:
                continue
            if self.marks.get(uid, -1) >= row.updated_at:
                continue
            has = plugged.get(uid, Plugged())
            action = self._wish(row, moves.get(uid), has)
            if action is not None:
                self.marks[uid] = row.updated_at
                flavor = MICRO if row.flavor_name == TINY.name else TINY
                fields: dict[str, object] = {"flavor": flavor} if action == "resize" else {}
                fields["arguments"] = self._arguments(action, has)
                wishes.append((action, uid, fields))
        self._say(wishes)
        return len(wishes)

    def evacuate(self, host: str) -> int:
        """Ask for every guest of a host that is off, where it is legal; say for how many."""
        wishes: list[tuple[str, str, dict[str, object]]] = [
            ("evacuate", row.uuid, {"source_up": False, "fenced_hosts": (host,)})
            for row in instances(self.store).values()
            if row.host == host
            and not row.deleted
            and VmState(row.vm_state) in PERMISSIONS["evacuate"].vm_states
        ]
        self._say(wishes)
        return len(wishes)

    def _arguments(self, action: str, has: Plugged) -> dict[str, str]:
        """Return what belongs to a wish; of what the guest has, where it is about that."""
        new = str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        match action:
            case "attach_volume":
                return {"volume_id": new}
            case "detach_volume":
                return {"volume_id": self.dice.choice(has.volumes)}
            case "swap_volume":
                return {"old_volume_id": self.dice.choice(has.volumes), "new_volume_id": new}
            case "attach_interface":
                return {"net_id": new}
            case "detach_interface":
                return {"port_id": self.dice.choice(has.ports).uuid}
            case "add_fixed_ip":
                return {"network_id": self.dice.choice(has.ports).network_id}
            case _:
                return ARGUMENTS.get(action, {})

    def _wish(self, row: InstanceRow, move: MigrationRow | None, has: Plugged) -> str | None:
        vm, task = VmState(row.vm_state), TaskState(row.task_state) if row.task_state else None
        legal = [
            action
            for action in WISHES
            if state_allows(PERMISSIONS[action], vm, task) and self._fits(action, row, move, has)
        ]
        if task is not None or vm is VmState.BUILDING:
            # These are legal whatever goes on; if they always came then, little else would be left.
            # A build has no task for a moment, and nothing but its delete is legal then.
            rare = {"delete": 0.0002, "soft_delete": 0.002} | dict.fromkeys(_ANY_TIME, 0.05)
            legal = [each for each in legal if self.dice.random() < rare.get(each, 1)]
        if not legal:
            return None
        return self.dice.choices(legal, [WISHES[each] for each in legal])[0]

    def _fits(self, action: str, row: InstanceRow, move: MigrationRow | None, has: Plugged) -> bool:
        permission = PERMISSIONS[action]
        if (row.locked and permission.lock_checked) or (action == "unlock" and not row.locked):
            return False
        if (action in _OF_VOLUMES and not has.volumes) or (action in _OF_PORTS and not has.ports):
            return False
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
