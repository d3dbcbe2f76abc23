"""What is asked of a host about a guest that shall not be itself for a while."""

from __future__ import annotations

from msgspec import Struct

from events.parts import NOTHING_ATTACHED, Attachments


class SuspendGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Save the guest's memory to disk and power it off. Undone by ResumeGuest."""


class ResumeGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Load the guest's memory from disk and let it run on. Undone by SuspendGuest."""


class RescueGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Start the guest from a rescue image, its own disk attached. Undone by UnrescueGuest."""

    #: The image to start from; empty for the host's own choice, as in nova.
    rescue_image: str


class UnrescueGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Start the guest from its own disk again, all that it holds in reach; RescueGuest undoes."""

    attachments: Attachments = NOTHING_ATTACHED


class SoftDeleteGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Power the guest off, if it is there, and keep it, restorable. Undone by UndeleteGuest."""


class UndeleteGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Start the guest that was put aside, all that it holds in reach; SoftDeleteGuest undoes."""

    attachments: Attachments = NOTHING_ATTACHED
