"""Resize and cold migration up to `resized`: the same steps, another flavor or another host only.

Ownership moves when the source says that it gave the guest away (nova's step 11). Before that a
failure is undone at the source first and then at the destination; after it the guest's home is the
destination. A late "gave away" after the source was told to restore changes nothing: the old disks
are still there, and starting the guest at both ends is the one thing that must not happen.
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
    Saga,
    Step,
    To,
    saga,
)
from statemachines.states import MigrationStatus, MigrationType

_ANOTHER = Choice(
    "may_resize_elsewhere",
    To("schedule", give_up=True, outcome="prepare_failed"),
    End("prepare_failed"),
)
#: Where the resize stays on its host, what that is told to leave nothing of would be the guest.
_RELEASE = Choice("same_host", End(), To("release_destination"))
#: What a destination that is told to give back may have done before it heard that.
_FINISHING = frozenset({"ResizeFinishing", "ResizeFinished"})


def _gone(outcome: str, owe: Owe | None = None) -> Choice:
    """Undo what there is at a destination, unless it is the source."""
    return Choice(
        "same_host", End(outcome, owe=owe), To("release_destination", outcome=outcome, owe=owe)
    )


def _giving_back(
    name: str,
    failed: str,
    progress: frozenset[str] = frozenset(),
    action_events: tuple[str, ...] = (),
) -> Step:
    """Have the destination give the guest up, so that its source may take it back."""
    return Step(
        name=name,
        command="RevertResize",
        to=Role.DESTINATION,
        on={
            "ResizeReverted": To("take_back"),
            "ResizeRevertFailed": End(failed),
            "CommandRefused": Again(),
            # The guest may still run there: without a fence nobody may start it elsewhere.
            "StepHostLost": NeedsOperator(),
        },
        progress=progress,
        exhausted=NeedsOperator(),
        no_way_back="only its destination can say whether it still has the guest: retry it",
        action_events=action_events,
        deadline="move_timeout",
        retries=2,
    )


def _taking_back(
    done: End,
    migration_status: MigrationStatus | None = None,
    action_events: tuple[str, ...] = (),
) -> Step:
    """Have the source make the guest of what it kept."""
    return Step(
        name="take_back",
        command="FinishRevertResize",
        to=Role.SOURCE,
        on={
            "RevertFinished": done,
            "RevertFinishFailed": End("failed"),
            "CommandRefused": Again(),
            "StepHostLost": End("failed", owe=Owe.FENCE),
        },
        progress=frozenset({"RevertStarted", "RevertPoweringOff"}),
        exhausted=NeedsOperator(),
        no_way_back="its destination has given the guest up, and only its source has it: retry it",
        migration_status=migration_status,
        action_events=action_events,
        deadline="move_timeout",
        retries=2,
        after_no_return=True,
    )


#: Nothing was tried yet, or all that there was: nova tells of the last host's refusal then.
_NONE_LEFT = Choice("failed_before", End("prepare_failed"), End("no_valid_host"))


def _table(name: str, migration_type: MigrationType, same_host: str | None) -> Saga:
    return saga(
        name=name,
        first=To("schedule"),
        migration_type=migration_type,
        migration_status=MigrationStatus.PRE_MIGRATING,
        statuses={
            "ResizeStarted": MigrationStatus.MIGRATING,
            "ResizeCopied": MigrationStatus.POST_MIGRATING,
        },
        same_host=same_host,
        steps=(
            Step(
                name="schedule",
                command="ChooseDestination",
                to=Role.SCHEDULER,
                on={
                    "DestinationChosen": To("prepare"),
                    "NoValidHost": _NONE_LEFT,
                },
                exhausted=_NONE_LEFT,
                no_way_back=NO_HOST_YET,
                action_events=("conductor_migrate_server", "cold_migrate"),
                deadline="long_rpc_timeout",
                retries=2,
            ),
            Step(
                name="prepare",
                command="PrepareResize",
                to=Role.DESTINATION,
                on={
                    "ResizePrepared": To("migrate"),
                    "ResizePrepareFailed": _ANOTHER,
                    "CommandRefused": _ANOTHER,
                    "StepHostLost": Choice(
                        "may_resize_elsewhere",
                        To("schedule", give_up=True, outcome="prepare_failed", owe=Owe.DESTROY),
                        End("prepare_failed", owe=Owe.DESTROY),
                    ),
                },
                exhausted=_gone("prepare_failed"),
                compensate=Choice(
                    "same_host",
                    End("prepare_failed", owe=Owe.FENCE),
                    To("release_destination", outcome="prepare_failed"),
                ),
                action_events=("compute_prep_resize",),
                deadline="long_rpc_timeout",
                retries=1,
            ),
            Step(
                name="migrate",
                command="ResizeGuest",
                to=Role.SOURCE,
                on={
                    "ResizeMigrated": To("finish"),
                    "ResizeFailed": To("restore_source", outcome="failed"),
                    "ResizeFaulted": To("restore_source", outcome="faulted"),
                    "CommandRefused": To("restore_source", outcome="faulted"),
                    "StepHostLost": _gone("failed", Owe.FENCE),
                },
                progress=frozenset({"ResizeStarted", "ResizeCopied"}),
                exhausted=To("restore_source", outcome="failed"),
                compensate=To("restore_source", outcome="faulted"),
                action_events=("compute_resize_instance",),
                deadline="move_timeout",
            ),
            Step(
                name="finish",
                command="FinishResize",
                to=Role.DESTINATION,
                on={
                    "ResizeFinished": End("finished"),
                    "ResizeFinishFailed": End("stranded"),
                    # It takes nothing on just now, or died in the middle: the disks are there.
                    "CommandRefused": Again(),
                    "StepHostLost": End("stranded", owe=Owe.FENCE),
                },
                progress=frozenset({"ResizeFinishing"}),
                exhausted=NeedsOperator(),
                # The source has kept its disks, as for a revert.
                compensate=To("give_back", outcome="faulted"),
                migration_status=MigrationStatus.POST_MIGRATING,
                action_events=("compute_finish_resize",),
                deadline="move_timeout",
                retries=2,
                after_no_return=True,
            ),
            Step(
                name="restore_source",
                command="RestoreGuest",
                to=Role.SOURCE,
                on={
                    "GuestRestored": _RELEASE,
                    "GuestRestoreFailed": Again(),
                    "CommandRefused": Again(),
                    "StepHostLost": _gone("failed", Owe.FENCE),
                },
                exhausted=NeedsOperator(),
                compensate=_gone("failed", Owe.FENCE),
                goes_back=True,
                deadline="long_rpc_timeout",
                retries=3,
            ),
            Step(
                name="release_destination",
                command="ReleaseDestination",
                to=Role.DESTINATION,
                on={
                    "DestinationReleased": End(),
                    "DestinationReleaseFailed": Again(),
                    "CommandRefused": Again(),
                    "StepHostLost": End(owe=Owe.DESTROY),
                },
                exhausted=NeedsOperator(),
                compensate=End(owe=Owe.DESTROY),
                goes_back=True,
                deadline="long_rpc_timeout",
                retries=3,
            ),
            _giving_back("give_back", failed="stranded", progress=_FINISHING),
            _taking_back(End()),
        ),
        endings=(
            Ending(name="finished", ok=True, migration_status=MigrationStatus.FINISHED),
            Ending(name="no_valid_host", ok=False, migration_status=MigrationStatus.ERROR),
            Ending(
                name="prepare_failed",
                ok=False,
                migration_status=MigrationStatus.ERROR,
                release_destination=True,
                clear_destination=True,
                fault_code=400,  # Of nova's ComputeResourcesUnavailable: the claim is what fails.
            ),
            Ending(
                name="failed",
                ok=False,
                migration_status=MigrationStatus.ERROR,
                release_destination=True,
            ),
            Ending(
                name="faulted",
                ok=False,
                migration_status=MigrationStatus.ERROR,
                release_destination=True,
            ),
            Ending(name="stranded", ok=False, migration_status=MigrationStatus.ERROR),
            Ending(name="resolved", ok=False, migration_status=MigrationStatus.ERROR),
        ),
    )


RESIZE = _table("resize", MigrationType.RESIZE, "allow_resize_to_same_host")
#: A cold migration to the same host needs a driver trait that only one hypervisor of nova's has.
MIGRATE = _table("migrate", MigrationType.MIGRATION, None)

CONFIRM = saga(
    name="confirm_resize",
    first=To("clean_source"),
    migration_status=MigrationStatus.CONFIRMING,
    steps=(
        Step(
            name="clean_source",
            command="ConfirmResize",
            to=Role.SOURCE,
            on={
                "ResizeConfirmed": End("confirmed"),
                "ResizeConfirmFailed": End("failed", owe=Owe.DESTROY),
                "CommandRefused": Again(),
                # Nova leaves `confirming` for ever here; the user's guest is fine where it is,
                # unless it is on the very host that was lost.
                "StepHostLost": Choice(
                    "same_host", NeedsOperator(), End("confirmed", owe=Owe.DESTROY)
                ),
            },
            exhausted=NeedsOperator(),
            no_way_back="its source may have left nothing of the old guest already: retry it",
            action_events=("compute_confirm_resize",),
            deadline="long_rpc_timeout",
            retries=3,
            after_no_return=True,
        ),
    ),
    endings=(
        Ending(name="confirmed", ok=True, migration_status=MigrationStatus.CONFIRMED),
        Ending(name="failed", ok=False, migration_status=MigrationStatus.ERROR),
        Ending(name="resolved", ok=False, migration_status=MigrationStatus.ERROR),
    ),
)

REVERT = saga(
    name="revert_resize",
    first=To("give_up"),
    migration_status=MigrationStatus.REVERTING,
    steps=(
        _giving_back("give_up", failed="failed", action_events=("compute_revert_resize",)),
        _taking_back(
            End("reverted"),
            migration_status=MigrationStatus.REVERTED,
            action_events=("compute_finish_revert_resize",),
        ),
    ),
    endings=(
        Ending(name="reverted", ok=True, migration_status=MigrationStatus.REVERTED),
        Ending(name="failed", ok=False, migration_status=MigrationStatus.ERROR),
        Ending(name="resolved", ok=False, migration_status=MigrationStatus.ERROR),
    ),
)
