"""Volumes of a guest that is on no host, and of one that is made anew on another."""

from __future__ import annotations

import pytest

from events.attachments import PortBound, PortUnbound, VolumeAttached, VolumeSwapped
from tests.beginnings import begin, offloaded
from tests.ends import check_end
from tests.parts import OTHER_VOLUME, PORT, VOLUME
from tests.story import LARGE, must
from tests.unit.test_step_attach_detach import asked, volumes
from tests.unit.test_step_attachments import standing_at


def test_a_guest_that_is_on_no_host_has_its_volumes_noted_and_finds_them_when_it_is_back() -> None:
    world = offloaded().from_here()
    must(world.request("attach_volume", arguments={"volume_id": OTHER_VOLUME}))
    assert volumes(world) == {VOLUME: ("in-use", ()), OTHER_VOLUME: ("in-use", ())}
    must(world.request("detach_volume", arguments={"volume_id": VOLUME}))
    assert world.orders == []
    assert world.actions == [("attach_volume", None), ("detach_volume", None)]
    must(world.request("unshelve"))
    world.settle()

    assert volumes(world) == {OTHER_VOLUME: ("in-use", (str(world.here.host),))}
    check_end(world)


def test_a_guest_that_is_made_anew_elsewhere_has_what_was_attached_and_no_more() -> None:
    world = asked("attach_volume", volume_id=OTHER_VOLUME)
    world.lose("h1")
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1",)))
    world.settle(lost=frozenset({"h1"}))
    assert world.here.host != "h1"
    at = str(world.here.host)
    assert volumes(world)[VOLUME][1][-1] == at
    assert at not in volumes(world)[OTHER_VOLUME][1]
    world.come_back()

    assert volumes(world) == {VOLUME: ("in-use", (at,))}
    check_end(world)


def test_a_host_that_was_superseded_takes_no_traffic_by_what_it_says_late() -> None:
    world = standing_at(begin("resize"), "finish")
    asked_before = world.letter("h2").address
    must(world.lose("h2"))
    must(world.lose("h2"))
    must(world.request("evacuate", source_up=False, fenced_hosts=("h2",)))
    world.settle(lost=frozenset({"h2"}))
    at = world.here.host
    assert at not in ("h2", None)

    for fact in (PortBound(port_id=PORT, active=True), PortUnbound(port_id=PORT)):
        command_id, generation = asked_before.command_id, asked_before.generation
        late = world.next_of("h2", fact, command_id=command_id, generation=generation)
        must(world.tell(late))

        (port,) = world.here.ports
        assert port.active_host == at
    assert [port.hosts for port in world.here.ports] == [(at,)]


@pytest.mark.parametrize(
    ("fact", "command"),
    [
        (VolumeAttached(volume_id="stray"), "DetachVolume"),
        (PortBound(port_id="stray", active=True), "DetachInterface"),
    ],
)
def test_a_host_lets_go_of_what_it_took_hold_of_and_the_guest_does_not_have(
    fact: object, command: str
) -> None:
    world = begin("stop")

    must(world.says("h1", fact, fact, command_id=world.outstanding("h1")))

    assert world.orders == [("StopGuest", "h1"), (command, "h1")]
    world.settle()
    assert world.here.sides == ()
    check_end(world)


def test_a_volume_that_was_swapped_before_the_guest_was_put_back_is_let_go_again() -> None:
    world = asked("swap_volume", old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME)
    swap = world.outstanding("h1")
    must(world.request("resize", flavor=LARGE))
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    world.time_out_of(world.letters[0])
    restore = next(x for x in world.letters if x.address.step == "restore_source").address

    swapped = VolumeSwapped(old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME)
    must(world.says("h1", swapped, command_id=swap))
    must(world.says("h1", VolumeAttached(volume_id=VOLUME), command_id=restore.command_id))

    assert ("DetachVolume", "h1") in world.orders
    world.settle()
    assert volumes(world) == {OTHER_VOLUME: ("in-use", ("h1",))}
    check_end(world)
