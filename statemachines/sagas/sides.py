"""Small sagas beside the primary one: abort, force-complete, and what a host owes.

A clean-up owed is a promise that outlives the operation: it waits, as long as it takes, for a host
that is away, and then has it destroy what it still has (`debt`), hear of a newer generation
(`fence`), or both hear of it and delete an image that nobody will use (`delete_image`).
"""

from __future__ import annotations

from statemachines.saga import Again, End, Ending, Next, Role, Saga, Step, To, saga

_BACK = ("HostReturned", "GuestFound", "GuestAbsent")


def _one_command(name: str, command: str, *, taken: str, failed: str, event: str) -> Saga:
    return saga(
        name=name,
        primary=False,
        first=To("ask"),
        steps=(
            Step(
                name="ask",
                command=command,
                to=Role.TARGET,
                on={
                    taken: End("done"),
                    failed: End("failed"),
                    "CommandRefused": End("failed"),
                    "StepHostLost": End("failed"),
                },
                exhausted=End("failed"),
                action_events=(event,),
                deadline="step_timeout",
                retries=1,
            ),
        ),
        endings=(
            Ending(name="done", ok=True),
            Ending(name="failed", ok=False),
            Ending(name="resolved", ok=False),
        ),
    )


def _owed(name: str, command: str, *, paid: str, failed: dict[str, Next], keeps_room: bool) -> Saga:
    return saga(
        name=name,
        primary=False,
        first=To("ask"),
        steps=(
            Step(
                name="ask",
                command=command,
                to=Role.TARGET,
                on={
                    paid: End("paid"),
                    **failed,
                    "CommandRefused": Again(),
                    "StepHostLost": To("owed"),
                },
                exhausted=To("owed"),
                deadline="long_rpc_timeout",
                retries=3,
            ),
            Step(
                name="owed",
                command=None,
                to=Role.TARGET,
                on={fact: To("ask") for fact in _BACK},
                exhausted=To("ask"),
                deadline="",
                patient=True,
            ),
        ),
        endings=(
            Ending(name="paid", ok=True),
            Ending(name="resolved", ok=False, release_target=keeps_room),
        ),
    )


ABORT = _one_command(
    "live_migrate_abort",
    "AbortLiveMigration",
    taken="AbortTaken",
    failed="AbortFailed",
    event="compute_live_migration_abort",
)
FORCE_COMPLETE = _one_command(
    "live_migrate_force_complete",
    "ForceCompleteLiveMigration",
    taken="ForceCompleteTaken",
    failed="ForceCompleteFailed",
    event="compute_live_migration_force_complete",
)
DEBT = _owed(
    "debt",
    "DestroyGuest",
    paid="GuestDestroyed",
    failed={"GuestDestroyFailed": Again()},
    keeps_room=True,
)
FENCE = _owed("fence", "RaiseGeneration", paid="GenerationRaised", failed={}, keeps_room=False)
DELETE_IMAGE = _owed(
    "delete_image",
    "DeleteImage",
    paid="ImageDeleted",
    failed={"ImageDeleteFailed": Again()},
    keeps_room=False,
)
