"""What hosts say about what a guest holds there besides memory and disk.

Each is true of the host that says it, whatever else becomes of the operation in whose course it
came about: so it is believed even where the operation has gone on or was given up. A guest that
has no volumes, ports or accelerators has none of these said about it.
"""

from __future__ import annotations

from msgspec import Struct


class VolumeAttached(Struct, frozen=True, kw_only=True, gc=False):
    """The host is connected to the volume, for this guest."""

    volume_id: str


class VolumeDetached(Struct, frozen=True, kw_only=True, gc=False):
    """The host is not connected to the volume for this guest (any more)."""

    volume_id: str


class PortBound(Struct, frozen=True, kw_only=True, gc=False):
    """The port is bound to the host; `active` says whether its traffic goes there."""

    port_id: str
    active: bool


class PortUnbound(Struct, frozen=True, kw_only=True, gc=False):
    """The port is not bound to the host (any more)."""

    port_id: str


class AcceleratorBound(Struct, frozen=True, kw_only=True, gc=False):
    """The accelerator request is bound to a device of the host."""

    accelerator_id: str


class AcceleratorUnbound(Struct, frozen=True, kw_only=True, gc=False):
    """No device of the host is bound to the accelerator request (any more)."""

    accelerator_id: str


# Answers to what is asked about one volume or port.


class VolumeAttachFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not attach the volume and undid what it had done."""

    reason: str


class VolumeDetachFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not detach the volume: the guest has it still."""

    reason: str


class VolumeSwapped(Struct, frozen=True, kw_only=True, gc=False):
    """The guest has the new volume, with all that was on the old one, in its place."""

    old_volume_id: str
    new_volume_id: str


class VolumeSwapFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not swap the volumes: the guest has the old one."""

    reason: str


class InterfaceAttachFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not plug the port and undid what it had done."""

    reason: str


class InterfaceDetachFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not unplug the port: the guest has it still."""

    reason: str


class FixedIpAdded(Struct, frozen=True, kw_only=True, gc=False):
    """The port has this address too."""

    port_id: str
    address: str


class FixedIpAddFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The port got no address."""

    reason: str


class FixedIpRemoved(Struct, frozen=True, kw_only=True, gc=False):
    """The port does not have this address any more."""

    port_id: str
    address: str


class FixedIpRemoveFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The address could not be taken from the port."""

    reason: str


class NetworkInfoInjected(Struct, frozen=True, kw_only=True, gc=False):
    """The guest was told what it has of networks."""


class NetworkInfoInjectFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest could not be told what it has of networks."""

    reason: str
