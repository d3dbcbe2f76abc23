"""Every arrow of the instance machine: what a fact, a request or an ending does to the two states.

One module per family of operations. Requests take theirs from the permissions; a failure sets
nothing by itself, for its saga's ending does; every fact that is named nowhere else keeps both
states from anywhere, so that no pair of (fact, state) is without a verdict. Order matters: the
first open arrow is taken.

Source:  nova.compute.manager, nova.compute.api and nova.conductor.manager of nova 34.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from events.register import FACTS, NODE_FACTS
from statemachines.arrows import (
    build,
    evacuation,
    images,
    live_migration,
    power,
    resize,
    standby,
    start_up,
    upkeep,
    winners,
)
from statemachines.arrows.build import OF_ANY_SAGA
from statemachines.arrows.places import ANY_TASK, ANY_VM
from statemachines.machine import KEEP, Arrow, Table, compiled
from statemachines.permissions import PERMISSIONS
from statemachines.sagas import BY_ACTION, IMMEDIATE, SAGAS

FAMILIES = (
    build,
    power,
    standby,
    upkeep,
    resize,
    live_migration,
    images,
    winners,
    evacuation,
    start_up,
)


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


def arrows() -> tuple[Arrow, ...]:
    """Return every arrow, those that say something first."""
    said = (*_requests(), *(arrow for family in FAMILIES for arrow in family.arrows()))
    named = {arrow.trigger for arrow in said}
    keepers = [fact for fact in FACTS if fact not in named and fact not in NODE_FACTS]
    keepers += OF_ANY_SAGA
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
