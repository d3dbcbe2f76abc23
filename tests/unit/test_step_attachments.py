"""What a guest holds besides memory and disk: asked for, followed from host to host, let go."""

from __future__ import annotations

import json

import pytest

from events import attachments, instance, migration, requests
from events.json_arguments import JSON_CHARS_MAX
from events.parts import NOTHING_ATTACHED
from statemachines.asked_attachments import PORTS_MAX, VOLUMES_MAX
from statemachines.verdict import Accepted, Rejected
from tests.beginnings import begin, built
from tests.ends import check_end
from tests.hosts import World
from tests.parts import ACCELERATOR, NETWORK, OTHER_VOLUME, PORT, VOLUME, mapping, wishes
from tests.story import LARGE, SMALL, must


def create(**arguments: str) -> World:
    """Return a world in which a guest was asked for with these arguments."""
    world = World()
    world.request("create", flavor=SMALL, arguments=arguments)
    return world


def where(world: World) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    """Say where the volume and the port are, and where the port's traffic goes."""
    (volume,), (port,) = world.here.volumes, world.here.ports
    return volume.hosts, port.hosts, port.active_host


def standing_at(world: World, step: str) -> World:
    """Let everything go well until the saga stands at a step."""
    while world.saga.step != step:
        world.succeed(world.letters[0])
    return world


# Asked for in a create.


def test_what_a_create_asks_for_is_held_and_carried_by_the_build() -> None:
    world = create(**wishes(**{"accel:device_profile": "gpu"}))
    world.choose("h1")

    (volume,), (port,), (accelerator,) = (
        world.here.volumes,
        world.here.ports,
        world.here.accelerators,
    )
    assert (volume.volume.volume_id, volume.volume.device_name) == (VOLUME, "/dev/vdb")
    assert (port.port.port_id, port.port.network_id) == (PORT, NETWORK)
    assert accelerator.accelerator.device_profile == "gpu"
    carried = world.letter("h1").command.attachments  # type: ignore[attr-defined]  # BuildGuest
    assert carried.volumes == (volume.volume,)
    assert carried.ports == (port.port,)
    assert carried.accelerators == (accelerator.accelerator,)


def test_a_guest_that_asks_for_nothing_holds_nothing_and_says_no_more() -> None:
    world = create(name="a", networks="none", block_device_mapping_v2="[]")
    world.settle()

    assert world.letters == ()
    said = [type(e.fact).__name__ for e in world.history if e.host is not None]
    assert said == [
        "BuildAccepted",
        "NetworkAllocationStarted",
        "BlockDevicesPreparing",
        "GuestSpawning",
        "GuestBuilt",
    ]
    assert (world.here.volumes, world.here.ports, world.here.accelerators) == ((), (), ())


def test_a_port_that_is_made_has_the_same_id_whenever_the_log_is_folded() -> None:
    networks = json.dumps([{"uuid": NETWORK}, {"uuid": NETWORK}])
    first, second = create(networks=networks), create(networks=networks)

    ids = [p.port.port_id for p in first.here.ports]
    assert len(set(ids)) == 2
    assert ids == [p.port.port_id for p in second.here.ports]


def test_a_disk_of_the_guests_own_is_no_volume() -> None:
    local = {"source_type": "image", "destination_type": "local", "boot_index": 0}
    world = create(block_device_mapping_v2=json.dumps([local, mapping(boot_index=None)]))

    assert [v.volume.volume_id for v in world.here.volumes] == [VOLUME]


def test_a_volume_that_the_guest_boots_from_is_its_first_disk() -> None:
    both = [mapping(boot_index=0), mapping(OTHER_VOLUME, device_name="vdf")]
    world = create(block_device_mapping_v2=json.dumps(both))

    names = [v.volume.device_name for v in world.here.volumes]
    assert names == ["/dev/vda", "/dev/vdf"]


