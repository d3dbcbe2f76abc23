"""What sagas ask for: one frozen dataclass per command, in the imperative, a module per family.

Fields are the named arguments that `statemachines.arguments` fills from the state. Beside each
command that changes something stands the one that undoes it (`undone by`).
"""

from __future__ import annotations

from events.commands import (
    any_operation,
    attachments,
    evacuation,
    images,
    life,
    live_migration,
    resize,
    standby,
    start_up,
    upkeep,
)
from events.commands.any_operation import (
    ChooseDestination as ChooseDestination,
)
from events.commands.any_operation import (
    RaiseGeneration as RaiseGeneration,
)
from events.commands.any_operation import (
    ResendFacts as ResendFacts,
)
from events.commands.attachments import (
    AddFixedIp as AddFixedIp,
)
from events.commands.attachments import (
    AttachInterface as AttachInterface,
)
from events.commands.attachments import (
    AttachVolume as AttachVolume,
)
from events.commands.attachments import (
    DetachInterface as DetachInterface,
)
from events.commands.attachments import (
    DetachVolume as DetachVolume,
)
from events.commands.attachments import (
    InjectNetworkInfo as InjectNetworkInfo,
)
from events.commands.attachments import (
    RemoveFixedIp as RemoveFixedIp,
)
from events.commands.attachments import (
    SwapVolume as SwapVolume,
)
from events.commands.evacuation import (
    EvacuateGuest as EvacuateGuest,
)
from events.commands.images import (
    CreateVolumeSnapshot as CreateVolumeSnapshot,
)
from events.commands.images import (
    DeleteImage as DeleteImage,
)
from events.commands.images import (
    DeleteVolumeSnapshot as DeleteVolumeSnapshot,
)
from events.commands.images import (
    OffloadGuest as OffloadGuest,
)
from events.commands.images import (
    RebuildGuest as RebuildGuest,
)
from events.commands.images import (
    RotateBackups as RotateBackups,
)
from events.commands.images import (
    ShelveGuest as ShelveGuest,
)
from events.commands.images import (
    SnapshotGuest as SnapshotGuest,
)
from events.commands.images import (
    SnapshotVolumes as SnapshotVolumes,
)
from events.commands.images import (
    StartShelvedGuest as StartShelvedGuest,
)
from events.commands.images import (
    UnshelveGuest as UnshelveGuest,
)
from events.commands.life import (
    BuildGuest as BuildGuest,
)
from events.commands.life import (
    DestroyGuest as DestroyGuest,
)
from events.commands.life import (
    PauseGuest as PauseGuest,
)
from events.commands.life import (
    RebootGuest as RebootGuest,
)
from events.commands.life import (
    StartGuest as StartGuest,
)
from events.commands.life import (
    StopGuest as StopGuest,
)
from events.commands.life import (
    UnpauseGuest as UnpauseGuest,
)
from events.commands.live_migration import (
    AbortLiveMigration as AbortLiveMigration,
)
from events.commands.live_migration import (
    CheckDestination as CheckDestination,
)
from events.commands.live_migration import (
    CheckSource as CheckSource,
)
from events.commands.live_migration import (
    CleanUpSource as CleanUpSource,
)
from events.commands.live_migration import (
    FinishLiveMigration as FinishLiveMigration,
)
from events.commands.live_migration import (
    ForceCompleteLiveMigration as ForceCompleteLiveMigration,
)
from events.commands.live_migration import (
    LiveMigrateGuest as LiveMigrateGuest,
)
from events.commands.live_migration import (
    PrepareDestination as PrepareDestination,
)
from events.commands.live_migration import (
    QueueLiveMigration as QueueLiveMigration,
)
from events.commands.live_migration import (
    RollbackDestination as RollbackDestination,
)
from events.commands.live_migration import (
    RollbackSource as RollbackSource,
)
from events.commands.resize import (
    ConfirmResize as ConfirmResize,
)
from events.commands.resize import (
    FinishResize as FinishResize,
)
from events.commands.resize import (
    FinishRevertResize as FinishRevertResize,
)
from events.commands.resize import (
    PrepareResize as PrepareResize,
)
from events.commands.resize import (
    ReleaseDestination as ReleaseDestination,
)
from events.commands.resize import (
    ResizeGuest as ResizeGuest,
)
from events.commands.resize import (
    RestoreGuest as RestoreGuest,
)
from events.commands.resize import (
    RevertResize as RevertResize,
)
from events.commands.standby import (
    RescueGuest as RescueGuest,
)
from events.commands.standby import (
    ResumeGuest as ResumeGuest,
)
from events.commands.standby import (
    SoftDeleteGuest as SoftDeleteGuest,
)
from events.commands.standby import (
    SuspendGuest as SuspendGuest,
)
from events.commands.standby import (
    UndeleteGuest as UndeleteGuest,
)
from events.commands.standby import (
    UnrescueGuest as UnrescueGuest,
)
from events.commands.start_up import (
    LookForGuest as LookForGuest,
)
from events.commands.upkeep import (
    ReadDiagnostics as ReadDiagnostics,
)
from events.commands.upkeep import (
    SetAdminPassword as SetAdminPassword,
)
from events.commands.upkeep import (
    TakePowerUpdate as TakePowerUpdate,
)
from events.commands.upkeep import (
    TriggerCrashDump as TriggerCrashDump,
)

#: Where the commands stand.
MODULES = (
    any_operation,
    attachments,
    images,
    life,
    live_migration,
    resize,
    standby,
    evacuation,
    start_up,
    upkeep,
)
