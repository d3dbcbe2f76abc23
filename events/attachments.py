"""What hosts say about what a guest holds there besides memory and disk.

Each is true of the host that says it, whatever else becomes of the operation in whose course it
came about: so it is believed even where the operation has gone on or was given up. A guest that
has no volumes, ports or accelerators has none of these said about it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeAttached:
    """The host is connected to the volume, for this guest."""

    volume_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDetached:
    """The host is not connected to the volume for this guest (any more)."""

    volume_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBound:
    """The port is bound to the host; `active` says whether its traffic goes there."""

    port_id: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PortUnbound:
    """The port is not bound to the host (any more)."""

    port_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorBound:
    """The accelerator request is bound to a device of the host."""

    accelerator_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorUnbound:
    """No device of the host is bound to the accelerator request (any more)."""

    accelerator_id: str
