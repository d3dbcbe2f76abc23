"""Every operation that the house carries out: the table of contents of the sagas.

`BY_ACTION` says which of nova's actions starts which saga; `WINNERS` are the actions that win over
a running one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from statemachines.saga import Again, End, Saga, branches
from statemachines.saga_check import faults_of
from statemachines.sagas import attachments
from statemachines.sagas.create import CREATE
from statemachines.sagas.delete import DELETE
from statemachines.sagas.evacuate import EVACUATE
from statemachines.sagas.images import (
    BACKUP,
    SNAPSHOT,
    SNAPSHOT_VOLUME_BACKED,
    VOLUME_SNAPSHOT_CREATE,
    VOLUME_SNAPSHOT_DELETE,
)
from statemachines.sagas.live_migration import LIVE_MIGRATION
from statemachines.sagas.power import PAUSE, REBOOT_HARD, REBOOT_SOFT, START, STOP, UNPAUSE
from statemachines.sagas.rebuild import REBUILD
from statemachines.sagas.reset import RESET_STATE
from statemachines.sagas.resize import CONFIRM, MIGRATE, RESIZE, REVERT
from statemachines.sagas.shelve import SHELVE, SHELVE_OFFLOAD, UNSHELVE
from statemachines.sagas.sides import ABORT, DEBT, DELETE_IMAGE, FENCE, FORCE_COMPLETE
from statemachines.sagas.soft_delete import RESTORE, SOFT_DELETE
from statemachines.sagas.standby import RESCUE, RESUME, SUSPEND, UNRESCUE
from statemachines.sagas.start_up import START_UP
from statemachines.sagas.upkeep import (
    GET_DIAGNOSTICS,
    POWER_UPDATE_OFF,
    POWER_UPDATE_ON,
    SET_ADMIN_PASSWORD,
    TRIGGER_CRASH_DUMP,
)

SAGAS: Final[Mapping[str, Saga]] = MappingProxyType(
    {
        table.name: table
        for table in (
            CREATE,
            DELETE,
            RESET_STATE,
            STOP,
            START,
            REBOOT_SOFT,
            REBOOT_HARD,
            PAUSE,
            UNPAUSE,
            SUSPEND,
            RESUME,
            RESCUE,
            UNRESCUE,
            SOFT_DELETE,
            RESTORE,
            TRIGGER_CRASH_DUMP,
            GET_DIAGNOSTICS,
            SET_ADMIN_PASSWORD,
            POWER_UPDATE_ON,
            POWER_UPDATE_OFF,
            RESIZE,
            MIGRATE,
            CONFIRM,
            REVERT,
            LIVE_MIGRATION,
            EVACUATE,
            SNAPSHOT,
            SNAPSHOT_VOLUME_BACKED,
            BACKUP,
            VOLUME_SNAPSHOT_CREATE,
            VOLUME_SNAPSHOT_DELETE,
            SHELVE,
            SHELVE_OFFLOAD,
            UNSHELVE,
            REBUILD,
            ABORT,
            FORCE_COMPLETE,
            DEBT,
            FENCE,
            DELETE_IMAGE,
            *attachments.ACTIONS,
            *attachments.DEBTS,
            START_UP,
        )
    }
)

BY_ACTION: Final[Mapping[str, Saga]] = MappingProxyType(
    {
        "create": CREATE,
        "delete": DELETE,
        "force_delete": DELETE,
        "reset_state": RESET_STATE,
        "stop": STOP,
        "force_stop": STOP,
        "start": START,
        "reboot_soft": REBOOT_SOFT,
        "reboot_hard": REBOOT_HARD,
        "pause": PAUSE,
        "unpause": UNPAUSE,
        "suspend": SUSPEND,
        "resume": RESUME,
        "rescue": RESCUE,
        "unrescue": UNRESCUE,
        "soft_delete": SOFT_DELETE,
        "restore": RESTORE,
        "trigger_crash_dump": TRIGGER_CRASH_DUMP,
        "get_diagnostics": GET_DIAGNOSTICS,
        "set_admin_password": SET_ADMIN_PASSWORD,
        "external_event_power_update_on": POWER_UPDATE_ON,
        "external_event_power_update_off": POWER_UPDATE_OFF,
        "resize": RESIZE,
        "migrate": MIGRATE,
        "confirm_resize": CONFIRM,
        "revert_resize": REVERT,
        "live_migrate": LIVE_MIGRATION,
        "evacuate": EVACUATE,
        "snapshot": SNAPSHOT,
        "snapshot_volume_backed": SNAPSHOT_VOLUME_BACKED,
        "backup": BACKUP,
        "volume_snapshot_create": VOLUME_SNAPSHOT_CREATE,
        "volume_snapshot_delete": VOLUME_SNAPSHOT_DELETE,
        "shelve": SHELVE,
        "shelve_offload": SHELVE_OFFLOAD,
        "unshelve": UNSHELVE,
        "rebuild": REBUILD,
        "live_migrate_abort": ABORT,
        "live_migrate_force_complete": FORCE_COMPLETE,
        **{table.name: table for table in attachments.ACTIONS},
    }
)

#: Actions that win over every running saga (nova saves them unconditionally).
WINNERS: Final = frozenset({"delete", "soft_delete", "force_delete", "reset_state", "evacuate"})

#: Actions that win over what is done to the guest on its host, where their permission lets them in.
BREAKING_IN: Final = frozenset({"reboot_hard"})

#: Actions that take effect in the fold and ask nothing of a host.
IMMEDIATE: Final = frozenset(
    {"lock", "unlock", "update_instance_metadata", "delete_instance_metadata", "update_tags"}
)


@cache
def check() -> tuple[str, ...]:
    """Return what could leave any saga stuck; the service refuses to start unless empty.

    Found once: the tables never change.
    """
    faults = [fault for table in SAGAS.values() for fault in faults_of(table)]
    beside = {
        way.beside
        for table in SAGAS.values()
        for step in table.steps.values()
        for next_ in step.on.values()
        for way in branches(next_)
        if isinstance(way, Again | End) and way.beside is not None
    }
    sides = {name for name, table in SAGAS.items() if not table.primary}
    faults += [f"Expected a side saga {name}, but there is none" for name in beside - sides]
    return tuple(faults)
