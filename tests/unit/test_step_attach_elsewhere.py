"""Volumes of a guest that is on no host, and of one that is made anew on another."""

from __future__ import annotations

from events.attachments import PortBound, PortUnbound
from tests.beginnings import begin, offloaded
from tests.ends import check_end
from tests.parts import OTHER_VOLUME, PORT, VOLUME
from tests.story import must
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
