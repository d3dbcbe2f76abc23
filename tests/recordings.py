"""What a recorded nova said and left behind, and what we say and leave behind, in one form.

Only what both can be asked about is kept: sequences of states and of owners, migrations, instance
actions with their events, the fault.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

from statemachines.held import Held
from statemachines.notes import ActionNote, EventNote, FaultNote, MigrationNote
from tests.stage import Stage

TRACES: Final = Path(__file__).parent / "data" / "traces"
_T = typing.TypeVar("_T")
_Seen = typing.TypeVar("_Seen", bound=tuple[Any, ...])
_POWER: Final = {"pending": 0, "running": 1, "paused": 3, "shutdown": 4, "suspended": 7}
#: What the recordings' one conductor is called as a host; ours has none.
_CONDUCTOR: Final = "fake-mini"


@dataclass(frozen=True, slots=True)
class Words:
    """What was to be seen of one instance."""

    #: (vm_state, task_state), each time one of them changed.
    states: list[tuple[str, str | None]]
    #: (power_state, vm_state, task_state): each power state, and in which states it came.
    power: list[tuple[int, str, str | None]]
    #: (host, vm_state, task_state): each owner, and in which states the guest came to it.
    owners: list[tuple[str | None, str, str | None]]
    #: (type, status, source, destination).
    migrations: list[tuple[str, str, str, str | None]]
    #: (action, message), in the order of their start.
    actions: list[tuple[str, str | None]]
    #: (action, event, result, host), in the order of their start; the conductor is no host.
    events: list[tuple[str, str, str | None, str | None]]
    #: (event, details) of those that have any.
    details: list[tuple[str, str]]
    #: (code, message).
    fault: tuple[int, str] | None


ASPECTS: Final = tuple(f.name for f in fields(Words))


def differences(theirs: Words, ours: Words, aspects: Iterable[str] = ASPECTS) -> dict[str, object]:
    """Return what is said here where it is not what nova says, by aspect."""
    return {
        name: getattr(ours, name)
        for name in aspects
        if getattr(theirs, name) != getattr(ours, name)
    }


# Nova's.


@cache
def notifications(name: str) -> tuple[dict[str, Any], ...]:
    """Return the notifications of a recording, in order."""
    text = (TRACES / f"{name}.notifications.jsonl").read_text()
    return tuple(json.loads(line) for line in text.splitlines())


@cache
def api(name: str) -> dict[str, Any]:
    """Return what the API said at the end of a recording; nothing where it was not asked."""
    path = TRACES / f"{name}.api.json"
    return typing.cast("dict[str, Any]", json.loads(path.read_text())) if path.exists() else {}


def data_of(notification: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a notification's payload."""
    return typing.cast("dict[str, Any]", notification["payload"]["nova_object.data"])


def words_of_nova(name: str, server: int, beginning: Beginning | None) -> Words:
    """Return what nova said of one server of a recording."""
    uuid = uuids(name)[server]
    seen = [] if beginning is None else [beginning]
    for notification in notifications(name):
        data = data_of(notification)
        if notification["event_type"] == "instance.update" and data["uuid"] == uuid:
            update = data["state_update"]["nova_object.data"]
            if not seen:
                seen.append((update["old_state"], update["old_task_state"], 0, None))
            states = (update["state"], update["new_task_state"])
            seen.append((*states, _POWER[data["power_state"]], data["host"]))
    answer = api(name)
    kept = [a for a in _actions(answer, uuid) if beginning is None or a["action"] != "create"]
    return Words(
        **_sequences(seen),
        migrations=[
            (m["migration_type"], m["status"], m["source_compute"], m["dest_compute"])
            for m in sorted(answer.get("migrations", ()), key=lambda m: m["created_at"])
            if m["instance_uuid"] == uuid
        ],
        actions=[(a["action"], a["message"]) for a in kept],
        events=[(a["action"], e["event"], e["result"], _host(e)) for a in kept for e in _events(a)],
        details=[(e["event"], e["details"]) for a in kept for e in _events(a) if e["details"]],
        fault=_fault(answer, uuid),
    )


