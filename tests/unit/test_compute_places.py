"""The places of a host: for builds, and for live migrations; and who goes first."""

from __future__ import annotations

import pytest

from compute.fake_site import Failure, FailureKind
from compute.limits import Bounds
from compute.places import ready
from compute.world import Role
from events import commands as c
from events import migration as m
from events.envelope import Letter
from events.values import replace
from tests.answers import sample
from tests.unit.compute_host import BUILD, GUEST, OTHER, SMALL, Host

THIRD = "6f1b7b3e-0000-4000-8000-000000000003"
COMES = c.PrepareDestination(source="beta", flavor=SMALL)


def destination(most: int = 1) -> Host:
    """Return a host to which so many live migrations may come at the same time."""
    return Host(bounds=Bounds(max_concurrent_incoming_live_migrations=most))


def prepare(host: Host, instance_id: str = GUEST, attempt: int = 1) -> Letter[object]:
    """Ask a host to prepare for a guest."""
    letter = host.ask(COMES, instance_id=instance_id, attempt=attempt)
    host.settle()
    return letter


def test_one_that_comes_waits_until_the_one_before_is_there() -> None:
    host = destination()
    first, second = prepare(host), prepare(host, OTHER)
    assert (host.answers(first), host.answers(second)) == ([m.DestinationPrepared()], [])

    half = host.half()
    assert half is not None
    host.cloud.world.change(half.becomes(role=Role.ARRIVED))
    host.ask(c.FinishLiveMigration(source="beta", flavor=SMALL))
    host.settle()

    assert host.answers(second) == [m.DestinationPrepared()]


def test_one_that_has_come_is_taken_over_also_while_new_work_is_refused() -> None:
    host = Host(bounds=Bounds(max_concurrent_incoming_live_migrations=1, unsent_max=1))
    prepare(host)
    host.writer.is_away = True
    half = host.half()
    assert half is not None
    host.cloud.world.change(half.becomes(role=Role.ARRIVED))
    host.settle()

    refused = host.ask(COMES, instance_id=OTHER)
    finish = host.ask(c.FinishLiveMigration(source="beta", flavor=SMALL))
    host.settle()
    host.writer.is_away = False
    host.settle()

    assert [type(f).__name__ for f in host.answers(refused)] == ["CommandRefused"]
    assert isinstance(host.answers(finish)[-1], m.LiveMigrationFinished)
    assert host.journal.incoming() == set()


@pytest.mark.parametrize(("most", "ready"), [(0, 3), (2, 2), (10, 3)])
def test_as_many_come_at_a_time_as_the_bound_says(most: int, ready: int) -> None:
    host = destination(most)

    letters = [prepare(host, each) for each in (GUEST, OTHER, THIRD)]

    assert sum(bool(host.answers(each)) for each in letters) == ready


@pytest.mark.parametrize(
    "ends",
    [
        c.RollbackDestination(),
        c.DestroyGuest(evidence="undone"),
        c.RaiseGeneration(),
    ],
    ids=lambda each: type(each).__name__,
)
def test_whatever_undoes_it_gives_the_place_back(ends: object) -> None:
    host = destination()
    prepare(host)
    second = prepare(host, OTHER)

    host.ask(ends, generation=2)
    host.settle()

    assert host.answers(second) == [m.DestinationPrepared()]
    assert host.journal.incoming() == {OTHER}


def test_a_preparation_that_fails_gives_its_place_back() -> None:
    def fails(_host: str, call: str, instance_id: str) -> Failure | None:
        is_it = call == "PrepareDestination" and instance_id == GUEST
        return Failure(kind=FailureKind.FAIL, reason="no") if is_it else None

    host = Host(faults=fails, bounds=Bounds(max_concurrent_incoming_live_migrations=1))
    first = prepare(host)
    second = prepare(host, OTHER)

    assert isinstance(host.answers(first)[-1], m.DestinationPrepareFailed)
    assert host.answers(second) == [m.DestinationPrepared()]


def test_a_place_and_who_waits_for_it_outlive_the_agent() -> None:
    host = destination()
    prepare(host)
    second = prepare(host, OTHER)

    host.die()
    host.settle()

    assert host.journal.incoming() == {GUEST}
    assert host.answers(second) == []
    host.ask(c.RollbackDestination())
    host.settle()
    assert host.answers(second) == [m.DestinationPrepared()]


