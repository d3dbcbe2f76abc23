"""A host starts: for every pair of states, guest there or not, there is a way out afterwards."""

from __future__ import annotations

import random
from functools import cache

import pytest

from events import instance, start_up
from events.requests import ActionRequested
from events.values import replace
from statemachines.actions_table import PERMISSIONS
from statemachines.arrows import start_up as rules
from statemachines.demands import circumstances
from statemachines.held import Held
from statemachines.machine import TASK_STATES, VM_STATES
from statemachines.permissions import refusal
from statemachines.run import open_arrow
from statemachines.verdict import Duplicate, Rejected
from tests.beginnings import begin, built, situations, stopped
from tests.ends import check_end
from tests.hosts import World
from tests.story import must

#: What a host finds, as a power state; 0 where it finds nothing.
GUESTS = {"running": 1, "paused": 3, "off": 4, "absent": 0}
#: What anybody may ask when nothing else can be.
LAST_RESORTS = {"delete", "force_delete", "reset_state", "lock", "unlock"}

OF_VM_STATE = pytest.mark.parametrize("vm_state", [v for v in VM_STATES if v != "deleted"])
OF_GUEST = pytest.mark.parametrize("guest", GUESTS)


def started(world: World, guest: str, host: str = "h1") -> World:
    """Let a host have started, and answer what it has of the guest if it is asked."""
    must(world.doubt(host, boot_epoch=2))
    for letter in world.letters:
        if type(letter.command).__name__ == "LookForGuest":
            power = GUESTS[guest]
            seen = start_up.GuestSeen(power_state=power) if power else start_up.GuestMissed()
            must(world.says(host, seen, command_id=letter.address.command_id))
    return world


def standing(vm_state: str, task_state: str | None, **settings: str) -> World:
    """Return a world whose instance stands in two states, and no saga runs."""
    world = idle(**settings).fork()
    world.held = replace(world.here, vm_state=vm_state, task_state=task_state)
    return world


@cache
def idle(**settings: str) -> World:
    """Return a world whose guest was built; made once."""
    return built(**settings)


def come_to_an_end(world: World) -> None:
    """Let every host answer well; where that is refused, for the states forbid it, time goes by."""
    for _ in range(400):
        letters = world.letters
        if not letters:
            return
        before = world.here.saga, world.here.sides
        world.succeed(letters[0])
        if (world.here.saga, world.here.sides) == before:
            world.time_out_of(letters[0])
    raise AssertionError(f"Expected an end, but {world.orders}")


def ways_out(held: Held) -> set[str]:
    """Name what may be asked of an instance as it stands, but for the last resorts."""
    found = set()
    for action, permission in PERMISSIONS.items():
        for source_up in (True, False):
            asked = ActionRequested(
                action=action, user_id="u", project_id="p", is_admin=True, source_up=source_up
            )
            if action != "create" and refusal(permission, circumstances(held, asked)) is None:
                found.add(action)
    return found - LAST_RESORTS


# Everything, everywhere.


@OF_VM_STATE
@OF_GUEST
def test_without_a_saga_every_pair_of_states_has_a_way_out(vm_state: str, guest: str) -> None:
    for task_state in TASK_STATES:
        world = started(standing(vm_state, task_state), guest)

        world.settle()

        assert world.here.saga is None, (vm_state, task_state)
        assert world.here.sides == (), (vm_state, task_state)
        assert world.here.task_state is None, (vm_state, task_state, world.states)
        if world.here.vm_state != "deleted":
            assert ways_out(world.here), (vm_state, task_state, world.states)


