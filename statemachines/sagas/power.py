"""Stop, start, reboot, pause, unpause: one command to the instance's host each.

A host that is lost, or silent until the retries are used up, must not carry the command out later:
it owes a fence, and the instance keeps the state that it had.
"""

from __future__ import annotations

from statemachines.saga import End, Ending, Next, Owe, Role, Saga, Step, To, saga


def _one_command(
    name: str,
    command: str,
    *,
    on: dict[str, Next],
    event: str,
    progress: frozenset[str] = frozenset(),
) -> Saga:
    return saga(
        name=name,
        first=To("ask"),
        steps=(
            Step(
                name="ask",
                command=command,
                to=Role.OWNER,
                on={
                    **on,
                    "CommandRefused": End("failed"),
                    "StepHostLost": End("host_lost", owe=Owe.FENCE),
                },
                progress=progress,
                exhausted=End("timed_out", owe=Owe.FENCE),
                action_events=(event,),
                deadline="step_timeout",
                retries=2,
            ),
        ),
        endings=(
            Ending(name="done", ok=True),
            Ending(name="failed", ok=False),
            Ending(name="host_lost", ok=False),
            Ending(name="timed_out", ok=False),
            Ending(name="resolved", ok=False),
        ),
    )


STOP = _one_command(
    "stop",
    "StopGuest",
    on={"GuestStopped": End("done"), "GuestStopFailed": End("failed")},
    event="compute_stop_instance",
)
START = _one_command(
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
REBOOT_SOFT = _one_command(
    "reboot_soft", "RebootGuest", on=_REBOOT, event="compute_reboot_instance", progress=_REBOOTING
)
REBOOT_HARD = _one_command(
    "reboot_hard", "RebootGuest", on=_REBOOT, event="compute_reboot_instance", progress=_REBOOTING
)
PAUSE = _one_command(
    "pause",
    "PauseGuest",
    on={"GuestPaused": End("done"), "GuestPauseFailed": End("failed")},
    event="compute_pause_instance",
)
UNPAUSE = _one_command(
    "unpause",
    "UnpauseGuest",
    on={"GuestUnpaused": End("done"), "GuestUnpauseFailed": End("failed")},
    event="compute_unpause_instance",
)
