"""What a live migration asks of its two hosts, and what steers it."""

from __future__ import annotations

from msgspec import Struct

from events.parts import NOTHING_ATTACHED, Attachments
from events.requests import Flavor


class CheckDestination(Struct, frozen=True, kw_only=True, gc=False):
    """Say whether the guest can come here live."""

    source: str
    flavor: Flavor


class CheckSource(Struct, frozen=True, kw_only=True, gc=False):
    """Say whether the guest can go there live."""

    destination: str


class QueueLiveMigration(Struct, frozen=True, kw_only=True, gc=False):
    """Take one of the source's places for live migrations. Undone by RollbackSource."""

    destination: str


class PrepareDestination(Struct, frozen=True, kw_only=True, gc=False):
    """Connect volumes and ports, wait for memory (destination). Undone by RollbackDestination."""

    source: str
    flavor: Flavor
    attachments: Attachments = NOTHING_ATTACHED


class LiveMigrateGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Copy the guest's memory and switch over (source). Undone, before that, by RollbackSource."""

    destination: str


class FinishLiveMigration(Struct, frozen=True, kw_only=True, gc=False):
    """Define the guest that arrived (destination)."""

    source: str
    flavor: Flavor


class CleanUpSource(Struct, frozen=True, kw_only=True, gc=False):
    """Leave nothing of the guest that left (source)."""

    destination: str


class RollbackDestination(Struct, frozen=True, kw_only=True, gc=False):
    """Leave nothing of a live migration that is being undone (destination)."""


class RollbackSource(Struct, frozen=True, kw_only=True, gc=False):
    """Stop copying, put the source's half back; the guest runs on."""


class AbortLiveMigration(Struct, frozen=True, kw_only=True, gc=False):
    """Give the live migration up, queued, preparing or running (source)."""


class ForceCompleteLiveMigration(Struct, frozen=True, kw_only=True, gc=False):
    """Let the copy end: post-copy where permitted, else a pause (source)."""