@OF_VM_STATE
@OF_GUEST
def test_with_a_saga_every_pair_of_states_has_a_way_out(vm_state: str, guest: str) -> None:
    dice = random.Random(f"{vm_state}/{guest}")
    places = sorted(key for key in situations() if key[0] not in ("start_up", "debt", "fence"))
    for task_state in TASK_STATES:
        world = situations()[dice.choice(places)].fork()
        if world.here.host is None or world.here.vm_state == "deleted":
            continue
        world.held = replace(world.here, vm_state=vm_state, task_state=task_state)

        started(world, guest, str(world.here.host))
        come_to_an_end(world)

        assert world.here.saga is None or world.here.saga.needs_operator, (vm_state, task_state)
        if world.here.saga is None:
            assert world.here.task_state is None, (vm_state, task_state, world.states)
        if world.here.vm_state != "deleted":
            world.come_back()
            must(world.request("delete", is_admin=True))
            come_to_an_end(world)
        assert world.here.vm_state == "deleted"


@OF_GUEST
def test_nothing_is_asked_of_an_instance_that_is_deleted(guest: str) -> None:
    for task_state in TASK_STATES:
        world = standing("deleted", task_state)
        before = world.here

        outcome = world.doubt("h1", boot_epoch=2)

        assert isinstance(outcome.verdict, Duplicate)
        assert world.here == before


def test_every_rule_is_the_first_that_fits_somewhere() -> None:
    taken = set()
    saga = situations()["start_up", "look"].here.sides[0]
    for resumes in ("false", "true"):
        for vm_state in VM_STATES:
            for task_state in TASK_STATES:
                for power_state in GUESTS.values():
                    world = standing(vm_state, task_state, resume_guests_state_on_host_boot=resumes)
                    held = replace(world.here, power_state=power_state)
                    taken.add(open_arrow("start_up:settled", held, saga, world.rules))

    assert taken == set(rules.arrows())


# Nova's rules, by name.


@pytest.mark.parametrize(
    ("states", "guest", "command", "after"),
    [
        (("active", "powering-off"), "running", "StopGuest", ("stopped", None)),
        (("stopped", "powering-on"), "off", "StartGuest", ("active", None)),
        (("active", "rebooting"), "off", "RebootGuest", ("active", None)),
        (("active", "reboot_started_hard"), "off", "RebootGuest", ("active", None)),
        (("paused", "unpausing"), "paused", "UnpauseGuest", ("active", None)),
        (("active", "deleting"), "running", "DestroyGuest", ("deleted", None)),
    ],
)
def test_what_was_being_done_is_done_again(
    states: tuple[str, str], guest: str, command: str, after: tuple[str, None]
) -> None:
    world = started(standing(*states), guest)
    assert world.orders == [(command, "h1")]

    world.settle()

    assert world.states == after
    assert world.actions == [("create", None)], "nobody asked for anything"


@pytest.mark.parametrize(
    ("states", "guest", "after"),
    [
        (("building", "spawning"), "absent", ("error", None)),
        (("active", "spawning"), "running", ("error", None)),
        (("active", "rebuilding"), "running", ("error", None)),
        (("active", "image_uploading"), "running", ("active", None)),
        (("active", "resize_prep"), "running", ("active", None)),
        (("active", "rebooting"), "running", ("active", None)),
        (("active", "pausing"), "running", ("active", None)),
        (("active", "migrating"), "running", ("active", None)),
        # Nova leaves the task of these for ever.
        (("error", "rebuilding"), "absent", ("error", None)),
        (("active", "pausing"), "paused", ("paused", None)),
        (("soft-delete", "restoring"), "off", ("soft-delete", None)),
        (("active", "suspending"), "running", ("active", None)),
        (("active", "suspending"), "off", ("error", None)),
        (("suspended", "resuming"), "off", ("suspended", None)),
        (("rescued", "unrescuing"), "running", ("rescued", None)),
        (("resized", "resize_reverting"), "off", ("resized", None)),
        (("shelved", "unshelving"), "off", ("shelved", None)),
        (("active", "shelving_offloading"), "absent", ("error", None)),
        (("active", "updating_password"), "running", ("active", None)),
    ],
)
def test_what_can_not_be_done_again_is_called_off(
    states: tuple[str, str], guest: str, after: tuple[str, None]
) -> None:
    world = started(standing(*states), guest)

    assert world.orders == []
    assert world.states == after


