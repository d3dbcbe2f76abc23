from __future__ import annotations

import pytest

from compute.fake_driver import FakeOptions
from compute.fake_outcomes import outcome
from compute.hypervisor import PowerState
from compute.world import Role
from events import commands as c
from events import instance as i
from events import migration as m
from events.requests import Flavor
from tests.unit.compute_host import (
    GUEST,
    LARGE,
    OTHER,
    SMALL,
    Cloud,
    Host,
    settle,
)


def test_a_live_migration_from_the_queue_to_the_clean_up() -> None:
    cloud = Cloud()
    alpha, beta = Host("alpha", cloud=cloud), Host("beta", cloud=cloud)
    alpha.has()
    for host, command in (
        (beta, c.CheckDestination(source="alpha", flavor=SMALL)),
        (alpha, c.CheckSource(destination="beta")),
        (alpha, c.QueueLiveMigration(destination="beta")),
        (beta, c.PrepareDestination(source="alpha", flavor=SMALL)),
        (alpha, c.LiveMigrateGuest(destination="beta")),
        (beta, c.FinishLiveMigration(source="alpha", flavor=SMALL)),
        (alpha, c.CleanUpSource(destination="beta")),
    ):
        host.ask(command)
        settle([alpha, beta])

    assert alpha.kinds() == [
        "GuestFound",
        "SourceChecked",
        "LiveMigrationQueued",
        "LiveMigrationAdmitted",
        "LiveMigrationStarted",
        *["LiveMigrationProgressed"] * 3,
        "GuestHandedOver",
        "SourceCleanedUp",
    ]
    assert beta.kinds() == [
        "DestinationChecked",
        "DestinationPrepared",
        "GuestArrived",
        "LiveMigrationFinished",
    ]
    assert cloud.world.running() == {GUEST: ("beta",)}
    assert alpha.half() is None


def migrating(*, options: FakeOptions | None = None) -> tuple[Host, Host]:
    cloud = Cloud()
    alpha = Host("alpha", cloud=cloud, options=options)
    beta = Host("beta", cloud=cloud)
    alpha.has()
    for host, command in (
        (alpha, c.QueueLiveMigration(destination="beta")),
        (beta, c.PrepareDestination(source="alpha", flavor=SMALL)),
    ):
        host.ask(command)
        settle([alpha, beta])
    alpha.ask(c.LiveMigrateGuest(destination="beta"))
    alpha.parts.agent.turn()
    alpha.parts.agent.turn()
    return alpha, beta


def test_a_running_live_migration_is_aborted_and_rolled_back() -> None:
    alpha, beta = migrating()
    abort = alpha.ask(c.AbortLiveMigration())
    settle([alpha, beta])
    alpha.ask(c.RollbackSource())
    beta.ask(c.RollbackDestination())
    settle([alpha, beta])

    assert alpha.answers(abort) == [m.AbortTaken()]
    assert alpha.kinds()[-3:] == ["AbortTaken", "LiveMigrationAborted", "SourceRolledBack"]
    assert alpha.cloud.world.running() == {GUEST: ("alpha",)}
    assert beta.half() is None


@pytest.mark.parametrize("permits_post_copy", [True, False])
def test_a_forced_live_migration_ends(permits_post_copy: bool) -> None:
    options = FakeOptions(copy_polls=10_000, permits_post_copy=permits_post_copy)
    alpha, beta = migrating(options=options)
    forced = alpha.ask(c.ForceCompleteLiveMigration())
    settle([alpha, beta])

    assert alpha.answers(forced) == [m.ForceCompleteTaken()]
    assert ("PostCopyStarted" in alpha.kinds()) is permits_post_copy
    assert alpha.kinds()[-1] == "GuestHandedOver"
    assert alpha.cloud.world.running() == {GUEST: ("beta",)}


def test_an_abort_with_nothing_to_abort_fails() -> None:
    host = Host()
    host.has()
    abort = host.ask(c.AbortLiveMigration())
    host.settle()

    (answer,) = host.answers(abort)

    assert isinstance(answer, m.AbortFailed)


