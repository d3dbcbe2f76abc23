"""The recordings of a real nova end in the shadow as they ended in its API, however they arrive."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from conductor.bodies import HELD_CODEC
from events.facts_nova import NovaReported
from events.nova_ingest import Ingest
from events.requests import Flavor
from statemachines.held import Held
from statemachines.shadow import INITIAL, Shadow, evolve, is_repeat, is_stale, waiting
from statemachines.shadow_moves import Provenance
from statemachines.shadow_waiting import is_stuck
from tests.unit.shadow_story import UUID, Story, shadows

TRACES = Path(__file__).parents[1] / "data" / "traces"
NAMES = sorted(p.name.partition(".")[0] for p in TRACES.glob("*.notifications.jsonl"))
#: The only value in all recordings that no notification tells: where a live migration was to go
#: that was taken out of its queue before the destination heard of it.
DEST_UNTOLD = {"live_queued_abort_alone"}

Ending = tuple[object, ...]


def lines_of(name: str) -> list[str]:
    return (TRACES / f"{name}.notifications.jsonl").read_text().splitlines()


def api_of(name: str) -> dict[str, list[Ending]]:
    """What nova's API answered: states and migrations of each server, deleted ones without."""
    path = TRACES / f"{name}.api.json"
    answer = json.loads(path.read_text()) if path.is_file() else {}
    servers = answer.get("servers") or [answer.get("server")]
    found: dict[str, list[Ending]] = {
        server["id"]: [
            (
                server["OS-EXT-STS:vm_state"],
                server["OS-EXT-STS:task_state"],
                server["OS-EXT-STS:power_state"],
                server["OS-EXT-SRV-ATTR:host"],
            )
        ]
        for server in servers
        if server
    }
    for move in answer.get("migrations", []):
        dest = None if name in DEST_UNTOLD else move["dest_compute"]
        told = (move["migration_type"], move["status"], move["source_compute"], dest)
        found[move["instance_uuid"]].append(told)
    return found


def ending_of(shadow: Shadow) -> list[Ending]:
    if shadow.is_deleted:
        return []
    state = (shadow.vm_state, shadow.task_state, shadow.power_state, shadow.host)
    moves = [
        (m.migration_type.value, m.status.value, m.source_compute, m.dest_compute)
        for m in shadow.migrations
    ]
    return [state, *moves]


def endings(lines: list[str]) -> dict[str, list[Ending]]:
    found = {uuid: ending_of(shadow) for uuid, shadow in shadows(lines).items()}
    return {uuid: ending for uuid, ending in found.items() if ending}


def repeated(lines: list[str]) -> list[str]:
    return [line for line in lines for _ in range(3)]


def repeated_late(lines: list[str]) -> list[str]:
    drawn = random.Random(7)
    mixed = [(n, line) for n, line in enumerate(lines)]
    mixed += [(n + drawn.randint(1, 12), line) for n, line in enumerate(lines)]
    return [line for _, line in sorted(mixed, key=lambda entry: entry[0])]


def with_all_again(lines: list[str]) -> list[str]:
    return [*lines, *lines]


def with_each_at_the_end(lines: list[str]) -> list[str]:
    return [*lines, *reversed(lines)]


def with_noops(lines: list[str]) -> list[str]:
    """After each update another save of the same row, that changed nothing told."""
    found: list[str] = []
    for line in lines:
        found.append(line)
        message = json.loads(line)
        if message["event_type"] == "instance.update":
            data = message["payload"]["nova_object.data"]
            change = data["state_update"]["nova_object.data"]
            change["old_state"], change["old_task_state"] = data["state"], data["task_state"]
            data["progress"] = 1
            found.append(json.dumps(message))
    return found


def with_stale_snapshots(lines: list[str]) -> list[str]:
    """In the end, of every event an older one's snapshot, a minute older than the row."""
    found: list[str] = []
    for line in lines:
        message = json.loads(line)
        data = message["payload"]["nova_object.data"]
        if message["event_type"] == "instance.update" and data.get("updated_at"):
            data["updated_at"] = "2026-01-01T00:00:00Z"
            found.append(json.dumps(message))
        elif message["event_type"].startswith("instance."):
            message["event_type"] = "instance.exists"
            found.append(json.dumps(message))
    return [*lines, *found]


