"""Delete an instance, from every state and whatever else is going on (nova: terminate_instance).

It supersedes the running saga and takes its clean-up over: every host that may have something of
the instance is told to leave nothing, which also tells it the new generation. A host that is lost
owes that, and the instance is deleted all the same.
"""

from __future__ import annotations

from statemachines.saga import Again, Choice, End, Ending, Owe, Role, Step, To, saga

DELETE = saga(
    name="delete",
    without_host=True,
    evidence="deleted",
    first=Choice("nothing_anywhere", End("deleted"), To("destroy")),
    steps=(
        Step(
            name="destroy",
            command="DestroyGuest",
            to=Role.INVOLVED,
            on={
                "GuestDestroyed": End("deleted"),
                "GuestDestroyFailed": Again(),
                "CommandRefused": Again(),
                "StepHostLost": End("deleted", owe=Owe.DESTROY),
            },
            exhausted=End("failed"),
            no_way_back="its hosts may have destroyed the guest already",
            action_events=("compute_terminate_instance",),
            deadline="long_rpc_timeout",
            retries=3,
        ),
    ),
    endings=(
        Ending(name="deleted", ok=True),
        Ending(name="failed", ok=False, clear_elsewhere=True),
        Ending(name="resolved", ok=False),
    ),
)
