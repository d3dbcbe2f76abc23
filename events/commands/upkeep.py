"""What is asked of a host about a guest that lives on as it was."""

from __future__ import annotations

from msgspec import Struct


class TriggerCrashDump(Struct, frozen=True, kw_only=True, gc=False):
    """Tell the guest's kernel to dump. Nothing undoes that."""


class SetAdminPassword(Struct, frozen=True, kw_only=True, gc=False):
    """Get a password by its reference and set it in the guest. Nothing undoes it."""

    #: Where the host's driver gets the password; the password itself never comes here.
    secret_ref: str


class ReadDiagnostics(Struct, frozen=True, kw_only=True, gc=False):
    """Say how the guest does. Changes nothing."""


class TakePowerUpdate(Struct, frozen=True, kw_only=True, gc=False):
    """Take over what somebody outside did to the machine's power. Undone by the opposite one."""

    #: `POWER_ON` or `POWER_OFF`.
    target_power_state: str