def with_foreign_events(lines: list[str]) -> list[str]:
    foreign: list[dict[str, object]] = [
        {"event_type": t, "publisher_id": "x:y", "payload": {"nova_object.data": {}}}
        for t in ("compute.exception", "aggregate.create.end", "metrics.update", "keypair.import")
    ]
    foreign.append({"event_type": "volume.attach.end", "publisher_id": "cinder:x", "payload": {}})
    return [more for line in lines for more in (line, *map(json.dumps, foreign))]


def wired(lines: list[str]) -> list[str]:
    """As oslo.messaging's driver writes it, with ids and times of sending."""
    found = []
    for number, line in enumerate(lines):
        message = json.loads(line)
        message["message_id"] = f"id-{number}"
        message["timestamp"] = f"2026-11-22 08:00:{number:02d}.000000"
        found.append(json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}))
    return found


WAYS: list[Callable[[list[str]], list[str]]] = [
    list,
    repeated,
    repeated_late,
    with_all_again,
    with_each_at_the_end,
    with_noops,
    with_stale_snapshots,
    with_foreign_events,
    wired,
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("arrive", WAYS, ids=lambda way: str(way.__name__))
def test_a_recording_ends_as_the_api_says(
    name: str, arrive: Callable[[list[str]], list[str]]
) -> None:
    found = endings(arrive(lines_of(name)))

    assert found == api_of(name)


#: Neighbours of which nothing tells which was first: a service that is let up, and the instance
#: that was evacuated from it being seen to have moved.
UNTOLD_ORDER = {("evacuate_then_old_host_returns", 14)}


@pytest.mark.parametrize("name", NAMES)
def test_two_neighbours_that_change_places_change_nothing(name: str) -> None:
    lines, expected = lines_of(name), api_of(name)
    for n in range(len(lines) - 1):
        swapped = [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]]
        if (name, n) not in UNTOLD_ORDER:
            assert endings(swapped) == expected, f"after lines {n} and {n + 1} changed places"


def test_there_are_all_recordings() -> None:
    assert len(NAMES) == 44


def test_all_recordings_of_one_cloud_mixed_together_end_as_each_alone() -> None:
    drawn = random.Random(1)
    streams = [renamed(line, n) for n, name in enumerate(NAMES) for line in [lines_of(name)]]
    expected = {
        f"{n}-{uuid}": [tuple(_at(n, v) for v in ending) for ending in found]
        for n, name in enumerate(NAMES)
        for uuid, found in api_of(name).items()
    }
    mixed: list[str] = []
    while any(streams):
        stream = drawn.choice([s for s in streams if s])
        mixed.append(stream.pop(0))

    assert endings(mixed) == expected


def renamed(lines: list[str], number: int) -> list[str]:
    """The lines of a recording with uuids and hosts of its own."""
    found = []
    for line in lines:
        message = json.loads(line)
        binary, _, host = message["publisher_id"].partition(":")
        message["publisher_id"] = f"{binary}:{_at(number, host)}"
        data = message["payload"]["nova_object.data"]
        for key in ("uuid", "instance_uuid"):
            if key in data:
                data[key] = f"{number}-{data[key]}"
        if "host" in data:
            data["host"] = _at(number, data["host"])
        found.append(json.dumps(message))
    return found


def _at(number: int, value: object) -> object:
    is_host = isinstance(value, str) and value.startswith("host")
    return f"{value}-{number}" if is_host else value


def test_every_status_of_the_recordings_is_known_from_the_flow() -> None:
    found = {
        m.status_provenance
        for name in NAMES
        for shadow in shadows(lines_of(name)).values()
        for m in shadow.migrations
    }

    assert found == {Provenance.TOLD, Provenance.INFERRED}


