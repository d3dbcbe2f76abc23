"""What is refused of attach, detach and swap, with a code for each reason, and their limits."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from statemachines.asked_attachments import PORTS_MAX, VOLUMES_MAX
from statemachines.attachment_actions import AT_ONCE_MAX
from statemachines.verdict import Duplicate, Rejected
from tests.beginnings import built
from tests.hosts import World
from tests.parts import NETWORK, OTHER_PORT, OTHER_VOLUME, PORT, VOLUME, mapping, wishes
from tests.story import LARGE, SMALL, must


def asked(action: str, **arguments: str) -> World:
    """Return a world in which an action was just asked of a guest that was built on h1."""
    world = built().from_here()
    world.request(action, arguments=arguments)
    return world


def rejection(world: World) -> str:
    """Return the code with which the last fact was refused."""
    verdict = world.verdicts[-1]
    assert isinstance(verdict, Rejected), verdict
    return verdict.code


REFUSED: dict[str, tuple[str, str, dict[str, str]]] = {
    "a volume that it has": ("already-attached", "attach_volume", {"volume_id": VOLUME}),
    "a volume without a name": ("bad-request", "attach_volume", {}),
    "a device that is taken": (
        "bad-request",
        "attach_volume",
        {"volume_id": OTHER_VOLUME, "device": "/dev/vdb"},
    ),
    "a flag that is none": (
        "bad-request",
        "attach_volume",
        {"volume_id": OTHER_VOLUME, "delete_on_termination": "perhaps"},
    ),
    "a volume that it does not have": (
        "not-attached",
        "detach_volume",
        {"volume_id": OTHER_VOLUME},
    ),
    "a swap of what it does not have": (
        "not-attached",
        "swap_volume",
        {"old_volume_id": OTHER_VOLUME, "new_volume_id": PORT},
    ),
    "a swap for what it has": (
        "already-attached",
        "swap_volume",
        {"old_volume_id": VOLUME, "new_volume_id": VOLUME},
    ),
    "a port that it has": ("already-attached", "attach_interface", {"port_id": PORT}),
    "neither port nor network": ("bad-request", "attach_interface", {}),
    "a port that it does not have": ("not-attached", "detach_interface", {"port_id": OTHER_PORT}),
    "a network that it is not on": ("not-attached", "add_fixed_ip", {"network_id": OTHER_PORT}),
    "an address that it does not have": (
        "not-attached",
        "remove_fixed_ip",
        {"address": "10.0.0.7"},
    ),
    "what is no address": ("bad-request", "remove_fixed_ip", {"address": "localhost"}),
}


@pytest.mark.parametrize(("code", "action", "arguments"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_the_guest_is_refused(
    code: str, action: str, arguments: Mapping[str, str]
) -> None:
    world = asked(action, **arguments)

    assert rejection(world) == code
    assert world.orders == []
    assert world.here.sides == ()


def test_a_volume_with_which_something_is_done_is_left_alone() -> None:
    world = asked("detach_volume", volume_id=VOLUME)
    for action, arguments in (
        ("detach_volume", {"volume_id": VOLUME}),
        ("swap_volume", {"old_volume_id": VOLUME, "new_volume_id": OTHER_VOLUME}),
    ):
        world.request(action, arguments=arguments)
        assert rejection(world) == "busy"
    world.request("attach_volume", arguments={"volume_id": VOLUME})
    assert rejection(world) == "already-attached"


def test_one_volume_is_not_swapped_in_twice() -> None:
    world = asked("swap_volume", old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME)
    world.request("attach_volume", arguments={"volume_id": PORT})
    world.settle()
    must(world.request("swap_volume", arguments={"old_volume_id": PORT, "new_volume_id": VOLUME}))
    world.request("swap_volume", arguments={"old_volume_id": OTHER_VOLUME, "new_volume_id": VOLUME})

    assert rejection(world) == "already-attached"


def test_a_request_that_is_repeated_changes_nothing() -> None:
    world = built()
    must(world.request("attach_volume", "req-1", arguments={"volume_id": OTHER_VOLUME}))
    before = world.here.sides

    outcome = world.request("attach_volume", "req-1", arguments={"volume_id": OTHER_VOLUME})

    assert isinstance(outcome.verdict, Duplicate)
    assert world.here.sides == before


@pytest.mark.parametrize("action", ["resize", "migrate", "live_migrate", "suspend"])
def test_a_guest_with_accelerators_stays_where_it_is(action: str) -> None:
    world = World()
    wanted = wishes(**{"accel:device_profile": "gpu"})
    must(world.request("create", flavor=SMALL, arguments=wanted))
    world.settle()
    world.request(action, flavor=LARGE)

    assert rejection(world) == "accelerators"
    assert world.states == ("active", None)
    must(world.request("reboot_hard"))


def test_the_root_volume_is_not_detached() -> None:
    world = World()
    root = json.dumps([mapping(boot_index=0)])
    must(world.request("create", flavor=SMALL, arguments=wishes(block_device_mapping_v2=root)))
    world.settle()
    world.request("detach_volume", arguments={"volume_id": VOLUME})

    assert rejection(world) == "root-volume"


def test_there_is_an_end_of_volumes_of_ports_and_of_what_goes_on_at_once() -> None:
    world = built()
    for n in range(1, VOLUMES_MAX):
        volume_id = f"0b4c4c1e-0000-4000-9000-{n:012x}"
        must(world.request("attach_volume", arguments={"volume_id": volume_id}))
        world.settle()
    world.request("attach_volume", arguments={"volume_id": OTHER_VOLUME})
    assert rejection(world) == "too-many-volumes"
    for _ in range(1, PORTS_MAX):
        must(world.request("attach_interface", arguments={"net_id": NETWORK}))
        world.settle()
    world.request("attach_interface", arguments={"net_id": NETWORK})
    assert rejection(world) == "too-many-ports"
    for held in world.here.ports[:AT_ONCE_MAX]:
        must(world.request("detach_interface", arguments={"port_id": held.port.port_id}))
    world.request("inject_network_info")
    assert rejection(world) == "too-many-actions"
