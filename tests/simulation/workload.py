"""What people ask of the cloud, legal and not; what liars write.

Requests are facts of the API, so this file speaks with its key. It looks at rows as the API would,
and may be late: whatever it asks has to be judged anew.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from uuid import UUID

from compute.scribe import Scribe
from events.codec import encode_fact
from events.envelope import API, Meta
from events.instance import GuestBuilt, GuestStopped, PowerStateReported
from events.log import Message
from events.migration import GuestArrived, GuestHandedOver
from events.requests import (
    ActionRequested,
    Flavor,
)
from events.seal import sealed_message
from events.topics import partition_of
from events.values import replace
from projections.rows import InstanceRow, NodeRow
from statemachines.request_arguments import ARGUMENTS

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud
    from tests.simulation.processes import HostProcess

SMALL: Final = Flavor(name="m1.small", vcpus=1, memory_mb=2_048, disk_gb=20)
MEDIUM: Final = Flavor(name="m1.medium", vcpus=2, memory_mb=4_096, disk_gb=40)
_MOVES: Final = ("resize", "resize", "migrate", "live_migrate", "live_migrate", "live_migrate")
_IMAGES: Final = (
    *("snapshot", "snapshot_volume_backed", "backup", "backup", "shelve", "shelve"),
    *("volume_snapshot_create", "volume_snapshot_delete", "rebuild"),
)
_NOTED: Final = ("update_instance_metadata", "delete_instance_metadata", "update_tags")
SIDE: Final = (
    *("attach_volume", "attach_volume", "detach_volume", "swap_volume"),
    *("attach_interface", "attach_interface", "detach_interface"),
    *("add_fixed_ip", "remove_fixed_ip", "inject_network_info"),
)
UPKEEP: Final = ("trigger_crash_dump", "get_diagnostics", "set_admin_password")
LEGAL: Final[dict[str, tuple[str, ...]]] = {
    "active": (
        *("stop", "stop", "reboot_soft", "reboot_hard", "pause", "pause", "delete", "lock"),
        *("unlock", "suspend", "suspend", "rescue", "soft_delete", *_MOVES, *_MOVES, *_MOVES),
        *_IMAGES,
        *_IMAGES,
        *SIDE,
        *UPKEEP,
        "external_event_power_update_off",
        *_NOTED,
    ),
    "stopped": (
        *("start", "start", "start", "rescue", "reboot_hard", "resize", "migrate", "delete"),
        *("external_event_power_update_on", "get_diagnostics"),
        *_IMAGES,
        *SIDE[:3],
    ),
    "paused": (
        *("unpause", "unpause", "live_migrate", "live_migrate", "reboot_hard", "delete"),
        *_IMAGES,
        *SIDE,
    ),
    "suspended": ("resume", "resume", "resume", "reboot_hard", "delete", "shelve"),
    "rescued": ("unrescue", "unrescue", "unrescue", "delete"),
    "soft-delete": ("restore", "restore", "force_delete", *SIDE[:3]),
    "shelved": ("shelve_offload", "unshelve", "unshelve", "delete", *SIDE[:3]),
    "shelved_offloaded": ("unshelve", "unshelve", "unshelve", "delete", *SIDE[:3]),
    "resized": ("confirm_resize", "revert_resize") * 4 + ("delete", "soft_delete", *SIDE[:3]),
    "error": (
        *("delete", "delete", "reboot_hard", "reboot_hard", "reset_state", "resize", "rescue"),
        *("rebuild", "rebuild"),
    ),
    "building": ("delete", "reset_state"),
}
STEERING: Final = ("live_migrate_abort", "live_migrate_force_complete")
MEDDLING: Final = ("delete", "delete", "soft_delete", "reset_state", "stop")
_ASKED: Final = {a for actions in LEGAL.values() for a in actions}
ANY: Final = tuple(sorted(_ASKED | {*STEERING, "evacuate"}))
LIES: Final = (PowerStateReported, GuestBuilt, GuestStopped, GuestArrived, GuestHandedOver)


class Workload:
    """Everybody outside the house."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._rng = cloud.dice.rng
        self._key = cloud.keyring.key(API, 1)
        count = cloud.plan.instances
        self.uuids = [str(UUID(int=self._rng.getrandbits(128), version=4)) for _ in range(count)]
        self._asked: list[Message] = []
        self._created: set[str] = set()
        self._count = 0

    # The API.

    def ask(self) -> None:
        """Ask for something, or for the same again."""
        if self._cloud.is_broker_out:
            return
        if self._asked and self._rng.random() < 0.05:
            self._cloud.tap.append([self._rng.choice(self._asked)])
            return
        self._cloud.operators.meddle()
        self._cloud.fences.lift()
        if self._rng.random() < 0.3 and self._cloud.fences.evacuate():
            return
        uuid = self._rng.choice(self.uuids)
        row = self._cloud.database.rows["instances"].get((uuid,))
        if not isinstance(row, InstanceRow):
            if uuid not in self._created or self._rng.random() < 0.1:
                self._created.add(uuid)
                self.say(uuid, self._request("create", None))
        elif action := self._action(row):
            self.say(uuid, self._request(action, row))

    def delete_all(self) -> None:
        """Ask for every instance to be deleted."""
        for row in self._cloud.watch.instances():
            if not row.deleted:
                request = self._request("delete", row)
                self.say(row.uuid, replace(request, is_admin=True))

    def _action(self, row: InstanceRow) -> str | None:
        """Draw what is asked of an instance: most often what it is ready for, seldom nonsense."""
        dice = self._rng.random()
        if dice < 0.02:
            return self._rng.choice(ANY)
        if row.deleted:
            return None
        if row.task_state == "migrating" and dice < 0.4:
            return self._rng.choice(STEERING)
        if row.task_state is not None:
            return self._rng.choice(MEDDLING) if dice < 0.06 else None
        return self._rng.choice(LEGAL[row.vm_state])

    def _request(self, action: str, row: InstanceRow | None) -> ActionRequested:
        rng = self._rng
        flavor: Flavor | None = None
        if action in ("create", "resize"):
            flavor = rng.choice((SMALL, SMALL, MEDIUM))
        host = None
        if action in ("live_migrate", "migrate", "create", "unshelve") and rng.random() < 0.2:
            host = rng.choice((*(h.name for h in self._cloud.hosts), "nowhere"))
        return ActionRequested(
            action=action,
            user_id="user",
            project_id="project",
            is_admin=rng.random() < 0.5,
            flavor=flavor,
            host=host,
            host_seen="" if host is None else self._seen(host),
            source_up=row is None or row.host is None or self._is_up(row.host),
            arguments=self._side(action, row.uuid)
            if row is not None and action in SIDE
            else self._arguments(action),
        )

    def _arguments(self, action: str) -> dict[str, str]:
        rng = self._rng
        match action:
            case "create":
                return self._wishes()
            case "update_instance_metadata":
                return {"metadata": json.dumps({f"k{rng.randint(1, 3)}": "v"})}
            case "delete_instance_metadata":
                return {"key": f"k{rng.randint(1, 3)}"}
            case "update_tags":
                return {"tags": json.dumps([f"t{n}" for n in range(rng.randint(0, 2))])}
            case "reset_state":
                return {"state": rng.choice(("active", "error"))}
            case "set_admin_password":
                return {"secret_ref": "secrets/1"}
            case "backup":
                rotation = str(rng.randint(0, 2))
                return {"name": "n", "backup_type": "daily", "rotation": rotation}
            case "volume_snapshot_create" | "volume_snapshot_delete":
                return {"volume_id": "v", "snapshot_id": f"s{rng.randint(1, 40)}"}
            case "rebuild":
                return {"image": rng.choice(("cirros", "alpine"))} if rng.random() < 0.7 else {}
            case _:
                return {"name": "n"} if "name" in ARGUMENTS[action] else {}

    def _wishes(self) -> dict[str, str]:
        """Draw what a new guest shall hold: most often nothing besides memory and disk."""
        rng, wishes = self._rng, {"name": "guest"}
        if rng.random() < 0.7:
            wishes["image"] = "cirros"
        if rng.random() < 0.5:
            mapping = [self._mapping() for _ in range(rng.randint(0, 2))]
            wishes["block_device_mapping_v2"] = json.dumps(mapping)
            networks = [{"uuid": self._uuid()} for _ in range(rng.randint(0, 2))]
            wishes["networks"] = json.dumps(networks)
        if rng.random() < 0.1:
            wishes["accel:device_profile"] = "gpu"
        return wishes

    def _side(self, action: str, uuid: str) -> dict[str, str]:
        """Draw what is asked about volumes and ports: most often of those that the guest has."""
        held = self._cloud.watch.held(uuid)
        volumes = [] if held is None else [v.volume.volume_id for v in held.volumes]
        ports = [] if held is None else [p.port for p in held.ports]
        volume = self._rng.choice([*volumes, *volumes, self._uuid()])
        port = self._rng.choice(ports) if ports else None
        match action:
            case "attach_volume":
                return {"volume_id": self._rng.choice([volume, *[self._uuid()] * 6])}
            case "detach_volume":
                return {"volume_id": volume}
            case "swap_volume":
                return {"old_volume_id": volume, "new_volume_id": self._uuid()}
            case "attach_interface":
                return {"net_id": self._uuid()}
            case "detach_interface":
                return {"port_id": self._uuid() if port is None else port.port_id}
            case "add_fixed_ip":
                return {"network_id": self._uuid() if port is None else port.network_id}
            case "remove_fixed_ip":
                known = () if port is None else port.fixed_ips
                return {"address": self._rng.choice(("10.0.0.1", *known))}
            case _:
                return {}

    def _mapping(self) -> dict[str, str]:
        return {"uuid": self._uuid(), "source_type": "volume", "destination_type": "volume"}

    def _uuid(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def _seen(self, host: str) -> str:
        known = (host,) in self._cloud.database.rows["nodes"]
        return ("up" if self._is_up(host) else "down") if known else "unknown"

    def _is_up(self, host: str) -> bool:
        node = self._cloud.database.rows["nodes"].get((host,))
        return isinstance(node, NodeRow) and node.status == "started"

    def say(self, uuid: str, fact: object) -> str:
        """Say something of an instance, as the API; return the request's id."""
        meta = self._meta(uuid)
        message = self._sealed(uuid, encode_fact(meta, fact))
        self._asked.append(message)
        self._cloud.tap.append([message])
        return str(meta.request_id)

    def say_of_host(self, host: str, fact: object) -> None:
        """Say something of a host, as the API."""
        value = encode_fact(self._meta(host), fact)
        self._cloud.tap.append([self._sealed(host, value, self._cloud.topics.node_events)])

    def _meta(self, subject: str) -> Meta:
        self._count += 1
        return Meta(
            source=API,
            instance_id=subject,
            request_id=f"req-{self._count:08d}",
            occurred_at=self._cloud.now_us,
        )

    def _sealed(self, subject: str, value: bytes, topic: str | None = None) -> Message:
        return sealed_message(
            topic=topic or self._cloud.topics.instance_events,
            partition=partition_of(subject, self._cloud.plan.partitions),
            key=subject,
            value=value,
            prev=b"",
            by=self._key,
        )

    # Liars and litter.

    def lie(self, host: HostProcess) -> None:
        """Have a host say, under its own key, what it has no right to say."""
        if host.process.is_busy or not host.journal.boot_epoch():
            return
        rng = self._rng
        fact = rng.choice(LIES)
        values = {} if fact is GuestHandedOver else {"power_state": rng.choice((1, 4))}
        row = self._cloud.database.rows["instances"].get((uuid := rng.choice(self.uuids),))
        if fact is PowerStateReported and isinstance(row, InstanceRow) and row.host == host.name:
            return
        half = self._cloud.world.half(host.name, uuid)
        if half is not None or not isinstance(row, InstanceRow):
            return
        scribe = Scribe(
            host=host.name,
            topics=self._cloud.topics,
            partitions=self._cloud.plan.partitions,
            journal=host.journal,
            clock=host.clock,
        )
        with host.journal.transaction():
            scribe.say_of_instance(uuid, fact(**values))

    def litter(self) -> None:
        """Append what is no fact of ours."""
        rng, uuid = self._rng, self._rng.choice(self.uuids)
        good = self._sealed(uuid, b"\xc3\x01" + rng.randbytes(40))
        forged = [(n, v if n == "prev" else (v or b"")[:-1] + b"\0") for n, v in good.headers]
        bad = rng.choice(
            (
                good,
                good._replace(value=None),
                good._replace(headers=()),
                good._replace(key=b"\xff"),
                good._replace(value=rng.randbytes(20)),
                good._replace(headers=tuple(forged)),
            )
        )
        topic = rng.choice((self._cloud.topics.instance_events, self._cloud.topics.node_events))
        self._cloud.tap.append([bad._replace(topic=topic)])
