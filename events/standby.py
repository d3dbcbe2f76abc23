"""What hosts say of a guest that is not itself for a while: on disk, in rescue, put aside.

Endings of a command are one fact type each. `Faulted` says that the driver left everything as it
was, which leads elsewhere than a failure in the middle. `power_state` is nova's integer as the
driver reports it; `reason` is a sentence for people.
"""

from __future__ import annotations

from msgspec import Struct


class GuestSuspended(Struct, frozen=True, kw_only=True, gc=False):
    """The guest's memory is on disk and the guest is off, as asked."""

    power_state: int


class GuestSuspendFailed(Struct, frozen=True, kw_only=True, gc=False):
    """Saving the guest's memory broke off; nobody vouches for the guest."""

    power_state: int
    reason: str


class GuestSuspendFaulted(Struct, frozen=True, kw_only=True, gc=False):
    """The guest's memory was not saved; the guest is as it was."""

    power_state: int
    reason: str


class GuestResumed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest runs on from the memory that had been saved, as asked."""

    power_state: int


class GuestResumeFailed(Struct, frozen=True, kw_only=True, gc=False):
    """Loading the guest's memory broke off; nobody vouches for the guest."""

    power_state: int
    reason: str


class GuestResumeFaulted(Struct, frozen=True, kw_only=True, gc=False):
    """The guest's memory was not loaded; it is on disk as it was."""

    power_state: int
    reason: str


class GuestRescued(Struct, frozen=True, kw_only=True, gc=False):
    """The guest runs from a rescue image, its own disk attached, as asked."""

    power_state: int


class GuestRescueFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest was not brought up from a rescue image; it may be off."""

    power_state: int
    reason: str


class GuestUnrescued(Struct, frozen=True, kw_only=True, gc=False):
    """The guest runs from its own disk again, as asked."""

    power_state: int


class GuestUnrescueFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest was not brought up from its own disk again; it may be off."""

    power_state: int
    reason: str


class GuestUnrescueFaulted(Struct, frozen=True, kw_only=True, gc=False):
    """The driver has no way back from a rescue and touched nothing."""

    power_state: int
    reason: str


class GuestSoftDeleted(Struct, frozen=True, kw_only=True, gc=False):
    """The guest is off and kept, restorable until it is reclaimed, as asked."""

    power_state: int


class GuestSoftDeleteFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest could not be put aside."""

    power_state: int
    reason: str


class GuestUndeleted(Struct, frozen=True, kw_only=True, gc=False):
    """The guest that had been put aside runs again, as asked."""

    power_state: int


class GuestUndeleteFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The guest that had been put aside could not be brought back."""

    power_state: int
    reason: str
