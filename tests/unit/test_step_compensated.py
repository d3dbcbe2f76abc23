"""What an operator has undone (`regente saga compensate`): wherever the table has a way back."""

from __future__ import annotations

import pytest

from events import instance, migration, requests
from statemachines.conservation import broken_laws, missing_room, stray_room
from statemachines.sagas import SAGAS
from statemachines.verdict import Rejected
from tests.beginnings import ACTIONS, begin, may_go_back, situations
from tests.ends import check_end
from tests.hosts import HOSTS, World
from tests.story import must
from tests.unit.test_step_resolved import waiting, waiting_at

SOURCE, DESTINATION = "h1", "h2"


def compensate(world: World, saga_id: str | None = None) -> World:
    """Let an operator have the saga, the primary one unless told, undone."""
    identity = saga_id or world.saga.saga_id
    must(world.api(requests.SagaCompensated(saga_id=identity, user_id="op", reason="have it back")))
    return world


def at(action: str, step: str, **rules: str) -> World:
    """Return a world whose primary saga stands at a step on its way of success."""
    world = begin(action, **rules)
    while world.saga.step != step:
        world.succeed(world.letters[0])
    return world


# Wherever it may be said, it leads to an end.


@pytest.mark.parametrize("place", situations(), ids="/".join)
def test_wherever_there_is_a_way_back_it_leads_to_an_end_that_keeps_every_law(
    place: tuple[str, str],
) -> None:
    world = situations()[place].fork()
    letters = [x for x in world.letters if (x.address.saga, x.address.step) == place]
    if not letters or not may_go_back(world, letters[0]):
        step = SAGAS[place[0]].steps[place[1]]
        assert step.no_way_back or step.goes_back
        return

    compensate(world, letters[0].address.saga_id)
    world.settle()
    world.come_back()

    check_end(world)
    assert world.here.saga is None
    assert (broken_laws(world.here), stray_room(world.here), missing_room(world.here)) == (
        (),
        (),
        (),
    )


@pytest.mark.parametrize("action", ACTIONS)
def test_what_waits_for_a_person_is_undone_or_says_why_not(action: str) -> None:
    for world in waiting(action):
        saga = world.saga
        word = requests.SagaCompensated(saga_id=saga.saga_id, user_id="op", reason="?")

        verdict = world.api(word).verdict

        if isinstance(verdict, Rejected):
            why = SAGAS[saga.saga].steps[saga.step].no_way_back
            assert verdict.code == "nothing-to-undo"
            assert verdict.sentence.endswith(f"no way back from {saga.step}: {why}")
            assert world.here.saga == saga
        else:
            world.settle()
            world.come_back()
            assert broken_laws(world.here) == ()
            check_end(world)


# Where each way back leads.


def test_a_create_is_cleared_away_and_built_nowhere_else() -> None:
    world = compensate(at("create", "build"))

    assert world.orders == [("DestroyGuest", SOURCE)]
    world.settle()
    assert world.states == ("error", None)
    assert world.here.host is None
    assert world.here.claims == ()


def test_a_resize_that_its_destination_did_not_finish_is_given_back_to_its_source() -> None:
    world = waiting_at("resize", "finish", DESTINATION)
    assert world.here.flavor.name == "m1.small"

    compensate(world)

    assert world.orders == [("RevertResize", DESTINATION)]
    must(world.says(DESTINATION, migration.ResizeReverted()))
    assert world.here.host == SOURCE
    assert world.orders == [("FinishRevertResize", SOURCE)]
    world.settle()
    assert world.states == ("active", None)
    assert world.here.flavor.name == "m1.small"
    assert [c.host for c in world.here.claims] == [SOURCE]
    assert world.here.move is not None
    assert world.here.move.status == "error"


def test_a_resize_is_given_back_while_its_destination_is_at_work_too() -> None:
    world = at("resize", "finish")
    late = world.outstanding(DESTINATION)
    must(world.says(DESTINATION, migration.ResizeFinishing()))
    compensate(world)

    must(world.says(DESTINATION, migration.ResizeFinished(power_state=1), command_id=late))

    assert world.here.flavor.name == "m1.large"
    world.settle()
    assert world.states == ("active", None)
    assert (world.here.host, world.here.flavor.name) == (SOURCE, "m1.small")


def not_given_back(operation: str, host: str, said_late: tuple[object, ...]) -> World:
    """Have a resize undone while its last step is asked, and its host fail at giving it back."""
    world = at(operation, "finish")
    asked = world.outstanding(host)
    compensate(world)
    for fact in said_late:
        must(world.says(host, fact, command_id=asked))
    must(world.says(host, migration.ResizeRevertFailed(reason="busy")))
    return world


@pytest.mark.parametrize("said_late", [(), (migration.ResizeFinishing(),)])
def test_a_guest_that_its_destination_cannot_give_back_has_the_size_of_its_room_there(
    said_late: tuple[object, ...],
) -> None:
    """Whether or not the destination says late that it was at work on the new size."""
    world = not_given_back("resize", DESTINATION, said_late)

    assert world.states == ("error", None)
    assert (world.here.host, world.here.flavor.name) == (DESTINATION, "m1.large")
    assert missing_room(world.here) == ()