def test_the_recording_that_nova_leaves_stuck_waits_for_what_no_start_repairs() -> None:
    (shadow,) = shadows(lines_of("init_resize_finish_crash")).values()
    found = waiting(shadow)

    assert found is not None
    assert (found.operation, found.task_state) == ("resize", "resize_finish")
    assert not found.is_repaired_at_start
    assert found.since_us is not None
    assert is_stuck(found, now_us=found.since_us + 61, bound_us=60)
    assert not is_stuck(found, now_us=found.since_us + 60, bound_us=60)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "init_resize_finish_crash"])
def test_nothing_waits_at_the_end_of_any_other_recording(name: str) -> None:
    assert all(waiting(shadow) is None for shadow in shadows(lines_of(name)).values())


def test_a_shadow_is_stored_and_read_again() -> None:
    (shadow,) = shadows(lines_of("evacuate_then_old_host_returns")).values()
    held = Held(
        instance_id="i",
        origin="nova",
        vm_state="active",
        flavor=Flavor(name="", vcpus=0, memory_mb=0, disk_gb=0),
        created_at=0,
        updated_at=0,
        shadow=shadow,
    )

    assert HELD_CODEC.decode(HELD_CODEC.encode(held)) == held


def test_no_order_of_messages_is_refused() -> None:
    drawn = random.Random(3)
    for _ in range(50):
        lines = [line for name in drawn.sample(NAMES, 2) for line in lines_of(name)]
        drawn.shuffle(lines)
        assert shadows(lines)


def facts_of(story: Story) -> list[NovaReported]:
    ingest = Ingest()
    return [f for n, line in enumerate(story.lines) for f in ingest.read(line, origin=f"s:{n}")]


def test_a_fact_is_a_repeat_by_its_id_or_by_its_content() -> None:
    first, *_ = facts_of(Story().asks("powering-off"))
    shadow = evolve(INITIAL, first)

    assert is_repeat(shadow, first)
    assert evolve(shadow, first) is shadow
    assert not is_repeat(INITIAL, first)


def test_an_update_that_arrives_after_its_successor_loses() -> None:
    story = Story().asks("pausing").saves(None, state="paused", power=3)
    story.asks("unpausing").saves(None, state="active", power=1)
    story.saves("spawning").saves(None, state="stopped", power=4)
    story.lines[-2:] = reversed(story.lines[-2:])

    shadow = story.shadow()

    assert (shadow.vm_state, shadow.task_state, shadow.power_state) == ("stopped", None, 4)


def test_an_older_row_is_stale_unless_it_leads_on_within_the_skew_of_clocks() -> None:
    story = Story().asks("powering-off")
    story.row["updated_at"] = "2026-11-22T07:59:58Z"
    story.saves(None, state="stopped", power=4)
    story.row["updated_at"] = "2026-11-22T07:50:00Z"
    story.saves("powering-on")
    first, leads_on, too_old = facts_of(story)
    shadow = evolve(INITIAL, first)

    assert not is_stale(shadow, leads_on)
    assert is_stale(evolve(shadow, leads_on), too_old)


def test_what_comes_after_a_delete_is_late() -> None:
    story = Story().asks("deleting").saves(None, state="deleted", power=0).says("delete.end", "a")
    story.saves(None, state="active", power=1)

    assert story.shadow().vm_state == "deleted"


def test_without_updates_the_snapshots_of_events_are_the_best_that_is_known() -> None:
    story = Story(task="powering-off").says("power_off.start", "a")
    story.row.update(state="stopped", task_state=None, power_state="shutdown")
    story.says("power_off.end", "a")

    shadow = story.shadow()

    assert (shadow.vm_state, shadow.task_state, shadow.power_state) == ("stopped", None, 4)
    assert not shadow.is_updated


def test_the_clock_of_a_wait_starts_again_with_each_step() -> None:
    story = Story().asks("resize_prep")
    story.row["updated_at"] = "2026-11-22T08:00:09Z"
    story.saves("resize_prep")
    first = story.shadow().waiting_since_us
    story.row["updated_at"] = "2026-11-22T08:00:10Z"
    story.saves("resize_migrating")

    second = story.shadow().waiting_since_us

    assert first is not None
    assert second == first + 10_000_000
    assert story.shadow().operation == "resize"
    assert UUID in shadows(story.lines)
