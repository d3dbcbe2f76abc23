"""What nova does when a guest's power is not what its vm_state says, and nobody asked for that.

A table of pairs; what is not in it is left alone: a guest that is paused or not to be found while
it should run, and every power state of a guest that is built, rescued, resized, suspended or in
error. A host's report is answered at once while nothing is being done to the guest; what it left,
or what came while something was done, falls due by itself (`statemachines.dues`).

Source:  _sync_instance_power_state and handle_lifecycle_event of nova/compute/manager.py, nova 34.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.requests import ActionRequested
from statemachines.held import Held
from statemachines.rules import Rules
from statemachines.states import PowerState, VmState

#: Power states by which a guest that should run has stopped.
STOPPED_BY_ITSELF: Final = frozenset(
    {PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED}
)
#: Power states by which a guest that should be off is not.
NOT_OFF: Final = frozenset({PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED})
#: Power states by which a guest that should stand still has gone.
GONE: Final = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})

#: The action that brings vm_state and power together, by both.
ACTIONS: Final[Mapping[tuple[str, int], str]] = MappingProxyType(
    {
        **{(VmState.ACTIVE, power): "stop" for power in STOPPED_BY_ITSELF},
        **{(VmState.STOPPED, power): "force_stop" for power in NOT_OFF},
        **{(VmState.PAUSED, power): "force_stop" for power in GONE},
    }
)


def out_of_step(held: Held) -> str | None:
    """Name the action that brings vm_state and power together; None where they agree."""
    if held.host is None:
        return None
    action = ACTIONS.get((held.vm_state, held.power_state))
    # Nova's stop asks for one launch at least, as every user's does.
    return None if action == "stop" and held.launched_at is None else action


def answer_to_report(held: Held, rules: Rules) -> ActionRequested | None:
    """Return what is asked because of a report of power, in nobody's name; None for nothing."""
    is_busy = held.task_state is not None or held.saga is not None
    if is_busy or not rules.allows("handle_virt_lifecycle_events"):
        return None
    action = out_of_step(held)
    if action is None:
        return None
    return ActionRequested(action=action, user_id="", project_id="", is_admin=True)
