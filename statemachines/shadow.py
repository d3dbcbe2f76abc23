"""An instance of a nova cloud as its notifications show it: a pure fold of what nova reported.

Nova is never refused: whatever it says has a place here, or changes nothing. The state of an
instance is that of the last `instance.update` that counts, for nova publishes one at every save,
with the row as it is then; other events carry older snapshots and count only until the first
update. Migrations, of which no notification speaks, are inferred (`shadow_rules`).

Source:  nova/objects/instance.py (save) and nova/notifications/base.py (send_update) of nova 34.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from hashlib import sha256
from typing import Final

from msgspec import Struct

from events.facts_nova import NovaFlavor, NovaReported
from events.nova import SERVICE_UPDATE, UPDATE
from events.values import replace
from statemachines.shadow_evacuation import host_returned
from statemachines.shadow_moves import Change, Moves, Provenance, ShadowMigration, time_of
from statemachines.shadow_rules import follow
from statemachines.shadow_waiting import Waiting, operation_of, waiting_for
from statemachines.states import VmState

__all__ = [
    "INITIAL",
    "Provenance",
    "Shadow",
    "ShadowMigration",
    "evolve",
    "fold",
    "is_repeat",
    "is_stale",
    "waiting",
]

#: Marks of facts already folded (two a fact: its id and its content). A whole resize with its
#: confirm takes 40; what is older than these loses by its time.
SEEN_MAX: Final = 256
#: Two conductors' clocks may differ by this much, so a row's time may seem to go back.
SKEW_US: Final = 5_000_000
#: Hosts remembered as forced down.
DOWN_HOSTS_MAX: Final = 16

_DELETED: Final = "instance.delete.end"
#: Published after the move is over, with the snapshot from before.
_CLOSES_LATE: Final = "instance.live_migration_post."


class Shadow(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """All that the fold remembers of an instance of a nova cloud."""

    seen: tuple[int, ...] = ()
    #: Was the state taken from an `instance.update`, or only from the snapshot of an event?
    is_updated: bool = False
    #: The row is gone; what comes after that is late.
    is_deleted: bool = False
    #: None until something told it.
    vm_state: str | None = None
    task_state: str | None = None
    power_state: int | None = None
    host: str | None = None
    node: str | None = None
    display_name: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    availability_zone: str | None = None
    image_id: str | None = None
    locked: bool | None = None
    flavor: NovaFlavor | None = None
    created_at_us: int | None = None
    launched_at_us: int | None = None
    terminated_at_us: int | None = None
    deleted_at_us: int | None = None
    #: Time of the row, time and place of sending, and request of the last snapshot that counted.
    updated_at_us: int | None = None
    sent_at_us: int | None = None
    sent_by: str | None = None
    request_id: str | None = None
    #: The states that the last update led away from.
    old_vm_state: str | None = None
    old_task_state: str | None = None
    fault_exception: str | None = None
    fault_message: str | None = None
    #: Since when something is going on, and under which nova name; None while nothing is.
    waiting_since_us: int | None = None
    operation: str | None = None
    #: Hosts of this instance whose service was last said to be forced down.
    down_hosts: tuple[str, ...] = ()
    migrations: Moves = ()


INITIAL: Final = Shadow()


def fold(facts: Iterable[NovaReported], start: Shadow = INITIAL) -> Shadow:
    """Return the shadow after all of `facts`, in their order."""
    return reduce(evolve, facts, start)


def is_repeat(shadow: Shadow, fact: NovaReported) -> bool:
    """Say whether a fact was folded already, under its id or under another one.

    The same content twice tells nothing new: a row that changed and changed back is of another
    request or another second. A service's word has no such times, so only its id counts.
    """
    if _key(fact.message_id) in shadow.seen:
        return True
    return fact.event_type != SERVICE_UPDATE and fact.content in shadow.seen


def evolve(shadow: Shadow, fact: NovaReported) -> Shadow:
    """Return the shadow after `fact`; the same one where it is a repeat."""
    if is_repeat(shadow, fact):
        return shadow
    marks = (fact.content, _key(fact.message_id))
    shadow = replace(shadow, seen=(*shadow.seen, *marks)[-SEEN_MAX:])
    if fact.event_type == SERVICE_UPDATE:
        return _service(shadow, fact)
    if shadow.is_deleted or (fact.event_type == UPDATE and is_stale(shadow, fact)):
        return shadow
    change = Change(
        known=shadow.is_updated,
        task_state=shadow.task_state,
        request_id=shadow.request_id,
    )
    after = _told(shadow, fact)
    after = replace(after, migrations=follow(shadow.migrations, change, fact))
    return _waiting(shadow, after, fact)


def is_stale(shadow: Shadow, fact: NovaReported) -> bool:
    """Say whether an update tells of a row as it was before the last one that counted.

    The row's own time decides where it can. Within a second, or where two conductors' clocks
    disagree, an update that leads on from what is known counts; one that its publisher sent
    earlier, or that leads to where the last one began, does not; else the order of arrival stands.
    """
    if not shadow.is_updated:
        return False
    behind_us = (shadow.updated_at_us or 0) - (fact.updated_at_us or 0)
    old = (fact.old_state, fact.old_task_state)
    new = (fact.state, fact.task_state)
    if old != new and old == (shadow.vm_state, shadow.task_state):
        return behind_us > SKEW_US
    if behind_us:
        return behind_us > 0
    if fact.timestamp_us is not None and fact.publisher_id == shadow.sent_by:
        return fact.timestamp_us < (shadow.sent_at_us or 0)
    led_here = (shadow.old_vm_state, shadow.old_task_state)
    now = (shadow.vm_state, shadow.task_state)
    same_request = fact.request_id == shadow.request_id is not None
    if old != new == now:
        # It led to where a save without a change has been since.
        return led_here == now and same_request
    if new != led_here or led_here == now:
        return False
    # What the API saves names its new task as the old one, and may well begin all over again.
    return old != new or same_request


def waiting(shadow: Shadow) -> Waiting | None:
    """Return what the instance is in the middle of; None where nothing goes on."""
    return waiting_for(
        shadow.vm_state, shadow.task_state, shadow.operation, shadow.waiting_since_us
    )


def _told(shadow: Shadow, fact: NovaReported) -> Shadow:
    """The shadow with what a fact says of the instance itself."""
    if fact.event_type == UPDATE:
        shadow = replace(
            _snapshot(shadow, fact),
            is_updated=True,
            old_vm_state=fact.old_state,
            old_task_state=fact.old_task_state,
            request_id=fact.request_id,
        )
    elif _fills_in(shadow, fact):
        shadow = _snapshot(shadow, fact)
    if fact.fault_exception is not None:
        shadow = replace(
            shadow, fault_exception=fact.fault_exception, fault_message=fact.fault_message
        )
    return _gone(shadow, fact) if fact.event_type == _DELETED else shadow


def _fills_in(shadow: Shadow, fact: NovaReported) -> bool:
    """Say whether an event's snapshot is the best that is known."""
    if shadow.is_updated or not fact.event_type.startswith("instance."):
        return False
    if fact.event_type.startswith(_CLOSES_LATE) and shadow.vm_state is not None:
        return False
    return (fact.updated_at_us or 0) >= (shadow.updated_at_us or 0)