def test_guests_that_should_run_are_started_where_that_is_set() -> None:
    world = started(standing("active", None, resume_guests_state_on_host_boot="true"), "off")
    assert world.orders == [("RebootGuest", "h1")]
    assert world.states == ("active", "rebooting_hard")

    world.settle()

    assert world.trace[-1][:2] == ("active", None)


def test_guests_that_should_not_run_are_not_started() -> None:
    setting = {"resume_guests_state_on_host_boot": "true"}
    for vm_state, guest in (("stopped", "off"), ("active", "running"), ("error", "off")):
        assert started(standing(vm_state, None, **setting), guest).orders == []
    assert started(standing("active", None), "off").orders == []


# Who is asked, and when.


def test_a_host_that_said_what_it_found_is_not_asked_again() -> None:
    world = built()
    must(world.tell(world.next_of("h1", instance.GuestFound(power_state=4), boot_epoch=2)))

    must(world.doubt("h1", boot_epoch=2))

    assert world.orders == []
    assert world.here.sides == ()
    assert world.here.power_state == 4


def test_a_guest_that_a_host_did_not_find_comes_out() -> None:
    world = built()
    must(world.doubt("h1", boot_epoch=2))
    assert world.orders == [("LookForGuest", "h1")]

    must(world.says("h1", start_up.GuestMissed()))

    assert world.here.power_state == 0
    assert world.here.sides == ()


def test_a_running_saga_is_left_to_go_on() -> None:
    world = begin("live_migrate")
    before = world.orders

    must(world.doubt("h1", boot_epoch=2))

    assert world.orders == before
    assert world.here.sides == ()


def test_a_saga_that_begins_before_the_answer_is_left_to_go_on() -> None:
    world = stopped()
    must(world.doubt("h1", boot_epoch=2))
    look = world.outstanding("h1")
    must(world.request("start"))

    must(world.says("h1", start_up.GuestSeen(power_state=4), command_id=look))

    assert world.orders == [("StartGuest", "h1")]
    assert world.here.sides == ()


def test_a_start_is_answered_once_and_an_older_one_not_at_all() -> None:
    world = built()
    must(world.doubt("h1", boot_epoch=3))
    raised = world.here.doubted
    assert raised is not None
    world.settle()

    older = start_up.GuestDoubted(
        host="h1", enrolment=1, boot_epoch=2, sequence=raised.sequence - 1, started=True
    )
    assert isinstance(world.decide(older).verdict, Duplicate)
    again = replace(older, sequence=raised.sequence)
    assert isinstance(world.decide(again).verdict, Duplicate)
    assert world.orders == []


def test_a_start_of_another_host_concerns_nobody() -> None:
    world = built()

    assert isinstance(world.doubt("h2").verdict, Duplicate)


def test_only_the_conductor_may_doubt() -> None:
    world = built()
    fact = start_up.GuestDoubted(host="h1", enrolment=1, boot_epoch=1, sequence=1, started=True)

    assert isinstance(world.api(fact).verdict, Rejected)
    assert isinstance(world.unasked("h1", fact).verdict, Rejected)


def test_a_host_that_is_lost_again_before_it_answers_changes_nothing() -> None:
    world = built()
    must(world.doubt("h1", boot_epoch=2))

    must(world.lose("h1"))

    assert world.states == ("active", None)
    assert world.here.sides == ()
    check_end(world)


def test_a_digest_that_differs_has_the_host_look_whatever_it_said_before() -> None:
    world = built()
    must(world.tell(world.next_of("h1", instance.GuestFound(power_state=1), boot_epoch=2)))

    must(world.doubt("h1", boot_epoch=2, started=False))

    assert world.orders == [("LookForGuest", "h1")]
    look, seen = world.outstanding("h1"), start_up.GuestSeen(power_state=4)
    must(world.tell(world.next_of("h1", seen, boot_epoch=2, command_id=look)))
    assert world.here.power_state == 4
    check_end(world)
