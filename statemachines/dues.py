"""What falls due by itself: an action that nobody asks for, once a state has lasted long enough.

A row of the table names the states in which an action waits for its time, since when they have
lasted, and the rule that says how long they may. `dues` is a function of state and rules, so a row
of the database follows from it in the transaction of the state, and the judge can ask again when
the timers say that the time has come: whatever happened meanwhile, the state still names it or it
does not.

Source:  nova's periodic tasks of the compute manager. They run as nobody, with an administrator's
rights, and look again a minute later where something went wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct, field

from events.decisions import PeriodElapsed
from events.requests import ActionRequested
from events.values import replace
from statemachines.held import Held
from statemachines.power_sync import GONE, NOT_OFF, STOPPED_BY_ITSELF, out_of_step
from statemachines.rules import Rules
from statemachines.sagas import BREAKING_IN, WINNERS
from statemachines.states import MigrationStatus, PowerState, TaskState, VmState

#: Seconds until what did not work is tried again, at least: nova's periodic tasks run once a
#: minute.
AGAIN_S: Final = 60


class Due(Struct, frozen=True, kw_only=True, gc=False):
    """An action that comes by itself."""

    #: One of nova's 59.
    action: str
    #: µs UTC of the log's append time: with the action, the name of this due.
    since: int
    #: Seconds from then until it comes.
    after_s: int


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """A row of the table: when an action waits for its time."""

    action: str
    #: The rule that says how many seconds; below 0 never.
    setting: str
    vm_states: frozenset[VmState]
    #: Since when the state has lasted (µs UTC); None where something else of it does not fit.
    since: Callable[[Held], int | None]
    task_states: frozenset[TaskState | None] = frozenset({None})
    #: None: whatever it is.
    power_states: frozenset[PowerState] | None = None
    #: Does 0 mean at once? Most of nova's settings mean never.
    zero_is_at_once: bool = False
    #: What else the action's request would say.
    arguments: Mapping[str, str] = field(default_factory=dict)


def _finished_since(held: Held) -> int | None:
    """A resize waits for its confirm since its migration is `finished`."""
    move = held.move
    return move.updated_at if move and move.status == MigrationStatus.FINISHED else None


def _shelved_since(held: Held) -> int | None:
    """A guest that was shelved waits for its offload, unless its host is away or busy with debts.

    Nova's host looks for itself, so one that is down does not look.
    """
    return None if held.host is None or _owner_owes(held) else held.shelved_at


def _owner_owes(held: Held) -> bool:
    return any(side.target == held.host for side in held.sides)


def _launched_since(held: Held) -> int | None:
    """Nova counts a rescue as a launch."""
    return None if _owner_owes(held) else held.launched_at


def _put_aside_since(held: Held) -> int | None:
    return held.soft_deleted_at


def _created_since(held: Held) -> int | None:
    return held.created_at


def _standing_since(held: Held) -> int | None:
    return held.states_since


def _out_of_step_since(held: Held) -> int | None:
    """As long as the host is away, or busy with debts, it would only owe another fence."""
    return None if out_of_step(held) is None or _owner_owes(held) else held.states_since


ENTRIES: Final = (
    # A build that takes too long: nova puts it in error, whatever goes on.
    Entry(
        action="reset_state",
        setting="instance_build_timeout",
        vm_states=frozenset({VmState.BUILDING}),
        task_states=frozenset(
            {
                None,
                TaskState.SCHEDULING,
                TaskState.NETWORKING,
                TaskState.BLOCK_DEVICE_MAPPING,
                TaskState.SPAWNING,
            }
        ),
        since=_created_since,
        arguments={"state": "error"},
    ),
    Entry(
        action="reboot_hard",
        setting="reboot_timeout",
        vm_states=frozenset({VmState.ACTIVE}),
        task_states=frozenset(
            {TaskState.REBOOTING, TaskState.REBOOT_PENDING, TaskState.REBOOT_STARTED}
        ),
        since=_standing_since,
    ),
    Entry(
        action="unrescue",
        setting="rescue_timeout",
        vm_states=frozenset({VmState.RESCUED}),
        since=_launched_since,
    ),
    # Reclaimed: for good, which a plain delete would not be.
    Entry(
        action="force_delete",
        setting="reclaim_instance_interval",
        vm_states=frozenset({VmState.SOFT_DELETED}),
        since=_put_aside_since,
    ),
    Entry(
        action="stop",
        setting="sync_power_state_interval",
        vm_states=frozenset({VmState.ACTIVE}),
        power_states=STOPPED_BY_ITSELF,
        since=_out_of_step_since,
        zero_is_at_once=True,
    ),
    Entry(
        action="force_stop",
        setting="sync_power_state_interval",
        vm_states=frozenset({VmState.STOPPED}),
        power_states=NOT_OFF,
        since=_out_of_step_since,
        zero_is_at_once=True,
    ),
    Entry(
        action="force_stop",
        setting="sync_power_state_interval",
        vm_states=frozenset({VmState.PAUSED}),
        power_states=GONE,
        since=_out_of_step_since,
        zero_is_at_once=True,
    ),
    Entry(
        action="confirm_resize",
        setting="resize_confirm_window",
        vm_states=frozenset({VmState.RESIZED}),
        since=_finished_since,
    ),
    # 0 is obeyed by the shelve itself; an offload that failed then waits until it is asked.
    Entry(
        action="shelve_offload",
        setting="shelved_offload_time",
        vm_states=frozenset({VmState.SHELVED}),
        since=_shelved_since,
    ),
)

#: The two states tell most instances apart, and every fact comes by here.
_BY_STATES: Final[Mapping[tuple[str, str | None], tuple[Entry, ...]]] = MappingProxyType(
    {
        (v, t): tuple(e for e in ENTRIES if v in e.vm_states and t in e.task_states)
        for v in VmState
        for t in (None, *TaskState)
    }
)


def dues(held: Held | None, rules: Rules) -> tuple[Due, ...]:
    """Return what falls due by itself if nothing else happens to the instance."""
    if held is None or held.origin != "regente":
        return ()
    entries = _BY_STATES.get((held.vm_state, held.task_state))
    if not entries:
        return ()
    return tuple([due for entry in entries if (due := _due(held, entry, rules)) is not None])


def named(held: Held, fact: PeriodElapsed, rules: Rules) -> bool:
    """Say whether the state still names what the timers say has come."""
    return any((due.action, due.since) == (fact.action, fact.since) for due in dues(held, rules))


def request_of(fact: PeriodElapsed) -> ActionRequested:
    """Return the request that the passing of time stands for: nobody's, with every right."""
    arguments = next((e.arguments for e in ENTRIES if e.action == fact.action), {})
    return ActionRequested(
        action=fact.action, user_id="", project_id="", is_admin=True, arguments=dict(arguments)
    )


def elapsed(held: Held, fact: PeriodElapsed, now: int) -> Held:
    """Return the state that remembers that an action had its time: the next comes after another."""
    return replace(held, elapsed={**held.elapsed, fact.action: now})


def _due(held: Held, entry: Entry, rules: Rules) -> Due | None:
    if entry.power_states is not None and held.power_state not in entry.power_states:
        return None
    after_s = rules.number_of(entry.setting)
    if after_s < 0 or (after_s == 0 and not entry.zero_is_at_once):
        return None
    if held.saga is not None and entry.action not in WINNERS | BREAKING_IN:
        return None
    since = entry.since(held)
    if since is None:
        return None
    tried_at = held.elapsed.get(entry.action)
    if tried_at is not None and tried_at >= since:
        return Due(action=entry.action, since=tried_at, after_s=max(after_s, AGAIN_S))
    return Due(action=entry.action, since=since, after_s=after_s)
