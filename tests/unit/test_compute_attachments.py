"""Taking hold and letting go fail at every call, and nothing is left over or missing."""

from __future__ import annotations

import pytest

from compute.endings import is_success
from compute.fake_attachments import STAGES
from compute.fake_driver import FakeDriver
from compute.fake_effects import LEAVES_NOTHING
from compute.fake_outcomes import outcome
from compute.fake_site import Failure, FailureKind
from compute.hypervisor import PowerState
from compute.world import MemoryWorld
from events.attachments import VolumeDetached
from events.commands import BuildGuest, DestroyGuest
from events.instance import PowerStateReported
from tests.parts import EVERYTHING
from tests.unit.compute_host import GUEST, SMALL
from tests.unit.test_compute_faults import Stage, attached, letter


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


#: Commands in whose course a host lets go, and what fails where only a failure leads there.
_UNDONE = ("BuildGuest", "EvacuateGuest", "UnshelveGuest", "RebuildGuest")
LETTING_GO: dict[str, Failure | None] = {
    **dict.fromkeys((*(kind.__name__ for kind in LEAVES_NOTHING), "OffloadGuest")),
    **dict.fromkeys((f"{name}.spawn" for name in _UNDONE), Failure()),
    "PrepareDestination.volumes": Failure(),
}


@pytest.mark.parametrize("call", [c for c in LETTING_GO if not c.startswith("PrepareDestination")])
def test_nothing_of_a_guest_is_forgotten_while_anything_of_it_is_attached(call: str) -> None:
    stage = Stage(call, LETTING_GO[call])
    stage.driver.begin(stage.letter)

    for _ in range(20):
        stage.driver.poll()
        if stage.world.attached("alpha", GUEST) is not None:
            assert stage.world.half("alpha", GUEST) is not None

    assert stage.world.attached("alpha", GUEST) is None
    assert stage.world.half("alpha", GUEST) is None


@pytest.mark.parametrize("call", LETTING_GO)
def test_what_died_while_it_let_go_lets_go_of_the_rest_when_it_is_asked_what_became_of_it(
    call: str,
) -> None:
    for polls in range(12):
        stage = Stage(call, LETTING_GO[call])
        stage.driver.begin(stage.letter)
        for _ in range(polls):
            stage.driver.poll()

        stage.driver = FakeDriver(host="alpha", world=stage.world)
        outcome = stage.driver.outcome_of(stage.letter)
        if not is_success(stage.letter.command, outcome[-1]):
            stage.letter = letter(DestroyGuest(evidence="undone"))
            stage.play()

            assert stage.world.attached("alpha", GUEST) is None
            assert stage.world.half("alpha", GUEST) is None


@pytest.mark.parametrize("stage_name", STAGES)
def test_a_guest_that_could_not_be_destroyed_is_off_and_its_host_says_so(stage_name: str) -> None:
    stage = Stage("DestroyGuest" + stage_name, Failure())
    stage.driver.begin(stage.letter)
    said = [report for _ in range(9) for report in stage.driver.poll()]

    left = stage.world.half("alpha", GUEST)
    assert left is not None
    assert left.power_state is PowerState.SHUTDOWN
    reported = [r for r in said if r.command_id is None]
    assert [r.fact for r in reported] == [PowerStateReported(power_state=PowerState.SHUTDOWN)]


def test_a_build_that_let_go_unheard_says_so_when_the_agent_is_back() -> None:
    """It was undone, and its host died before it had said what it had let go of."""
    build = BuildGuest(flavor=SMALL, name="g", image="i", attachments=EVERYTHING)

    said = [type(fact).__name__ for fact in outcome(MemoryWorld(), "alpha", letter(build))]

    assert said[:-1] == ["VolumeDetached", "PortUnbound", "AcceleratorUnbound"]
