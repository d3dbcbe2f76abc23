"""What an action demands of its request: arguments and a fence; and what it meets and supersedes.

The permission, which looks at the two states, the host and the caller, is in
`statemachines.permissions`.
"""

from __future__ import annotations

from typing import Final

from events.ids import HostName, InstanceId
from events.requests import ActionRequested
from statemachines.conditions import unfenced
from statemachines.held import Held
from statemachines.image_demands import Lack, lack_of_image
from statemachines.permissions import Circumstances
from statemachines.priorities import DEFAULT, PRIORITIES
from statemachines.sagas import BREAKING_IN, WINNERS
from statemachines.states import MigrationType, VmState

#: vm_states in which something is kept for a later action, which `stopped` would lead nowhere near.
_WAITING: Final = frozenset(
    {
        VmState.BUILDING,
        VmState.RESIZED,
        VmState.RESCUED,
        VmState.SUSPENDED,
        VmState.SOFT_DELETED,
        VmState.SHELVED,
        VmState.SHELVED_OFFLOADED,
    }
)
#: What has the guest run at its home, or where it moves, whatever it did before.
_RUNS_IT: Final = frozenset(
    {
        *("reboot_soft", "reboot_hard", "start", "rebuild", "resume", "unpause", "rescue"),
        *("unrescue", "restore", "resize", "migrate", "live_migrate"),
        "external_event_power_update_on",
    }
)


def lack(held: Held, fact: ActionRequested) -> Lack | None:
    """Return what a request should have named and did not; None where nothing is missing."""
    match fact.action:
        case "resize" | "migrate" | "live_migrate" | "suspend" if held.accelerators:
            return "accelerators", f"nova does not {fact.action} a guest that has accelerators"
        case "resize" if fact.flavor is None:
            return "bad-request", "it names no flavor"
        case "reset_state" if fact.arguments.get("state") not in ("active", "error"):
            return "bad-request", "its state is neither active nor error"
        case "force_stop" if held.vm_state in _WAITING:
            return "vm-state", f"a forced stop of what is {held.vm_state} forgets what it waits for"
        case "set_admin_password" if not fact.arguments.get("secret_ref"):
            return "bad-request", "it has no secret_ref, by which a password is named"
        case "evacuate" if fact.arguments.get("target_state") not in (None, "active", "stopped"):
            return "bad-request", "its target_state is neither active nor stopped"
        case "evacuate" if fact.arguments.get("priority", DEFAULT) not in PRIORITIES:
            return "bad-request", "its priority is none of 0 to 9"
        case "evacuate" if hosts := _unfenced(held, fact):
            return "not-fenced", f"nobody vouched that {', '.join(hosts)} is off: it may run there"
        case action if action in _RUNS_IT and (host := _may_run_at(held, fact)):
            return "not-fenced", f"nobody vouched that {host} is off: it may run there"
        case _:
            return lack_of_image(held, fact)


def circumstances(held: Held, fact: ActionRequested) -> Circumstances:
    """Return what the conditions of a permission look at."""
    return Circumstances(
        instance_id=InstanceId(held.instance_id),
        vm_state=held.vm_state,
        task_state=held.task_state,
        launched=held.launched_at is not None,
        locked=held.locked,
        is_admin=fact.is_admin,
        host=None if held.host is None else HostName(held.host),
        source_up=fact.source_up,
        migration_status=None if held.move is None else held.move.status,
        power_state=held.power_state,
    )


def wins(held: Held, fact: ActionRequested) -> bool:
    """Say whether an action supersedes the saga that runs.

    A hard reboot breaks into what is being done to the guest on its own host; its permission says
    into which task_states.
    """
    is_deleted = held.saga is not None and held.saga.saga == "delete"
    if is_deleted and fact.action in ("evacuate", "soft_delete"):
        return False  # Who deleted the guest does not want it anywhere else, nor back.
    breaks_in = fact.action in BREAKING_IN and held.task_state is not None
    return fact.action in WINNERS or breaks_in


def _unfenced(held: Held, fact: ActionRequested) -> tuple[str, ...]:
    """Name the hosts that may run the guest and of which nobody vouched that they are off."""
    owner = () if held.host is None or held.host in fact.fenced_hosts else (held.host,)
    return (*owner, *unfenced(held, fact.fenced_hosts))


def _may_run_at(held: Held, fact: ActionRequested) -> str | None:
    """Name the host to which an evacuation was lost: unheard, it may have made the guest."""
    move = held.move
    if move is None or move.migration_type != MigrationType.EVACUATION:
        return None
    is_open = move.destination != held.host and move.destination not in fact.fenced_hosts
    owes = any(s.saga == "debt" and s.target == move.destination for s in held.sides)
    return move.destination if is_open and owes else None
