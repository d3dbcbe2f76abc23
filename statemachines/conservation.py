"""What is never lost and never made of nothing, as laws over the state of one instance.

They hold after every fact, so a worker asks for them before it commits; the auditor asks for them
again, for room that nobody explains or that is missing, and for those that need more than one
instance (`conductor.conservation`).
"""

from __future__ import annotations

from events.requests import Flavor
from statemachines.claims import owner_has_guest
from statemachines.held import Claim, Held
from statemachines.recording import OVER
from statemachines.states import VmState

#: What there is of a guest may be anywhere that has room for it.
_UNWELL = frozenset({VmState.ERROR, VmState.SOFT_DELETED, VmState.DELETED})


def broken_laws(held: Held) -> tuple[str, ...]:
    """Say which laws the state breaks, each in a sentence; empty where it keeps them all.

    Room on a host is claimed once by each saga; that of a deleted instance only where a host owes
    something. A migration is over, or somebody works on it or has to confirm it.
    """
    found = [*_claims(held), *_move(held)]
    if held.vm_state == VmState.DELETED:
        found += _stray(held)
    return tuple(f"Expected of instance {held.instance_id} {sentence}" for sentence in found)


def stray_room(held: Held) -> tuple[str, ...]:
    """Say where room is claimed that nobody explains, each in a sentence; empty for none.

    A host with room claimed owns the instance, is an open destination of it, or owes something.
    What a move that stranded left behind takes room until the instance is well or deleted.
    """
    if held.vm_state in _UNWELL or not owner_has_guest(held):
        return ()  # It may be all that is left of the guest.
    return tuple(f"Expected of instance {held.instance_id} {each}" for each in _stray(held))


def missing_room(held: Held) -> tuple[str, ...]:
    """Say that the owner has no room claimed of its size, in a sentence; empty where it has.

    Only while something is done to it may its home be without.
    """
    is_at_home = held.host is not None and held.saga is None and held.vm_state != VmState.DELETED
    if not is_at_home or held.origin != "regente":
        return ()
    size = _size(held.flavor)
    sizes = [_size(claim) for claim in held.claims if claim.host == held.host]
    if size in sizes:
        return ()
    room = f"room for {size} on {held.host}, where it is {held.vm_state}, but {sizes or 'none'}"
    return (f"Expected of instance {held.instance_id} {room}",)


def doubled_room(held: Held) -> tuple[str, ...]:
    """Say that the owner has room claimed of more than one size, in a sentence; empty for no.

    Two sizes on one host are a resize that stays there, until it is confirmed, reverted or over.
    What else may be claimed there is what the owner owes of an earlier time.
    """
    is_moving = held.saga is not None or held.vm_state == VmState.RESIZED
    if is_moving or held.vm_state in _UNWELL or not owner_has_guest(held):
        return ()
    sizes = [_size(claim) for claim in held.claims if claim.host == held.host]
    owing = {side.target for side in held.sides} | {each.source for each in held.tombstones}
    if len(sizes) < 2 or held.host in owing:
        return ()
    room = f"room for {_size(held.flavor)} alone on {held.host}, as no resize is open, but {sizes}"
    return (f"Expected of instance {held.instance_id} {room}",)


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


def _size(of: Flavor | Claim) -> tuple[int, int, int]:
    return of.vcpus, of.memory_mb, of.disk_gb


def _claims(held: Held) -> list[str]:
    if len(held.claims) < 2:
        return []
    keys = {(claim.host, claim.saga_id) for claim in held.claims}
    is_once = len(keys) == len(held.claims)
    return [] if is_once else [f"one claim per host and saga, but {held.claims}"]


def _stray(held: Held) -> list[str]:
    hosts = {claim.host for claim in held.claims}
    return [
        f"room on {host} to be released or confirmed, but it is {held.vm_state} on {held.host}"
        for host in sorted(hosts - may_claim(held))
    ]


def _move(held: Held) -> list[str]:
    move = held.move
    if move is None or move.status in OVER or held.saga is not None:
        return []
    if held.vm_state == VmState.RESIZED:
        return []
    return [f"a migration that is over, but {move.migration_id} is {move.status}"]
