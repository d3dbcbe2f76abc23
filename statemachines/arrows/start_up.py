"""The rules of a host's start: what becomes of an instance of which no saga runs.

Nova's `_init_instance`, the first rule that fits, with a way out where nova leaves a task behind:
in error, in pausing that came to its end, and in the seventeen task_states that no rule of nova's
names. What is to be done again is done by the action's own saga.

Source:  nova/compute/manager.py, _init_instance, of nova 34.
"""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.arrows.places import ANY_TASK, ANY_VM, only
from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V

_BUILDS = only(T.SCHEDULING, T.BLOCK_DEVICE_MAPPING, T.NETWORKING, T.SPAWNING)
_REBUILDS = only(T.REBUILDING, T.REBUILD_BLOCK_DEVICE_MAPPING, T.REBUILD_SPAWNING)
_REBOOTS = only(
    T.REBOOTING,
    T.REBOOT_PENDING,
    T.REBOOT_STARTED,
    T.REBOOTING_HARD,
    T.REBOOT_PENDING_HARD,
    T.REBOOT_STARTED_HARD,
)
#: What of these was begun leaves the guest as it was.
_HARMLESS = only(
    T.IMAGE_SNAPSHOT,
    T.IMAGE_SNAPSHOT_PENDING,
    T.IMAGE_PENDING_UPLOAD,
    T.IMAGE_UPLOADING,
    T.IMAGE_BACKUP,
    T.UPDATING_PASSWORD,
    T.RESIZE_PREP,
    T.RESIZE_CONFIRMING,
)


def _vm(*states: str) -> frozenset[str]:
    return frozenset(str(s) for s in states)


def _rule(
    vm_states: frozenset[str],
    task_states: frozenset[str | None],
    vm_state: str,
    task_state: str | None,
    condition: str | None = None,
    then: str | None = None,
) -> Arrow:
    trigger = "start_up:settled"
    return Arrow(trigger, vm_states, task_states, vm_state, task_state, condition, then)


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    yield _rule(ANY_VM, only(T.DELETING), KEEP, KEEP, then="delete")
    yield _rule(_vm(V.BUILDING), ANY_TASK, V.ERROR, None)
    yield _rule(ANY_VM, _BUILDS, V.ERROR, None)
    resumed = T.REBOOTING_HARD
    yield _rule(_vm(V.ACTIVE), only(None), KEEP, resumed, "guest_should_run", "reboot_hard")
    yield _rule(ANY_VM, only(None), KEEP, KEEP)
    # Nova skips the first, and leaves the second's task for ever.
    yield _rule(_vm(V.SOFT_DELETED, V.ERROR, V.DELETED), ANY_TASK, KEEP, None)
    yield _rule(ANY_VM, _REBUILDS, V.ERROR, None)
    yield _rule(ANY_VM, _HARMLESS, KEEP, None)
    yield _rule(ANY_VM, only(T.POWERING_OFF), KEEP, KEEP, then="stop")
    yield _rule(ANY_VM, only(T.POWERING_ON), KEEP, KEEP, then="start")
    pauses = only(T.PAUSING, T.UNPAUSING)
    yield _rule(ANY_VM, _REBOOTS | pauses, V.ACTIVE, None, "guest_runs")
    yield _rule(ANY_VM, _REBOOTS, KEEP, T.REBOOTING_HARD, then="reboot_hard")
    yield _rule(ANY_VM, only(T.PAUSING), V.PAUSED, None, "guest_is_paused")
    yield _rule(ANY_VM, only(T.UNPAUSING), KEEP, KEEP, "guest_is_paused", "unpause")
    # Confirm and revert may be asked again.
    yield _rule(_vm(V.RESIZED), ANY_TASK, KEEP, None)
    # Nova has no rule for the others, but for both kinds of migrating, whose guest it calls well.
    yield _rule(ANY_VM, ANY_TASK, KEEP, None, "guest_is_as_recorded")
    yield _rule(ANY_VM, ANY_TASK, V.ERROR, None)