def uuids(name: str) -> list[str]:
    """Return the servers of a recording, in the order of their first word."""
    found = [data_of(n).get("uuid") for n in notifications(name) if _is_of_instance(n)]
    return list(dict.fromkeys(u for u in found if u is not None))


def _is_of_instance(notification: dict[str, Any]) -> bool:
    return str(notification["event_type"]).startswith("instance.")


def _actions(answer: dict[str, Any], uuid: str) -> list[dict[str, Any]]:
    found = answer.get("actions") or []
    rows = found if isinstance(found, list) else [a for each in found.values() for a in each]
    return sorted((a for a in rows if a["instance_uuid"] == uuid), key=lambda a: a["start_time"])


def _events(action: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(action["events"], key=lambda e: e["start_time"])


def _host(event: dict[str, Any]) -> str | None:
    return None if event["host"] == _CONDUCTOR else event["host"]


def _fault(answer: dict[str, Any], uuid: str) -> tuple[int, str] | None:
    servers = [answer["server"]] if answer.get("server") else answer.get("servers", [])
    found = next((s.get("fault") for s in servers if s["id"] == uuid), None)
    return None if found is None else (found["code"], found["message"])


# Ours.

#: (vm_state, task_state, power_state, host) in which a recording begins.
Beginning = tuple[str, str | None, int, str | None]


def beginning_of(held: Held) -> Beginning:
    """Return where an instance stands."""
    return held.vm_state, held.task_state, held.power_state, held.host


def words_of_ours(stage: Stage, beginning: Beginning | None) -> Words:
    """Return what we said of the instance on a stage."""
    seen = [] if beginning is None else [beginning]
    actions: dict[str, ActionNote] = {}
    events: dict[int, EventNote] = {}
    migrations: dict[int, MigrationNote] = {}
    faults: list[FaultNote] = []
    for played in stage.accepted():
        assert played.outcome.after is not None
        seen.append(beginning_of(played.outcome.after))
        for note in played.outcome.notes:
            match note:
                case ActionNote():
                    actions[note.request_id] = note
                case EventNote():
                    events[note.row_id] = note
                case MigrationNote():
                    migrations[note.move.migration_id] = note
                case FaultNote():
                    faults.append(note)
                case _:
                    pass
    order = list(actions)
    kept = sorted(events.values(), key=lambda e: order.index(e.request_id))
    name_of = {request_id: a.action for request_id, a in actions.items()}
    moves = [n.move for n in migrations.values()]
    uuid = stage.here.instance_id
    # As nova's API: the fault of a server is shown where it is in error.
    fault = faults[-1] if faults and stage.here.vm_state == "error" else None
    return Words(
        **_sequences(seen),
        migrations=[(m.migration_type, m.status, m.source, m.destination) for m in moves],
        actions=[(a.action, a.message) for a in actions.values()],
        events=[(name_of[e.request_id], e.event, e.result, e.host) for e in kept],
        details=[(e.event, e.details) for e in kept if e.details],
        # The recordings' faults name no server.
        fault=None if fault is None else (fault.code, fault.message.replace(uuid, "?")),
    )


# Both.


def _sequences(seen: list[Beginning]) -> dict[str, Any]:
    return {
        "states": list(_changes((s[0], s[1]) for s in seen)),
        "power": list(_firsts((s[2], s[0], s[1]) for s in seen)),
        "owners": list(_firsts((s[3], s[0], s[1]) for s in seen)),
    }


def _changes(values: Iterable[_T]) -> Iterator[_T]:
    last: object = object()
    for value in values:
        if value != last:
            yield value
        last = value


def _firsts(values: Iterable[_Seen]) -> Iterator[_Seen]:
    last: object = object()
    for value in values:
        if value[0] != last:
            yield value
        last = value[0]
