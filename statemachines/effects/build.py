"""What a build and a destruction change: host, room, the time of the first launch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from events import instance
from events.values import replace
from statemachines.claims import release
from statemachines.effects.effect import Effect
from statemachines.held import SagaState
from statemachines.run import Run
from statemachines.states import HALF_BUILT, VmState


def _build_accepted(run: Run, _saga: SagaState | None) -> None:
    fact = cast("instance.BuildAccepted", run.envelope.fact)
    run.held = replace(run.held, host=run.envelope.host, node=fact.node)


def _build_undone(run: Run, saga: SagaState | None) -> None:
    assert saga is not None
    assert run.envelope.host is not None
    release(run, run.envelope.host, saga.saga_id)
    run.held = replace(run.held, host=None, node=None)


def _guest_destroyed(run: Run, saga: SagaState | None) -> None:
    host = run.envelope.host
    assert host is not None
    owns = run.held.host == host and run.held.vm_state != VmState.DELETED
    if saga is not None and saga.saga == "debt" and owns:
        return  # It owned the instance again in the meantime: its claim is the new guest's.
    release(run, host)
    deleting = saga is not None and saga.saga == "delete"
    if run.held.vm_state in HALF_BUILT and run.held.host == host and not deleting:
        run.held = replace(run.held, host=None, node=None)


def _guest_built(run: Run, _saga: SagaState | None) -> None:
    held, host = run.held, run.envelope.host
    if held.host != host:
        held = replace(held, host=host, node=host)
    run.held = replace(held, launched_at=held.launched_at or run.now)


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType(
    {
        "BuildAccepted": _build_accepted,
        "BuildRescheduled": _build_undone,
        "BuildAborted": _build_undone,
        "GuestDestroyed": _guest_destroyed,
        "GuestBuilt": _guest_built,
    }
)
