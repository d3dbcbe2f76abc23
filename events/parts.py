"""What a guest holds besides memory and disk: volumes, ports, accelerators; values inside others.

They stand in the state of an instance, and in each command that makes a host take hold of them.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Volume(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A volume of a block storage service, as nova's block_device_mapping describes it."""

    volume_id: str
    #: Under which name the guest sees it: `/dev/vdb`.
    device_name: str
    #: 0 is the disk that the guest boots from; None where it does not boot from it.
    boot_index: int | None
    delete_on_termination: bool


class Port(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A port of a network, as a guest's interface has it."""

    port_id: str
    #: Empty where the port was named and its network was not.
    network_id: str
    fixed_ips: tuple[str, ...]


class Accelerator(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """An accelerator request, made from the device profile of a flavor."""

    accelerator_id: str
    device_profile: str


class Attachments(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """All that a host takes hold of for a guest."""

    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()


NOTHING_ATTACHED: Final = Attachments()
