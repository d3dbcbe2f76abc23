"""What a stranded move left behind is kept while it may be all of a guest, and then cleaned up.

Who says that its guest is well: the owner, by a report or by the end of an operation. From then on
nothing that others have of it is needed, and their room is free when they have said so.
"""

from __future__ import annotations

from statemachines.claims import owner_has_guest
from statemachines.conservation import may_claim
from statemachines.interpreter import owe
from statemachines.owing import evidence_against
from statemachines.run import Run
from statemachines.saga import Owe
from statemachines.sagas.sides import FENCE
from statemachines.states import VmState

#: vm_states in which nobody says yet that the guest is well.
_NOT_WELL = frozenset({VmState.ERROR, VmState.SOFT_DELETED, VmState.DELETED, VmState.BUILDING})


def clear_leavings(run: Run) -> None:
    """Have every host clean up that has room claimed of a guest that is well elsewhere."""
    held = run.held
    if len(held.claims) < 2 or held.vm_state in _NOT_WELL:
        return
    if held.saga is not None and all(c.host in held.saga.commanded for c in held.claims):
        return  # Nearly always: whoever was sent a command may have room.
    left = {claim.host for claim in held.claims} - may_claim(held)
    if not left or held.host is None or not owner_has_guest(held):
        return
    for host in sorted(left):
        owe(run, Owe.DESTROY, host, evidence_against(run, FENCE, host))
