"""What sagas ask for: one frozen dataclass per command, in the imperative.

Fields are the named arguments that `statemachines.arguments` fills from the state. Beside each
command that changes something stands the one that undoes it (`undone by`).
"""

from __future__ import annotations

from dataclasses import dataclass

from events.requests import Flavor


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseDestination:
    """Choose a host with room (the conductor's scheduler). Undone by the claim's release."""

    flavor: Flavor
    #: The host that was asked for by name; only this one may be chosen then.
    forced_host: str | None
    #: Hosts already tried, and the current one where it may not be chosen again.
    excluded_hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseGeneration:
    """Hear of the generation in the address and refuse every older command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendFacts:
    """Send the facts about this instance again, from a number on."""

    from_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildGuest:
    """Build the guest and start it. Undone by DestroyGuest."""

    flavor: Flavor
    name: str
    image: str


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
    """Power the guest on. Undone by StopGuest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootGuest:
    """Reboot the guest."""

    hard: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseGuest:
    """Freeze the guest. Undone by UnpauseGuest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpauseGuest:
    """Let the guest run on. Undone by PauseGuest."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreGuest:
    """Put the guest back as it was before the move (source)."""

    old_flavor: Flavor
    power_on: bool


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
