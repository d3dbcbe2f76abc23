"""Stop, start, reboot, pause, unpause: one command to the instance's host each.

A host that is lost, or silent until the retries are used up, must not carry the command out later:
it owes a fence, and the instance keeps the state that it had.
"""

from __future__ import annotations

from statemachines.saga import End, Next
from statemachines.sagas.one_command import one_command

STOP = one_command(
    "stop",
    "StopGuest",
    on={"GuestStopped": End("done"), "GuestStopFailed": End("failed")},
    event="compute_stop_instance",
)
START = one_command(
    "start",
    "StartGuest",
    on={"GuestStarted": End("done"), "GuestStartFailed": End("failed")},
    event="compute_start_instance",
)
_REBOOT: dict[str, Next] = {
    "GuestRebooted": End("done"),
    "GuestRebootIgnored": End("done"),
    "GuestRebootFailed": End("failed"),
}
_REBOOTING = frozenset({"RebootPending", "RebootStarted"})
REBOOT_SOFT = one_command(
    "reboot_soft", "RebootGuest", on=_REBOOT, event="compute_reboot_instance", progress=_REBOOTING
)
REBOOT_HARD = one_command(
    "reboot_hard", "RebootGuest", on=_REBOOT, event="compute_reboot_instance", progress=_REBOOTING
)
PAUSE = one_command(
    "pause",
    "PauseGuest",
    on={"GuestPaused": End("done"), "GuestPauseFailed": End("failed")},
    event="compute_pause_instance",
)
UNPAUSE = one_command(
    "unpause",
    "UnpauseGuest",
    on={"GuestUnpaused": End("done"), "GuestUnpauseFailed": End("failed")},
    event="compute_unpause_instance",
)
