"""Evacuation: nova's states, the fence, and what it supersedes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from events import evacuation, instance, migration
from events.decisions import HostReturned
from statemachines.notes import MigrationNote
from tests.answers import argument
from tests.beginnings import begin, broken_off, built, migrating, stopped
from tests.ends import check_end
from tests.evacuations import evacuated, evacuating, rebuilding, refusal, status
from tests.hosts import World
from tests.story import must

TRACES = Path(__file__).parents[1] / "data" / "traces"


# As nova does it.


def recorded(name: str) -> tuple[list[tuple[str, str | None]], dict[str, Any]]:
    """Return nova's states of an evacuated guest, in order, and what its API said at the end."""
    lines = (TRACES / f"{name}.notifications.jsonl").read_text().splitlines()
    seen: list[tuple[str, str | None]] = []
    for line in lines:
        told = json.loads(line)
        if told["event_type"] != "instance.update":
            continue
        payload = told["payload"]["nova_object.data"]
        now = (payload["state"], payload["task_state"])
        if not seen or seen[-1] != now:
            seen.append(now)
    return seen, json.loads((TRACES / f"{name}.api.json").read_text())


def states_of(world: World) -> list[tuple[str, str | None]]:
    """Return the states that a world went through, each once in a row."""
    seen: list[tuple[str, str | None]] = []
    for vm_state, task_state, _ in world.trace:
        if not seen or seen[-1] != (vm_state, task_state):
            seen.append((vm_state, task_state))
    return seen


def events_of(api: dict[str, Any]) -> list[tuple[str, str]]:
    """Return nova's action events in the order of their start."""
    (action,) = [a for a in api["actions"] if a["action"] == "evacuate"]
    found = sorted(action["events"], key=lambda event: event["start_time"])
    return [(event["event"], event["result"]) for event in found]


def test_an_active_guest_goes_through_the_states_that_nova_recorded() -> None:
    states, api = recorded("evacuate_active")
    world = built()
    world.trace = []

    evacuated(world)

    assert states_of(world) == states
    assert world.trace == [
        ("active", "rebuilding", "accepted"),
        ("active", "rebuilding", "pre-migrating"),
        ("active", "rebuild_block_device_mapping", "pre-migrating"),
        ("active", "rebuild_spawning", "pre-migrating"),
        ("active", None, "done"),
    ]
    assert world.events[1:] == events_of(api)
    assert world.actions[1:] == [("evacuate", None)]
    (novas,) = api["migrations"]
    move = world.here.move
    assert move is not None
    assert (move.migration_type, move.status) == (novas["migration_type"], novas["status"])
    assert (move.source, move.destination) == ("h1", "h2")
    assert world.here.host == "h2"


def test_where_there_is_no_host_it_ends_as_nova_recorded() -> None:
    states, api = recorded("evacuate_no_host")
    world = built()
    world.trace = []
    evacuating(world)

    must(world.no_valid_host())

    assert states_of(world) == states
    assert world.events[1:] == events_of(api)
    assert world.actions[1:] == [("evacuate", "Error")]
    assert status(world) == api["migrations"][0]["status"] == "error"
    assert world.here.host == "h1"
    assert [c.host for c in world.here.claims] == ["h1"]


def test_the_old_host_is_told_when_it_is_back_and_only_then_it_is_completed() -> None:
    _, api = recorded("evacuate_then_old_host_returns")
    world = evacuated()
    assert status(world) == "done"
    assert sorted(c.host for c in world.here.claims) == ["h1", "h2"]

    must(world.decide(HostReturned(host="h1")))

    assert sorted(world.orders) == [("DestroyGuest", "h1"), ("RaiseGeneration", "h1")]
    (destroy,) = [x for x in world.letters if type(x.command).__name__ == "DestroyGuest"]
    assert argument(destroy, "evidence") == "moved"
    assert status(world) == "done"
    world.settle()
    assert status(world) == api["migrations"][0]["status"] == "completed"
    assert [c.host for c in world.here.claims] == ["h2"]
    assert world.here.tombstones == ()
    assert world.states == ("active", None)
    check_end(world)


