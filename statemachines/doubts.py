"""When a host has started, or counts its guests otherwise: is the guest of an instance there?"""

from __future__ import annotations

from events.ids import InstanceId, saga_id
from events.start_up import GuestDoubted
from statemachines.held import Boot, Held, SagaState
from statemachines.run import Run
from statemachines.sagas.start_up import START_UP
from statemachines.states import VmState
from statemachines.values import replace


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
    held = run.held = replace(run.held, doubted=raised)
    identity = f"{fact.host}/{fact.enrolment}/{fact.sequence}"
    return SagaState(
        saga_id=saga_id(InstanceId(held.instance_id), START_UP.name, identity),
        saga=START_UP.name,
        version=START_UP.version,
        request_id=None,
        action=None,
        user_id="",
        project_id="",
        started_at=run.now,
        generation=held.generation,
        step="",
        attempt=0,
        tries=0,
        entered_at=run.now,
        n=0,
        target=fact.host,
        arguments={"started": str(fact.started).lower()},
    )
