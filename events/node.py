"""What a host says about itself, and what the conductor and operators say about a host.

Written to the node topic, keyed by host; a host's facts about itself are a chain of their own.
"""

from __future__ import annotations

from msgspec import Struct


class NodeStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The agent of a host started, with this much to give."""

    #: The hypervisor's name; the host's own name where a host has one hypervisor.
    node: str
    #: Kind of driver, as nova's `hypervisor_type`.
    hypervisor_type: str
    vcpus: int
    memory_mb: int
    disk_gb: int


class NodeCapacityReported(Struct, frozen=True, kw_only=True, gc=False):
    """What a host has to give changed."""

    vcpus: int
    memory_mb: int
    disk_gb: int


class NodeDigested(Struct, frozen=True, kw_only=True, gc=False):
    """A digest of the guests that a host has; compared, never obeyed."""

    guest_count: int
    #: SHA-256 over the sorted lines `uuid power_state`.
    digest: bytes


class NodeStopped(Struct, frozen=True, kw_only=True, gc=False):
    """The agent of a host stopped on purpose."""


class NodeLost(Struct, frozen=True, kw_only=True, gc=False):
    """A host's heartbeat stayed away for `service_down_time`."""

    boot_epoch: int
    #: The n-th loss within this boot.
    n: int


class NodeReturned(Struct, frozen=True, kw_only=True, gc=False):
    """A host that was recorded as lost is heard again."""

    boot_epoch: int
    n: int


class NodeSurveyed(Struct, frozen=True, kw_only=True, gc=False):
    """The conductor asked after guests of a host that started, or whose digest differs."""

    #: Number, in the host's chain about itself, of the fact that gave the reason.
    sequence: int
    #: Instances of the host in the rows, each of which was doubted.
    doubted_count: int


class NodeForcedDown(Struct, frozen=True, kw_only=True, gc=False):
    """An operator or a fencing driver vouched that a host is off, whatever is heard of it."""

    user_id: str
    reason: str


class NodeForcedUp(Struct, frozen=True, kw_only=True, gc=False):
    """The word that a host is off was taken back: it counts by its heartbeat again."""

    user_id: str
    reason: str


class HeartbeatSent(Struct, frozen=True, kw_only=True, gc=False):
    """A host is alive; never folded."""

    report_interval_s: int