def test_a_stopped_guest_ends_stopped() -> None:
    world = rebuilding(stopped())
    letter = world.letters[0]
    assert argument(letter, "power_on") is False

    world.says("h2", evacuation.EvacuationClaimed())
    world.says("h2", evacuation.EvacuationDisksPreparing(), evacuation.EvacuationSpawning())
    must(world.says("h2", evacuation.EvacuationPoweringOff(power_state=4)))
    must(world.says("h2", evacuation.GuestEvacuated(power_state=4)))

    assert states_of(world)[-2:] == [("active", "powering-off"), ("stopped", None)]
    assert world.here.power_state == 4


def test_a_guest_ends_stopped_where_that_was_asked_but_not_from_error() -> None:
    asked = {"target_state": "stopped"}
    assert argument(rebuilding(arguments=asked).letters[0], "power_on") is False
    assert evacuated(arguments=asked).states == ("stopped", None)

    broken = built()
    must(broken.request("reset_state", arguments={"state": "error"}))
    broken.settle()
    assert evacuated(broken, arguments=asked).states == ("active", None)


def test_a_target_state_that_nobody_knows_is_refused() -> None:
    world = built()
    world.request(
        "evacuate",
        source_up=False,
        fenced_hosts=("h1",),
        arguments={"target_state": "on the moon"},
    )

    code, sentence = refusal(world)

    assert code == "bad-request"
    assert "neither active nor stopped" in sentence


def test_from_error_it_ends_active() -> None:
    world = built()
    must(world.request("reset_state", arguments={"state": "error"}))
    world.settle()

    assert evacuated(world).states == ("active", None)


def test_a_guest_that_was_evacuated_was_launched_when_it_was_made_anew() -> None:
    world = built()
    before = world.here.launched_at
    assert before is not None

    evacuated(world)

    assert world.here.launched_at is not None
    assert world.here.launched_at > before


def test_volumes_and_ports_go_with_it_and_the_old_host_lets_go_when_it_is_back() -> None:
    world = built()
    (volume,), (port,) = world.here.volumes, world.here.ports
    assert (volume.hosts, port.hosts, port.active_host) == (("h1",), ("h1",), "h1")

    evacuated(world)

    (volume,), (port,) = world.here.volumes, world.here.ports
    assert (volume.hosts, port.hosts, port.active_host) == (("h1", "h2"), ("h1", "h2"), "h2")
    world.come_back()
    (volume,), (port,) = world.here.volumes, world.here.ports
    assert (volume.hosts, port.hosts, port.active_host) == (("h2",), ("h2",), "h2")
    check_end(world)


# The fence.


def test_without_a_fence_nothing_is_started_elsewhere() -> None:
    world = built()
    before = world.here

    world.request("evacuate", source_up=False)

    code, sentence = refusal(world)
    assert code == "not-fenced"
    assert "nobody vouched that h1 is off" in sentence
    assert world.orders == []
    assert world.here.vm_state == before.vm_state
    assert world.here.generation == before.generation


def test_a_fence_of_another_host_is_none() -> None:
    world = built()

    world.request("evacuate", source_up=False, fenced_hosts=("h2", "h3"))

    assert refusal(world)[0] == "not-fenced"


def test_a_host_whose_service_is_up_is_not_evacuated() -> None:
    world = built()

    world.request("evacuate", source_up=True, fenced_hosts=("h1",))

    code, sentence = refusal(world)
    assert code == "host-up"
    assert sentence == "Compute service of h1 is still in use."


def test_nothing_is_chosen_before_the_old_host_was_told_the_new_generation() -> None:
    world = built()
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1",)))

    assert world.orders == [("RaiseGeneration", "h1")]
    assert world.letters[0].address.generation == world.here.generation


