"""What hosts say about a guest that is made anew elsewhere, because its host is lost.

Endings of a command are one fact type each; a failure that leads elsewhere is a type of its own.
`power_state` is nova's integer as the driver reports it; `reason` is a sentence for people.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationClaimed:
    """The destination took the guest in hand and claimed its room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationDisksPreparing:
    """The destination began to prepare disks and ports of a guest that it makes anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationSpawning:
    """The destination handed the guest that it makes anew to its hypervisor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationPoweringOff:
    """The guest was made anew and is powered off again, as it was before or as was asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestEvacuated:
    """The guest is the destination's: made anew there, and powered as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationFailed:
    """The destination could not make the guest anew and undid what it had done."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationClaimFailed:
    """The destination had no place for the guest and did nothing."""

    reason: str
