"""What must hold of sizes when a healed cloud has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compute.world import PRESENT
from statemachines.states import VmState
from tests.simulation.history import primary_sagas

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud

#: Operations that make the guest anew, so in its size.
_MADE_ANEW = (
    "create",
    "reboot_hard",
    "rebuild",
    "evacuate",
    "resize",
    "migrate",
    "revert_resize",
    "live_migration",
    "unshelve",
)
#: States in which nobody says that the guest is well, or that it has a size at all.
_UNWELL = (VmState.ERROR, VmState.BUILDING, VmState.SOFT_DELETED, VmState.DELETED)


def sizes_at_rest(cloud: Cloud) -> list[str]:
    """I22: a guest that is well has the size of its row, for which room is claimed.

    What an operator has only said to be active keeps the size that it has until it is made anew.
    """
    broken = []
    for row in cloud.watch.instances():
        held = cloud.watch.held(row.uuid)
        half = cloud.world.half(row.host or "", row.uuid)
        assert held is not None, f"Expected a state of {row.uuid}, but there is none"
        is_there = half is not None and half.role in PRESENT and row.vm_state not in _UNWELL
        if half is None or not is_there or half.flavor == held.flavor:
            continue
        done = [r.saga for r in primary_sagas(cloud, row) if r.ok]
        if [saga for saga in done if saga in (*_MADE_ANEW, "reset_state")][-1:] != ["reset_state"]:
            broken.append(f"I22: {row.uuid} is {row.vm_state} in {held.flavor}, but {half}")
    return broken
