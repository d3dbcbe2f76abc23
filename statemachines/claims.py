"""The room that an instance takes on hosts: claimed at the choice of a host, released when free.

A claim stands until a host has said that nothing is left there, or was never asked to do anything.
Two claims on one host are the two sizes of a resize that stays there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from events.values import replace
from statemachines.held import Held, SagaState
from statemachines.notes import MigrationNote
from statemachines.sagas.sides import FENCE
from statemachines.states import HALF_BUILT, PowerState

if TYPE_CHECKING:
    from statemachines.run import Run


def release(run: Run, host: str, saga_id: str | None = None) -> None:
    """Release what the instance claims on a host: all, or what one saga claimed there."""
    held = run.held
    left = tuple(
        c for c in held.claims if c.host != host or (saga_id is not None and c.saga_id != saga_id)
    )
    if len(left) != len(held.claims):
        run.held = replace(held, claims=left)


def release_others(run: Run, host: str, saga_id: str) -> None:
    """Release what the instance claims on a host, but not what this saga claimed there."""
    left = tuple(c for c in run.held.claims if c.host != host or c.saga_id == saga_id)
    if len(left) != len(run.held.claims):
        run.held = replace(run.held, claims=left)


def give_up(run: Run, saga: SagaState, *, keep_claim: bool) -> SagaState:
    """Let the chosen host go: its claim is released unless it still owes a clean-up."""
    host = saga.destination
    if host is None:
        return saga
    if not keep_claim:
        release(run, host, saga.saga_id)
    if run.held.vm_state in HALF_BUILT and run.held.host == host:
        run.held = replace(run.held, host=None, node=None)
    forget_destination(run, saga)
    excluded = tuple(sorted({*saga.excluded, host}))
    return replace(saga, destination=None, excluded=excluded, tried=saga.tried + 1)


def forget_destination(run: Run, saga: SagaState) -> None:
    """Leave the saga's migration without a destination: nova names one that took it, no other."""
    move = run.held.move
    if move is None or move.saga_id != saga.saga_id or move.destination is None:
        return
    move = replace(move, destination=None, dest_node=None, updated_at=run.now)
    run.held = replace(run.held, move=move)
    run.notes.append(MigrationNote(move=move))


def keep_one_size(run: Run) -> None:
    """Release, of two sizes claimed on the owner, the one that the instance does not have."""
    held, move = run.held, run.held.move
    if held.host is None or move is None or move.source != move.destination:
        return
    if sum(claim.host == held.host for claim in held.claims) < 2:
        return  # Of one size it is kept, whoever claimed it: the move may be long over.
    if held.flavor == move.new_flavor and held.flavor != move.old_flavor:
        release_others(run, held.host, move.saga_id)
    else:
        release(run, held.host, move.saga_id)


def take_size_of_home(run: Run, saga: SagaState) -> None:
    """Have the instance the size of its new home, where this saga's move broke off behind it.

    What that host has of it, room and disks, is of the new size, whether or not it said so.
    """
    move = run.held.move
    if move is None or move.saga_id != saga.saga_id:
        return
    if move.destination == run.held.host != move.source:
        run.held = replace(run.held, flavor=move.new_flavor)


def owner_has_room(held: Held) -> bool:
    """Say whether room is claimed on the instance's own host; not where it has none."""
    return any(claim.host == held.host for claim in held.claims)


def owner_has_guest(held: Held) -> bool:
    """Say whether the owner is known to have the guest: it is not away, and says that it has it."""
    if held.host is None:
        return True  # There is no guest yet: whoever has anything of it has a half-built one.
    is_away = any(s.saga == FENCE.name and s.target == held.host for s in held.sides)
    return owner_has_room(held) and not is_away and held.power_state != PowerState.NOSTATE
