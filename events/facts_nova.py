"""What nova said of an instance, in a notification (shadow mode).

A `NovaReported` is one notification of a nova cloud as far as it speaks of one instance: the
snapshot that it carries, the change that it names, and enough of the envelope to recognise a
repeat. It knows nova's words and refuses to know what they mean: that is the shadow's business.
"""

from __future__ import annotations

from msgspec import Struct


class NovaFlavor(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A size, as nova's payloads spell it out."""

    #: `flavorid`: what users call the flavor's id.
    flavor_id: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int
    swap_mb: int


class NovaReported(Struct, frozen=True, kw_only=True, gc=False):
    """Nova published a notification that concerns an instance."""

    #: The notification's own id, else what the reader was told of its origin (file and line).
    message_id: str
    #: First 63 bits of the SHA-256 of event type, publisher and payload: repeats have the same.
    content: int
    #: `instance.update`, `instance.resize_prep.start`, `service.update` …
    event_type: str
    #: `binary:host`. For `instance.<action>` of a compute the host is the one that acts.
    publisher_id: str
    priority: str = "INFO"
    #: When it was sent, µs UTC on the publisher's clock; None where the envelope has no time.
    timestamp_us: int | None = None

    instance_uuid: str
    #: vm_state of the snapshot.
    state: str | None = None
    task_state: str | None = None
    #: 0 pending, 1 running, 3 paused, 4 shutdown, 6 crashed, 7 suspended.
    power_state: int | None = None
    host: str | None = None
    node: str | None = None
    display_name: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    availability_zone: str | None = None
    image_id: str | None = None
    locked: bool | None = None
    flavor: NovaFlavor | None = None
    #: The size that is wanted: of a resize, or of the request that the scheduler is asked about.
    new_flavor: NovaFlavor | None = None
    #: Times of the row, µs UTC with a resolution of one second.
    created_at_us: int | None = None
    updated_at_us: int | None = None
    launched_at_us: int | None = None
    terminated_at_us: int | None = None
    deleted_at_us: int | None = None

    #: vm_state and task_state before and after, as an `instance.update` names them.
    old_state: str | None = None
    old_task_state: str | None = None
    new_task_state: str | None = None

    #: The user's request in whose course this was said; None for what nova does by itself.
    request_id: str | None = None
    fault_exception: str | None = None
    fault_message: str | None = None

    #: Of a `service.update`: which service, and what is said of it.
    service_host: str | None = None
    service_binary: str | None = None
    service_disabled: bool | None = None
    service_forced_down: bool | None = None
