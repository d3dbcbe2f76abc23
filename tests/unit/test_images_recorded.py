"""Our rows go through the very states that a recorded nova went through, and tell of the same.

The driver of the recordings does not say that an upload is pending; libvirt's does, and so may any
host: `tests/unit/test_step_images.py` and `test_step_shelve.py` tell those stories.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from events import images
from tests.beginnings import built
from tests.hosts import World
from tests.story import must

TRACES = Path(__file__).parents[1] / "data" / "traces"
Pairs = list[tuple[str, str | None]]


def recorded(name: str) -> Pairs:
    """Return the states of a recording's instance, each time one of them changed."""
    pairs: Pairs = []
    for line in (TRACES / f"{name}.notifications.jsonl").read_text().splitlines():
        notification: dict[str, Any] = json.loads(line)
        if notification["event_type"] != "instance.update":
            continue
        data = notification["payload"]["nova_object.data"]
        pair = (data["state"], data["task_state"])
        if not pairs or pairs[-1] != pair:
            pairs.append(pair)
    return pairs


def recorded_actions(name: str) -> list[tuple[str, str | None]]:
    """Return the actions of a recording, the build apart, in the order of their start."""
    api = json.loads((TRACES / f"{name}.api.json").read_text())
    actions = sorted(api["actions"], key=lambda action: str(action["start_time"]))
    return [(a["action"], a["message"]) for a in actions if a["action"] != "create"]


def snapshot(world: World) -> None:
    """Take a snapshot."""
    must(world.request("snapshot", arguments={"name": "n"}))
    must(world.says("h1", images.SnapshotStarted(), images.ImageUploadStarted()))
    must(world.says("h1", images.ImageUploaded(image_id="it")))


def backup(world: World) -> None:
    """Take a backup."""
    arguments = {"name": "n", "backup_type": "daily", "rotation": "1"}
    must(world.request("backup", arguments=arguments))
    must(world.says("h1", images.SnapshotStarted(), images.ImageUploadStarted()))
    must(world.says("h1", images.ImageUploaded(image_id="it"), images.BackupsRotated()))


def shelve(world: World) -> None:
    """Shelve the guest, and offload it where the setting says so."""
    must(world.request("shelve"))
    must(world.says("h1", images.ImageUploadStarted()))
    must(world.says("h1", images.GuestShelved(power_state=4, image_id="it")))
    if world.letters:
        must(world.says("h1", images.GuestOffloaded(power_state=4)))


def unshelve(world: World) -> None:
    """Start the guest where it was kept."""
    shelve(world)
    must(world.request("unshelve"))
    must(world.says("h1", images.ShelvedGuestStarting()))
    must(world.says("h1", images.ShelvedGuestStarted(power_state=1)))


def unshelve_nowhere(world: World) -> None:
    """Find no host for the guest."""
    shelve(world)
    must(world.request("unshelve"))
    must(world.no_valid_host())


def rebuild(world: World) -> None:
    """Make the guest anew from another image."""
    must(world.request("rebuild", arguments={"image": "other"}))
    must(world.choose("h1"))
    must(world.says("h1", images.RebuildDisksPreparing(), images.RebuildSpawning()))
    must(world.says("h1", images.GuestRebuilt(power_state=1)))


PLAYS: dict[str, tuple[Callable[[World], None], str]] = {
    "snapshot": (snapshot, "0"),
    "backup": (backup, "0"),
    "shelve_unshelve": (unshelve, "-1"),
    "shelve_offload_only": (shelve, "0"),
    "unshelve_no_host": (unshelve_nowhere, "0"),
    "rebuild_new_image": (rebuild, "0"),
}


@pytest.mark.parametrize("name", PLAYS)
def test_the_states_are_those_of_the_recording(name: str) -> None:
    play, shelved_offload_time = PLAYS[name]
    world = built(shelved_offload_time=shelved_offload_time).from_here()
    world.trace.clear()

    play(world)

    ours = [(vm, task) for vm, task, _ in world.trace]
    assert ours == recorded(name)
    assert world.actions == recorded_actions(name)
