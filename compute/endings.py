"""Which facts end which command: exactly one of them answers each, and it comes last.

The first ending of a command is its success; every other is a failure that the saga knows by its
type. Any command may end with CommandRefused instead. ResendFacts has no ending.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events import attachments as a
from events import commands as c
from events import evacuation as e
from events import images as g
from events import instance as i
from events import migration as m
from events import standby as s
from events import start_up as u
from events import upkeep as k

ENDINGS: Final[Mapping[type, tuple[type, ...]]] = MappingProxyType(
    {
        c.RaiseGeneration: (i.GenerationRaised,),
        c.LookForGuest: (u.GuestSeen, u.GuestMissed),
        c.BuildGuest: (i.GuestBuilt, i.BuildRescheduled, i.BuildAborted),
        c.DestroyGuest: (i.GuestDestroyed, i.GuestDestroyFailed),
        c.StopGuest: (i.GuestStopped, i.GuestStopFailed),
        c.StartGuest: (i.GuestStarted, i.GuestStartFailed),
        c.RebootGuest: (i.GuestRebooted, i.GuestRebootIgnored, i.GuestRebootFailed),
        c.PauseGuest: (i.GuestPaused, i.GuestPauseFailed),
        c.UnpauseGuest: (i.GuestUnpaused, i.GuestUnpauseFailed),
        c.SuspendGuest: (s.GuestSuspended, s.GuestSuspendFailed, s.GuestSuspendFaulted),
        c.ResumeGuest: (s.GuestResumed, s.GuestResumeFailed, s.GuestResumeFaulted),
        c.RescueGuest: (s.GuestRescued, s.GuestRescueFailed),
        c.UnrescueGuest: (s.GuestUnrescued, s.GuestUnrescueFailed, s.GuestUnrescueFaulted),
        c.EvacuateGuest: (e.GuestEvacuated, e.EvacuationFailed, e.EvacuationClaimFailed),
        c.SnapshotGuest: (g.ImageUploaded, g.SnapshotFailed),
        c.SnapshotVolumes: (g.ImageUploaded, g.SnapshotFailed),
        c.RotateBackups: (g.BackupsRotated, g.BackupRotationFailed),
        c.DeleteImage: (g.ImageDeleted, g.ImageDeleteFailed),
        c.CreateVolumeSnapshot: (g.VolumeSnapshotCreated, g.VolumeSnapshotCreateFailed),
        c.DeleteVolumeSnapshot: (g.VolumeSnapshotDeleted, g.VolumeSnapshotDeleteFailed),
        c.ShelveGuest: (g.GuestShelved, g.GuestShelveFailed),
        c.OffloadGuest: (g.GuestOffloaded, g.GuestOffloadFailed),
        c.StartShelvedGuest: (g.ShelvedGuestStarted, g.ShelvedGuestStartFailed),
        c.UnshelveGuest: (g.GuestUnshelved, g.GuestUnshelveFailed, g.ShelvedImageMissing),
        c.SoftDeleteGuest: (s.GuestSoftDeleted, s.GuestSoftDeleteFailed),
        c.UndeleteGuest: (s.GuestUndeleted, s.GuestUndeleteFailed),
        c.RebuildGuest: (g.GuestRebuilt, g.GuestRebuildFailed, g.GuestRebuildFaulted),
        c.TriggerCrashDump: (k.CrashDumpTriggered, k.CrashDumpFailed),
        c.SetAdminPassword: (k.AdminPasswordSet, k.AdminPasswordSetFailed),
        c.ReadDiagnostics: (k.DiagnosticsRead, k.DiagnosticsReadFailed),
        c.TakePowerUpdate: (k.PowerUpdateTaken, k.PowerUpdateFailed),
        c.PrepareResize: (m.ResizePrepared, m.ResizePrepareFailed),
        c.ResizeGuest: (m.ResizeMigrated, m.ResizeFailed, m.ResizeFaulted),
        c.FinishResize: (m.ResizeFinished, m.ResizeFinishFailed),
        c.RestoreGuest: (m.GuestRestored, m.GuestRestoreFailed),
        c.ReleaseDestination: (m.DestinationReleased, m.DestinationReleaseFailed),
        c.ConfirmResize: (m.ResizeConfirmed, m.ResizeConfirmFailed),
        c.RevertResize: (m.ResizeReverted, m.ResizeRevertFailed),
        c.FinishRevertResize: (m.RevertFinished, m.RevertFinishFailed),
        c.CheckDestination: (m.DestinationChecked, m.DestinationCheckFailed),
        c.CheckSource: (m.SourceChecked, m.SourceCheckFailed),
        c.QueueLiveMigration: (m.LiveMigrationAdmitted, m.LiveMigrationDequeued),
        c.PrepareDestination: (m.DestinationPrepared, m.DestinationPrepareFailed),
        c.LiveMigrateGuest: (m.GuestHandedOver, m.LiveMigrationFailed, m.LiveMigrationAborted),
        c.FinishLiveMigration: (m.LiveMigrationFinished, m.LiveMigrationFinishFailed),
        c.CleanUpSource: (m.SourceCleanedUp, m.SourceCleanUpFailed),
        c.RollbackDestination: (m.DestinationRolledBack, m.DestinationRollbackFailed),
        c.RollbackSource: (m.SourceRolledBack, m.SourceRollbackFailed),
        c.AttachVolume: (a.VolumeAttached, a.VolumeAttachFailed),
        c.DetachVolume: (a.VolumeDetached, a.VolumeDetachFailed),
        c.SwapVolume: (a.VolumeSwapped, a.VolumeSwapFailed),
        c.AttachInterface: (a.PortBound, a.InterfaceAttachFailed),
        c.DetachInterface: (a.PortUnbound, a.InterfaceDetachFailed),
        c.AddFixedIp: (a.FixedIpAdded, a.FixedIpAddFailed),
        c.RemoveFixedIp: (a.FixedIpRemoved, a.FixedIpRemoveFailed),
        c.InjectNetworkInfo: (a.NetworkInfoInjected, a.NetworkInfoInjectFailed),
        c.AbortLiveMigration: (m.AbortTaken, m.AbortFailed),
        c.ForceCompleteLiveMigration: (m.ForceCompleteTaken, m.ForceCompleteFailed),
    }
)

#: What is said on the way about volumes, ports and accelerators, in the course of any command.
OF_ATTACHMENTS: Final = frozenset(
    {
        a.VolumeAttached,
        a.VolumeDetached,
        a.PortBound,
        a.PortUnbound,
        a.AcceleratorBound,
        a.AcceleratorUnbound,
    }
)

#: These put an end to whatever runs for their instance before they begin.
CANCELLING: Final = frozenset(
    {
        c.DestroyGuest,
        c.RollbackSource,
        c.RollbackDestination,
        c.RestoreGuest,
        c.ReleaseDestination,
    }
)
#: These put an end to whatever an older generation asked for their instance.
FENCING: Final = frozenset({c.RaiseGeneration, c.DeleteImage})
#: Asked again where the host died in the middle of one: what is there then is no reason to give the
#: guest up, and each may be begun again.
ASKED_AGAIN: Final = frozenset(
    {
        c.FinishResize,
        c.RevertResize,
        c.FinishRevertResize,
        c.ConfirmResize,
        c.FinishLiveMigration,
        c.RebuildGuest,
        c.EvacuateGuest,
        c.UnshelveGuest,
    }
)
#: These act on the operation that runs; they do not wait for its end.
STEERING: Final = frozenset({c.AbortLiveMigration, c.ForceCompleteLiveMigration})
#: Carried out by the agent itself; the driver never hears of them.
AGENTS_OWN: Final = frozenset({c.RaiseGeneration, c.LookForGuest, c.QueueLiveMigration})
#: Admitted even when the journal is full: they lead out of trouble and say little. A guest that
#: came by a live migration runs here already: refused, it would be left in error, its place taken.
ALWAYS_ADMITTED: Final = (
    CANCELLING
    | STEERING
    | {
        c.RaiseGeneration,
        c.DeleteImage,
        c.LookForGuest,
        c.FinishLiveMigration,
    }
)
#: These make a guest; a host does `max_concurrent_builds` of them at the same time.
BUILDING: Final = frozenset({c.BuildGuest, c.EvacuateGuest})
#: These copy the disk of a guest; a host does `max_concurrent_snapshots` of them at the same time.
SNAPSHOTTING: Final = frozenset({c.SnapshotGuest})
#: With the end of one of these the instance gives back its place for a live migration.
FREES_SLOT: Final = frozenset(
    {c.LiveMigrateGuest, c.RollbackSource, c.CleanUpSource, c.DestroyGuest}
)
#: With the end of one of these the instance gives back its place for a live migration that comes.
FREES_INCOMING: Final = frozenset({c.FinishLiveMigration, c.RollbackDestination, c.DestroyGuest})


def is_ending(command: object, fact: object) -> bool:
    """Say whether `fact` is the last that is said in answer to `command`."""
    return type(fact) is i.CommandRefused or type(fact) in ENDINGS[type(command)]


def is_success(command: object, fact: object) -> bool:
    """Say whether `command` did what it was asked to."""
    return type(fact) is ENDINGS[type(command)][0]
