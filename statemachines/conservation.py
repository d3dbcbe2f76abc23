"""What is never lost and never made of nothing, as laws over the state of one instance.

They hold after every fact, so a worker asks for them before it commits; the auditor asks for them
again, and for those that need more than one instance (`conductor.conservation`).
"""

from __future__ import annotations

from statemachines.claims import owner_has_guest
from statemachines.held import Held
from statemachines.recording import OVER
from statemachines.states import VmState


def broken_laws(held: Held) -> tuple[str, ...]:
    """Say which laws the state breaks, each in a sentence; empty where it keeps them all.

    Room is claimed only on a host that owns the instance, is an open destination of it, or owes
    something; and once for each saga that claimed it. A migration is over, or somebody works on it
    or has to confirm it.
    """
    found = [*_claims(held), *_move(held)]
    return tuple(f"Expected of instance {held.instance_id} {sentence}" for sentence in found)


def may_claim(held: Held) -> frozenset[str | None]:
    """Name every host on which the instance may take room."""
    hosts: set[str | None] = set()
    for saga in (held.saga, *held.sides):
        if saga is not None:
            hosts |= {saga.destination, saga.target, *saga.pending, *saga.commanded}
    if held.vm_state == VmState.DELETED:
        return frozenset(hosts)
    hosts.add(held.host)
    move = held.move
    if move is not None and move.status not in OVER:
        hosts |= {move.source, move.destination}
    hosts.update(tombstone.source for tombstone in held.tombstones)
    return frozenset(hosts)


def _claims(held: Held) -> list[str]:
    claims = held.claims
    if not claims:
        return []
    keys = {(claim.host, claim.saga_id) for claim in claims}
    found = [] if len(keys) == len(claims) else [f"one claim per host and saga, but {claims}"]
    hosts = {claim.host for claim in claims}
    is_at_home = hosts == {held.host} and held.vm_state != VmState.DELETED
    is_unwell = held.vm_state in (VmState.ERROR, VmState.SOFT_DELETED)
    is_missed = held.vm_state != VmState.DELETED and not owner_has_guest(held)
    if is_at_home or is_unwell or is_missed:
        # What a move that stranded left behind takes room until the instance is well or deleted:
        # it may be all that is left of the guest.
        return found
    allowed = may_claim(held)
    return found + [
        f"room on {host} to be released or confirmed, but it is {held.vm_state} on {held.host}"
        for host in sorted(hosts - allowed)
    ]


def _move(held: Held) -> list[str]:
    move = held.move
    if move is None or move.status in OVER or held.saga is not None:
        return []
    if held.vm_state == VmState.RESIZED:
        return []
    return [f"a migration that is over, but {move.migration_id} is {move.status}"]
