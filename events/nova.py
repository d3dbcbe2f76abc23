"""Nova's versioned notifications, from the wire to what they say of an instance.

It knows the two envelopes of oslo.messaging (2.0: a message as text inside a message; 1.0: bare),
the bare lines of a recording, and where nova's payloads keep what. It refuses to know what follows
from a notification. Event types that don't concern instances are ignored, never refused; only what
is no notification at all, or an `instance.*` without an instance, raises BadRecord.

Source:  oslo_messaging/_drivers/common.py; nova/notifications/objects/ of nova 34.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, cast

from msgspec import Struct

from events.errors import BadRecord
from events.facts_nova import NovaFlavor, NovaReported

#: A longer message of a fault is cut: people read the first lines, rows need a bound.
FAULT_CHARS_MAX: Final = 2000
#: A larger notification is refused unread; the largest seen has 6 KiB.
NOTIFICATION_BYTES_MAX: Final = 256 * 1024

UPDATE: Final = "instance.update"
SERVICE_UPDATE: Final = "service.update"
#: Types outside `instance.*` that speak of an instance all the same.
_INSTANCE_UUID_EVENTS: Final = ("compute_task.", "scheduler.select_destinations.")

_POWER_STATES: Final[Mapping[str, int]] = {
    "pending": 0,
    "running": 1,
    "paused": 3,
    "shutdown": 4,
    "crashed": 6,
    "suspended": 7,
}
_Plain = dict[str, object]


class Notification(Struct, frozen=True, kw_only=True, gc=False):
    """One message of nova, its envelopes taken off."""

    event_type: str
    publisher_id: str
    priority: str
    #: The sender's id, else `origin` as the reader was given it, else made from the content.
    message_id: str
    content: int
    timestamp_us: int | None
    #: The payload as nova's serializer left it, with `nova_object.*` keys where it is versioned.
    payload: Mapping[str, object]


class ServiceUpdated(Struct, frozen=True, kw_only=True, gc=False):
    """Nova published what an operator, or the service, changed about a service."""

    message_id: str
    content: int
    publisher_id: str
    timestamp_us: int | None
    host: str
    binary: str
    disabled: bool
    forced_down: bool

    def about(self, instance_uuid: str) -> NovaReported:
        """Return the same as a fact about one instance."""
        return NovaReported(
            message_id=self.message_id,
            content=self.content,
            event_type=SERVICE_UPDATE,
            publisher_id=self.publisher_id,
            timestamp_us=self.timestamp_us,
            instance_uuid=instance_uuid,
            service_host=self.host,
            service_binary=self.binary,
            service_disabled=self.disabled,
            service_forced_down=self.forced_down,
        )


def read_notification(line: bytes | str, *, origin: str = "") -> Notification:
    """Return the notification in a record's value or in a line of a recording.

    `origin` (file and line, or topic and offset) is the identity of one that carries no id.

    Raises:  BadRecord: the bytes are no notification.
    """
    if len(line) > NOTIFICATION_BYTES_MAX:
        raise _bad(f"at most {NOTIFICATION_BYTES_MAX} bytes", f"it has {len(line)}", origin)
    message = _unwrapped(_parsed(line, origin), origin)
    event_type, payload = message.get("event_type"), message.get("payload")
    if not isinstance(event_type, str) or not isinstance(payload, dict):
        raise _bad("an event_type and a payload", f"it has the keys {sorted(message)}", origin)
    publisher_id = _text(message.get("publisher_id")) or ""
    content = _digest([event_type, publisher_id, payload])
    return Notification(
        event_type=event_type,
        publisher_id=publisher_id,
        priority=_text(message.get("priority")) or "INFO",
        message_id=_text(message.get("message_id")) or origin or f"content:{content:016x}",
        content=content,
        timestamp_us=_time(message.get("timestamp")),
        payload=payload,
    )


def reports(notification: Notification) -> NovaReported | ServiceUpdated | None:
    """Say what a notification tells of an instance or a service; None where it tells of neither.

    Raises:  BadRecord: an `instance.*` or `compute_task.*` that names no instance.
    """
    event_type = notification.event_type
    if event_type == SERVICE_UPDATE:
        return _service(notification, _data(notification.payload))
    if event_type.startswith("instance."):
        data = _data(notification.payload)
        return _instance(notification, data, data.get("uuid"))
    if event_type.startswith(_INSTANCE_UUID_EVENTS):
        data = _data(notification.payload)
        return _task(notification, data)
    return None


def publisher_host(fact: NovaReported) -> str | None:
    """Return the host that published, as `binary:host` says."""
    return fact.publisher_id.partition(":")[2] or None


def _parsed(line: bytes | str, origin: str) -> _Plain:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _bad("a JSON object", f"it can't be parsed: {error}", origin) from error
    if not isinstance(found, dict):
        raise _bad("a JSON object", f"it is {type(found).__name__}", origin)
    return cast("_Plain", found)


def _unwrapped(message: _Plain, origin: str) -> _Plain:
    inner = message.get("oslo.message")
    if inner is None:
        return message
    return _parsed(inner, origin) if isinstance(inner, str) else _known(inner, origin)


def _known(inner: object, origin: str) -> _Plain:
    if not isinstance(inner, dict):
        raise _bad("a message in the envelope", f"it is {type(inner).__name__}", origin)
    return cast("_Plain", inner)


def _bad(expected: str, found: str, origin: str) -> BadRecord:
    where = f" at {origin}" if origin else ""
    return BadRecord("not-a-notification", f"Expected {expected}{where}, but {found}")


def _instance(notification: Notification, data: _Plain, uuid: object) -> NovaReported:
    update = _data(data.get("state_update"))
    fault = _data(data.get("fault"))
    return NovaReported(
        message_id=notification.message_id,
        content=notification.content,
        event_type=notification.event_type,
        publisher_id=notification.publisher_id,
        priority=notification.priority,
        timestamp_us=notification.timestamp_us,
        instance_uuid=_uuid(notification, uuid),
        state=_text(data.get("state")),
        task_state=_text(data.get("task_state")),
        power_state=_power(data.get("power_state")),
        host=_text(data.get("host")),
        node=_text(data.get("node")),
        display_name=_text(data.get("display_name")),
        user_id=_text(data.get("user_id")),
        project_id=_text(data.get("tenant_id")),
        availability_zone=_text(data.get("availability_zone")),
        image_id=_text(data.get("image_uuid")),
        locked=_bool(data.get("locked")),
        flavor=_flavor(data.get("flavor")),
        new_flavor=_flavor(data.get("new_flavor")),
        created_at_us=_time(data.get("created_at")),
        updated_at_us=_time(data.get("updated_at")),
        launched_at_us=_time(data.get("launched_at")),
        terminated_at_us=_time(data.get("terminated_at")),
        deleted_at_us=_time(data.get("deleted_at")),
        old_state=_text(update.get("old_state")),
        old_task_state=_text(update.get("old_task_state")),
        new_task_state=_text(update.get("new_task_state")),
        request_id=_text(data.get("request_id")),
        fault_exception=_text(fault.get("exception")),
        fault_message=_cut(_text(fault.get("exception_message"))),
    )


def _task(notification: Notification, data: _Plain) -> NovaReported | None:
    """What conductor or scheduler say; their request names the wanted flavor."""
    spec = _data(data.get("request_spec")) or data
    uuid = data.get("instance_uuid")
    if uuid is None and notification.event_type.startswith("scheduler."):
        return None
    reason = _data(data.get("reason"))
    return NovaReported(
        message_id=notification.message_id,
        content=notification.content,
        event_type=notification.event_type,
        publisher_id=notification.publisher_id,
        priority=notification.priority,
        timestamp_us=notification.timestamp_us,
        instance_uuid=_uuid(notification, uuid),
        state=_text(data.get("state")),
        new_flavor=_flavor(spec.get("flavor")),
        fault_exception=_text(reason.get("exception")),
        fault_message=_cut(_text(reason.get("exception_message"))),
    )


def _service(notification: Notification, data: _Plain) -> ServiceUpdated | None:
    host = _text(data.get("host"))
    if host is None:
        return None
    return ServiceUpdated(
        message_id=notification.message_id,
        content=notification.content,
        publisher_id=notification.publisher_id,
        timestamp_us=notification.timestamp_us,
        host=host,
        binary=_text(data.get("binary")) or "",
        disabled=bool(data.get("disabled")),
        forced_down=bool(data.get("forced_down")),
    )


def _uuid(notification: Notification, found: object) -> str:
    if isinstance(found, str) and found:
        return found
    raise BadRecord(
        "no-instance",
        f"Expected the uuid of an instance in {notification.event_type} "
        f"({notification.message_id}), but it has {found!r}",
    )


def _data(payload: object) -> _Plain:
    """The fields of a versioned object; of a plain mapping, itself; else nothing."""
    if not isinstance(payload, dict):
        return {}
    inner = payload.get("nova_object.data")
    return cast("_Plain", inner if isinstance(inner, dict) else payload)


def _flavor(payload: object) -> NovaFlavor | None:
    data = _data(payload)
    if not data:
        return None
    return NovaFlavor(
        flavor_id=_text(data.get("flavorid")) or _text(data.get("name")) or "",
        name=_text(data.get("name")) or "",
        vcpus=_int(data.get("vcpus")),
        memory_mb=_int(data.get("memory_mb")),
        root_gb=_int(data.get("root_gb")),
        ephemeral_gb=_int(data.get("ephemeral_gb")),
        swap_mb=_int(data.get("swap")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _cut(value: str | None) -> str | None:
    return value if value is None else value[:FAULT_CHARS_MAX]


def _bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _power(value: object) -> int | None:
    if isinstance(value, str):
        return _POWER_STATES.get(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: object) -> int | None:
    """µs UTC; nova's times are UTC whether they say so or not. None for what is no time."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _digest(value: object) -> int:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1