def test_one_that_waits_is_given_up_at_once_when_it_is_undone() -> None:
    host = destination()
    prepare(host)
    second = prepare(host, OTHER)

    rolled_back = host.ask(c.RollbackDestination(), instance_id=OTHER)
    host.settle()

    assert [type(f).__name__ for f in host.answers(second)] == ["CommandRefused"]
    assert host.answers(rolled_back) == [m.DestinationRolledBack()]
    assert host.journal.incoming() == {GUEST}


def test_another_attempt_of_one_that_has_its_place_needs_no_second() -> None:
    host = destination()
    prepare(host)

    again = prepare(host, GUEST, attempt=2)

    assert host.answers(again) == [m.DestinationPrepared()]
    assert host.journal.incoming() == {GUEST}


# Who goes first.


def test_guests_of_a_lost_host_are_built_before_new_ones() -> None:
    host = Host(bounds=Bounds(max_concurrent_builds=1))
    running = host.ask(BUILD)
    while not host.journal.open_tasks():
        host.parts.agent.turn()
    new = host.ask(BUILD, instance_id=OTHER)
    lost = host.ask(sample(c.EvacuateGuest), instance_id=THIRD)
    names = {"running": running, "new": new, "lost": lost}
    took_effect: dict[str, None] = {}

    while len(took_effect) < len(names):
        for part in host.parts.turns:
            part.turn()
        done = host.cloud.world.executions()
        took_effect.update({n: None for n, x in names.items() if x.address.command_id in done})

    assert list(took_effect) == ["running", "lost", "new"]


def test_of_guests_of_a_lost_host_those_of_the_highest_priority_are_built_first() -> None:
    host = Host(bounds=Bounds(max_concurrent_builds=1))
    host.ask(BUILD)
    while not host.journal.open_tasks():
        host.parts.agent.turn()
    evacuate = sample(c.EvacuateGuest)
    assert isinstance(evacuate, c.EvacuateGuest)
    number_of = {
        host.ask(
            replace(evacuate, priority=priority), instance_id=f"{GUEST[:-1]}{number + 4}"
        ).address.command_id: number
        for number, priority in enumerate((5, 2, 9, 5))
    }
    begun: dict[int, None] = {}

    while len(begun) < len(number_of):
        for part in host.parts.turns:
            part.turn()
        done = host.cloud.world.executions()
        begun.update({number_of[each]: None for each in done if each in number_of})

    assert list(begun) == [2, 0, 3, 1]


@pytest.mark.parametrize(("bound", "begun"), [(1, 0), (2, 1), (3, 2), (0, 2)])
def test_snapshots_that_run_leave_places_up_to_the_bound(bound: int, begun: int) -> None:
    host = Host()
    snapshot = sample(c.SnapshotGuest)
    running = [host.ask(snapshot)]
    waiting = [host.ask(snapshot, instance_id=each) for each in (OTHER, THIRD)]

    first = ready(waiting, running, (), Bounds(max_concurrent_snapshots=bound))

    assert first == waiting[:begun]


def test_a_snapshot_that_waits_holds_up_no_build() -> None:
    host = Host()
    snapshot = sample(c.SnapshotGuest)
    running = [host.ask(snapshot)]
    waiting = [host.ask(snapshot, instance_id=OTHER), host.ask(BUILD, instance_id=THIRD)]

    first = ready(waiting, running, (), Bounds(max_concurrent_snapshots=1))

    assert first == waiting[1:]


def test_with_every_place_taken_a_delete_an_abort_and_a_fence_begin_at_once() -> None:
    bounds = Bounds(
        max_concurrent_builds=1,
        max_concurrent_live_migrations=1,
        max_concurrent_incoming_live_migrations=1,
    )
    host = Host(bounds=bounds)
    host.has(instance_id=OTHER)
    prepare(host)  # The place of those that come.
    with host.journal.transaction():  # The place of those that leave.
        host.journal.put_slot(THIRD, is_aborted=False)
    waits = host.ask(c.QueueLiveMigration(destination="beta"), instance_id=OTHER)
    host.settle()

    abort = host.ask(c.AbortLiveMigration(), instance_id=OTHER)
    delete = host.ask(c.DestroyGuest(evidence="deleted"), instance_id=OTHER)
    fence = host.ask(c.RaiseGeneration(), instance_id=THIRD, generation=2)
    host.settle()

    names = [[type(f).__name__ for f in host.answers(x)] for x in (waits, abort, delete, fence)]
    assert names[0][-1] == "LiveMigrationDequeued"
    assert names[1:] == [["AbortTaken"], ["GuestDestroyed"], ["GenerationRaised"]]
    assert host.journal.slots() == {}