VOLUMES = [mapping(f"0b4c4c1e-0000-4000-8000-{n:012x}") for n in range(VOLUMES_MAX + 1)]
GARBAGE = {
    "not JSON": {"networks": "{"},
    "auto is the API's to resolve": {"networks": "auto"},
    "not a list": {"networks": "{}"},
    "not objects": {"block_device_mapping_v2": "[1]"},
    "deeper than a parser goes": {"networks": "[" * (JSON_CHARS_MAX // 2)},
    "too long": {"networks": " " * (JSON_CHARS_MAX + 1)},
    "too many volumes": {"block_device_mapping_v2": json.dumps(VOLUMES)},
    "too many ports": {"networks": json.dumps([{"uuid": NETWORK}] * (PORTS_MAX + 1))},
    "one volume twice": {"block_device_mapping_v2": json.dumps([mapping(), mapping()])},
    "one port twice": {"networks": json.dumps([{"port": PORT}, {"port": PORT}])},
    "one name twice": {
        "block_device_mapping_v2": json.dumps(
            [mapping(device_name="vdb"), mapping(OTHER_VOLUME, device_name="/dev/vdb")]
        )
    },
    "two to boot from": {
        "block_device_mapping_v2": json.dumps(
            [mapping(boot_index=0), mapping(OTHER_VOLUME, boot_index=0)]
        )
    },
    "a volume to be made": {
        "block_device_mapping_v2": json.dumps([{**mapping(), "source_type": "image"}])
    },
    "no uuid": {"block_device_mapping_v2": json.dumps([mapping("../../etc")])},
    "a strange key": {"block_device_mapping_v2": json.dumps([mapping(shell="sh")])},
    "a strange name": {"block_device_mapping_v2": json.dumps([mapping(device_name="a b")])},
    "an index that is none": {"block_device_mapping_v2": json.dumps([mapping(boot_index=True)])},
    "a flag that is none": {
        "block_device_mapping_v2": json.dumps([mapping(delete_on_termination="yes")])
    },
    "neither port nor network": {"networks": "[{}]"},
    "no address": {"networks": json.dumps([{"uuid": NETWORK, "fixed_ip": "10.0.0.256"}])},
    "an endless number": {"block_device_mapping_v2": f'[{{"boot_index": {"9" * 5000}}}]'},
    "no profile": {"accel:device_profile": ""},
}


@pytest.mark.parametrize("arguments", GARBAGE.values(), ids=GARBAGE)
def test_garbage_refuses_the_create_and_leaves_no_instance(arguments: dict[str, str]) -> None:
    world = create(**arguments)

    verdict = world.verdicts[-1]
    assert isinstance(verdict, Rejected)
    assert verdict.code == "bad-request"
    assert "Expected" in verdict.sentence
    assert world.held is None


# Followed from host to host.


def test_a_build_leaves_everything_at_the_host() -> None:
    assert where(built()) == (("h1",), ("h1",), "h1")


def test_a_build_that_another_host_takes_up_takes_hold_there_alone() -> None:
    world = create(**wishes())
    world.choose("h1")
    world.says(
        "h1", instance.BuildAccepted(node="h1"), attachments.VolumeAttached(volume_id=VOLUME)
    )
    assert [v.hosts for v in world.here.volumes] == [("h1",)]
    world.says("h1", instance.BuildRescheduled(reason="no room"))

    # It had let go before the host died and could not say so: the ending says it.
    assert [v.hosts for v in world.here.volumes] == [()]
    world.choose("h2")
    world.settle()
    assert where(world) == (("h2",), ("h2",), "h2")


def test_a_resize_lets_go_at_the_source_before_it_takes_hold_elsewhere() -> None:
    world = standing_at(begin("resize"), "finish")
    assert where(world) == ((), (), None)
    world.settle()

    assert where(world) == (("h2",), ("h2",), "h2")


def test_a_resize_that_is_undone_takes_hold_at_the_source_again() -> None:
    world = standing_at(begin("resize"), "migrate")
    world.says(
        "h1",
        migration.ResizeStarted(),
        attachments.VolumeDetached(volume_id=VOLUME),
        migration.ResizeFailed(reason="copy"),
    )
    assert world.here.volumes[0].hosts == ()
    world.settle()

    assert where(world) == (("h1",), ("h1",), "h1")
    check_end(world)


def test_a_revert_leads_everything_back() -> None:
    world = begin("revert_resize")
    world.settle()

    assert where(world) == (("h1",), ("h1",), "h1")


def test_a_live_migration_binds_first_activates_at_the_hand_over_and_lets_go_last() -> None:
    world = standing_at(begin("live_migrate"), "migrate")
    both = ("h1", "h2")
    assert where(world) == (both, both, "h1")
    world.says("h1", migration.LiveMigrationStarted(), migration.GuestHandedOver())
    assert where(world) == (both, both, "h2")
    standing_at(world, "clean_source")
    assert where(world) == (both, both, "h2")
    world.settle()

    assert where(world) == (("h2",), ("h2",), "h2")


def test_a_live_migration_that_is_undone_lets_go_at_the_destination() -> None:
    world = standing_at(begin("live_migrate"), "migrate")
    world.says("h1", migration.LiveMigrationFailed(reason="network"))
    world.settle()

    assert where(world) == (("h1",), ("h1",), "h1")


def test_a_delete_lets_go_of_everything_and_the_tombstone_holds_nothing() -> None:
    world = begin("delete")
    world.settle()

    assert (world.here.volumes, world.here.ports) == ((), ())


def test_a_destruction_names_what_its_host_is_to_let_go_heard_of_or_not() -> None:
    """Told of it, a host that dies while it lets go can say afterwards what it has let go."""
    world = create(**wishes(**{"accel:device_profile": "gpu"}))
    standing_at(world, "build")
    held = world.letters[0].command.attachments  # type: ignore[attr-defined]  # BuildGuest

    word = requests.SagaCompensated(saga_id=world.saga.saga_id, user_id="op", reason="not wanted")
    must(world.api(word))

    assert world.orders == [("DestroyGuest", "h1")]
    assert world.letters[0].command.attached == held  # type: ignore[attr-defined]  # DestroyGuest
    assert held != NOTHING_ATTACHED


def test_a_tombstone_holds_what_a_lost_host_still_has_until_it_is_back() -> None:
    world = begin("delete")
    world.lose_of(world.letters[0])
    assert world.here.vm_state == "deleted"
    assert where(world) == (("h1",), ("h1",), "h1")
    world.come_back()

    assert (world.here.volumes, world.here.ports) == ((), ())


def test_a_hard_reboot_takes_hold_anew_after_a_resize_that_stranded() -> None:
    world = standing_at(begin("resize"), "finish")
    world.says("h2", migration.ResizeFinishFailed(power_state=4, reason="volume"))
    assert world.states == ("error", None)
    must(world.request("reboot_hard"))
    assert world.letter("h2").command.attachments != NOTHING_ATTACHED  # type: ignore[attr-defined]  # RebootGuest
    world.settle()

    assert where(world) == (("h2",), ("h2",), "h2")


# Said by hosts.


def test_what_a_host_says_is_attached_is_believed_after_the_step_went_on() -> None:
    world = standing_at(begin("live_migrate"), "prepare")
    late = world.outstanding("h2")
    world.time_out("h2")
    assert world.saga.step == "roll_back_source"

    world.says("h2", attachments.VolumeAttached(volume_id=VOLUME), command_id=late)

    assert world.accepted
    assert world.here.volumes[0].hosts == ("h1", "h2")
    world.settle()
    assert where(world) == (("h1",), ("h1",), "h1")


def test_an_owner_is_believed_when_no_saga_waits_any_more() -> None:
    world = begin("reboot_hard")
    late = world.outstanding("h1")
    for _ in range(3):
        world.time_out("h1")
    must(world.request("stop"))
    world.says("h1", attachments.PortUnbound(port_id=PORT), command_id=late)

    assert world.here.ports[0].hosts == ()


def test_a_stranger_is_not_believed() -> None:
    world = begin("stop")
    letter = world.letter("h1")
    command_id = letter.address.command_id

    verdict = world.says(
        "h4", attachments.VolumeAttached(volume_id=VOLUME), command_id=command_id
    ).verdict

    assert isinstance(verdict, Rejected)
    assert verdict.code == "not-entitled"
    assert where(world) == (("h1",), ("h1",), "h1")


def test_what_the_guest_does_not_have_changes_nothing() -> None:
    world = begin("reboot_hard")
    before = world.here.volumes

    verdict = world.says(
        "h1",
        attachments.VolumeAttached(volume_id=OTHER_VOLUME),
        attachments.AcceleratorBound(accelerator_id=ACCELERATOR),
    ).verdict

    assert isinstance(verdict, Accepted)
    assert world.here.volumes == before


def test_a_resize_names_what_it_takes_hold_of_in_a_larger_flavor_too() -> None:
    world = built()
    must(world.request("resize", flavor=LARGE))
    standing_at(world, "finish")

    carried = world.letter("h2").command.attachments  # type: ignore[attr-defined]  # FinishResize
    assert [v.volume_id for v in carried.volumes] == [VOLUME]
    assert [p.port_id for p in carried.ports] == [PORT]
