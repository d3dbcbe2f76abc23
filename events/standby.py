"""What hosts say of a guest that is not itself for a while: on disk, in rescue, put aside.

Endings of a command are one fact type each. `Faulted` says that the driver left everything as it
was, which leads elsewhere than a failure in the middle. `power_state` is nova's integer as the
driver reports it; `reason` is a sentence for people.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSuspended:
    """The guest's memory is on disk and the guest is off, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSuspendFailed:
    """Saving the guest's memory broke off; nobody vouches for the guest."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSuspendFaulted:
    """The guest's memory was not saved; the guest is as it was."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestResumed:
    """The guest runs on from the memory that had been saved, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestResumeFailed:
    """Loading the guest's memory broke off; nobody vouches for the guest."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestResumeFaulted:
    """The guest's memory was not loaded; it is on disk as it was."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRescued:
    """The guest runs from a rescue image, its own disk attached, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRescueFailed:
    """The guest was not brought up from a rescue image; it may be off."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUnrescued:
    """The guest runs from its own disk again, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUnrescueFailed:
    """The guest was not brought up from its own disk again; it may be off."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUnrescueFaulted:
    """The driver has no way back from a rescue and touched nothing."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSoftDeleted:
    """The guest is off and kept, restorable until it is reclaimed, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSoftDeleteFailed:
    """The guest could not be put aside."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUndeleted:
    """The guest that had been put aside runs again, as asked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUndeleteFailed:
    """The guest that had been put aside could not be brought back."""

    power_state: int
    reason: str
