"""Reports of servers in error whose disks are there, and that nothing started any more.

Nova's way out is a hard reboot: it makes the guest anew of the disks on the host that the row names
(`support-compute.rst`). So it does here, whatever the operation left them as.
"""

from __future__ import annotations

import pytest

from compute.world import Role
from statemachines.resume import resume
from tests.plays import ask, breaks, come_back, disable, lose, server
from tests.stage import INSTANCE, Stage, said
from tests.story import LARGE, SMALL


def rebooted(stage: Stage, host: str, memory_mb: int) -> None:
    """Reboot the guest hard, and see it run on its host, whole and alone."""
    assert stage.here.vm_state == "error"
    assert stage.here.host == host
    stage.faults.clear()

    ask("reboot_hard")(stage)

    assert (stage.here.vm_state, stage.here.task_state, stage.here.power_state) == (
        "active",
        None,
        1,
    )
    assert stage.is_at_rest
    assert stage.halves == {host: "guest"}
    assert [(c.host, c.memory_mb) for c in stage.here.claims] == [(host, memory_mb)]
    half = stage.cloud.world.half(host, INSTANCE)
    assert half is not None
    assert half.flavor.memory_mb == memory_mb == stage.here.flavor.memory_mb


def test_a_resize_failed_at_its_last_step_and_the_server_can_only_be_deleted() -> None:
    """A volume was slow, the resize failed at its end, and nothing starts the server any more."""
    stage = server()
    breaks("host2", "FinishResize", "no volume in time")(stage)
    ask("resize", flavor=LARGE)(stage)

    rebooted(stage, "host2", LARGE.memory_mb)


def test_a_revert_failed_at_its_last_step_and_the_server_can_only_be_deleted() -> None:
    """The revert failed at its end: the old disks are on the old host, and nobody starts them."""
    stage = server()
    ask("resize", flavor=LARGE)(stage)
    breaks("host1", "FinishRevertResize", "no volume in time")(stage)
    ask("revert_resize")(stage)

    rebooted(stage, "host1", 2048)


def lose_unheard(stage: Stage, half: str) -> None:
    """Lose the first host when it has come so far and nobody has heard of it, and have it back."""
    stage.hosts["host1"].writer.is_away = True
    stage.until(lambda s: s.halves["host1"] == half)
    lose("host1")(stage)
    for letter in resume(stage.held):
        stage.send(letter)
    stage.settle()
    stage.hosts["host1"].writer.is_away = False
    come_back("host1")(stage)


def test_the_source_of_a_resize_was_away_when_it_had_given_the_disks_away() -> None:
    """The source was away for a minute in a resize; it is back, and the server stays in error."""
    stage = server()
    stage.begin()
    stage.ask("resize", flavor=LARGE)
    stage.until(said("ResizePrepared"))
    lose_unheard(stage, "kept")

    rebooted(stage, "host1", 2048)


def resized_at_home_unheard() -> Stage:
    """Return a stage whose guest has the new size on its one host, and its row the old one.

    The host finished the resize, and was lost before it could say so.
    """
    stage = server(allow_resize_to_same_host="true")
    disable("host2")(stage)
    stage.begin()
    stage.ask("resize", flavor=LARGE)
    stage.until(said("ResizeMigrated"))
    lose_unheard(stage, "guest")
    half = stage.cloud.world.half("host1", INSTANCE)
    assert half is not None
    assert (half.flavor, stage.here.flavor) == (LARGE, SMALL)
    return stage


def test_after_a_resize_that_broke_off_at_home_a_hard_reboot_takes_the_size_of_the_row() -> None:
    """The resize failed and the flavor is the old one again, but the guest has the new memory."""
    rebooted(resized_at_home_unheard(), "host1", SMALL.memory_mb)


@pytest.mark.parametrize("action", ["reboot_soft", "start"])
def test_nothing_softer_than_a_hard_reboot_makes_a_guest_of_disks(action: str) -> None:
    stage = server()
    breaks("host2", "FinishResize", "no volume in time")(stage)
    ask("resize", flavor=LARGE)(stage)
    stage.faults.clear()

    ask(action)(stage)

    half = stage.cloud.world.half("host2", INSTANCE)
    assert half is not None
    assert half.role is Role.COPIED
