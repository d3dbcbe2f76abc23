"""What a live migration asks of its two hosts, and what steers it."""

from __future__ import annotations

from dataclasses import dataclass

from events.parts import NOTHING_ATTACHED, Attachments
from events.requests import Flavor


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDestination:
    """Say whether the guest can come here live."""

    source: str
    flavor: Flavor


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSource:
    """Say whether the guest can go there live."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLiveMigration:
    """Take one of the source's places for live migrations. Undone by RollbackSource."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareDestination:
    """Connect volumes and ports, wait for memory (destination). Undone by RollbackDestination."""

    source: str
    flavor: Flavor
    attachments: Attachments = NOTHING_ATTACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrateGuest:
    """Copy the guest's memory and switch over (source). Undone, before that, by RollbackSource."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishLiveMigration:
    """Define the guest that arrived (destination)."""

    source: str
    flavor: Flavor


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUpSource:
    """Leave nothing of the guest that left (source)."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackDestination:
    """Leave nothing of a live migration that is being undone (destination)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackSource:
    """Stop copying, put the source's half back; the guest runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortLiveMigration:
    """Give the live migration up, queued, preparing or running (source)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceCompleteLiveMigration:
    """Let the copy end: post-copy where permitted, else a pause (source)."""
