"""What people asked for: requests of the API, and the words of an operator.

Requests carry what the API saw (flavor, host service up or down, actor, fence), for the fold may
not look anywhere else. They are written by `api` with sequence 0: the request id is their identity.
"""

from __future__ import annotations

from msgspec import Struct, field


class Flavor(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """The size of a guest, copied into the request that named it."""

    name: str
    vcpus: int
    memory_mb: int
    #: GiB: root plus ephemeral disk.
    disk_gb: int


class ActionRequested(Struct, frozen=True, kw_only=True, gc=False):
    """Somebody asked for one of nova's 59 actions on an instance."""

    #: Spelled as in nova's table of actions: `create`, `live_migrate`, `confirm_resize` …
    action: str
    user_id: str
    project_id: str
    is_admin: bool = False
    #: The flavor of a create or resize.
    flavor: Flavor | None = None
    #: The host that was asked for by name.
    host: str | None = None
    #: What the API saw of that host: `up`, `down`, `unknown`, `full`; empty where it did not look.
    host_seen: str = ""
    #: Was the service of the instance's host up when the API looked?
    source_up: bool = True
    #: Hosts of which an operator (`forced_down`) or a fencing driver vouched that they are off.
    fenced_hosts: tuple[str, ...] = ()
    #: What else belongs to the action: name, image, …; keys are nova's.
    arguments: dict[str, str] = field(default_factory=dict)


class SagaRetried(Struct, frozen=True, kw_only=True, gc=False):
    """An operator had a saga that waits for a person try its step again."""

    saga_id: str
    user_id: str
    reason: str


class SagaCompensated(Struct, frozen=True, kw_only=True, gc=False):
    """An operator had a saga that waits for a person undo what it did."""

    saga_id: str
    user_id: str
    reason: str


class SagaResolved(Struct, frozen=True, kw_only=True, gc=False):
    """An operator ended a saga that waits for a person, with the world as it is."""

    saga_id: str
    user_id: str
    reason: str


class RecordDiscarded(Struct, frozen=True, kw_only=True, gc=False):
    """An operator gave up a record that could not be read; its writer's next one may follow."""

    partition: int
    offset: int
    #: Whose record it was (`compute/<host>`), as its key id says; empty when that was unreadable.
    source: str
    #: SHA-256 of the record's value: what the next record of its writer names as `prev`.
    digest: bytes
    user_id: str
    reason: str


class RecordReleased(Struct, frozen=True, kw_only=True, gc=False):
    """An operator had a record that was set aside judged after all, and what waits behind it."""

    partition: int
    offset: int
    user_id: str
    reason: str


class RecordRequeued(Struct, frozen=True, kw_only=True, gc=False):
    """An operator had a record in quarantine opened again, as if it had come just now.

    It carries the record, for the fold reads nothing else; its own MAC still has to hold.
    """

    partition: int
    offset: int
    key: bytes
    value: bytes
    prev: bytes
    mac: bytes
    user_id: str
    reason: str
