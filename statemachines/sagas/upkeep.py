"""Crash dump, diagnostics, password and power update: the guest is asked or told something.

A crash dump and diagnostics leave the task_state alone and run beside whatever else goes on. A
crash dump is asked for once: done twice it would be two. A host that is lost, or silent, must not
do it later; where nothing else runs a fence sees to that, and whatever runs is newer than it.
"""

from __future__ import annotations

from typing import Final

from statemachines.saga import ONE_GO, Choice, End, Ending, Owe, Role, Saga, Step, To, saga
from statemachines.sagas.one_command import one_command


def _beside(name: str, ask: Step) -> Saga:
    return saga(
        name=name,
        primary=False,
        of_guest=True,
        first=To("ask"),
        steps=(ask,),
        endings=(
            Ending(name="done", ok=True),
            Ending(name="failed", ok=False),
            Ending(name="unheard", ok=False),
            Ending(name="resolved", ok=False),
        ),
    )


_NEVER_LATER: Final = Choice("nothing_else_runs", End("unheard", owe=Owe.FENCE), End("unheard"))

TRIGGER_CRASH_DUMP = _beside(
    "trigger_crash_dump",
    Step(
        name="ask",
        command="TriggerCrashDump",
        to=Role.TARGET,
        on={
            "CrashDumpTriggered": End("done"),
            "CrashDumpFailed": End("failed"),
            "CommandRefused": End("failed"),
            "StepHostLost": _NEVER_LATER,
        },
        exhausted=_NEVER_LATER,
        no_way_back=ONE_GO,
        action_events=("compute_trigger_crash_dump",),
        deadline="step_timeout",
    ),
)
GET_DIAGNOSTICS = _beside(
    "get_diagnostics",
    Step(
        name="ask",
        command="ReadDiagnostics",
        to=Role.TARGET,
        on={
            "DiagnosticsRead": End("done"),
            "DiagnosticsReadFailed": End("failed"),
            "CommandRefused": End("failed"),
            "StepHostLost": End("unheard"),
        },
        exhausted=End("unheard"),
        no_way_back=ONE_GO,
        deadline="step_timeout",
        retries=1,
    ),
)
SET_ADMIN_PASSWORD = one_command(
    "set_admin_password",
    "SetAdminPassword",
    on={"AdminPasswordSet": End("done"), "AdminPasswordSetFailed": End("failed")},
    event="compute_set_admin_password",
)


def _power_update(name: str) -> Saga:
    return one_command(
        name,
        "TakePowerUpdate",
        on={"PowerUpdateTaken": End("done"), "PowerUpdateFailed": End("failed")},
        event="compute_power_update",
    )


POWER_UPDATE_ON = _power_update("power_update_on")
POWER_UPDATE_OFF = _power_update("power_update_off")
