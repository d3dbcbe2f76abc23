"""Shelve, offload, unshelve: a guest leaves its host as an image, or as volumes, and comes back.

Ownership ends when the host said that nothing is left there, and begins anew at the claim of the
unshelve's destination. The image outlives every failure of an unshelve; it is deleted when the
guest runs, or with the instance. With it, a copy that a failed move left on another host is of no
use any more, and is cleared away.

As in nova an unshelve is tried on one host. A guest that may be alive on a host that is away is
never made elsewhere: the instance stays shelved, and that host owes first (see `image_demands`).
Where nova leaves a lost or interrupted shelving, offloading or unshelving standing in its
task_state, it ends here; a missing image leaves (error, None), not (error, unshelving).
"""

from __future__ import annotations

from statemachines.saga import (
    NO_HOST_YET,
    ONE_GO,
    Again,
    Choice,
    End,
    Ending,
    NeedsOperator,
    Next,
    Owe,
    Role,
    Step,
    To,
    saga,
)
from statemachines.sagas.images import UPLOADING

_SHELVE_EVENT = "compute_shelve_instance"


def _offload(name: str, failed: str, *, lost: str, late: str, event: str) -> Step:
    return Step(
        name=name,
        command="OffloadGuest",
        to=Role.OWNER,
        on={
            "GuestOffloaded": End("offloaded"),
            "GuestOffloadFailed": End(failed),
            "CommandRefused": End(failed),
            # What it has left may be all that there is, and is off: nothing is given up on a guess.
            "StepHostLost": End(lost, owe=Owe.FENCE),
        },
        exhausted=End(late, owe=Owe.FENCE),
        no_way_back="its host may have left nothing of the guest already",
        action_events=(event,),
        deadline="long_rpc_timeout",
        retries=2,
    )


SHELVE = saga(
    name="shelve",
    first=Choice("is_volume_backed", To("offload_volume_backed"), To("shelve")),
    steps=(
        Step(
            name="shelve",
            command="ShelveGuest",
            to=Role.OWNER,
            on={
                "GuestShelved": Choice("offloads_at_once", To("offload"), End("shelved")),
                "GuestShelveFailed": End("failed", owe=Owe.IMAGE),
                "CommandRefused": End("failed", owe=Owe.IMAGE),
                "StepHostLost": End("host_lost", owe=Owe.IMAGE),
            },
            progress=UPLOADING,
            exhausted=End("timed_out", owe=Owe.IMAGE),
            compensate=End("failed", owe=Owe.IMAGE),
            superseded=Owe.IMAGE,
            action_events=(_SHELVE_EVENT,),
        ),
        _offload(
            "offload",
            "not_offloaded",
            lost="not_offloaded",
            late="not_offloaded",
            event=_SHELVE_EVENT,
        ),
        # Without an image to make, nova offloads at once, whatever shelved_offload_time says.
        _offload(
            "offload_volume_backed",
            "failed",
            lost="host_lost",
            late="timed_out",
            event="compute_shelve_offload_instance",
        ),
    ),
    endings=(
        Ending(name="shelved", ok=True),
        Ending(name="offloaded", ok=True, clear_host=True, clear_elsewhere=True),
        Ending(name="not_offloaded", ok=False),
        Ending(name="failed", ok=False),
        Ending(name="host_lost", ok=False),
        Ending(name="timed_out", ok=False),
        Ending(name="resolved", ok=False),
    ),
)

SHELVE_OFFLOAD = saga(
    name="shelve_offload",
    first=To("offload"),
    steps=(
        _offload(
            "offload",
            "failed",
            lost="host_lost",
            late="timed_out",
            event="compute_shelve_offload_instance",
        ),
    ),
    endings=(
        Ending(name="offloaded", ok=True, clear_host=True, clear_elsewhere=True),
        Ending(name="failed", ok=False),
        Ending(name="host_lost", ok=False),
        Ending(name="timed_out", ok=False),
        Ending(name="resolved", ok=False),
    ),
)

_MAY_RUN: Next = End("host_lost", owe=Owe.DESTROY)

UNSHELVE = saga(
    name="unshelve",
    without_host=True,
    first=Choice(
        "is_offloaded",
        Choice("can_be_made_again", To("schedule"), End("image_missing")),
        To("start"),
    ),
    steps=(
        Step(
            name="start",
            command="StartShelvedGuest",
            to=Role.OWNER,
            on={
                "ShelvedGuestStarted": End("started"),
                "ShelvedGuestStartFailed": End("not_started"),
                "CommandRefused": End("not_started"),
                "StepHostLost": End("not_started", owe=Owe.FENCE),
            },
            progress=frozenset({"ShelvedGuestStarting"}),
            exhausted=End("not_started", owe=Owe.FENCE),
            no_way_back=ONE_GO,
            action_events=("compute_start_instance",),
            deadline="step_timeout",
            retries=2,
        ),
        Step(
            name="schedule",
            command="ChooseDestination",
            to=Role.SCHEDULER,
            on={
                "DestinationChosen": To("unshelve"),
                "NoValidHost": End("no_valid_host"),
            },
            exhausted=End("no_valid_host"),
            no_way_back=NO_HOST_YET,
            action_events=("schedule_instances",),
            deadline="long_rpc_timeout",
            retries=2,
        ),
        Step(
            name="unshelve",
            command="UnshelveGuest",
            to=Role.DESTINATION,
            on={
                "GuestUnshelved": End("unshelved"),
                "GuestUnshelveFailed": End("failed"),
                "ShelvedImageMissing": End("image_missing"),
                # It takes nothing on just now, or died in the middle and has cleared up.
                "CommandRefused": Again(),
                "StepTimedOut": To("undo", outcome="timed_out"),
                "StepHostLost": _MAY_RUN,
            },
            progress=frozenset({"UnshelveAccepted"}),
            exhausted=To("undo", outcome="failed"),
            compensate=To("undo", outcome="failed"),
            # It is the destination that looks for the image: nobody else of the house can.
            action_events=("get_image_info", "compute_unshelve_instance"),
            retries=2,
        ),
        Step(
            name="undo",
            command="DestroyGuest",
            to=Role.DESTINATION,
            on={
                "GuestDestroyed": End(),
                "GuestDestroyFailed": Again(),
                "CommandRefused": Again(),
                "StepHostLost": _MAY_RUN,
            },
            exhausted=NeedsOperator(),
            compensate=End(owe=Owe.DESTROY),
            goes_back=True,
            deadline="long_rpc_timeout",
            retries=3,
        ),
    ),
    endings=(
        Ending(name="started", ok=True),
        Ending(name="not_started", ok=False),
        Ending(name="unshelved", ok=True),
        Ending(name="no_valid_host", ok=False),
        Ending(name="failed", ok=False, release_destination=True, clear_host=True),
        Ending(name="host_lost", ok=False, release_destination=True, clear_host=True),
        Ending(name="timed_out", ok=False, release_destination=True, clear_host=True),
        Ending(name="image_missing", ok=False, release_destination=True, clear_host=True),
        Ending(name="resolved", ok=False, clear_host=True, clear_elsewhere=True),
    ),
)
