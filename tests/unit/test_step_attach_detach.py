"""Attach, detach and swap beside whatever else goes on: nova's words, and nothing left behind."""

from __future__ import annotations

import pytest

from events import attachments, instance, migration
from events.decisions import HostReturned
from statemachines.attachments import FIXED_IPS_MAX
from statemachines.notes import FaultNote, SagaNote
from statemachines.verdict import Rejected
from tests.beginnings import SIDE_ACTIONS, begin, built, paused, resized, stopped
from tests.ends import check_end
from tests.hosts import World
from tests.parts import NETWORK, OTHER_VOLUME, PORT, VOLUME
from tests.story import LARGE, must

OF_SIDE_ACTION = pytest.mark.parametrize("action", SIDE_ACTIONS)
#: What comes of each: the action event that nova writes.
EVENTS = {
    "attach_volume": "compute_attach_volume",
    "detach_volume": "compute_detach_volume",
    "swap_volume": "compute_swap_volume",
    "attach_interface": "compute_attach_interface",
    "detach_interface": "compute_detach_interface",
}


def volumes(world: World) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Say of each volume what is done with it and where it is."""
    return {v.volume.volume_id: (v.status, v.hosts) for v in world.here.volumes}


def ports(world: World) -> list[tuple[str, tuple[str, ...], str | None]]:
    """Say of each port what is done with it, where it is and where its traffic goes."""
    return [(p.status, p.hosts, p.active_host) for p in world.here.ports]


def addresses(world: World) -> tuple[str, ...]:
    """Return the addresses of the first port."""
    return world.here.ports[0].port.fixed_ips


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


def endings(world: World) -> list[tuple[str, str]]:
    """Return how sagas ended, in order."""
    notes = [n for n in world.notes if isinstance(n, SagaNote)]
    return [(n.state.saga, n.ending) for n in notes if n.ending is not None]


IN_USE = ("in-use", ("h1",))

# Nova's words.


@OF_SIDE_ACTION
def test_nova_keeps_both_states_and_writes_one_action(action: str) -> None:
    world = begin(action).from_here()
    world.notes = []
    assert world.states == ("active", None)
    world.settle()

    assert world.states == ("active", None)
    assert world.here.sides == ()
    expected = [(EVENTS[action], "Success")] if action in EVENTS else []
    assert [tuple(each) for each in world.events] == expected
    check_end(world)


@OF_SIDE_ACTION
def test_a_failure_is_an_error_of_the_action_and_a_fault_and_changes_nothing(action: str) -> None:
    world = built()
    before = (world.here.volumes, world.here.ports)
    world = begin(action)
    command = world.letter("h1").command
    failure = {
        "AttachVolume": attachments.VolumeAttachFailed,
        "DetachVolume": attachments.VolumeDetachFailed,
        "SwapVolume": attachments.VolumeSwapFailed,
        "AttachInterface": attachments.InterfaceAttachFailed,
        "DetachInterface": attachments.InterfaceDetachFailed,
        "AddFixedIp": attachments.FixedIpAddFailed,
        "RemoveFixedIp": attachments.FixedIpRemoveFailed,
        "InjectNetworkInfo": attachments.NetworkInfoInjectFailed,
    }[type(command).__name__]
    world.says("h1", failure(reason="target busy"))

    assert (world.here.volumes, world.here.ports) == before
    assert world.actions[-1][1] == "Error"
    (fault,) = world.noted(FaultNote)
    assert isinstance(fault, FaultNote)
    assert fault.message == "target busy"
    assert world.states == ("active", None)
    check_end(world)


def test_a_volume_is_reserved_then_attached() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME.upper(), device="vdx")
    assert volumes(world) == {VOLUME: IN_USE, OTHER_VOLUME: ("attaching", ())}
    assert world.here.volumes[1].volume.device_name == "/dev/vdx"
    assert world.orders == [("AttachVolume", "h1")]
    world.settle()

    assert volumes(world) == {VOLUME: IN_USE, OTHER_VOLUME: IN_USE}


def test_a_volume_is_detached() -> None:
    world = asked("detach_volume", volume_id=VOLUME)
    assert volumes(world) == {VOLUME: ("detaching", ("h1",))}
    world.settle()

    assert volumes(world) == {}


def test_a_swap_puts_one_volume_into_the_place_of_another() -> None:
    world = asked("swap_volume", old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME)
    name = world.here.volumes[0].volume.device_name
    assert volumes(world) == {VOLUME: ("swapping", ("h1",))}
    world.settle()

    assert volumes(world) == {OTHER_VOLUME: IN_USE}
    assert world.here.volumes[0].volume.device_name == name


def test_a_port_is_made_on_the_network_that_is_named() -> None:
    world = asked("attach_interface", net_id=NETWORK, fixed_ip="10.0.0.9")
    assert ports(world)[1] == ("attaching", (), None)
    world.settle()

    assert ports(world) == [("in-use", ("h1",), "h1")] * 2
    assert world.here.ports[1].port.fixed_ips == ("10.0.0.9",)


def test_an_address_is_added_to_a_port_of_the_network_and_removed() -> None:
    world = asked("add_fixed_ip", network_id=NETWORK)
    world.settle()
    assert addresses(world) == ("10.0.0.5", "10.0.0.6")
    must(world.request("remove_fixed_ip", arguments={"address": "10.0.0.6"}))
    world.settle()

    assert addresses(world) == ("10.0.0.5",)


def test_a_guest_is_told_what_it_has_of_networks() -> None:
    world = asked("inject_network_info")
    assert world.letter("h1").command.ports == (world.here.ports[0].port,)  # type: ignore[attr-defined]  # InjectNetworkInfo
    world.says("h1", attachments.NetworkInfoInjected())

    assert world.actions[-1] == ("inject_network_info", None)


def test_a_port_keeps_no_more_addresses_than_it_may() -> None:
    world = built()
    for n in range(FIXED_IPS_MAX + 3):
        must(world.request("add_fixed_ip", arguments={"network_id": NETWORK}))
        world.says("h1", attachments.FixedIpAdded(port_id=PORT, address=f"10.1.0.{n}"))

    assert len(world.here.ports[0].port.fixed_ips) == FIXED_IPS_MAX


@pytest.mark.parametrize("world", [paused(), stopped(), resized()], ids=lambda w: w.states[0])
def test_a_volume_goes_to_where_the_guest_is(world: World) -> None:
    host = world.here.host
    assert host is not None
    must(world.request("attach_volume", arguments={"volume_id": OTHER_VOLUME}))
    assert world.orders == [("AttachVolume", host)]
    world.settle()

    assert volumes(world)[OTHER_VOLUME] == ("in-use", (host,))


# When hosts are silent, refuse, or are lost.


def test_an_attach_that_is_not_answered_is_undone_and_nothing_is_left_attached() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    world.time_out("h1")
    world.time_out("h1")
    assert world.orders == [("DetachVolume", "h1")]
    world.settle()

    assert volumes(world) == {VOLUME: IN_USE}
    assert world.events == [("compute_attach_volume", "Error")]
    check_end(world)


def test_a_late_success_of_an_attach_counts() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    first = world.outstanding("h1")
    world.time_out("h1")
    world.says("h1", attachments.VolumeAttached(volume_id=OTHER_VOLUME), command_id=first)

    assert volumes(world)[OTHER_VOLUME] == IN_USE
    assert world.orders == []


def test_an_attach_that_is_refused_is_made_sure_of() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    world.says("h1", instance.CommandRefused(code="superseded", reason="gave way"))
    assert world.orders == [("DetachVolume", "h1")]
    world.settle()

    assert volumes(world) == {VOLUME: IN_USE}


@pytest.mark.parametrize(
    ("action", "ending"), [("attach_volume", "lost"), ("attach_interface", "lost")]
)
def test_an_attach_at_a_host_that_is_lost_ends_and_the_host_owes(action: str, ending: str) -> None:
    world = begin(action).from_here()
    world.lose("h1")
    assert endings(world) == [(action, ending)]
    world.settle(lost=frozenset({"h1"}))
    check_end(world)
    assert [s.step for s in world.here.sides] == ["owed"]
    world.come_back()

    assert world.here.sides == ()
    assert volumes(world) == {VOLUME: IN_USE}
    assert len(world.here.ports) == 1
    check_end(world)


@pytest.mark.parametrize("action", ["detach_volume", "detach_interface"])
def test_a_detach_at_a_host_that_is_lost_is_done_when_it_is_back(action: str) -> None:
    world = begin(action)
    world.lose("h1")
    world.settle(lost=frozenset({"h1"}))
    kept = [v.status for v in world.here.volumes] + [p.status for p in world.here.ports]
    assert sorted(kept) == ["detaching", "in-use"]
    world.decide(HostReturned(host="h1"))
    world.settle()

    assert len(world.here.volumes) + len(world.here.ports) == 1
    check_end(world)


def test_what_a_host_owes_may_not_be_attached_again_before() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    world.lose("h1")
    world.request("attach_volume", arguments={"volume_id": OTHER_VOLUME})

    assert rejection(world) == "already-attached"


def test_a_swap_that_was_made_all_the_same_is_believed_when_its_host_is_back() -> None:
    world = asked("swap_volume", old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME)
    late = world.outstanding("h1")
    world.lose("h1")
    assert volumes(world) == {VOLUME: IN_USE}
    swapped = attachments.VolumeSwapped(old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME)
    world.says("h1", swapped, command_id=late)

    assert volumes(world) == {OTHER_VOLUME: IN_USE}


def test_an_address_that_was_added_all_the_same_is_believed() -> None:
    world = asked("add_fixed_ip", network_id=NETWORK)
    late = world.outstanding("h1")
    world.lose("h1")
    world.says("h1", attachments.FixedIpAdded(port_id=PORT, address="10.0.0.8"), command_id=late)

    assert addresses(world) == ("10.0.0.5", "10.0.0.8")


def test_the_words_about_addresses_of_a_stranger_are_not_believed() -> None:
    world = asked("add_fixed_ip", network_id=NETWORK)
    late = world.outstanding("h1")
    world.settle()
    world.says("h3", attachments.FixedIpRemoved(port_id=PORT, address="10.0.0.5"), command_id=late)

    assert rejection(world) == "not-asked"


# When something else begins meanwhile.


def test_a_volume_that_was_attached_before_the_guest_left_goes_with_it() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    attach = world.outstanding("h1")
    must(world.request("live_migrate"))
    world.choose("h2")
    world.says("h1", attachments.VolumeAttached(volume_id=OTHER_VOLUME), command_id=attach)
    world.settle()

    assert volumes(world) == {VOLUME: ("in-use", ("h2",)), OTHER_VOLUME: ("in-use", ("h2",))}
    check_end(world)


def test_an_attach_that_the_host_refuses_for_a_newer_operation_is_undone() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    attach = world.outstanding("h1")
    must(world.request("resize", flavor=LARGE))
    refused = instance.CommandRefused(code="older-generation", reason="1 < 2")
    world.says("h1", refused, command_id=attach)
    world.settle()

    assert volumes(world) == {VOLUME: ("in-use", ("h2",))}
    check_end(world)


def test_an_attach_that_comes_when_another_host_was_told_is_undone() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    attach = world.outstanding("h1")
    must(world.request("live_migrate"))
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    assert volumes(world)[OTHER_VOLUME] == ("attaching", ())
    world.says("h1", attachments.VolumeAttached(volume_id=OTHER_VOLUME), command_id=attach)
    assert ("DetachVolume", "h1") in world.orders
    world.settle()

    assert volumes(world) == {VOLUME: ("in-use", ("h2",))}
    check_end(world)


def test_a_detach_goes_on_when_the_guest_leaves_without_the_volume() -> None:
    world = asked("detach_volume", volume_id=VOLUME)
    detach = world.outstanding("h1")
    must(world.request("live_migrate"))
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    # The destination was not told of it, so the source has to let it go, whatever it says.
    world.says("h1", attachments.VolumeDetachFailed(reason="busy"), command_id=detach)
    assert ("DetachVolume", "h1") in world.orders
    world.says(
        "h1", migration.LiveMigrationStarted(), command_id=world.letters[0].address.command_id
    )
    world.settle()

    assert volumes(world) == {}
    check_end(world)


def test_a_delete_ends_what_goes_on_and_lets_go_of_everything() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    attach = world.outstanding("h1")
    must(world.request("delete"))
    world.settle()
    assert world.states == ("deleted", None)
    assert ("attach_volume", "superseded") in endings(world)
    world.says("h1", attachments.VolumeAttached(volume_id=OTHER_VOLUME), command_id=attach)

    assert rejection(world) == "not-asked"
    assert world.here.volumes == ()
    check_end(world)


def test_a_delete_with_a_lost_host_ends_what_goes_on_at_once() -> None:
    world = asked("detach_volume", volume_id=VOLUME)
    must(world.request("delete"))
    destroy = next(x for x in world.letters if x.address.saga == "delete")
    world.lose_of(destroy)
    assert world.states == ("deleted", None)
    assert [s.saga for s in world.here.sides] == ["debt"]
    assert ("detach_volume", "superseded") in endings(world)
    world.come_back()

    assert (world.here.volumes, world.here.ports) == ((), ())
    check_end(world)


def test_a_reset_state_leaves_a_side_action_to_its_own_answer() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    must(world.request("reset_state", arguments={"state": "active"}))
    world.settle()

    assert volumes(world)[OTHER_VOLUME] == IN_USE
    assert world.states == ("active", None)
