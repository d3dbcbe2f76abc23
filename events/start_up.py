"""What is asked and said of a guest when its host has started, or counts its guests otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestDoubted:
    """The host of a guest started, or its digest differs from the rows: is the guest there?

    The conductor's word about one instance of that host. The first that names a fact of the host
    wins, and it counts only once.
    """

    host: str
    enrolment: int
    boot_epoch: int
    #: Number, in the host's chain about itself, of the fact that raised the doubt.
    sequence: int
    #: Did the host start? Else its digest differs.
    started: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSeen:
    """A host that was asked for a guest has it."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestMissed:
    """A host that was asked for a guest does not have it."""
