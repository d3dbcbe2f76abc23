"""What a move changes: host, size, room, and what is known of its progress."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from events import decisions, migration
from events.values import replace
from statemachines.attachments import activated
from statemachines.claims import keep_one_size, release, release_others
from statemachines.effects.effect import Effect
from statemachines.held import Claim, SagaState
from statemachines.notes import MigrationNote
from statemachines.run import Run
from statemachines.sagas import SAGAS
from statemachines.states import MigrationStatus


def _destination_chosen(run: Run, saga: SagaState | None) -> None:
    fact = cast("decisions.DestinationChosen", run.envelope.fact)
    assert saga is not None
    assert run.held.saga is not None
    if SAGAS[saga.saga].remakes:
        return  # It is there already, and so is its claim.
    held, move = run.held, run.held.move
    mine = move is not None and move.saga_id == saga.saga_id
    flavor = move.new_flavor if move is not None and mine else held.flavor
    claim = Claim(
        host=fact.host,
        saga_id=saga.saga_id,
        vcpus=flavor.vcpus,
        memory_mb=flavor.memory_mb,
        disk_gb=flavor.disk_gb,
        created_at=run.now,
    )
    held = replace(
        held,
        claims=(*held.claims, claim),
        saga=replace(run.held.saga, destination=fact.host),
    )
    if move is not None and mine:
        move = replace(move, destination=fact.host, dest_node=fact.node, updated_at=run.now)
        held = replace(held, move=move)
        run.notes.append(MigrationNote(move=move))
    run.held = held


def _moved_to_destination(run: Run, saga: SagaState | None) -> None:
    """The one place where a move changes the owner."""
    move = run.held.move
    assert move is not None
    destination = saga.destination if saga is not None else move.destination
    assert destination is not None
    held = replace(run.held, host=destination, node=move.dest_node or destination)
    run.held = activated(held, destination)


def _has_new_size(run: Run, _saga: SagaState | None) -> None:
    """Nova writes the new size before the guest is made of it."""
    assert run.held.move is not None
    run.held = replace(run.held, flavor=run.held.move.new_flavor)


def _resize_confirmed(run: Run, _saga: SagaState | None) -> None:
    """The old guest's room is free; on the same host only that of the old size."""
    move = run.held.move
    assert move is not None
    release_others(run, move.source, move.saga_id)


def _resize_confirm_failed(run: Run, saga: SagaState | None) -> None:
    """On the same host there is nothing to clean up later, so the old size is free all the same."""
    move = run.held.move
    assert move is not None
    if move.source == move.destination:
        _resize_confirmed(run, saga)


def _resize_revert_failed(run: Run, _saga: SagaState | None) -> None:
    """On the same host there is nothing else to go back to: the guest keeps the size it has."""
    keep_one_size(run)


def _resize_reverted(run: Run, saga: SagaState | None) -> None:
    """From here on what the source kept is all there is: it is the guest's home again."""
    move = run.held.move
    assert move is not None
    assert move.destination is not None
    release(run, move.destination, move.saga_id)
    _taken_back(run, saga)


def _taken_back(run: Run, _saga: SagaState | None) -> None:
    move = run.held.move
    assert move is not None
    run.held = replace(run.held, host=move.source, node=move.source_node, flavor=move.old_flavor)


def _source_cleaned_up(run: Run, saga: SagaState | None) -> None:
    move = run.held.move
    assert move is not None
    assert saga is not None
    release_others(run, move.source, saga.saga_id)


def _destination_released(run: Run, saga: SagaState | None) -> None:
    assert saga is not None
    assert saga.destination is not None
    release(run, saga.destination, saga.saga_id)


def _resolved(run: Run, saga: SagaState | None) -> None:
    """An operator ends the move: of two sizes on one host it has one, of two homes the later."""
    held, move = run.held, run.held.move
    if saga is None or move is None or saga is not held.saga:
        return
    if move.status == MigrationStatus.RUNNING_POST_COPY and saga.destination is not None:
        _moved_to_destination(run, saga)
    keep_one_size(run)


def _progressed(run: Run, _saga: SagaState | None) -> None:
    fact = cast("migration.LiveMigrationProgressed", run.envelope.fact)
    assert run.held.move is not None
    move = replace(
        run.held.move,
        memory_total=fact.memory_total,
        memory_processed=fact.memory_processed,
        memory_remaining=fact.memory_remaining,
        disk_total=fact.disk_total,
        disk_processed=fact.disk_processed,
        disk_remaining=fact.disk_remaining,
        updated_at=run.now,
    )
    run.held = replace(run.held, move=move)
    run.notes.append(MigrationNote(move=move))


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType(
    {
        "DestinationChosen": _destination_chosen,
        "ResizeMigrated": _moved_to_destination,
        "ResizeFinishing": _has_new_size,
        "ResizeFinished": _has_new_size,
        "ResizeConfirmed": _resize_confirmed,
        "ResizeConfirmFailed": _resize_confirm_failed,
        "ResizeReverted": _resize_reverted,
        "ResizeRevertFailed": _resize_revert_failed,
        "RevertStarted": _taken_back,
        "RevertFinished": _taken_back,
        "GuestHandedOver": _moved_to_destination,
        "GuestArrived": _moved_to_destination,
        "LiveMigrationFinished": _moved_to_destination,
        "SourceCleanedUp": _source_cleaned_up,
        "DestinationReleased": _destination_released,
        "DestinationRolledBack": _destination_released,
        "LiveMigrationProgressed": _progressed,
        "SagaResolved": _resolved,
    }
)