def test_a_host_that_is_alive_and_runs_the_guest_keeps_it() -> None:
    world = built()
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1",)))
    must(world.unasked("h1", instance.GuestFound(power_state=1)))

    must(world.says("h1", instance.GenerationRaised()))

    assert world.orders == []
    assert world.states == ("active", None)
    assert world.here.host == "h1"
    assert status(world) == "error"
    assert world.actions[-1] == ("evacuate", "Error")
    check_end(world)


def test_a_host_that_is_alive_without_the_guest_is_evacuated() -> None:
    world = built()
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1",)))
    must(world.unasked("h1", instance.GuestAbsent()))

    must(world.says("h1", instance.GenerationRaised()))

    assert world.orders == [("ChooseDestination", "@scheduler")]


def test_a_host_that_never_answers_is_not_waited_for_without_end() -> None:
    world = built()
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1",)))
    must(world.time_out("h1"))
    must(world.time_out("h1"))

    assert ("ChooseDestination", "@scheduler") in world.orders
    assert [s.saga for s in world.here.sides] == ["fence"]


# What it supersedes.


def test_it_takes_the_clean_up_of_what_it_supersedes_over() -> None:
    world = begin("evacuate")
    assert world.here.move is not None
    statuses = [n.move.status for n in world.noted(MigrationNote) if isinstance(n, MigrationNote)]
    assert statuses[-2:] == ["error", "accepted"]
    must(world.lose("h1"))

    assert ("DestroyGuest", "h2") in world.orders
    must(world.says("h2", instance.GuestDestroyed()))
    assert [c.host for c in world.here.claims] == ["h1"]
    must(world.choose("h2"))
    world.settle()
    assert world.here.host == "h2"
    check_end(world)


def test_leftover_task_state_does_not_refuse_evacuation() -> None:
    """ "Evacuation was refused because the dead host had left a task_state" (bug 1978983)."""
    for action in ("stop", "reboot_hard", "resize", "live_migrate"):
        world = begin(action)
        task_state = world.here.task_state
        assert task_state is not None
        fields: dict[str, Any] = {"source_up": False, "fenced_hosts": ("h1",)}

        must(world.request("evacuate", **fields))

        world.settle(lost=frozenset({"h1"}))
        assert world.trace[-1] == ("active", None, "done"), action
        assert world.here.host not in (None, "h1")
        world.come_back()
        check_end(world)


def test_a_guest_that_is_being_deleted_is_not_started_elsewhere() -> None:
    world = begin("delete")

    world.request("evacuate", source_up=False, fenced_hosts=("h1",))

    assert refusal(world)[0] == "saga-running"


def test_a_second_evacuation_waits_for_the_first() -> None:
    world = rebuilding()

    world.request("evacuate", source_up=False, fenced_hosts=("h1",))

    assert refusal(world)[0] == "already-running"


def test_what_the_old_host_says_of_the_old_operation_is_evidence_only() -> None:
    world = migrating()
    old = world.outstanding("h1")
    evacuating(world)
    before = world.here

    world.says("h1", migration.GuestHandedOver(), command_id=old)

    assert refusal(world)[0] == "step-past"
    assert world.here.host == before.host == "h1"


def test_a_host_that_may_run_the_guest_and_is_away_unfenced_keeps_it_from_being_started() -> None:
    world = broken_off()
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1",)))
    must(world.lose("h1"))
    must(world.lose("h2"))
    assert ("ChooseDestination", "@scheduler") in world.orders

    must(world.choose("h3"))

    assert ("EvacuateGuest", "h3") not in world.orders
    assert world.states == ("error", None)
    assert sorted(c.host for c in world.here.claims) == ["h1", "h2"]

    world.request("evacuate", source_up=False, fenced_hosts=("h1",))
    code, sentence = refusal(world)
    assert code == "not-fenced"
    assert "h2" in sentence
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1", "h2")))
