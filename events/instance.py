"""What hosts say about guests: life, power, and the answers to commands about one host.

Endings of a command are one fact type each; a failure that leads elsewhere is a type of its own.
`power_state` is nova's integer as the driver reports it; `reason` is a sentence for people.
"""

from __future__ import annotations

from msgspec import Struct


class CommandRefused(Struct, frozen=True, kw_only=True, gc=False):
    """The host did not carry a command out: old generation, superseded, unknown, badly signed."""

    #: Stable word: `older-generation`, `superseded`, `unknown-command`, `other-host`, `draining`,
    #: `busy`; `interrupted`: the host died in the middle, cleared up, and may be asked again.
    code: str
    reason: str


class GenerationRaised(Struct, frozen=True, kw_only=True, gc=False):
    """The host heard of a generation and will refuse every older command."""


class GuestFound(Struct, frozen=True, kw_only=True, gc=False):
    """A host looked and found this guest; that changes no ownership."""

    power_state: int


class GuestAbsent(Struct, frozen=True, kw_only=True, gc=False):
    """A host looked for this guest and does not have it."""


class PowerStateReported(Struct, frozen=True, kw_only=True, gc=False):
    """The hypervisor's power state of a guest, unasked."""

    power_state: int


# Build: nova's steps 8 to 14.


class BuildAccepted(Struct, frozen=True, kw_only=True, gc=False):
    """The destination took the build and its claim: the instance is on this host now."""

    node: str


class NetworkAllocationStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The host began to allocate networks for a build."""


class BlockDevicesPreparing(Struct, frozen=True, kw_only=True, gc=False):
    """The host began to prepare block devices for a build."""


class GuestSpawning(Struct, frozen=True, kw_only=True, gc=False):
    """The host handed the guest to its hypervisor."""


class GuestBuilt(Struct, frozen=True, kw_only=True, gc=False):
    """The guest runs for the first time."""

    power_state: int


class BuildRescheduled(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not build and undid what it had done; another host may."""

    reason: str


class BuildAborted(Struct, frozen=True, kw_only=True, gc=False):
    """The build failed in a way that no other host would mend; the host undid what it had done."""

    reason: str


# Destruction.


class GuestDestroyed(Struct, frozen=True, kw_only=True, gc=False):
    """The host has nothing left of the guest, its disks, ports or claims."""


class GuestDestroyFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The host could not destroy the guest."""

    reason: str


# Power.


class GuestStopped(Struct, frozen=True, kw_only=True, gc=False):
    """The guest is powered off, as asked."""

    power_state: int


class GuestStopFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest could not be powered off."""

    power_state: int
    reason: str


class GuestStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The guest is powered on, as asked."""

    power_state: int


class GuestStartFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest could not be powered on."""

    power_state: int
    reason: str


class RebootPending(Struct, frozen=True, kw_only=True, gc=False):
    """The host took a reboot in hand."""


class RebootStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The driver began to reboot the guest."""


class GuestRebooted(Struct, frozen=True, kw_only=True, gc=False):
    """The guest was rebooted."""

    power_state: int


class GuestRebootIgnored(Struct, frozen=True, kw_only=True, gc=False):
    """The reboot failed but the guest still runs, so nova calls it active."""

    power_state: int
    reason: str


class GuestRebootFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The reboot failed and the guest does not run."""

    power_state: int
    reason: str


class GuestPaused(Struct, frozen=True, kw_only=True, gc=False):
    """The guest is frozen in memory, as asked."""

    power_state: int


class GuestPauseFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest could not be paused."""

    power_state: int
    reason: str


class GuestUnpaused(Struct, frozen=True, kw_only=True, gc=False):
    """The guest runs on, as asked."""

    power_state: int


class GuestUnpauseFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest could not be unpaused."""

    power_state: int
    reason: str
