"""Build a guest, on another host where one can't (nova: build_and_run_instance, re-schedule)."""

from __future__ import annotations

from statemachines.saga import (
    GOES_BACK,
    NO_HOST_YET,
    Again,
    Choice,
    End,
    Ending,
    NeedsOperator,
    Owe,
    Role,
    Step,
    To,
    saga,
)

#: R1/R2 of nova's flow: next host while `[scheduler] max_attempts` lasts and no host was asked for.
_ANOTHER = Choice(
    "may_build_elsewhere",
    To("schedule", give_up=True, outcome="hosts_exhausted"),
    Choice("host_was_named", End("not_rescheduled"), End("max_attempts_exceeded")),
)
#: Nothing was tried yet, or all that there was.
_NONE_LEFT = Choice("failed_before", End("hosts_exhausted"), End("no_valid_host"))

CREATE = saga(
    name="create",
    without_host=True,
    first=To("schedule"),
    steps=(
        Step(
            name="schedule",
            command="ChooseDestination",
            to=Role.SCHEDULER,
            on={
                "DestinationChosen": To("build"),
                "NoValidHost": _NONE_LEFT,
            },
            exhausted=_NONE_LEFT,
            no_way_back=NO_HOST_YET,
            failure_events=("conductor_schedule_and_build_instances",),
            deadline="long_rpc_timeout",
            retries=2,
        ),
        Step(
            name="build",
            command="BuildGuest",
            to=Role.DESTINATION,
            on={
                "GuestBuilt": End("built"),
                "BuildRescheduled": _ANOTHER,
                "BuildAborted": End("aborted"),
                "CommandRefused": _ANOTHER,
                # It may be alive and only unheard: built elsewhere, the guest could run twice.
                "StepHostLost": End("aborted", owe=Owe.DESTROY),
            },
            progress=frozenset(
                {
                    "BuildAccepted",
                    "NetworkAllocationStarted",
                    "BlockDevicesPreparing",
                    "GuestSpawning",
                }
            ),
            exhausted=To("undo"),
            compensate=To("clear", outcome="aborted"),
            action_events=("compute__do_build_and_run_instance",),
            deadline="step_max_s",
        ),
        Step(
            name="undo",
            command="DestroyGuest",
            to=Role.DESTINATION,
            on={
                "GuestDestroyed": _ANOTHER,
                "GuestDestroyFailed": Again(),
                "CommandRefused": Again(),
                # It may be alive and only unheard: built elsewhere, the guest could run twice.
                "StepHostLost": End("aborted", owe=Owe.DESTROY),
            },
            exhausted=NeedsOperator(),
            compensate=End("aborted", owe=Owe.DESTROY),
            goes_back=True,
            deadline="long_rpc_timeout",
            retries=3,
        ),
        # An operator wants it gone: no other host is tried, and nobody has to wait for this one.
        Step(
            name="clear",
            command="DestroyGuest",
            to=Role.DESTINATION,
            on={
                "GuestDestroyed": End("aborted"),
                "GuestDestroyFailed": Again(),
                "CommandRefused": Again(),
                "StepHostLost": End("aborted", owe=Owe.DESTROY),
            },
            exhausted=End("aborted", owe=Owe.DESTROY),
            no_way_back=GOES_BACK,
            deadline="long_rpc_timeout",
            retries=3,
        ),
    ),
    endings=(
        Ending(name="built", ok=True),
        Ending(name="no_valid_host", ok=False, clear_host=True),
        Ending(
            name="hosts_exhausted",
            ok=False,
            clear_host=True,
            fault="Exceeded maximum number of retries. Exhausted all hosts available for retrying"
            " build failures for instance {instance}. Last exception: {reason}",
        ),
        Ending(
            name="not_rescheduled",
            ok=False,
            release_destination=True,
            clear_host=True,
            fault="Build of instance {instance} was re-scheduled: {reason}",
        ),
        Ending(
            name="max_attempts_exceeded",
            ok=False,
            release_destination=True,
            clear_host=True,
            fault="Exceeded maximum number of retries. Exceeded max scheduling attempts {attempts}"
            " for instance {instance}. Last exception: {reason}",
        ),
        Ending(
            name="aborted",
            ok=False,
            release_destination=True,
            clear_host=True,
            fault="Build of instance {instance} aborted: {reason}",
        ),
        Ending(name="resolved", ok=False, clear_host=True, clear_elsewhere=True),
    ),
)
