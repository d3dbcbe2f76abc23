"""What is asked of one host about the life and the power of one guest."""

from __future__ import annotations

from dataclasses import dataclass

from events.parts import NOTHING_ATTACHED, Attachments
from events.requests import Flavor


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildGuest:
    """Build the guest and start it. Undone by DestroyGuest."""

    flavor: Flavor
    name: str
    image: str
    attachments: Attachments = NOTHING_ATTACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyGuest:
    """Leave nothing of the guest on this host; cancels whatever runs for it."""

    #: The evidence: `deleted`, `moved` or `undone`.
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopGuest:
    """Power the guest off. Undone by StartGuest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartGuest:
    """Power the guest on, all that it holds in reach. Undone by StopGuest."""

    attachments: Attachments = NOTHING_ATTACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootGuest:
    """Reboot the guest; a hard reboot takes hold anew of all that it holds."""

    hard: bool
    attachments: Attachments = NOTHING_ATTACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseGuest:
    """Freeze the guest. Undone by UnpauseGuest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpauseGuest:
    """Let the guest run on. Undone by PauseGuest."""
