"""Make the guest of a lost host anew on another one (nova: rebuild_instance, recreate).

It supersedes the running saga and takes its clean-up over. The old host is told the new generation
first, and the saga goes on only when that command is in the host's topic: whatever was asked of it
before is refused when it is there again. A host that answers and says that the guest is alive is
not off, whatever its fence says: nothing is started elsewhere then. Every other host that may have
something of the guest is told to leave nothing, before one is chosen; one that can't be asked, and
of which nobody vouched that it is off, may run the guest: nothing is started then either.

Ownership moves when the destination says that the guest is there. The old host keeps its claim and
owes the guest's destruction; the migration stays `done` until it has paid.
"""

from __future__ import annotations

from statemachines.saga import (
    GOES_BACK,
    NO_HOST_YET,
    Again,
    Choice,
    End,
    Ending,
    Next,
    Owe,
    Role,
    Step,
    To,
    saga,
)
from statemachines.states import MigrationStatus, MigrationType


def _heard(owe: Owe | None = None) -> Next:
    """The old host will carry nothing out that it was asked before."""
    return Choice("nothing_elsewhere", To("schedule", owe=owe), To("clear", owe=owe))


def _cleared(owe: Owe | None = None) -> Next:
    return Choice("failed_before", End("host_alive", owe=owe), To("schedule", owe=owe))


EVACUATE = saga(
    name="evacuate",
    first=To("fence"),
    migration_type=MigrationType.EVACUATION,
    migration_status=MigrationStatus.ACCEPTED,
    statuses={"EvacuationClaimed": MigrationStatus.PRE_MIGRATING},
    steps=(
        Step(
            name="fence",
            command="RaiseGeneration",
            to=Role.OWNER,
            on={
                "GenerationRaised": Choice(
                    "guest_is_alive",
                    Choice(
                        "nothing_elsewhere",
                        End("host_alive"),
                        To("clear", outcome="host_alive"),
                    ),
                    _heard(),
                ),
                "CommandRefused": Again(),
                "StepHostLost": _heard(Owe.FENCE),
            },
            exhausted=_heard(Owe.FENCE),
            no_way_back="nothing was made elsewhere yet; it goes on by itself",
            deadline="step_timeout",
            retries=1,
        ),
        Step(
            name="clear",
            command="DestroyGuest",
            to=Role.ELSEWHERE,
            on={
                "GuestDestroyed": _cleared(),
                "GuestDestroyFailed": Again(),
                "CommandRefused": Again(),
                "StepHostLost": _cleared(Owe.DESTROY),
            },
            exhausted=_cleared(Owe.DESTROY),
            no_way_back="what it has cleared away can't be brought back; it goes on by itself",
            deadline="long_rpc_timeout",
            retries=1,
        ),
        Step(
            name="schedule",
            command="ChooseDestination",
            to=Role.SCHEDULER,
            on={
                "DestinationChosen": Choice("may_run_elsewhere", End("not_fenced"), To("rebuild")),
                "NoValidHost": End("no_valid_host"),
            },
            exhausted=End("no_valid_host"),
            no_way_back=NO_HOST_YET,
            action_events=("rebuild_server",),
            deadline="long_rpc_timeout",
            retries=2,
        ),
        Step(
            name="rebuild",
            command="EvacuateGuest",
            to=Role.DESTINATION,
            on={
                "GuestEvacuated": End("evacuated"),
                "EvacuationFailed": End("failed"),
                "EvacuationClaimFailed": End("claim_failed"),
                # It takes nothing on just now, or died in the middle and has cleared up.
                "CommandRefused": Again(),
                "StepTimedOut": To("undo", outcome="failed"),
                # It may be alive and only unheard: started a third time, the guest could run twice.
                "StepHostLost": End("failed", owe=Owe.DESTROY),
            },
            progress=frozenset(
                {
                    "EvacuationClaimed",
                    "EvacuationDisksPreparing",
                    "EvacuationSpawning",
                    "EvacuationPoweringOff",
                }
            ),
            exhausted=To("undo", outcome="claim_failed"),
            compensate=To("undo", outcome="failed"),
            action_events=("compute_rebuild_instance",),
            deadline="move_timeout",
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
                "StepHostLost": End(owe=Owe.DESTROY),
            },
            exhausted=End(owe=Owe.DESTROY),
            no_way_back=GOES_BACK,
            deadline="long_rpc_timeout",
            retries=3,
        ),
    ),
    endings=(
        Ending(
            name="evacuated", ok=True, migration_status=MigrationStatus.DONE, leaves_tombstone=True
        ),
        Ending(name="host_alive", ok=False, migration_status=MigrationStatus.ERROR),
        Ending(
            name="not_fenced",
            ok=False,
            migration_status=MigrationStatus.ERROR,
            release_destination=True,
        ),
        Ending(name="no_valid_host", ok=False, migration_status=MigrationStatus.ERROR),
        Ending(
            name="claim_failed",
            ok=False,
            migration_status=MigrationStatus.FAILED,
            release_destination=True,
        ),
        Ending(
            name="failed",
            ok=False,
            migration_status=MigrationStatus.FAILED,
            release_destination=True,
        ),
        Ending(name="resolved", ok=False, migration_status=MigrationStatus.ERROR),
    ),
)
