"""What is asked of a guest's host about one of its volumes or ports."""

from __future__ import annotations

from msgspec import Struct

from events.parts import Port, Volume


class AttachVolume(Struct, frozen=True, kw_only=True, gc=False):
    """Attach the volume to the guest. Undone by DetachVolume."""

    volume: Volume


class DetachVolume(Struct, frozen=True, kw_only=True, gc=False):
    """Leave this host without a connection to the volume. Undone by AttachVolume."""

    volume_id: str


class SwapVolume(Struct, frozen=True, kw_only=True, gc=False):
    """Copy what the guest has on one volume to another, and attach that one in its place."""

    old_volume_id: str
    new_volume_id: str


class AttachInterface(Struct, frozen=True, kw_only=True, gc=False):
    """Bind the port here and plug it into the guest. Undone by DetachInterface."""

    port: Port


class DetachInterface(Struct, frozen=True, kw_only=True, gc=False):
    """Leave the port not bound to this host. Undone by AttachInterface."""

    port_id: str


class AddFixedIp(Struct, frozen=True, kw_only=True, gc=False):
    """Give the port one more address of its network. Undone by RemoveFixedIp."""

    port_id: str
    network_id: str


class RemoveFixedIp(Struct, frozen=True, kw_only=True, gc=False):
    """Take an address from the port. Undone by AddFixedIp."""

    port_id: str
    fixed_ip: str


class InjectNetworkInfo(Struct, frozen=True, kw_only=True, gc=False):
    """Write what the guest has of networks into the guest."""

    ports: tuple[Port, ...]
