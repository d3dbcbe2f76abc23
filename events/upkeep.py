"""What hosts say of a guest that was asked or told something and lives on as it was.

A password never stands here: what is said is that one was set, not which.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashDumpTriggered:
    """The guest's kernel was told to dump; whether it did is its own business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashDumpFailed:
    """The guest's kernel could not be told to dump."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminPasswordSet:
    """The guest's administrator has the password to which the request referred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminPasswordSetFailed:
    """The password could not be got, or not be set."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticsRead:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticsReadFailed:
    """The guest could not be looked at: it does not run, or is not there."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerUpdateTaken:
    """The driver took over what somebody outside did to the machine's power."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerUpdateFailed:
    """The driver could not take over what was done to the machine's power."""

    power_state: int
    reason: str
