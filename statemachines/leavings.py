"""What was left behind is cleaned up: by a stranded move, and by hosts that took hold of too much.

What a stranded move left is kept while it may be all of a guest. Who says that its guest is well:
the owner, by a report or by the end of an operation. From then on nothing that others have of it is
needed, and their room is free when they have said so.

What a command tells a host to take hold of is noted when it is asked. A volume that was swapped, or
detached, before the command is carried out is taken hold of all the same; nobody else would ever
have it let go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from statemachines.claims import keep_one_size, owner_has_guest
from statemachines.conservation import may_claim
from statemachines.held import Held
from statemachines.interpreter import begin_side, owe
from statemachines.late_moves import HANDED_OVER
from statemachines.owing import evidence_against, is_owner_back
from statemachines.run import Run
from statemachines.saga import Owe, Saga
from statemachines.sagas.attachments import PORT_DEBT, VOLUME_DEBT
from statemachines.sagas.sides import FENCE
from statemachines.sagas.start_up import START_UP
from statemachines.sides import beside
from statemachines.states import VmState

#: What is said of something that a host took hold of: who has it let go, what names it, and what of
#: its kind the guest has.
STRAYS: Final[Mapping[str, tuple[Saga, str, Callable[[Held], frozenset[str]]]]] = MappingProxyType(
    {
        "VolumeAttached": (
            VOLUME_DEBT,
            "volume_id",
            lambda held: frozenset(v.volume.volume_id for v in held.volumes),
        ),
        "PortBound": (
            PORT_DEBT,
            "port_id",
            lambda held: frozenset(p.port.port_id for p in held.ports),
        ),
    }
)
#: vm_states in which nobody says yet that the guest is well.
_NOT_WELL = frozenset({VmState.ERROR, VmState.SOFT_DELETED, VmState.DELETED, VmState.BUILDING})


def let_strays_go(run: Run) -> None:
    """Have a host let go of a volume or port that it took hold of, and that is not the guest's."""
    host = run.envelope.host
    if host is None or run.held.vm_state == VmState.DELETED:
        return
    table, name, known = STRAYS[run.name]
    one = getattr(run.envelope.fact, name)
    is_seen_to = any(s.target == host and one in s.arguments.values() for s in run.held.sides)
    if one not in known(run.held) and not is_seen_to:
        begin_side(run, beside(run, table, host, {name: one}, about=one))


def clear_leavings(run: Run) -> None:
    """Have every host clean up that has room claimed of a guest that its owner has.

    Of two sizes on the owner itself the guest keeps the one that it has, once it is well and no
    resize waits to be confirmed.
    """
    held = run.held
    if run.verdict.saga is None and run.name == HANDED_OVER:
        # It moved behind everybody's back: its new home says first how it is there.
        begin_side(run, beside(run, START_UP, held.host, {"started": "false"}))
        return
    if held.vm_state not in _NOT_WELL:
        if held.saga is None and held.vm_state != VmState.RESIZED and owner_has_guest(held):
            keep_one_size(run)
        left = _left_of_well(held)
    elif is_owner_back(run):
        left = _left_by_takeover(held)
    else:
        return
    if not left or held.host is None or not owner_has_guest(held):
        return
    for host in sorted(left):
        owe(run, Owe.DESTROY, host, evidence_against(run, FENCE, host))


def _left_of_well(held: Held) -> frozenset[str]:
    """Name the hosts that have room claimed of a guest that is well, and no reason to."""
    hosts = frozenset([claim.host for claim in held.claims])
    if held.saga is not None and hosts.issubset(held.saga.commanded):
        return frozenset()  # Nearly always: whoever was sent a command may have room.
    return hosts - may_claim(held)


def _left_by_takeover(held: Held) -> frozenset[str]:
    """Name the hosts that have room claimed by what a winner took over, and only heard a fence."""
    saga = held.saga
    needed = () if saga is None else (saga.destination, *saga.commanded)
    return frozenset(claim.host for claim in held.claims) - {held.host, *needed}
