"""Tells in a test what nova would publish: a row that is saved, and the events around it.

All happens in one second and without ids and times in the envelope, the least that a stream can
tell. As in nova, an update that the API saves names the new task as the old one too.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable

from events.nova_ingest import Ingest
from statemachines.shadow import INITIAL, Shadow, evolve
from statemachines.shadow_moves import Provenance

UUID = "5ff1b2f2-0000-4000-8000-000000000001"
POWER = {0: "pending", 1: "running", 3: "paused", 4: "shutdown"}
FLAVORS = {"small": "1", "large": "2"}


def flavor(name: str) -> dict[str, object]:
    data = {"flavorid": FLAVORS[name], "name": name, "vcpus": 1, "memory_mb": 512, "root_gb": 1}
    return {"nova_object.name": "FlavorPayload", "nova_object.data": data}


def wrapped(data: dict[str, object]) -> dict[str, object]:
    return {"nova_object.namespace": "nova", "nova_object.data": data}


class Story:
    """An instance on `a`; each call is one save or one event, in order."""

    def __init__(self, state: str = "active", task: str | None = None, power: int = 1) -> None:
        self.row: dict[str, object] = {
            "uuid": UUID,
            "state": state,
            "task_state": task,
            "power_state": POWER[power],
            "host": "a",
            "node": "a",
            "flavor": flavor("small"),
            "updated_at": "2026-11-22T08:00:00Z",
        }
        self.request: str | None = "req-0"
        self.lines: list[str] = []

    def asks(self, task: str | None, state: str | None = None) -> Story:
        """A user's request: the API saves the row under a new request id."""
        number = int((self.request or "req-0").split("-")[1]) + 1
        self.request = f"req-{number}"
        old = state and self.row["state"]
        self.row["task_state"] = task
        self.row["state"] = state or self.row["state"]
        return self._update(old or self.row["state"], task, self.request)

    def saves(self, task: str | None, **changes: object) -> Story:
        """A save in the course of the request; `by=None` is nova's own."""
        by = changes.pop("by", self.request)
        old_state, old_task = self.row["state"], self.row["task_state"]
        if "power" in changes:
            changes["power_state"] = POWER[changes.pop("power")]  # type: ignore[index]  # an int
        if "flavor" in changes:
            changes["flavor"] = flavor(str(changes["flavor"]))
        self.row.update(changes, task_state=task)
        return self._update(old_state, old_task, by)

    def says(self, event: str, host: str, binary: str = "nova-compute", **more: object) -> Story:
        """An `instance.<event>` of a service, with the row as it is, or as it was (`row=`)."""
        row = more.pop("row", None)
        assert row is None or isinstance(row, dict)
        payload = {**(self.row if row is None else row), "request_id": self.request, **more}
        return self._line(f"instance.{event}", f"{binary}:{host}", payload)

    def schedules(self, wanted: str = "small", *, found: bool = True) -> Story:
        """The conductor asks the scheduler."""
        payload: dict[str, object] = {"instance_uuid": UUID, "flavor": flavor(wanted)}
        self._line("scheduler.select_destinations.start", "nova-scheduler:s", payload)
        if found:
            self._line("scheduler.select_destinations.end", "nova-scheduler:s", payload)
        return self

    def refuses(self, method: str, wanted: str = "small", **changes: object) -> Story:
        """The conductor gives up: it clears the task, then says so."""
        self.saves(None, **changes)
        spec = wrapped({"flavor": flavor(wanted)})
        payload: dict[str, object] = {"instance_uuid": UUID, "request_spec": spec}
        payload["state"] = self.row["state"]
        return self._line(f"compute_task.{method}.error", "nova-conductor:s", payload)

    def service(self, host: str, *, forced_down: bool, disabled: bool = False) -> Story:
        """An operator's word on the compute service of a host."""
        payload: dict[str, object] = {"host": host, "binary": "nova-compute"}
        payload |= {"forced_down": forced_down, "disabled": disabled}
        return self._line("service.update", f"nova-compute:{host}", payload)

    def seen(self) -> dict[str, object]:
        """The row as it is now, to be sent when it is old."""
        return copy.deepcopy(self.row)

    def shadow(self) -> Shadow:
        return shadows(self.lines)[UUID]

    def _update(self, state: object, task: object, by: object) -> Story:
        update = {
            "old_state": state,
            "state": self.row["state"],
            "old_task_state": task,
            "new_task_state": self.row["task_state"],
        }
        payload = {**self.row, "request_id": by, "state_update": wrapped(update)}
        return self._line("instance.update", "nova-compute:any", payload)

    def _line(self, event_type: str, publisher_id: str, payload: dict[str, object]) -> Story:
        line = {
            "publisher_id": publisher_id,
            "event_type": event_type,
            "priority": "INFO",
            "payload": wrapped(copy.deepcopy(payload)),
        }
        self.lines.append(json.dumps(line))
        return self


def shadows(lines: Iterable[str]) -> dict[str, Shadow]:
    """The shadows of all instances in a stream of one cloud."""
    ingest = Ingest()
    found: dict[str, Shadow] = {}
    for number, line in enumerate(lines, start=1):
        for fact in ingest.read(line, origin=f"story:{number}"):
            found[fact.instance_uuid] = evolve(found.get(fact.instance_uuid, INITIAL), fact)
    return found


Move = tuple[str, str, str | None, str | None]


def ends(story: Story, state: str, task: str | None, host: str | None, *moves: Move) -> None:
    """Assert where a story leaves the instance and its migrations."""
    shadow = story.shadow()
    found = [
        (m.migration_type.value, m.status.value, m.source_compute, m.dest_compute)
        for m in shadow.migrations
    ]

    assert (shadow.vm_state, shadow.task_state, shadow.host) == (state, task, host)
    assert found == list(moves)


def provenance(story: Story) -> Provenance:
    """Where the newest migration's status comes from."""
    return story.shadow().migrations[-1].status_provenance
