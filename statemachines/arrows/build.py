"""What the facts and endings of a build do to the two states."""

from __future__ import annotations

from collections.abc import Iterator

from statemachines.machine import KEEP, Arrow
from statemachines.states import TaskState as T
from statemachines.states import VmState as V

_BUILDING = frozenset({str(V.BUILDING)})
#: task_states in which a build may stand; None is the moment after the host took it.
_BUILD_TASKS: frozenset[str | None] = frozenset(
    {None, T.SCHEDULING, T.NETWORKING, T.BLOCK_DEVICE_MAPPING, T.SPAWNING}
)

#: Facts that mean something else in a build than in every other saga.
OF_ANY_SAGA = ("GuestDestroyed", "StepHostLost", "CommandRefused")


def arrows() -> Iterator[Arrow]:
    """Yield them in the order in which they are tried."""
    for fact, task in (
        ("BuildAccepted", None),
        ("NetworkAllocationStarted", T.NETWORKING),
        ("BlockDevicesPreparing", T.BLOCK_DEVICE_MAPPING),
        ("GuestSpawning", T.SPAWNING),
        ("BuildRescheduled", T.SCHEDULING),
    ):
        yield Arrow(fact, _BUILDING, _BUILD_TASKS, KEEP, task)
    # A host of a build was given up: the search goes on (its ending says so where it does not).
    for fact in OF_ANY_SAGA:
        yield Arrow(fact, _BUILDING, _BUILD_TASKS, KEEP, T.SCHEDULING, "of_create")
    yield Arrow("create:built", _BUILDING, _BUILD_TASKS, V.ACTIVE, None)
    for ending in (
        "no_valid_host",
        "hosts_exhausted",
        "not_rescheduled",
        "max_attempts_exceeded",
        "aborted",
        "resolved",
    ):
        yield Arrow(f"create:{ending}", _BUILDING, _BUILD_TASKS, V.ERROR, None)
