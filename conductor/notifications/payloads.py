"""Nova's payload objects, filled from the state of an instance.

Every field of nova's objects is there, at the version of nova 34. What a conductor does not know
(an image's properties, a server's description …) has the value that nova gives to a server without
it; docs/OPERATING.md lists those fields.

Source:  nova/notifications/objects/ of nova 34; doc/notification_samples/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from conductor.dates import deleted_at
from conductor.notifications.form import Occasion
from events.ids import SagaId, image_id
from events.requests import ActionRequested, Flavor
from statemachines.held import Held, Move
from statemachines.states import POWER_STATE_LABELS, PowerState

Data = dict[str, Any]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: A host name has at most so many characters.
_HOST_NAME_MAX: Final = 63


def versioned(name: str, version: str, data: Data) -> Data:
    """Return a payload as nova's serializer leaves it."""
    return {
        "nova_object.name": name,
        "nova_object.namespace": "nova",
        "nova_object.version": version,
        "nova_object.data": data,
    }


def time_text(at_us: int | None) -> str | None:
    """Return a time as nova's fields have it: whole seconds, UTC."""
    if at_us is None:
        return None
    moment = _EPOCH + timedelta(microseconds=at_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def payload_of(event: str, shown: Held, at: Occasion, fault: Data | None) -> Data:
    """Return the payload of an `instance.<action>`; `shown` is the state that it shows."""
    action = event.removeprefix("instance.").partition(".")[0]
    name, version, extra = _PAYLOADS.get(action, _ACTION)
    own: Data = extra(at)
    if name != "InstanceExistsPayload":
        own = {**own, "fault": fault}
    return versioned(name, version, {**own, **instance_data(shown, at)})


def update_payload(old: Held, shown: Held, at: Occasion) -> Data:
    """Return the payload of an `instance.update` from one state to another."""
    states = {
        "old_state": old.vm_state,
        "state": shown.vm_state,
        "old_task_state": old.task_state,
        "new_task_state": shown.task_state,
    }
    own: Data = {
        "state_update": versioned("InstanceStateUpdatePayload", "1.0", states),
        "audit_period": audit_period(at.envelope.timestamp_us),
        "old_display_name": old.name if old.name != shown.name else None,
        "tags": list(shown.tags),
    }
    return versioned("InstanceUpdatePayload", "2.1", {**own, **instance_data(shown, at)})


def task_payload(at: Occasion, exception: Data) -> Data:
    """Return the payload of a `compute_task.*.error`: what the conductor could not bring about."""
    held, saga = at.after, at.saga
    move = held.move
    mine = move is not None and saga is not None and move.saga_id == saga.saga_id
    wanted = move.new_flavor if move is not None and mine else held.flavor
    spec: Data = {
        "instance_uuid": held.instance_id,
        "project_id": held.project_id,
        "user_id": held.user_id,
        "availability_zone": None,
        "flavor": flavor_payload(wanted),
        "force_hosts": None if saga is None else saga.forced_host,
        "force_nodes": None,
        "ignore_hosts": None,
        "instance_group": None,
        "image": None,
        "numa_topology": None,
        "pci_requests": None,
        "num_instances": 1,
        "requested_destination": None,
        "retry": None,
        "scheduler_hints": {},
        "security_groups": [],
    }
    data = {
        "instance_uuid": held.instance_id,
        "request_spec": versioned("RequestSpecPayload", "1.1", spec),
        "state": held.vm_state,
        "reason": exception,
    }
    return versioned("ComputeTaskPayload", "1.0", data)


def exception_payload(exception: str, message: str) -> Data:
    """Return what went wrong; which function of nova would have raised it is not known."""
    data = {
        "module_name": "",
        "function_name": "",
        "exception": exception,
        "exception_message": message,
        "traceback": "",
    }
    return versioned("ExceptionPayload", "1.1", data)


def instance_data(shown: Held, at: Occasion) -> Data:
    """Return the fields of nova's InstancePayload 1.9."""
    user, project, request_id = _asker(at)
    return {
        "uuid": shown.instance_id,
        "user_id": shown.user_id,
        "tenant_id": shown.project_id,
        "reservation_id": None,
        "display_name": shown.name,
        "display_description": None,
        "host_name": _host_name(shown.name),
        "host": shown.host,
        "node": shown.node,
        "os_type": None,
        "architecture": None,
        "availability_zone": None,
        "flavor": flavor_payload(shown.flavor),
        "image_uuid": shown.image or None,
        "key_name": None,
        "kernel_id": "",
        "ramdisk_id": "",
        "created_at": time_text(shown.created_at),
        "launched_at": time_text(shown.launched_at),
        "terminated_at": time_text(shown.deleted_at),
        "deleted_at": time_text(deleted_at(shown)),
        "updated_at": time_text(shown.updated_at),
        "state": shown.vm_state,
        "power_state": POWER_STATE_LABELS[PowerState(shown.power_state)],
        "task_state": shown.task_state,
        "progress": _progress(shown),
        "ip_addresses": [],
        "block_devices": _block_devices(shown) if at.has_block_devices else None,
        "metadata": dict(shown.metadata),
        "locked": shown.locked,
        "auto_disk_config": "MANUAL",
        "request_id": request_id,
        "action_initiator_user": user,
        "action_initiator_project": project,
        "locked_reason": None,
        "shares": None,
    }


def _block_devices(shown: Held) -> list[Data]:
    """Return the volumes of the guest, where nova is told to name them."""
    return [
        versioned(
            "BlockDevicePayload",
            "1.0",
            {
                "device_name": held.volume.device_name,
                "boot_index": held.volume.boot_index,
                "delete_on_termination": held.volume.delete_on_termination,
                "volume_id": held.volume.volume_id,
                "tag": None,
            },
        )
        for held in shown.volumes
    ]


def flavor_payload(flavor: Flavor) -> Data:
    """Return a size; a log knows its disk as one number, which nova calls the root disk."""
    data = {
        "flavorid": flavor.name,
        "memory_mb": flavor.memory_mb,
        "vcpus": flavor.vcpus,
        "root_gb": flavor.disk_gb,
        "ephemeral_gb": 0,
        "name": flavor.name,
        "swap": 0,
        "rxtx_factor": 1.0,
        "vcpu_weight": 0,
        "disabled": False,
        "is_public": True,
        "extra_specs": {},
        "projects": None,
        "description": None,
    }
    return versioned("FlavorPayload", "1.4", data)


def audit_period(at_us: int) -> Data:
    """Return the period in which nova counts usage by default: the month up to now."""
    begin = (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-01T00:00:00Z")
    data = {"audit_period_beginning": begin, "audit_period_ending": time_text(at_us)}
    return versioned("AuditPeriodPayload", "1.0", data)


def _asker(at: Occasion) -> tuple[str | None, str | None, str | None]:
    """Return who asked for what happens, and under which request; None where nobody did."""
    saga, fact = at.saga, at.envelope.fact
    if saga is not None and saga.request_id is not None:
        return saga.user_id, saga.project_id, saga.request_id
    if isinstance(fact, ActionRequested):
        return fact.user_id, fact.project_id, at.envelope.meta.request_id
    return None, None, at.envelope.meta.request_id


def _host_name(name: str) -> str:
    """Return what nova makes a host name of: letters, digits and hyphens."""
    plain = re.sub(r"[^\w.-]+", "", re.sub(r"[ _]", "-", name)).lower().strip(".-")
    return plain[:_HOST_NAME_MAX]


def _progress(shown: Held) -> int:
    """Return how far a live migration has copied, in percent, as nova's monitor does."""
    move = shown.move
    if shown.task_state != "migrating" or move is None or not move.memory_total:
        return 0
    return 100 - 100 * (move.memory_remaining or 0) // move.memory_total


def _new_flavor(at: Occasion) -> Data:
    move: Move | None = at.after.move
    wanted = at.after.flavor if move is None else move.new_flavor
    return {"new_flavor": flavor_payload(wanted)}


def _create(at: Occasion) -> Data:
    return {
        "keypairs": [],
        "tags": list(at.after.tags),
        "trusted_image_certificates": None,
        "instance_name": f"instance-{at.after.instance_id[:8]}",
    }


def _argument(field: str, *names: str) -> Callable[[Occasion], Data]:
    """Return the field that tells what a request named."""

    def extra(at: Occasion) -> Data:
        arguments = {} if at.saga is None else at.saga.arguments
        return {field: next((arguments[n] for n in names if n in arguments), None)}

    return extra


def _snapshot_image(at: Occasion) -> Data:
    """Return the image that is made: its id follows from the saga."""
    return {"snapshot_image_id": None if at.saga is None else image_id(SagaId(at.saga.saga_id))}


def _swap(at: Occasion) -> Data:
    arguments = {} if at.saga is None else at.saga.arguments
    return {name: arguments.get(name) for name in ("old_volume_id", "new_volume_id")}


def _nothing(_at: Occasion) -> Data:
    return {}


Extra = Callable[[Occasion], Data]
_ACTION: Final[tuple[str, str, Extra]] = ("InstanceActionPayload", "1.9", _nothing)
_VOLUME: Final = ("InstanceActionVolumePayload", "1.7", _argument("volume_id", "volume_id"))
_REBUILD: Final = (
    "InstanceActionRebuildPayload",
    "1.10",
    lambda _at: {"trusted_image_certificates": None},
)
_PAYLOADS: Final[Mapping[str, tuple[str, str, Extra]]] = MappingProxyType(
    {
        "create": ("InstanceCreatePayload", "1.13", _create),
        "exists": (
            "InstanceExistsPayload",
            "2.1",
            lambda at: {"audit_period": audit_period(at.envelope.timestamp_us)},
        ),
        "resize_prep": ("InstanceActionResizePrepPayload", "1.4", _new_flavor),
        "rebuild": _REBUILD,
        "rebuild_scheduled": _REBUILD,
        "rescue": (
            "InstanceActionRescuePayload",
            "1.4",
            _argument("rescue_image_ref", "rescue_image_ref", "image"),
        ),
        "snapshot": (
            "InstanceActionSnapshotPayload",
            "1.10",
            _snapshot_image,
        ),
        "volume_attach": _VOLUME,
        "volume_detach": _VOLUME,
        "volume_swap": ("InstanceActionVolumeSwapPayload", "1.9", _swap),
    }
)
