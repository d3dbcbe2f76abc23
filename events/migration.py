"""What hosts say about moves: resize and cold migration, confirm and revert, live migration.

One fact type for each row of nova's flows in which a state or a status changes. `source` and
`destination` are roles within one move; which host plays which is the saga's to say.
"""

from __future__ import annotations

from msgspec import Struct

# Resize and cold migration: nova's steps 6 to 14.


class ResizePrepared(Struct, frozen=True, kw_only=True, gc=False):
    """The destination took the claim for a resize."""


class ResizePrepareFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination could not take the guest; another host may."""

    reason: str


class ResizeStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The source began to power off and copy the guest."""


class ResizeCopied(Struct, frozen=True, kw_only=True, gc=False):
    """The source copied the guest's disks to the destination."""


class ResizeMigrated(Struct, frozen=True, kw_only=True, gc=False):
    """The source gave the guest away: the destination is its host from here on."""


class ResizeFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The source could not migrate the guest and can't vouch for it."""

    reason: str


class ResizeFaulted(Struct, frozen=True, kw_only=True, gc=False):
    """The source could not migrate the guest, left as it was (nova: InstanceFaultRollback)."""

    reason: str


class ResizeFinishing(Struct, frozen=True, kw_only=True, gc=False):
    """The destination began to define the guest in its new size."""


class ResizeFinished(Struct, frozen=True, kw_only=True, gc=False):
    """The guest is on the destination in its new size and waits for confirm or revert."""

    power_state: int


class ResizeFinishFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination could not define or start the guest."""

    power_state: int
    reason: str


class GuestRestored(Struct, frozen=True, kw_only=True, gc=False):
    """The source undid its half of a move: the guest is as it was before."""

    power_state: int


class GuestRestoreFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The source could not put the guest back."""

    power_state: int
    reason: str


class DestinationReleased(Struct, frozen=True, kw_only=True, gc=False):
    """The destination has nothing left of a move that did not happen."""


class DestinationReleaseFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination could not clean up after a move that did not happen."""

    reason: str


# Confirm and revert.


class ResizeConfirmed(Struct, frozen=True, kw_only=True, gc=False):
    """The source has nothing left of the guest."""


class ResizeConfirmFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The source could not clean up."""

    reason: str


class ResizeReverted(Struct, frozen=True, kw_only=True, gc=False):
    """The destination has nothing left of the guest."""


class ResizeRevertFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination could not give the guest up."""

    reason: str


class RevertStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The source took the guest back: it is its host from here on, in the old size."""


class RevertPoweringOff(Struct, frozen=True, kw_only=True, gc=False):
    """The source brings the guest back to the power state that it had: off."""

    power_state: int


class RevertFinished(Struct, frozen=True, kw_only=True, gc=False):
    """The guest is on the source again, as it was before the resize."""

    power_state: int


class RevertFinishFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The source could not start the guest again."""

    power_state: int
    reason: str


# Live migration: nova's steps 6 to 17, the rollback, abort and force-complete.


class DestinationChecked(Struct, frozen=True, kw_only=True, gc=False):
    """The destination can take the guest live."""


class DestinationCheckFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination can't take the guest live; another host may."""

    reason: str


class SourceChecked(Struct, frozen=True, kw_only=True, gc=False):
    """The source can give the guest live to this destination."""


class SourceCheckFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The source can't give the guest live to this destination; to another it may."""

    reason: str


class LiveMigrationQueued(Struct, frozen=True, kw_only=True, gc=False):
    """The migration waits for one of the source's `max_concurrent_live_migrations` places."""


class LiveMigrationAdmitted(Struct, frozen=True, kw_only=True, gc=False):
    """The migration got its place at the source."""


class LiveMigrationDequeued(Struct, frozen=True, kw_only=True, gc=False):
    """The migration was taken out of the queue before it began: aborted."""

    reason: str


class DestinationPrepared(Struct, frozen=True, kw_only=True, gc=False):
    """The destination connected volumes, plugged ports and waits for the guest's memory."""


class DestinationPrepareFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination could not make ready."""

    reason: str


class LiveMigrationStarted(Struct, frozen=True, kw_only=True, gc=False):
    """Memory is being copied."""


class LiveMigrationProgressed(Struct, frozen=True, kw_only=True, gc=False):
    """How far the copy is; bytes."""

    memory_total: int
    memory_processed: int
    memory_remaining: int
    disk_total: int
    disk_processed: int
    disk_remaining: int


class PostCopyStarted(Struct, frozen=True, kw_only=True, gc=False):
    """The destination's half is the live one now; there is no way back."""


class GuestHandedOver(Struct, frozen=True, kw_only=True, gc=False):
    """The hypervisor of the source says completed: the destination is the host from here on."""


class GuestArrived(Struct, frozen=True, kw_only=True, gc=False):
    """The guest came to run at the destination, as its hypervisor says unasked."""

    power_state: int


class LiveMigrationFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The copy failed; the guest runs on at the source."""

    reason: str


class LiveMigrationAborted(Struct, frozen=True, kw_only=True, gc=False):
    """The copy was cancelled; the guest runs on at the source."""

    reason: str


class LiveMigrationFinished(Struct, frozen=True, kw_only=True, gc=False):
    """The destination defined the guest that it received."""

    power_state: int


class LiveMigrationFinishFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination has the guest but could not define it."""

    power_state: int
    reason: str


class SourceCleanedUp(Struct, frozen=True, kw_only=True, gc=False):
    """The source has nothing left of the guest."""


class SourceCleanUpFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The source could not clean up after the guest left."""

    reason: str


class DestinationRolledBack(Struct, frozen=True, kw_only=True, gc=False):
    """The destination has nothing left of a live migration that did not happen."""


class DestinationRollbackFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The destination could not clean up after a live migration that did not happen."""

    reason: str


class SourceRolledBack(Struct, frozen=True, kw_only=True, gc=False):
    """The source put its half back: volumes, ports, the guest runs on."""

    power_state: int


class SourceRollbackFailed(Struct, frozen=True, kw_only=True, gc=False):
    """The source could not put its half back."""

    power_state: int
    reason: str


class AbortTaken(Struct, frozen=True, kw_only=True, gc=False):
    """The source told its hypervisor (or its queue) to give the migration up."""


class AbortFailed(Struct, frozen=True, kw_only=True, gc=False):
    """There was nothing left to abort, or the hypervisor refused."""

    reason: str


class ForceCompleteTaken(Struct, frozen=True, kw_only=True, gc=False):
    """The source switched to post-copy or paused the guest to let the copy end."""


class ForceCompleteFailed(Struct, frozen=True, kw_only=True, gc=False):
    """There was no running migration to force, or the hypervisor refused."""

    reason: str
