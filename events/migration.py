"""What hosts say about moves: resize and cold migration, confirm and revert, live migration.

One fact type for each row of nova's flows in which a state or a status changes. `source` and
`destination` are roles within one move; which host plays which is the saga's to say.
"""

from __future__ import annotations

from dataclasses import dataclass

# Resize and cold migration: nova's steps 6 to 14.


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizePrepared:
    """The destination took the claim for a resize."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizePrepareFailed:
    """The destination could not take the guest; another host may."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeStarted:
    """The source began to power off and copy the guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeCopied:
    """The source copied the guest's disks to the destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeMigrated:
    """The source gave the guest away: the destination is its host from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeFailed:
    """The source could not migrate the guest and can't vouch for it."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeFaulted:
    """The source could not migrate the guest, left as it was (nova: InstanceFaultRollback)."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeFinishing:
    """The destination began to define the guest in its new size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeFinished:
    """The guest is on the destination in its new size and waits for confirm or revert."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeFinishFailed:
    """The destination could not define or start the guest."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRestored:
    """The source undid its half of a move: the guest is as it was before."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRestoreFailed:
    """The source could not put the guest back."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReleased:
    """The destination has nothing left of a move that did not happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReleaseFailed:
    """The destination could not clean up after a move that did not happen."""

    reason: str


# Confirm and revert.


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeConfirmed:
    """The source has nothing left of the guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeConfirmFailed:
    """The source could not clean up."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeReverted:
    """The destination has nothing left of the guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeRevertFailed:
    """The destination could not give the guest up."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertStarted:
    """The source took the guest back: it is its host from here on, in the old size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertPoweringOff:
    """The source brings the guest back to the power state that it had: off."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertFinished:
    """The guest is on the source again, as it was before the resize."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertFinishFailed:
    """The source could not start the guest again."""

    power_state: int
    reason: str


# Live migration: nova's steps 6 to 17, the rollback, abort and force-complete.


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationChecked:
    """The destination can take the guest live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationCheckFailed:
    """The destination can't take the guest live; another host may."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChecked:
    """The source can give the guest live to this destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCheckFailed:
    """The source can't give the guest live to this destination; to another it may."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationQueued:
    """The migration waits for one of the source's `max_concurrent_live_migrations` places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationAdmitted:
    """The migration got its place at the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationDequeued:
    """The migration was taken out of the queue before it began: aborted."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationPrepared:
    """The destination connected volumes, plugged ports and waits for the guest's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationPrepareFailed:
    """The destination could not make ready."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationStarted:
    """Memory is being copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationProgressed:
    """How far the copy is; bytes."""

    memory_total: int
    memory_processed: int
    memory_remaining: int
    disk_total: int
    disk_processed: int
    disk_remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostCopyStarted:
    """The destination's half is the live one now; there is no way back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestHandedOver:
    """The hypervisor of the source says completed: the destination is the host from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestArrived:
    """The guest came to run at the destination, as its hypervisor says unasked."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationFailed:
    """The copy failed; the guest runs on at the source."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationAborted:
    """The copy was cancelled; the guest runs on at the source."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationFinished:
    """The destination defined the guest that it received."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationFinishFailed:
    """The destination has the guest but could not define it."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCleanedUp:
    """The source has nothing left of the guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCleanUpFailed:
    """The source could not clean up after the guest left."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRolledBack:
    """The destination has nothing left of a live migration that did not happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRollbackFailed:
    """The destination could not clean up after a live migration that did not happen."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRolledBack:
    """The source put its half back: volumes, ports, the guest runs on."""

    power_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRollbackFailed:
    """The source could not put its half back."""

    power_state: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortTaken:
    """The source told its hypervisor (or its queue) to give the migration up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortFailed:
    """There was nothing left to abort, or the hypervisor refused."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceCompleteTaken:
    """The source switched to post-copy or paused the guest to let the copy end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceCompleteFailed:
    """There was no running migration to force, or the hypervisor refused."""

    reason: str