def test_a_second_live_migration_waits_for_the_place_of_the_first() -> None:
    host = Host()
    host.has()
    host.has(instance_id=OTHER)
    host.ask(c.QueueLiveMigration(destination="beta"))
    host.ask(c.QueueLiveMigration(destination="beta"), instance_id=OTHER)
    host.settle()
    before = host.kinds(OTHER)
    host.ask(c.RollbackSource())
    host.settle()

    assert before == ["GuestFound", "LiveMigrationQueued"]
    assert host.kinds(OTHER)[-1] == "LiveMigrationAdmitted"


def test_a_queued_live_migration_is_aborted_in_the_queue() -> None:
    host = Host()
    host.has()
    host.has(instance_id=OTHER)
    host.ask(c.QueueLiveMigration(destination="beta"))
    queued = host.ask(c.QueueLiveMigration(destination="beta"), instance_id=OTHER)
    host.settle()
    abort = host.ask(c.AbortLiveMigration(), instance_id=OTHER)
    host.settle()

    assert host.answers(queued)[-1] == m.LiveMigrationDequeued(reason="aborted on request")
    assert host.answers(abort) == [m.AbortTaken()]


def test_an_abort_while_the_destination_prepares_stops_the_copy_before_it_begins() -> None:
    host = Host()
    host.has()
    host.ask(c.QueueLiveMigration(destination="beta"))
    abort = host.ask(c.AbortLiveMigration())
    host.settle()
    copy = host.ask(c.LiveMigrateGuest(destination="beta"))
    host.settle()

    assert host.answers(abort) == [m.AbortTaken()]
    assert host.answers(copy) == [m.LiveMigrationAborted(reason="aborted before the copy began")]
    assert host.journal.slots() == {}


def test_places_and_queue_survive_a_crash() -> None:
    host = Host()
    host.has()
    host.has(instance_id=OTHER)
    host.ask(c.QueueLiveMigration(destination="beta"))
    host.ask(c.QueueLiveMigration(destination="beta"), instance_id=OTHER)
    host.settle()
    host.die()
    host.settle()
    before = host.kinds(OTHER)
    host.ask(c.RollbackSource())
    host.settle()

    assert "LiveMigrationAdmitted" not in before
    assert host.kinds(OTHER).count("LiveMigrationQueued") == 1
    assert host.kinds(OTHER)[-1] == "LiveMigrationAdmitted"


def test_a_resize_is_confirmed() -> None:
    cloud = Cloud()
    alpha, beta = Host("alpha", cloud=cloud), Host("beta", cloud=cloud)
    alpha.has()
    for host, command in (
        (beta, c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=LARGE)),
        (alpha, c.ResizeGuest(destination="beta", new_flavor=LARGE)),
        (beta, c.FinishResize(source="alpha", new_flavor=LARGE, power_on=True)),
        (alpha, c.ConfirmResize(destination="beta")),
    ):
        host.ask(command)
        settle([alpha, beta])

    expected = ["ResizeStarted", "ResizeCopied", "ResizeMigrated", "ResizeConfirmed"]
    assert alpha.kinds()[1:] == expected
    assert beta.kinds() == ["ResizePrepared", "ResizeFinishing", "ResizeFinished"]
    assert cloud.world.running() == {GUEST: ("beta",)}
    assert alpha.half() is None
    resized = beta.half()
    assert resized
    assert (resized.role, resized.flavor) == (Role.GUEST, LARGE)


def test_a_resize_of_a_stopped_guest_is_reverted_to_stopped() -> None:
    cloud = Cloud()
    alpha, beta = Host("alpha", cloud=cloud), Host("beta", cloud=cloud)
    alpha.has(power_state=PowerState.SHUTDOWN)
    for host, command in (
        (beta, c.PrepareResize(source="alpha", old_flavor=SMALL, new_flavor=LARGE)),
        (alpha, c.ResizeGuest(destination="beta", new_flavor=LARGE)),
        (beta, c.FinishResize(source="alpha", new_flavor=LARGE, power_on=False)),
        (beta, c.RevertResize(source="alpha")),
        (alpha, c.FinishRevertResize(destination="beta", old_flavor=SMALL, power_on=False)),
    ):
        host.ask(command)
        settle([alpha, beta])

    assert alpha.kinds()[-3:] == ["RevertStarted", "RevertPoweringOff", "RevertFinished"]
    assert beta.kinds()[-1] == "ResizeReverted"
    assert cloud.world.running() == {}
    assert beta.half() is None


