"""What resize, cold migration, confirm and revert ask of the two hosts of a move."""

from __future__ import annotations

from dataclasses import dataclass

from events.parts import NOTHING_ATTACHED, Attachments
from events.requests import Flavor


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareResize:
    """Claim room at the destination. Undone by ReleaseDestination."""

    source: str
    old_flavor: Flavor
    new_flavor: Flavor


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeGuest:
    """Power off, copy and give away the guest (source). Undone by RestoreGuest."""

    destination: str
    new_flavor: Flavor


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishResize:
    """Define the guest in its new size, start it if it ran (destination); RevertResize undoes."""

    source: str
    new_flavor: Flavor
    power_on: bool
    attachments: Attachments = NOTHING_ATTACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreGuest:
    """Put the guest back as it was before the move (source)."""

    old_flavor: Flavor
    power_on: bool
    attachments: Attachments = NOTHING_ATTACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDestination:
    """Leave nothing of a move that is being undone (destination)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmResize:
    """Leave nothing of the old guest (source)."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertResize:
    """Give the guest up (destination)."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRevertResize:
    """Take the guest back in the old size, start it if it ran (source)."""

    destination: str
    old_flavor: Flavor
    power_on: bool
    attachments: Attachments = NOTHING_ATTACHED
