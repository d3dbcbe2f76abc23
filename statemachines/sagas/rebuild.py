"""Make a guest anew where it is, from the same image or another (nova: rebuild_instance).

From the request on the instance names the new image. It names the old one again where nothing was
changed: no leave of the scheduler, or a host that failed before it began. Every other failure
leaves an error, for the old disk may be gone; the rebuild may be asked again. A host that is lost
or silent must not go on with it: it hears a newer generation.
"""

from __future__ import annotations

from statemachines.saga import (
    NO_HOST_YET,
    Again,
    Choice,
    End,
    Ending,
    Owe,
    Role,
    Step,
    To,
    saga,
)


def _rebuild(name: str, *events: str) -> Step:
    return Step(
        name=name,
        command="RebuildGuest",
        to=Role.OWNER,
        on={
            "GuestRebuilt": End("rebuilt"),
            "GuestRebuildFailed": End("failed"),
            "GuestRebuildFaulted": End("faulted"),
            # It takes nothing on just now, or died in the middle: it can begin again.
            "CommandRefused": Again(),
            "StepTimedOut": End("timed_out", owe=Owe.FENCE),
            "StepHostLost": End("host_lost", owe=Owe.FENCE),
        },
        progress=frozenset(
            {
                "RebuildDisksPreparing",
                "RebuildSpawning",
                "RebuildSpawned",
                "RebuildPoweringOff",
            }
        ),
        exhausted=End("failed"),
        no_way_back="the old disk may be gone already",
        action_events=events,
        deadline="instance_build_timeout",
        retries=2,
    )


REBUILD = saga(
    name="rebuild",
    remakes=True,
    first=Choice("image_changed", To("schedule"), To("rebuild_same_image")),
    steps=(
        Step(
            name="schedule",
            command="ChooseDestination",
            to=Role.SCHEDULER,
            on={
                "DestinationChosen": To("rebuild"),
                "NoValidHost": End("no_valid_host"),
            },
            exhausted=End("no_valid_host"),
            no_way_back=NO_HOST_YET,
            action_events=("rebuild_server",),
            deadline="long_rpc_timeout",
            retries=2,
        ),
        _rebuild("rebuild", "compute_rebuild_instance"),
        # The scheduler is not asked: what nova's conductor does then is over at once.
        _rebuild("rebuild_same_image", "rebuild_server", "compute_rebuild_instance"),
    ),
    endings=(
        Ending(name="rebuilt", ok=True),
        Ending(name="no_valid_host", ok=False, restore_image=True),
        Ending(name="faulted", ok=False, restore_image=True),
        Ending(name="failed", ok=False),
        Ending(name="host_lost", ok=False),
        Ending(name="timed_out", ok=False),
        Ending(name="resolved", ok=False),
    ),
)
