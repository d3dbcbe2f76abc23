"""What an operator resolves of volumes and ports that a host still has to let go."""

from __future__ import annotations

import pytest

from events.attachments import PortUnbound, VolumeDetached
from events.requests import SagaResolved
from tests.beginnings import begin
from tests.ends import check_end
from tests.hosts import World
from tests.parts import PORT, VOLUME
from tests.story import must
from tests.unit.test_step_attach_detach import asked, volumes

ARGUMENTS = {"detach_volume": {"volume_id": VOLUME}, "detach_interface": {"port_id": PORT}}
OF_BOTH = pytest.mark.parametrize("action", ARGUMENTS)


def said(action: str) -> VolumeDetached | PortUnbound:
    """Return the word of a host that it has let go."""
    is_volume = action == "detach_volume"
    return VolumeDetached(volume_id=VOLUME) if is_volume else PortUnbound(port_id=PORT)


def held_by(world: World, action: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return what there is of the volume, or of the port: its status and its hosts."""
    if action == "detach_volume":
        return {k: v for k, v in volumes(world).items() if k == VOLUME}
    return {p.port.port_id: (p.status, p.hosts) for p in world.here.ports}


def resolved(action: str) -> tuple[World, str]:
    """Return a guest at home where something is to go, and the id under which its host was asked.

    The host was lost, came back, was asked again and kept silent; then an operator ended the wait.
    """
    world = asked(action, **ARGUMENTS[action])
    must(world.lose("h1"))
    command_id = world.outstanding("h1")
    while world.letters:
        command_id = world.outstanding("h1")
        must(world.time_out_of(world.letters[0]))
    (side,) = world.here.sides
    assert side.step == "owed"
    must(world.api(SagaResolved(saga_id=side.saga_id, user_id="op", reason="no answer")))
    assert world.here.sides == ()
    return world, command_id


@OF_BOTH
def test_what_its_home_still_has_stays_known_until_the_host_says_that_it_is_gone(
    action: str,
) -> None:
    world, command_id = resolved(action)
    (status,) = held_by(world, action).values()
    assert status == ("detaching", ("h1",))

    must(world.says("h1", said(action), command_id=command_id))

    assert held_by(world, action) == {}
    check_end(world)


@OF_BOTH
def test_what_its_home_still_has_may_be_detached_again(action: str) -> None:
    world, _ = resolved(action)

    must(world.request(action, arguments=ARGUMENTS[action]))
    world.settle()

    assert held_by(world, action) == {}
    check_end(world)


@OF_BOTH
def test_what_is_to_go_does_not_move_along_and_is_gone_with_its_host(action: str) -> None:
    world, _ = resolved(action)
    must(world.request("migrate"))
    world.settle()
    must(world.request("confirm_resize"))
    world.settle()

    assert world.here.host == "h2"
    assert held_by(world, action) == {}
    check_end(world)


def test_nothing_is_attached_on_a_host_from_which_no_clean_up_is_expected_any_more() -> None:
    world = begin("live_migrate")
    while world.saga.step != "clean_source":
        world.succeed(world.letters[0])
    must(world.lose("h1"))
    must(world.lose("h1"))
    (debt,) = [s for s in world.here.sides if s.saga == "debt"]
    assert volumes(world)[VOLUME][1] == ("h1", "h2")

    must(world.api(SagaResolved(saga_id=debt.saga_id, user_id="op", reason="it was scrapped")))

    assert volumes(world)[VOLUME][1] == ("h2",)
    assert [p.hosts for p in world.here.ports] == [("h2",)]
