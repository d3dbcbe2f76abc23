"""What hosts say about a guest that is made anew elsewhere, because its host is lost.

Endings of a command are one fact type each; a failure that leads elsewhere is a type of its own.
`power_state` is nova's integer as the driver reports it; `reason` is a sentence for people.
"""

from __future__ import annotations

from msgspec import Struct


class EvacuationClaimed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination took the guest in hand and claimed its room."""


class EvacuationDisksPreparing(Struct, frozen=True, kw_only=True, gc=False):
    """The destination began to prepare disks and ports of a guest that it makes anew."""


class EvacuationSpawning(Struct, frozen=True, kw_only=True, gc=False):
    """The destination handed the guest that it makes anew to its hypervisor."""


class EvacuationPoweringOff(Struct, frozen=True, kw_only=True, gc=False):
    """The guest was made anew and is powered off again, as it was before or as was asked."""

    power_state: int


class GuestEvacuated(Struct, frozen=True, kw_only=True, gc=False):
    """The guest is the destination's: made anew there, and powered as asked."""

    power_state: int


class EvacuationFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination could not make the guest anew and undid what it had done."""

    reason: str


class EvacuationClaimFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination had no place for the guest and did nothing."""

    reason: str
