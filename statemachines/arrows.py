"""Every arrow of the instance machine: what a fact, a request or an ending does to the two states.

Requests take theirs from the permissions; a failure sets nothing by itself, for its saga's ending
does; every fact that is named nowhere else keeps both states from anywhere, so that no pair of
(fact, state) is without a verdict. Order matters: the first open arrow is taken.

Source:  nova.compute.manager, nova.compute.api and nova.conductor.manager of nova 34.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from events.register import FACTS, NODE_FACTS
from statemachines.machine import KEEP, TASK_STATES, VM_STATES, Arrow, Table, compiled
from statemachines.permissions import PERMISSIONS
from statemachines.sagas import BY_ACTION, IMMEDIATE, SAGAS
from statemachines.states import TaskState as T
from statemachines.states import VmState as V

ANY_VM = frozenset(VM_STATES)
ANY_TASK = frozenset(TASK_STATES)

_BUILDING = frozenset({str(V.BUILDING)})
#: task_states in which a build may stand; None is the moment after the host took it.
_BUILD_TASKS: frozenset[str | None] = frozenset(
    {None, T.SCHEDULING, T.NETWORKING, T.BLOCK_DEVICE_MAPPING, T.SPAWNING}
)
_MOVABLE = frozenset({str(V.ACTIVE), str(V.STOPPED)})
_LIVE = frozenset({str(V.ACTIVE), str(V.PAUSED)})
_SOFT = frozenset[str | None]({T.REBOOTING, T.REBOOT_PENDING, T.REBOOT_STARTED})
_HARD = frozenset[str | None]({T.REBOOTING_HARD, T.REBOOT_PENDING_HARD, T.REBOOT_STARTED_HARD})
_RESIZING = frozenset[str | None](
    {T.RESIZE_PREP, T.RESIZE_MIGRATING, T.RESIZE_MIGRATED, T.RESIZE_FINISH}
)

#: Facts that mean something else in a build than in every other saga.
_OF_ANY_SAGA = ("GuestDestroyed", "StepHostLost", "CommandRefused")


def _only(*task_states: str | None) -> frozenset[str | None]:
    return frozenset(task_states)


def _requests() -> Iterator[Arrow]:
    for action in (*BY_ACTION, *sorted(IMMEDIATE)):
        permission = PERMISSIONS[action]
        sets = KEEP if permission.sets_task_state is None else str(permission.sets_task_state)
        if action == "create":
            continue  # There is no state yet: the first fact makes one.
        yield Arrow(
            f"request:{action}",
            frozenset(str(s) for s in permission.vm_states),
            frozenset(None if s is None else str(s) for s in permission.task_states),
            KEEP,
            sets,
        )


def _build() -> Iterator[Arrow]:
    for fact, task in (
        ("BuildAccepted", None),
        ("NetworkAllocationStarted", T.NETWORKING),
        ("BlockDevicesPreparing", T.BLOCK_DEVICE_MAPPING),
        ("GuestSpawning", T.SPAWNING),
        ("BuildRescheduled", T.SCHEDULING),
    ):
        yield Arrow(fact, _BUILDING, _BUILD_TASKS, KEEP, task)
    # A host of a build was given up: the search goes on (its ending says so where it does not).
    for fact in _OF_ANY_SAGA:
        yield Arrow(fact, _BUILDING, _BUILD_TASKS, KEEP, T.SCHEDULING, "of_create")
    yield Arrow("create:built", _BUILDING, _BUILD_TASKS, V.ACTIVE, None)
    for ending in ("no_valid_host", "max_attempts_exceeded", "aborted", "resolved"):
        yield Arrow(f"create:{ending}", _BUILDING, _BUILD_TASKS, V.ERROR, None)


def _power() -> Iterator[Arrow]:
    for saga, task, vm in (
        ("stop", _only(T.POWERING_OFF), V.STOPPED),
        ("start", _only(T.POWERING_ON), V.ACTIVE),
        ("pause", _only(T.PAUSING), V.PAUSED),
        ("unpause", _only(T.UNPAUSING), V.ACTIVE),
        ("reboot_soft", _SOFT, V.ACTIVE),
        ("reboot_hard", _HARD, V.ACTIVE),
    ):
        yield Arrow(f"{saga}:done", ANY_VM, task, vm, None)
        failed = V.ERROR if saga.startswith("reboot") else KEEP
        yield Arrow(f"{saga}:failed", ANY_VM, task, failed, None)
        for ending in ("host_lost", "timed_out", "resolved"):
            yield Arrow(f"{saga}:{ending}", ANY_VM, task, KEEP, None)
    yield Arrow("RebootPending", ANY_VM, _SOFT, KEEP, T.REBOOT_PENDING)
    yield Arrow("RebootPending", ANY_VM, _HARD, KEEP, T.REBOOT_PENDING_HARD)
    yield Arrow("RebootStarted", ANY_VM, _SOFT, KEEP, T.REBOOT_STARTED)
    yield Arrow("RebootStarted", ANY_VM, _HARD, KEEP, T.REBOOT_STARTED_HARD)


def _resize() -> Iterator[Arrow]:
    yield Arrow("ResizeStarted", _MOVABLE, _RESIZING, KEEP, T.RESIZE_MIGRATING)
    yield Arrow("ResizeMigrated", _MOVABLE, _RESIZING, KEEP, T.RESIZE_MIGRATED)
    yield Arrow("ResizeFinishing", _MOVABLE, _RESIZING, KEEP, T.RESIZE_FINISH)
    for saga in ("resize", "migrate"):
        yield Arrow(f"{saga}:finished", _MOVABLE, _RESIZING, V.RESIZED, None)
        for ending in ("prepare_failed", "failed", "stranded"):
            yield Arrow(f"{saga}:{ending}", _MOVABLE, _RESIZING, V.ERROR, None)
        for ending in ("no_valid_host", "faulted", "resolved"):
            yield Arrow(f"{saga}:{ending}", _MOVABLE, _RESIZING, KEEP, None)
    resized = frozenset({str(V.RESIZED)})
    idle = _only(None)
    yield Arrow("confirm_resize:confirmed", resized, idle, V.STOPPED, None, "guest_is_off")
    yield Arrow("confirm_resize:confirmed", resized, idle, V.ACTIVE, None)
    yield Arrow("confirm_resize:failed", resized, idle, V.ERROR, KEEP)
    yield Arrow("confirm_resize:resolved", resized, idle, KEEP, KEEP)
    reverting = _only(T.RESIZE_REVERTING, T.POWERING_OFF)
    back = resized | {str(V.ACTIVE)}
    yield Arrow("RevertPoweringOff", resized, _only(T.RESIZE_REVERTING), V.ACTIVE, T.POWERING_OFF)
    yield Arrow("revert_resize:reverted", back, reverting, V.STOPPED, None, "was_stopped")
    yield Arrow("revert_resize:reverted", back, reverting, V.ACTIVE, None)
    yield Arrow("revert_resize:failed", back, reverting, V.ERROR, None)
    yield Arrow("revert_resize:resolved", back, reverting, V.ERROR, None)


def _live_migration() -> Iterator[Arrow]:
    migrating = _only(T.MIGRATING)
    yield Arrow("LiveMigrationFinished", _LIVE, migrating, KEEP, None)
    yield Arrow("live_migration:completed", ANY_VM, ANY_TASK, KEEP, KEEP)
    for ending in (
        "no_valid_host",
        "max_retries",
        "refused",
        "failed",
        "cancelled",
        "resolved",
    ):
        yield Arrow(f"live_migration:{ending}", _LIVE, _only(T.MIGRATING, None), KEEP, None)
    for ending in ("lost", "stranded"):
        yield Arrow(f"live_migration:{ending}", _LIVE, _only(T.MIGRATING, None), V.ERROR, None)


def _winners() -> Iterator[Arrow]:
    yield Arrow("delete:deleted", ANY_VM, ANY_TASK, V.DELETED, None)
    yield Arrow("delete:failed", ANY_VM, ANY_TASK, V.ERROR, None)
    yield Arrow("delete:resolved", ANY_VM, ANY_TASK, V.ERROR, None)
    yield Arrow("reset_state:reset", ANY_VM, ANY_TASK, V.ACTIVE, None, "reset_to_active")
    yield Arrow("reset_state:reset", ANY_VM, ANY_TASK, V.ERROR, None)
    yield Arrow("reset_state:resolved", ANY_VM, ANY_TASK, V.ERROR, None)


def arrows() -> tuple[Arrow, ...]:
    """Return every arrow, those that say something first."""
    said = (
        *_requests(),
        *_build(),
        *_power(),
        *_resize(),
        *_live_migration(),
        *_winners(),
    )
    named = {arrow.trigger for arrow in said}
    keepers = [fact for fact in FACTS if fact not in named and fact not in NODE_FACTS]
    keepers += _OF_ANY_SAGA
    keepers += [
        f"{table.name}:{ending}"
        for table in SAGAS.values()
        for ending in table.endings
        if f"{table.name}:{ending}" not in named
    ]
    return said + tuple(Arrow(trigger, ANY_VM, ANY_TASK, KEEP, KEEP) for trigger in keepers)


@cache
def table() -> Table:
    """Return the compiled table of arrows; made once, checked by `transitions`."""
    return compiled(arrows())
