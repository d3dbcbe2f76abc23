"""What a fact does to the state besides the two states and the saga: host, size, power, room.

One small function per fact that does something, a module per family; a fact that is in none of
them changes none of these.
Ownership moves at exactly one place per operation: build at the claim, resize when the source gave
the guest away, revert when the destination gave it up, live migration at hand-over or arrival,
evacuation when the guest was made anew, offload when nothing is left, unshelve at the claim.
A host that was restarted in the middle may answer with the ending alone: the ending then does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.requests import ActionRequested
from events.values import replace
from statemachines.effects import attachments, build, evacuation, images, moves, standby, start_up
from statemachines.effects.effect import Effect, RequestEffect
from statemachines.held import SagaState
from statemachines.run import Run
from statemachines.states import VmState

FAMILIES = (build, moves, standby, evacuation, attachments, images, start_up)
EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType(
    {fact: effect for family in FAMILIES for fact, effect in family.EFFECTS.items()}
)
assert len(EFFECTS) == sum(len(family.EFFECTS) for family in FAMILIES), "Expected one effect a fact"


REQUESTS: Final[Mapping[str, RequestEffect]] = MappingProxyType({**standby.REQUESTS})


def take_request(run: Run, request: ActionRequested) -> None:
    """Fold what an accepted request changes by itself, besides the states and its saga."""
    effect = REQUESTS.get(request.action)
    if effect is not None:
        effect(run, request)


def take_effect(run: Run, saga: SagaState | None) -> None:
    """Fold what the fact says about host, size, power, room; `saga` is the one that it answers."""
    power_state = getattr(run.envelope.fact, "power_state", None)
    if power_state is not None and power_state != run.held.power_state:
        _power(run, power_state)
    effect = EFFECTS.get(run.name)
    if effect is not None:
        effect(run, saga)
    held = run.held
    if held.volumes or held.ports or held.accelerators:
        attachments.settle(run, saga)


def _power(run: Run, power_state: int) -> None:
    """The hypervisor is right about power, as far as it is the owner's."""
    held = run.held
    if held.vm_state == VmState.DELETED:
        return
    if run.envelope.host == held.host or run.name in _AT_DESTINATION:
        run.held = replace(held, power_state=power_state)


_AT_DESTINATION: Final = frozenset({"LiveMigrationFinished", "GuestArrived", "GuestEvacuated"})
