"""Suspend, resume, rescue, unrescue: one command to the instance's host each.

After a failure in the middle nobody vouches for the guest: the instance is in error, as in nova.
So is one whose host is lost or silent, which nova leaves in its task_state for ever. Where the
driver says that everything is as it was, or the host refused, the instance keeps its state.
"""

from __future__ import annotations

from statemachines.saga import End
from statemachines.sagas.one_command import one_command

SUSPEND = one_command(
    "suspend",
    "SuspendGuest",
    on={
        "GuestSuspended": End("done"),
        "GuestSuspendFailed": End("failed"),
        "GuestSuspendFaulted": End("faulted"),
    },
    event="compute_suspend_instance",
    refused="faulted",
)
RESUME = one_command(
    "resume",
    "ResumeGuest",
    on={
        "GuestResumed": End("done"),
        "GuestResumeFailed": End("failed"),
        "GuestResumeFaulted": End("faulted"),
    },
    event="compute_resume_instance",
    refused="faulted",
)
RESCUE = one_command(
    "rescue",
    "RescueGuest",
    on={"GuestRescued": End("done"), "GuestRescueFailed": End("failed")},
    event="compute_rescue_instance",
    refused="refused",
)
UNRESCUE = one_command(
    "unrescue",
    "UnrescueGuest",
    on={
        "GuestUnrescued": End("done"),
        "GuestUnrescueFailed": End("failed"),
        "GuestUnrescueFaulted": End("faulted"),
    },
    event="compute_unrescue_instance",
    refused="refused",
)