def _snapshot(shadow: Shadow, fact: NovaReported) -> Shadow:
    return replace(
        shadow,
        vm_state=fact.state or shadow.vm_state,
        task_state=fact.task_state,
        power_state=shadow.power_state if fact.power_state is None else fact.power_state,
        host=fact.host,
        node=fact.node,
        display_name=fact.display_name or shadow.display_name,
        user_id=fact.user_id or shadow.user_id,
        project_id=fact.project_id or shadow.project_id,
        availability_zone=fact.availability_zone or shadow.availability_zone,
        image_id=fact.image_id or shadow.image_id,
        locked=shadow.locked if fact.locked is None else fact.locked,
        flavor=fact.flavor or shadow.flavor,
        created_at_us=fact.created_at_us or shadow.created_at_us,
        launched_at_us=fact.launched_at_us or shadow.launched_at_us,
        terminated_at_us=fact.terminated_at_us or shadow.terminated_at_us,
        deleted_at_us=fact.deleted_at_us,
        updated_at_us=fact.updated_at_us or shadow.updated_at_us,
        sent_at_us=fact.timestamp_us,
        sent_by=fact.publisher_id,
    )


def _gone(shadow: Shadow, fact: NovaReported) -> Shadow:
    """The row is destroyed: also where it was last saved as something else (a local delete)."""
    return replace(
        shadow,
        is_deleted=True,
        vm_state=VmState.DELETED,
        task_state=None,
        power_state=0 if shadow.power_state is None else shadow.power_state,
        deleted_at_us=fact.deleted_at_us or shadow.deleted_at_us or time_of(fact),
    )


def _service(shadow: Shadow, fact: NovaReported) -> Shadow:
    """A service that was forced down, or was and is let up again."""
    host = fact.service_host
    if host is None:
        return shadow
    others = tuple(h for h in shadow.down_hosts if h != host)
    if fact.service_forced_down:
        return replace(shadow, down_hosts=(*others, host)[-DOWN_HOSTS_MAX:])
    if host not in shadow.down_hosts:
        return shadow
    return replace(shadow, down_hosts=others, migrations=host_returned(shadow.migrations, host))


def _waiting(before: Shadow, after: Shadow, fact: NovaReported) -> Shadow:
    """The shadow with what goes on now; its clock starts again with each step."""
    operation = operation_of(after.vm_state, after.task_state, after.migrations)
    if operation is None:
        return replace(after, operation=None, waiting_since_us=None)
    same_step = before.task_state == after.task_state and before.operation == operation
    since = before.waiting_since_us if same_step else None
    return replace(
        after, operation=operation, waiting_since_us=since if since is not None else time_of(fact)
    )


def _key(message_id: str) -> int:
    return int.from_bytes(sha256(message_id.encode()).digest()[:8], "big") >> 1
