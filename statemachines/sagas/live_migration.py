"""Live migration, its abort and its force-complete, driven by the conductor from end to end.

Ownership moves at the first accepted of "source: handed over" and "destination: arrived"; after
that nothing restarts the guest at the source. A failure before it is undone at the source first
(only the source can say that the guest still runs there) and then at the destination.
"""

from __future__ import annotations

from statemachines.saga import (
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
from statemachines.states import MigrationStatus, MigrationType

#: Step 6 of nova's flow: another host while `migrate_max_retries` lasts and none was asked for.
_ANOTHER = Choice("may_migrate_elsewhere", To("schedule", give_up=True), End("max_retries"))
#: In nova the search for a host and its checks are one call of the conductor, and one event.
_CONDUCTOR_EVENT = "conductor_live_migrate_instance"
_ARRIVED = frozenset({"GuestHandedOver", "GuestArrived"})
_RUNNING = frozenset({"LiveMigrationStarted", "LiveMigrationProgressed", "PostCopyStarted"})
#: The source is away and the destination could not take the guest over. Where it had said that the
#: guest came, its home is there; where not, what is there is no guest.
_NOT_ADOPTED = Choice(
    "guest_moved",
    To("clean_source", outcome="stranded"),
    To("roll_back_destination", outcome="lost"),
)
_RUNS_THERE = "the guest runs at its destination: retry it"

#: The copy takes too long: nova aborts the job, or has it completed by force. A guest in post-copy
#: runs at the destination already: there is nothing to go back to, one can only wait.
_TOO_LONG = Choice(
    "in_post_copy",
    Again(),
    Choice(
        "timeout_forces_completion",
        Again(beside="live_migrate_force_complete"),
        To("roll_back_source", outcome="cancelled"),
    ),
)

LIVE_MIGRATION = saga(
    name="live_migration",
    first=To("schedule"),
    migration_type=MigrationType.LIVE_MIGRATION,
    migration_status=MigrationStatus.ACCEPTED,
    statuses={
        "LiveMigrationQueued": MigrationStatus.QUEUED,
        "LiveMigrationAdmitted": MigrationStatus.PREPARING,
        "LiveMigrationStarted": MigrationStatus.RUNNING,
        "PostCopyStarted": MigrationStatus.RUNNING_POST_COPY,
    },
    steps=(
        Step(
            name="schedule",
            command="ChooseDestination",
            to=Role.SCHEDULER,
            on={
                "DestinationChosen": To("check_destination"),
                "NoValidHost": End("no_valid_host"),
            },
            exhausted=End("no_valid_host"),
            no_way_back=NO_HOST_YET,
            action_events=(_CONDUCTOR_EVENT,),
            deadline="long_rpc_timeout",
            retries=2,
        ),
        Step(
            name="check_destination",
            command="CheckDestination",
            to=Role.DESTINATION,
            on={
                "DestinationChecked": To("check_source"),
                "DestinationCheckFailed": _ANOTHER,
                "CommandRefused": _ANOTHER,
                "StepHostLost": Choice(
                    "may_migrate_elsewhere",
                    To("schedule", give_up=True, owe=Owe.DESTROY),
                    End("max_retries", owe=Owe.DESTROY),
                ),
            },
            exhausted=_ANOTHER,
            compensate=End("refused"),
            action_events=(_CONDUCTOR_EVENT, "compute_check_can_live_migrate_destination"),
            deadline="long_rpc_timeout",
        ),
        Step(
            name="check_source",
            command="CheckSource",
            to=Role.SOURCE,
            on={
                "SourceChecked": To("queue"),
                "SourceCheckFailed": _ANOTHER,
                "CommandRefused": End("refused"),
                "StepHostLost": End("refused", owe=Owe.FENCE),
            },
            exhausted=_ANOTHER,
            compensate=End("refused"),
            action_events=(_CONDUCTOR_EVENT, "compute_check_can_live_migrate_source"),
            deadline="long_rpc_timeout",
        ),
        Step(
            name="queue",
            command="QueueLiveMigration",
            to=Role.SOURCE,
            on={
                "LiveMigrationAdmitted": Choice(
                    "abort_requested", To("roll_back_source", outcome="cancelled"), To("prepare")
                ),
                "LiveMigrationDequeued": End("cancelled"),
                "CommandRefused": End("refused"),
                "StepHostLost": End("refused", owe=Owe.FENCE),
            },
            progress=frozenset({"LiveMigrationQueued"}),
            exhausted=To("roll_back_source", outcome="failed"),
            compensate=To("roll_back_source", outcome="cancelled"),
            action_events=("compute_live_migration",),
            deadline="live_migration_queue_timeout",
        ),
        Step(
            name="prepare",
            command="PrepareDestination",
            to=Role.DESTINATION,
            on={
                "DestinationPrepared": Choice(
                    "abort_requested", To("roll_back_source", outcome="cancelled"), To("migrate")
                ),
                "DestinationPrepareFailed": To("roll_back_source", outcome="failed"),
                "CommandRefused": To("roll_back_source", outcome="failed"),
                "StepHostLost": To("roll_back_source", outcome="failed"),
            },
            exhausted=To("roll_back_source", outcome="failed"),
            compensate=To("roll_back_source", outcome="cancelled"),
            action_events=("compute_pre_live_migration",),
            deadline="long_rpc_timeout",
        ),
        Step(
            name="migrate",
            command="LiveMigrateGuest",
            to=Role.SOURCE,
            on={
                "GuestHandedOver": To("finish"),
                "GuestArrived": To("finish"),
                "LiveMigrationFailed": To("roll_back_source", outcome="failed"),
                "LiveMigrationAborted": To("roll_back_source", outcome="cancelled"),
                "CommandRefused": To("roll_back_source", outcome="failed"),
                # Did the guest leave before its host died? Only the destination can say.
                "StepHostLost": To("adopt", owe=Owe.FENCE),
                "StepTimedOut": _TOO_LONG,
            },
            progress=_RUNNING,
            exhausted=Choice(
                "in_post_copy", NeedsOperator(), To("roll_back_source", outcome="cancelled")
            ),
            compensate=Choice(
                "in_post_copy", NeedsOperator(), To("roll_back_source", outcome="cancelled")
            ),
            no_way_back=_RUNS_THERE,
            deadline="live_migration_completion_timeout",
            per_gib=True,
            retries=2,
        ),
        Step(
            name="adopt",
            command="FinishLiveMigration",
            to=Role.DESTINATION,
            on={
                "LiveMigrationFinished": To("clean_source", outcome="completed"),
                "LiveMigrationFinishFailed": _NOT_ADOPTED,
                "CommandRefused": Again(),
                # With both hosts away nobody can say where the guest is: destroy nothing.
                "StepHostLost": Choice(
                    "guest_moved",
                    To("clean_source", outcome="stranded", owe=Owe.FENCE),
                    NeedsOperator(),
                ),
            },
            progress=_ARRIVED | _RUNNING,
            exhausted=NeedsOperator(),
            no_way_back="only its destination can say whether the guest came: retry it",
            action_events=("compute_post_live_migration_at_destination",),
            deadline="long_rpc_timeout",
            retries=2,
        ),
        Step(
            name="finish",
            command="FinishLiveMigration",
            to=Role.DESTINATION,
            on={
                "LiveMigrationFinished": To("clean_source", outcome="completed"),
                "LiveMigrationFinishFailed": To("clean_source", outcome="stranded"),
                "CommandRefused": Again(),
                "StepHostLost": To("clean_source", outcome="stranded", owe=Owe.FENCE),
            },
            progress=_ARRIVED | _RUNNING,
            exhausted=NeedsOperator(),
            no_way_back=_RUNS_THERE,
            action_events=("compute_post_live_migration_at_destination",),
            deadline="long_rpc_timeout",
            retries=2,
            after_no_return=True,
        ),
        Step(
            name="clean_source",
            command="CleanUpSource",
            to=Role.SOURCE,
            on={
                "SourceCleanedUp": End(),
                "SourceCleanUpFailed": Again(),
                "CommandRefused": Again(),
                "StepHostLost": End(owe=Owe.DESTROY),
            },
            progress=_ARRIVED | _RUNNING,
            exhausted=NeedsOperator(),
            no_way_back=_RUNS_THERE,
            deadline="long_rpc_timeout",
            retries=3,
            after_no_return=True,
        ),
        Step(
            name="roll_back_source",
            command="RollbackSource",
            to=Role.SOURCE,
            on={
                "SourceRolledBack": Choice(
                    "destination_prepared", To("roll_back_destination"), End()
                ),
                "SourceRollbackFailed": Again(),
                # It was too late: the guest had left when the rollback reached the source.
                "GuestHandedOver": To("finish"),
                "GuestArrived": To("finish"),
                "CommandRefused": Again(),
                "StepHostLost": To("adopt", owe=Owe.FENCE),
            },
            progress=_RUNNING,
            exhausted=NeedsOperator(),
            no_way_back="only its source can say whether the guest is still there: retry it",
            deadline="long_rpc_timeout",
            retries=3,
        ),
        Step(
            name="roll_back_destination",
            command="RollbackDestination",
            to=Role.DESTINATION,
            on={
                "DestinationRolledBack": End(),
                "DestinationRollbackFailed": Again(),
                "CommandRefused": Again(),
                "StepHostLost": End(owe=Owe.DESTROY),
            },
            exhausted=NeedsOperator(),
            compensate=End(owe=Owe.DESTROY),
            goes_back=True,
            action_events=("compute_rollback_live_migration_at_destination",),
            deadline="long_rpc_timeout",
            retries=3,
        ),
    ),
    endings=(
        Ending(name="completed", ok=True, migration_status=MigrationStatus.COMPLETED),
        Ending(name="no_valid_host", ok=False, migration_status=MigrationStatus.ERROR),
        Ending(
            name="max_retries",
            ok=False,
            migration_status=MigrationStatus.ERROR,
            release_destination=True,
            clear_destination=True,
        ),
        Ending(
            name="refused",
            ok=False,
            migration_status=MigrationStatus.ERROR,
            release_destination=True,
            clear_destination=True,
        ),
        Ending(
            name="failed",
            ok=False,
            migration_status=MigrationStatus.FAILED,
            release_destination=True,
            fault=None,  # Rolled back: the guest is as it was.
        ),
        Ending(
            name="cancelled",
            ok=False,
            migration_status=MigrationStatus.CANCELLED,
            release_destination=True,
            as_asked=True,
        ),
        Ending(
            name="lost",
            ok=False,
            migration_status=MigrationStatus.ERROR,
            release_destination=True,
        ),
        Ending(name="stranded", ok=False, migration_status=MigrationStatus.ERROR),
        Ending(name="resolved", ok=False, migration_status=MigrationStatus.ERROR),
    ),
)
