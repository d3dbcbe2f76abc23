"""What is asked of a host about a guest that lives on as it was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerCrashDump:
    """Tell the guest's kernel to dump. Nothing undoes that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAdminPassword:
    """Get a password by its reference and set it in the guest. Nothing undoes it."""

    #: Where the host's driver gets the password; the password itself never comes here.
    secret_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDiagnostics:
    """Say how the guest does. Changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePowerUpdate:
    """Take over what somebody outside did to the machine's power. Undone by the opposite one."""

    #: `POWER_ON` or `POWER_OFF`.
    target_power_state: str
