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


# Answers to what is asked about one volume or port.


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeAttachFailed:
    """The host could not attach the volume and undid what it had done."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDetachFailed:
    """The host could not detach the volume: the guest has it still."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSwapped:
    """The guest has the new volume, with all that was on the old one, in its place."""

    old_volume_id: str
    new_volume_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSwapFailed:
    """The host could not swap the volumes: the guest has the old one."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceAttachFailed:
    """The host could not plug the port and undid what it had done."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceDetachFailed:
    """The host could not unplug the port: the guest has it still."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIpAdded:
    """The port has this address too."""

    port_id: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIpAddFailed:
    """The port got no address."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIpRemoved:
    """The port does not have this address any more."""

    port_id: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIpRemoveFailed:
    """The address could not be taken from the port."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInfoInjected:
    """The guest was told what it has of networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInfoInjectFailed:
    """The guest could not be told what it has of networks."""

    reason: str
