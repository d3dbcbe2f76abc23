"""What hosts say of a guest that was asked or told something and lives on as it was.

A password never stands here: what is said is that one was set, not which.
"""

from __future__ import annotations

from msgspec import Struct


class CrashDumpTriggered(Struct, frozen=True, kw_only=True, gc=False):
    """The guest's kernel was told to dump; whether it did is its own business."""


class CrashDumpFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest's kernel could not be told to dump."""

    reason: str


class AdminPasswordSet(Struct, frozen=True, kw_only=True, gc=False):
    """The guest's administrator has the password to which the request referred."""


class AdminPasswordSetFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The password could not be got, or not be set."""

    reason: str


class DiagnosticsRead(Struct, frozen=True, kw_only=True, gc=False):
    """How a running guest does, as its hypervisor sees it; None where the driver can't say."""

    #: Nova's word: `running`.
    state: str
    #: Nova's name of the driver, and the hypervisor's of itself.
    driver: str
    hypervisor: str
    uptime_s: int | None
    num_cpus: int
    num_disks: int
    num_nics: int
    memory_maximum_mb: int
    memory_used_mb: int | None


class DiagnosticsReadFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest could not be looked at: it does not run, or is not there."""

    reason: str


class PowerUpdateTaken(Struct, frozen=True, kw_only=True, gc=False):
    """The driver took over what somebody outside did to the machine's power."""

    power_state: int


class PowerUpdateFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The driver could not take over what was done to the machine's power."""

    power_state: int
    reason: str