def test_a_force_with_nothing_to_force_fails() -> None:
    host = Host()
    host.has()
    force = host.ask(c.ForceCompleteLiveMigration())
    host.settle()

    (answer,) = host.answers(force)

    assert isinstance(answer, m.ForceCompleteFailed)


def test_a_queued_live_migration_gives_way_to_a_higher_generation() -> None:
    host = Host()
    host.has()
    host.has(instance_id=OTHER)
    host.ask(c.QueueLiveMigration(destination="beta"))
    queued = host.ask(c.QueueLiveMigration(destination="beta"), instance_id=OTHER)
    host.settle()
    host.ask(c.RaiseGeneration(), instance_id=OTHER, generation=2)
    host.settle()

    refused = host.answers(queued)[-1]

    assert isinstance(refused, i.CommandRefused)
    assert refused.code == "superseded"
    assert host.kinds(OTHER)[-1] == "GenerationRaised"


def test_a_new_attempt_takes_over_the_place_in_the_queue() -> None:
    host = Host()
    host.has()
    host.has(instance_id=OTHER)
    host.ask(c.QueueLiveMigration(destination="beta"))
    first = host.ask(c.QueueLiveMigration(destination="beta"), instance_id=OTHER)
    host.settle()
    second = host.ask(c.QueueLiveMigration(destination="beta"), instance_id=OTHER, attempt=2)
    host.die()
    host.settle()
    host.ask(c.RollbackSource())
    host.settle()

    assert host.answers(first) == [m.LiveMigrationQueued()]
    assert host.answers(second) == [m.LiveMigrationAdmitted()]


def test_a_destruction_waits_for_the_end_of_post_copy() -> None:
    alpha, beta = migrating(options=FakeOptions(copy_polls=10_000))
    alpha.ask(c.ForceCompleteLiveMigration())
    while alpha.cloud.world.running()[GUEST] != ("beta",):
        alpha.parts.agent.turn()
    destroy = alpha.ask(c.DestroyGuest(evidence="deleted"), generation=2)
    settle([alpha, beta])

    assert alpha.kinds()[-2:] == ["GuestHandedOver", "GuestDestroyed"]
    assert alpha.answers(destroy) == [i.GuestDestroyed()]
    assert alpha.half() is None


def test_a_generation_is_raised_when_what_can_not_be_cancelled_has_ended() -> None:
    alpha, beta = migrating(options=FakeOptions(copy_polls=10_000))
    alpha.ask(c.ForceCompleteLiveMigration())
    while alpha.cloud.world.running()[GUEST] != ("beta",):
        alpha.parts.agent.turn()
    alpha.ask(c.RaiseGeneration(), generation=2)
    settle([alpha, beta])

    assert alpha.kinds()[-3:] == ["GuestHandedOver", "GuestAbsent", "GenerationRaised"]


def test_a_hard_reboot_defines_a_guest_that_arrived_and_was_never_finished() -> None:
    host = Host()
    host.has(Role.ARRIVED)

    host.ask(c.RebootGuest(hard=True, flavor=SMALL))
    host.settle()

    half = host.half()
    assert half is not None
    assert half.role is Role.GUEST


@pytest.mark.parametrize(("hard", "size"), [(True, LARGE), (False, SMALL)])
def test_only_a_hard_reboot_makes_the_guest_in_the_size_that_it_names(
    hard: bool, size: Flavor
) -> None:
    host = Host()
    host.has(Role.GUEST)

    host.ask(c.RebootGuest(hard=hard, flavor=LARGE))
    host.settle()

    half = host.half()
    assert half is not None
    assert half.flavor == size


def test_a_guest_in_another_size_has_not_been_rebooted_hard_when_the_agent_is_back() -> None:
    host = Host()
    host.has(Role.GUEST)
    letter = host.ask(c.RebootGuest(hard=True, flavor=LARGE))

    *_, ending = outcome(host.cloud.world, host.name, letter)

    assert isinstance(ending, i.GuestRebootFailed)
