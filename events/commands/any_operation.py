"""What every operation may ask, whatever it is about: a host, a generation, facts once more."""

from __future__ import annotations

from msgspec import Struct

from events.requests import Flavor


class ChooseDestination(Struct, frozen=True, kw_only=True, gc=False):
    """Choose a host with room (the conductor's scheduler). Undone by the claim's release."""

    flavor: Flavor
    #: The host that was asked for by name; only this one may be chosen then.
    forced_host: str | None
    #: Hosts already tried, and the current one where it may not be chosen again.
    excluded_hosts: tuple[str, ...]
    #: 0 to 9, of an evacuation; the highest goes first.
    priority: int = 5
    #: Only say whether the host that was asked for may have the guest: it is there already.
    claims_nothing: bool = False


class RaiseGeneration(Struct, frozen=True, kw_only=True, gc=False):
    """Hear of the generation in the address and refuse every older command."""


class ResendFacts(Struct, frozen=True, kw_only=True, gc=False):
    """Send the facts about this instance again, from a number on."""

    from_sequence: int
