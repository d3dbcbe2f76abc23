"""What is asked of a host about a guest that shall not be itself for a while."""

from __future__ import annotations

from dataclasses import dataclass

from events.parts import NOTHING_ATTACHED, Attachments


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendGuest:
    """Save the guest's memory to disk and power it off. Undone by ResumeGuest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeGuest:
    """Load the guest's memory from disk and let it run on. Undone by SuspendGuest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescueGuest:
    """Start the guest from a rescue image, its own disk attached. Undone by UnrescueGuest."""

    #: The image to start from; empty for the host's own choice, as in nova.
    rescue_image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrescueGuest:
    """Start the guest from its own disk again, all that it holds in reach; RescueGuest undoes."""

    attachments: Attachments = NOTHING_ATTACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDeleteGuest:
    """Power the guest off, if it is there, and keep it, restorable. Undone by UndeleteGuest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeleteGuest:
    """Start the guest that was put aside, all that it holds in reach; SoftDeleteGuest undoes."""

    attachments: Attachments = NOTHING_ATTACHED
