"""What is asked of a guest's host about one of its volumes or ports."""

from __future__ import annotations

from dataclasses import dataclass

from events.parts import Port, Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachVolume:
    """Attach the volume to the guest. Undone by DetachVolume."""

    volume: Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachVolume:
    """Leave this host without a connection to the volume. Undone by AttachVolume."""

    volume_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapVolume:
    """Copy what the guest has on one volume to another, and attach that one in its place."""

    old_volume_id: str
    new_volume_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachInterface:
    """Bind the port here and plug it into the guest. Undone by DetachInterface."""

    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachInterface:
    """Leave the port not bound to this host. Undone by AttachInterface."""

    port_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFixedIp:
    """Give the port one more address of its network. Undone by RemoveFixedIp."""

    port_id: str
    network_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFixedIp:
    """Take an address from the port. Undone by AddFixedIp."""

    port_id: str
    fixed_ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectNetworkInfo:
    """Write what the guest has of networks into the guest."""

    ports: tuple[Port, ...]
