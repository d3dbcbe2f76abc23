"""What resize, cold migration, confirm and revert ask of the two hosts of a move."""

from __future__ import annotations

from msgspec import Struct

from events.parts import NOTHING_ATTACHED, Attachments
from events.requests import Flavor


class PrepareResize(Struct, frozen=True, kw_only=True, gc=False):
    """Claim room at the destination. Undone by ReleaseDestination."""

    source: str
    old_flavor: Flavor
    new_flavor: Flavor


class ResizeGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Power off, copy and give away the guest (source). Undone by RestoreGuest."""

    destination: str
    new_flavor: Flavor
    #: All that is to be let go: after a crash the host says of each whether it still has it.
    attached: Attachments = NOTHING_ATTACHED


class FinishResize(Struct, frozen=True, kw_only=True, gc=False):
    """Define the guest in its new size, start it if it ran (destination); RevertResize undoes."""

    source: str
    new_flavor: Flavor
    power_on: bool
    attachments: Attachments = NOTHING_ATTACHED


class RestoreGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Put the guest back as it was before the move (source)."""

    old_flavor: Flavor
    power_on: bool
    attachments: Attachments = NOTHING_ATTACHED


class ReleaseDestination(Struct, frozen=True, kw_only=True, gc=False):
    """Leave nothing of a move that is being undone (destination)."""


class ConfirmResize(Struct, frozen=True, kw_only=True, gc=False):
    """Leave nothing of the old guest (source)."""

    destination: str


class RevertResize(Struct, frozen=True, kw_only=True, gc=False):
    """Give the guest up (destination)."""

    source: str
    #: All that is to be let go: after a crash the host says of each whether it still has it.
    attached: Attachments = NOTHING_ATTACHED


class FinishRevertResize(Struct, frozen=True, kw_only=True, gc=False):
    """Take the guest back in the old size, start it if it ran (source)."""

    destination: str
    old_flavor: Flavor
    power_on: bool
    attachments: Attachments = NOTHING_ATTACHED
