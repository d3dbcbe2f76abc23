"""Taking hold and letting go fail at every call, and nothing is left over or missing."""

from __future__ import annotations

import pytest

from compute.endings import is_success
from compute.fake_attachments import STAGES
from compute.fake_driver import FakeDriver
from compute.fake_effects import LEAVES_NOTHING
from compute.fake_site import Failure, FailureKind
from compute.hypervisor import PowerState
from events.attachments import VolumeDetached
from tests.unit.compute_host import GUEST
from tests.unit.test_compute_faults import Stage, attached


@pytest.mark.parametrize(
    ("call", "undone"),
    [
        ("BuildGuest.accelerators", []),
        ("BuildGuest.networks", ["AcceleratorUnbound"]),
        ("BuildGuest.ports", ["AcceleratorUnbound"]),
        ("BuildGuest.block_devices", ["PortUnbound", "AcceleratorUnbound"]),
        ("BuildGuest.volumes", ["PortUnbound", "AcceleratorUnbound"]),
        ("BuildGuest.spawn", ["VolumeDetached", "PortUnbound", "AcceleratorUnbound"]),
    ],
)
def test_a_build_that_fails_leaves_nothing(call: str, undone: list[str]) -> None:
    stage = Stage(call, Failure())
    said = [type(fact).__name__ for fact in stage.play()]

    assert stage.world.half("alpha", GUEST) is None
    assert stage.world.attached("alpha", GUEST) is None
    assert said[-1 - len(undone) :] == [*undone, "BuildRescheduled"]


@pytest.mark.parametrize("call", [k.__name__ for k in LEAVES_NOTHING])
@pytest.mark.parametrize("stage_name", STAGES)
def test_what_could_not_be_let_go_is_let_go_when_it_is_asked_again(
    call: str, stage_name: str
) -> None:
    stage = Stage(call + stage_name, Failure())
    said = stage.play()
    assert not is_success(stage.letter.command, said[-1])
    assert stage.world.attached("alpha", GUEST) is not None

    stage.driver = FakeDriver(host="alpha", world=stage.world)
    said = stage.play()

    assert is_success(stage.letter.command, said[-1])
    assert stage.world.attached("alpha", GUEST) is None


@pytest.mark.parametrize("stage_name", STAGES)
def test_a_revert_that_could_not_let_go_leaves_the_guest_where_its_volumes_are(
    stage_name: str,
) -> None:
    stage = Stage("RevertResize" + stage_name, Failure())
    said = stage.play()

    assert type(said[-1]).__name__ == "ResizeRevertFailed"
    assert stage.world.attached("alpha", GUEST) is not None
    left = stage.world.half("alpha", GUEST)
    assert left is not None
    assert left.power_state is PowerState.SHUTDOWN


def test_a_revert_that_died_while_it_let_go_leaves_the_guest_where_its_ports_are() -> None:
    stage = Stage("RevertResize", None)
    stage.driver.begin(stage.letter)
    while not any(isinstance(r.fact, VolumeDetached) for r in stage.driver.poll()):
        pass

    stage.driver = FakeDriver(host="alpha", world=stage.world)
    said = stage.driver.outcome_of(stage.letter)

    assert type(said[-1]).__name__ == "ResizeRevertFailed"
    assert stage.world.attached("alpha", GUEST) is not None
    assert stage.world.half("alpha", GUEST) is not None


@pytest.mark.parametrize("stage_name", STAGES)
def test_a_destination_that_can_not_be_prepared_has_let_go_of_everything(stage_name: str) -> None:
    stage = Stage("PrepareDestination" + stage_name, Failure())
    said = stage.play()

    assert type(said[-1]).__name__ == "DestinationPrepareFailed"
    assert stage.world.attached("alpha", GUEST) is None
    assert stage.world.half("alpha", GUEST) is None


@pytest.mark.parametrize("stage_name", [*STAGES, ".migrate"])
def test_a_resize_that_leaves_the_guest_as_it_was_takes_hold_again(stage_name: str) -> None:
    stage = Stage("ResizeGuest" + stage_name, Failure(kind=FailureKind.FAULT_ROLLBACK))
    said = stage.play()

    assert type(said[-1]).__name__ == "ResizeFaulted"
    assert stage.world.attached("alpha", GUEST) == attached("alpha")
    kinds = [type(fact).__name__ for fact in said]
    assert kinds.count("VolumeDetached") == kinds.count("VolumeAttached")
