"""When a host has started, or counts its guests otherwise: is the guest of an instance there?"""

from __future__ import annotations

from events.start_up import GuestDoubted
from events.values import replace
from statemachines.held import Boot, Held, SagaState
from statemachines.run import Run
from statemachines.sagas.start_up import START_UP
from statemachines.sides import of_the_house
from statemachines.states import VmState


def is_new(held: Held, fact: GuestDoubted) -> bool:
    """Say whether a doubt concerns the instance as it stands, and was not raised before."""
    if held.origin != "regente" or held.vm_state == VmState.DELETED or held.host != fact.host:
        return False
    before = held.doubted
    if before is None or before.host != fact.host:
        return True
    return (before.enrolment, before.sequence) < (fact.enrolment, fact.sequence)


def side_of(run: Run, fact: GuestDoubted) -> SagaState:
    """Return the side saga, not yet begun, that answers a doubt; the doubt is remembered."""
    raised = Boot(
        host=fact.host,
        enrolment=fact.enrolment,
        boot_epoch=fact.boot_epoch,
        sequence=fact.sequence,
    )
    run.held = replace(run.held, doubted=raised)
    identity = f"{fact.host}/{fact.enrolment}/{fact.sequence}"
    arguments = {"started": str(fact.started).lower()}
    return of_the_house(run, START_UP, fact.host, identity, arguments)
