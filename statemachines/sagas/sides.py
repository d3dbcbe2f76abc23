"""Small sagas beside the primary one: abort, force-complete, and what a host owes.

A clean-up owed is a promise that outlives the operation: it waits, as long as it takes, for a host
that is away, and then has it destroy what it still has (`debt`), hear of a newer generation
(`fence`), or both hear of it and delete an image that nobody will use (`delete_image`).
"""

from __future__ import annotations

from statemachines.saga import ONE_GO, Again, End, Ending, Role, Saga, Step, To, saga
from statemachines.sagas.owed import owed


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
                no_way_back=ONE_GO,
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


_RESOLVED = Ending(name="resolved", ok=False)


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
DEBT = owed(
    "debt",
    "DestroyGuest",
    paid="GuestDestroyed",
    failed={"GuestDestroyFailed": Again()},
    resolved=Ending(name="resolved", ok=False, release_target=True),
)
FENCE = owed("fence", "RaiseGeneration", paid="GenerationRaised", failed={}, resolved=_RESOLVED)
DELETE_IMAGE = owed(
    "delete_image",
    "DeleteImage",
    paid="ImageDeleted",
    failed={"ImageDeleteFailed": Again()},
    resolved=_RESOLVED,
)
