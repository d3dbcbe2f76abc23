"""What is asked and said of a guest when its host has started, or counts its guests otherwise."""

from __future__ import annotations

from msgspec import Struct


class GuestDoubted(Struct, frozen=True, kw_only=True, gc=False):
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


class GuestSeen(Struct, frozen=True, kw_only=True, gc=False):
    """A host that was asked for a guest has it."""

    power_state: int


class GuestMissed(Struct, frozen=True, kw_only=True, gc=False):
    """A host that was asked for a guest does not have it."""
