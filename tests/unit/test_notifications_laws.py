"""What holds of notifications whatever happens: histories drawn by the dice, told and followed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from conductor.notifications.telling import Manner, notices_of
from conductor.notifications.words import WORDS
from conductor.step import step
from events.nova_ingest import Ingest
from events.nova_wire import NOTICE_BYTES_MAX, Notice, value_of
from statemachines import shadow
from statemachines.held import Held
from statemachines.sagas import BY_ACTION
from tests.beginnings import ACTIONS, begin, wander
from tests.hosts import World

ALL = Manner(notify_on_state_change="vm_and_task_state")
#: Sagas of which nova's compute and API notify nothing but what changes, if anything.
SILENT = {
    "reset_state",
    "set_admin_password",
    "get_diagnostics",
    "add_fixed_ip",
    "remove_fixed_ip",
    "inject_network_info",
    "snapshot_volume_backed",
    "volume_snapshot_create",
    "volume_snapshot_delete",
}


def told(world: World) -> Iterator[tuple[Held, list[Notice]]]:
    """Yield, fact by fact, the state after it and what is told of it."""
    held: Held | None = None
    for envelope in world.history:
        outcome = step(held, envelope, world.rules)
        held = outcome.after
        assert held is not None
        yield held, list(notices_of(envelope, outcome, ALL))


@pytest.mark.parametrize("action", ACTIONS)
def test_who_follows_knows_the_states_after_every_fact(action: str) -> None:
    for seed in range(12):
        world = begin(action)
        wander(world, random.Random(f"{action}/{seed}"))
        ingest, followed = Ingest(), shadow.INITIAL
        ids: set[str] = set()
        shown = None
        for held, notices in told(world):
            for notice in notices:
                value = value_of(notice)
                assert len(value) <= NOTICE_BYTES_MAX
                assert json.loads(json.loads(value)["oslo.message"])["payload"] == notice.payload
                assert notice.message_id not in ids
                ids.add(notice.message_id)
                for fact in ingest.read(value):
                    followed = shadow.evolve(followed, fact)
                shown = _shown(notice) or shown
            # An instance is told of once it has a host, or none was found.
            if shown is not None:
                assert shown == (held.vm_state, held.task_state, held.power_state, held.host)
        held = world.here
        assert (followed.vm_state, followed.host) == (held.vm_state, held.host), seed


POWER = {"pending": 0, "running": 1, "paused": 3, "shutdown": 4, "crashed": 6, "suspended": 7}


def _shown(notice: Notice) -> tuple[str, str | None, int, str | None] | None:
    """Return what an update shows; None for every other notification."""
    if notice.event_type != "instance.update":
        return None
    data = notice.payload["nova_object.data"]
    assert isinstance(data, dict)
    return data["state"], data["task_state"], POWER[data["power_state"]], data["host"]


@pytest.mark.parametrize("action", ACTIONS)
def test_what_ends_had_a_start(action: str) -> None:
    for seed in range(12):
        world = begin(action)
        wander(world, random.Random(f"{action}/{seed}"))
        begun: set[str] = set()
        for _, notices in told(world):
            for notice in notices:
                name, _, phase = notice.event_type.rpartition(".")
                if phase == "start":
                    begun.add(name)
                elif phase == "end":
                    assert name in begun, (notice.event_type, seed)


def test_every_operation_is_told_of_or_nova_is_silent_too() -> None:
    told_of = {saga for saga, _ in WORDS}

    assert {table.name for table in BY_ACTION.values()} - told_of == SILENT
