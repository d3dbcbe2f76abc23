"""What is asked of a destination when the host of a guest is lost."""

from __future__ import annotations

from msgspec import Struct

from events.parts import NOTHING_ATTACHED, Attachments
from events.requests import Flavor


class EvacuateGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Make the guest of a lost host anew on this one. Undone by DestroyGuest."""

    flavor: Flavor
    name: str
    image: str
    #: The host that is lost, and off.
    source: str
    #: Leave it running; else powered off.
    power_on: bool
    attachments: Attachments = NOTHING_ATTACHED
    #: 0 to 9; of evacuations that wait for a place, the highest goes first.
    priority: int = 5
