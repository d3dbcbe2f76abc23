"""What is asked of one host about the life and the power of one guest."""

from __future__ import annotations

from msgspec import Struct

from events.parts import NOTHING_ATTACHED, Attachments
from events.requests import Flavor


class BuildGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Build the guest and start it. Undone by DestroyGuest."""

    flavor: Flavor
    name: str
    image: str
    attachments: Attachments = NOTHING_ATTACHED


class DestroyGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Leave nothing of the guest on this host; cancels whatever runs for it."""

    #: The evidence: `deleted`, `moved` or `undone`.
    evidence: str
    #: All that is to be let go: after a crash the host says of each whether it still has it.
    attached: Attachments = NOTHING_ATTACHED


class StopGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Power the guest off. Undone by StartGuest."""


class StartGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Power the guest on, all that it holds in reach. Undone by StopGuest."""

    attachments: Attachments = NOTHING_ATTACHED


class RebootGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Reboot the guest; a hard one defines it anew, in this size, with all that it holds."""

    hard: bool
    flavor: Flavor
    attachments: Attachments = NOTHING_ATTACHED


class PauseGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Freeze the guest. Undone by UnpauseGuest."""


class UnpauseGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Let the guest run on. Undone by PauseGuest."""
