"""Volumes of a guest that is on no host, and of one that is made anew on another."""

from __future__ import annotations

from tests.beginnings import offloaded
from tests.ends import check_end
from tests.parts import OTHER_VOLUME, VOLUME
from tests.story import must
from tests.unit.test_step_attach_detach import asked, volumes


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
