"""A live migration whose saga is over, and that came to its end all the same.

An operator may end it (reset-state, resolve) while its source is away. The source's hypervisor does
not know, and hands the guest over; nobody may start it at the source then, so its home is where it
went. The owner alone may say so: who was to be a destination once, and is none any more, may not.
"""

from __future__ import annotations

from typing import Final

from events.envelope import Envelope
from events.migration import GuestHandedOver
from statemachines.held import Held
from statemachines.states import MigrationType, VmState

#: What the source says of a guest that it gave away.
HANDED_OVER: Final = GuestHandedOver.__name__


def has_moved_late(held: Held, envelope: Envelope[object]) -> bool:
    """Say whether the owner says late that the guest went where it was to, while nobody is at work.

    Room is claimed at the destination for as long as it has not said that nothing is left there.
    """
    move = held.move
    if move is None or held.saga is not None or held.vm_state == VmState.DELETED:
        return False
    if move.migration_type != MigrationType.LIVE_MIGRATION or held.host != move.source:
        return False
    is_open = any((c.host, c.saga_id) == (move.destination, move.saga_id) for c in held.claims)
    is_said = isinstance(envelope.fact, GuestHandedOver) and envelope.host == held.host
    return is_open and is_said
