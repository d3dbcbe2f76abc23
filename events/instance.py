"""What hosts say about guests: life, power, and the answers to commands about one host.

Endings of a command are one fact type each; a failure that leads elsewhere is a type of its own.
`power_state` is nova's integer as the driver reports it; `reason` is a sentence for people.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRefused:
    """The host did not carry a command out: old generation, superseded, unknown, badly signed."""

    #: Stable word: `older-generation`, `superseded`, `unknown-command`, `other-host`, `draining`,
    #: `busy`.
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRaised:
    """The host heard of a generation and will refuse every older command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFound:
    """A host looked and found this guest; that changes no ownership."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestAbsent:
    """A host looked for this guest and does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerStateReported:
    """The hypervisor's power state of a guest, unasked."""

    power_state: int


# Build: nova's steps 8 to 14.


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildAccepted:
    """The destination took the build and its claim: the instance is on this host now."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAllocationStarted:
    """The host began to allocate networks for a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDevicesPreparing:
    """The host began to prepare block devices for a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSpawning:
    """The host handed the guest to its hypervisor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestBuilt:
    """The guest runs for the first time."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRescheduled:
    """The host could not build and undid what it had done; another host may."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildAborted:
    """The build failed in a way that no other host would mend; the host undid what it had done."""

    reason: str


# Destruction.


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestDestroyed:
    """The host has nothing left of the guest, its disks, ports or claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestDestroyFailed:
    """The host could not destroy the guest."""

    reason: str


# Power.


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestStopped:
    """The guest is powered off, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestStopFailed:
    """The guest could not be powered off."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestStarted:
    """The guest is powered on, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestStartFailed:
    """The guest could not be powered on."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootPending:
    """The host took a reboot in hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootStarted:
    """The driver began to reboot the guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRebooted:
    """The guest was rebooted."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRebootIgnored:
    """The reboot failed but the guest still runs, so nova calls it active."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRebootFailed:
    """The reboot failed and the guest does not run."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPaused:
    """The guest is frozen in memory, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPauseFailed:
    """The guest could not be paused."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUnpaused:
    """The guest runs on, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUnpauseFailed:
    """The guest could not be unpaused."""

    power_state: int
    reason: str
