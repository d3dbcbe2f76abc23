"""Delete an instance restorably, and restore it (nova: soft_delete_instance, restore_instance).

A soft delete wins over what runs, as a delete does, but the guest lives on: whoever was commanded
hears of the new generation first, and whoever has room claimed elsewhere cleans up at the end. A
resize that waits is confirmed first, as in nova. What was offloaded before its host heard of it
stays offloaded, and can be unshelved or deleted. A failure leaves the state as it was, but where
something else was broken off: then nobody vouches for the guest.
"""

from __future__ import annotations

from statemachines.saga import ONE_GO, Again, Choice, End, Ending, Owe, Role, Step, To, saga
from statemachines.sagas.one_command import one_command
from statemachines.states import MigrationStatus


def _ask(name: str, migration_status: MigrationStatus | None = None) -> Step:
    return Step(
        name=name,
        command="SoftDeleteGuest",
        to=Role.OWNER,
        on={
            "GuestSoftDeleted": End("soft_deleted"),
            "GuestSoftDeleteFailed": End("failed"),
            "CommandRefused": Again(),
            "StepHostLost": End("host_lost", owe=Owe.FENCE),
        },
        exhausted=End("timed_out", owe=Owe.FENCE),
        no_way_back=ONE_GO,
        migration_status=migration_status,
        action_events=("compute_soft_delete_instance",),
        deadline="step_timeout",
        retries=2,
    )


#: Its host may have offloaded it before it heard of this: nowhere is anything to put aside.
_FENCED = Choice("owner_has_room", To("put_aside", owe=Owe.FENCE), End("offloaded", owe=Owe.FENCE))

SOFT_DELETE = saga(
    name="soft_delete",
    first=Choice(
        "took_over", To("fence"), Choice("waits_for_confirm", To("confirm"), To("put_aside"))
    ),
    steps=(
        Step(
            name="fence",
            command="RaiseGeneration",
            to=Role.INVOLVED,
            on={
                "GenerationRaised": Choice("owner_has_room", To("put_aside"), End("offloaded")),
                "CommandRefused": Again(),
                "StepHostLost": _FENCED,
            },
            progress=frozenset(
                {"GuestHandedOver", "GuestArrived", "ResizeReverted", "GuestOffloaded"}
            ),
            exhausted=_FENCED,
            no_way_back="what it broke off does not go on again; it ends by itself",
            deadline="step_timeout",
            retries=2,
        ),
        Step(
            name="confirm",
            command="ConfirmResize",
            to=Role.SOURCE,
            on={
                "ResizeConfirmed": To("put_aside_confirmed"),
                "ResizeConfirmFailed": End("confirm_failed", owe=Owe.DESTROY),
                "CommandRefused": Again(),
                "StepHostLost": Choice(
                    "same_host",
                    End("confirm_failed", owe=Owe.FENCE),
                    To("put_aside_confirmed", owe=Owe.DESTROY),
                ),
            },
            exhausted=End("confirm_failed", owe=Owe.FENCE),
            no_way_back="its source may have left nothing of the old guest already",
            migration_status=MigrationStatus.CONFIRMING,
            deadline="long_rpc_timeout",
            retries=3,
        ),
        _ask("put_aside"),
        _ask("put_aside_confirmed", MigrationStatus.CONFIRMED),
    ),
    endings=(
        Ending(name="soft_deleted", ok=True, clear_elsewhere=True),
        Ending(name="offloaded", ok=False, clear_host=True, clear_elsewhere=True),
        Ending(
            name="confirm_failed",
            ok=False,
            migration_status=MigrationStatus.ERROR,
            clear_elsewhere=True,
        ),
        Ending(name="failed", ok=False, clear_elsewhere=True),
        Ending(name="host_lost", ok=False, clear_elsewhere=True),
        Ending(name="timed_out", ok=False, clear_elsewhere=True),
        Ending(name="resolved", ok=False),
    ),
)

RESTORE = one_command(
    "restore",
    "UndeleteGuest",
    on={"GuestUndeleted": End("done"), "GuestUndeleteFailed": End("failed")},
    event="compute_restore_instance",
)