@pytest.mark.parametrize(
    ("said_late", "vcpus"), [((), 1), ((migration.ResizeFinished(power_state=1),), 4)]
)
def test_a_guest_that_its_own_host_cannot_give_back_keeps_the_size_that_it_has(
    said_late: tuple[object, ...], vcpus: int
) -> None:
    world = not_given_back("resize_same_host", SOURCE, said_late)

    assert world.states == ("error", None)
    assert world.here.flavor.vcpus == vcpus
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, vcpus)]


def test_a_resize_on_its_own_host_is_given_back_with_one_size() -> None:
    world = compensate(at("resize_same_host", "finish"))

    world.settle()

    assert world.states == ("active", None)
    assert world.here.flavor.name == "m1.small"
    assert [(c.host, c.vcpus) for c in world.here.claims] == [(SOURCE, 1)]


def test_a_stopped_guest_that_is_given_back_stays_stopped() -> None:
    world = compensate(at("migrate_stopped", "finish"))
    must(world.says(DESTINATION, migration.ResizeReverted()))

    must(
        world.says(
            SOURCE,
            migration.RevertStarted(),
            migration.RevertPoweringOff(power_state=4),
            migration.RevertFinished(power_state=4),
        )
    )

    assert world.states == ("stopped", None)
    assert world.here.host == SOURCE


@pytest.mark.parametrize("step", ["queue", "prepare", "migrate"])
def test_a_live_migration_goes_on_where_it_began(step: str) -> None:
    world = compensate(at("live_migrate", step))

    world.settle()

    assert world.states == ("active", None)
    assert world.here.host == SOURCE
    assert [c.host for c in world.here.claims] == [SOURCE]
    assert world.here.move is not None
    assert world.here.move.status == "cancelled"


def test_an_unshelve_leaves_the_instance_shelved() -> None:
    world = compensate(at("unshelve", "unshelve"))

    world.settle()

    assert world.states == ("shelved_offloaded", None)
    assert (world.here.host, world.here.claims) == (None, ())
    assert world.here.shelved_image is not None


def test_an_unshelve_that_cannot_be_undone_waits_for_its_host_no_more() -> None:
    world = waiting_at("unshelve", "undo", None)

    compensate(world)

    assert world.states == ("shelved_offloaded", None)
    assert [s.saga for s in world.here.sides] == ["debt"]


def test_an_evacuation_gives_its_destination_up() -> None:
    world = compensate(at("evacuate", "rebuild"))

    world.settle(lost=frozenset({SOURCE}))

    assert world.states == ("error", None)
    assert world.here.host == SOURCE
    assert [c.host for c in world.here.claims] == [SOURCE]


def test_a_volume_that_is_being_attached_is_detached() -> None:
    world = begin("attach_volume")
    (side,) = world.here.sides
    before = world.here.volumes

    compensate(world, side.saga_id)

    assert [command for command, _ in world.orders] == ["DetachVolume"]
    world.settle()
    assert len(world.here.volumes) == len(before) - 1


@pytest.mark.parametrize(
    ("action", "step"),
    [
        ("create", "build"),
        ("resize", "prepare"),
        ("resize", "migrate"),
        ("resize", "finish"),
        ("resize_same_host", "prepare"),
        ("live_migrate", "queue"),
        ("live_migrate", "prepare"),
        ("live_migrate", "migrate"),
        ("evacuate", "rebuild"),
        ("unshelve", "unshelve"),
        ("snapshot", "snapshot"),
    ],
)
def test_what_was_asked_and_is_still_on_its_way_is_refused_when_it_comes(
    action: str, step: str
) -> None:
    """The log may take a command long after it was sent, behind the one that undoes it."""
    world = at(action, step)
    asked = world.letters[0].address

    compensate(world)

    heard = set[str]()
    for _ in range(40):
        if not world.letters:
            break
        address = world.letters[0].address
        assert address.host not in HOSTS or address.generation > asked.generation
        heard.add(address.host)
        world.succeed(world.letters[0])
    assert asked.host in heard


def test_on_the_way_back_it_is_not_turned_again() -> None:
    world = at("resize", "migrate")
    must(world.says(SOURCE, migration.ResizeFailed(reason="disk")))
    assert world.saga.step == "restore_source"

    word = requests.SagaCompensated(saga_id=world.saga.saga_id, user_id="op", reason="?")
    verdict = world.api(word).verdict

    assert isinstance(verdict, Rejected)
    assert verdict.code == "not-waiting"
    assert verdict.sentence.endswith("but resize goes back by itself at restore_source")


def test_what_keeps_failing_on_the_way_back_is_owed() -> None:
    world = waiting_at("live_migrate", "roll_back_destination", SOURCE)
    (destination,) = world.saga.pending

    compensate(world)

    assert world.here.saga is None
    assert ("DestroyGuest", destination) in world.orders
    must(world.says(destination, instance.GuestDestroyed()))
    assert [c.host for c in world.here.claims] == [SOURCE]
