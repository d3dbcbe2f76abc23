"""What an evacuation does to the two states."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_TASK, ANY_VM, only
from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V

_EVACUABLE = frozenset({str(V.ACTIVE), str(V.STOPPED), str(V.ERROR)})
_REBUILDING = only(T.REBUILDING, T.REBUILD_BLOCK_DEVICE_MAPPING, T.REBUILD_SPAWNING)


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    for fact, task in (
        ("EvacuationDisksPreparing", T.REBUILD_BLOCK_DEVICE_MAPPING),
        ("EvacuationSpawning", T.REBUILD_SPAWNING),
    ):
        yield Arrow(fact, _EVACUABLE, _REBUILDING, KEEP, task)
    # Nova calls it active first, then has it powered off.
    yield Arrow("EvacuationPoweringOff", _EVACUABLE, _REBUILDING, V.ACTIVE, T.POWERING_OFF)
    yield Arrow("evacuate:evacuated", ANY_VM, ANY_TASK, V.STOPPED, None, "evacuates_stopped")
    yield Arrow("evacuate:evacuated", ANY_VM, ANY_TASK, V.ACTIVE, None)
    # Nova: a host asked for by name that is unknown or full leaves the guest's state as it was.
    yield Arrow("evacuate:no_valid_host", ANY_VM, ANY_TASK, KEEP, None, "host_was_named")
    for ending in ("host_alive", "claim_failed"):
        yield Arrow(f"evacuate:{ending}", ANY_VM, ANY_TASK, KEEP, None)
    for ending in ("no_valid_host", "not_fenced", "failed", "resolved"):
        yield Arrow(f"evacuate:{ending}", ANY_VM, ANY_TASK, V.ERROR, None)
