"""Names that nobody knows, and hosts that one can't go to: each refused with a word of its own."""

from __future__ import annotations

import pytest

from conductor.scheduler import select_destination, unfit
from conductor.scheduler_options import SchedulerOptions
from events.commands import ChooseDestination
from events.values import replace
from projections.store import HostRoom
from statemachines.verdict import Rejected
from tests.beginnings import built, stopped
from tests.hosts import World
from tests.story import INSTANCE, SMALL, must

OPTIONS = SchedulerOptions()
ROOM = HostRoom("h2", "h2-n", "started", 4, 8_192, 100, 0, 0, 0)


def refused(world: World, action: str, **fields: object) -> tuple[str, str]:
    """Ask, see that it is refused and changes nothing; return code and sentence."""
    before = world.held
    outcome = world.request(action, None, **fields)
    verdict = outcome.verdict
    assert isinstance(verdict, Rejected), verdict
    assert not outcome.commands
    assert not outcome.notes
    if before is not None and world.held is not None:
        # That it was heard is all that is remembered.
        assert replace(world.held, requests=before.requests) == before
    return verdict.code, verdict.sentence


# What the request itself tells.


@pytest.mark.parametrize("is_new", [True, False])
def test_a_flavor_that_nobody_knows(is_new: bool) -> None:
    world = World() if is_new else built()
    action = "create" if is_new else "resize"

    found = refused(world, action, arguments={"flavor": "huge"})

    assert found == ("unknown-flavor", "Flavor huge could not be found.")
    assert (world.held is None) is is_new


def test_an_instance_that_nobody_knows() -> None:
    found = refused(World(), "stop")

    assert found == ("unknown-instance", f"Instance {INSTANCE} could not be found.")


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ("live_migrate", f"Unable to migrate instance ({INSTANCE}) to current host (h1)."),
        ("migrate", "Cannot migrate to the host where the server exists."),
    ],
)
def test_the_host_where_it_is_already(action: str, sentence: str) -> None:
    assert refused(built(), action, host="h1", host_seen="up") == ("same-host", sentence)


@pytest.mark.parametrize("action", ["live_migrate", "migrate"])
@pytest.mark.parametrize(
    ("seen", "code", "sentence"),
    [
        ("unknown", "unknown-host", "Compute host h2 could not be found."),
        ("down", "target-down", "Compute service of h2 is unavailable at this time."),
        (
            "full",
            "host-full",
            f"Unable to move instance {INSTANCE} to host h2. There is not enough capacity on the"
            " host for the instance.",
        ),
    ],
)
def test_what_the_api_saw_of_the_host(action: str, seen: str, code: str, sentence: str) -> None:
    assert refused(built(), action, host="h2", host_seen=seen) == (code, sentence)


def test_a_host_that_is_unknown_is_so_for_a_new_instance_too() -> None:
    found = refused(World(), "create", flavor=SMALL, host="h9", host_seen="unknown")

    assert found == ("unknown-host", "Compute host h9 could not be found.")


def test_every_one_of_them_has_a_code_of_its_own() -> None:
    codes = [
        refused(built(), "resize", arguments={"flavor": "huge"})[0],
        refused(World(), "stop")[0],
        refused(built(), "migrate", host="h1", host_seen="up")[0],
        refused(built(), "migrate", source_up=False)[0],
        *(
            refused(built(), "migrate", host="h2", host_seen=seen)[0]
            for seen in ("unknown", "down", "full")
        ),
    ]

    assert len(set(codes)) == len(codes) == 7


def test_the_state_is_looked_at_first_as_nova_does() -> None:
    world = built()
    must(world.request("live_migrate"))

    assert refused(world, "live_migrate", host="h2", host_seen="down")[0] == "task-state"


@pytest.mark.parametrize("seen", ["up", ""])
def test_a_host_that_was_up_or_was_not_looked_at_is_gone_to(seen: str) -> None:
    world = built()

    must(world.request("migrate", host="h2", host_seen=seen))

    assert world.saga.forced_host == "h2"


def test_a_stopped_guest_is_migrated_to_the_host_that_was_asked_for() -> None:
    world = stopped()
    must(world.request("migrate", host="h3", host_seen="up"))
    world.settle()
    must(world.request("confirm_resize"))
    world.settle()

    assert world.here.host == "h3"
    assert [c.host for c in world.here.claims] == ["h3"]


def test_a_host_asked_for_by_name_is_tried_once_and_no_other_takes_its_place() -> None:
    world = built()
    must(world.request("migrate", host="h2", host_seen="up"))
    must(world.no_valid_host())

    assert world.trace[-1] == ("active", None, "error")
    assert world.actions[-1] == ("migrate", "Error")


# What came about only then: the scheduler's word.


def ask(host: str | None) -> ChooseDestination:
    """Return what a saga asks of the scheduler."""
    return ChooseDestination(forced_host=host, excluded_hosts=("h1",), flavor=SMALL)


@pytest.mark.parametrize(
    ("room", "code", "sentence"),
    [
        (ROOM._replace(host="h3"), "unknown-host", "Compute host h2 could not be found."),
        (
            ROOM._replace(status="lost"),
            "target-down",
            "Compute service of h2 is unavailable at this time.",
        ),
        (
            ROOM._replace(memory_mb_used=7_000),
            "host-full",
            "There is not enough capacity on host h2 for the instance.",
        ),
    ],
)
def test_the_scheduler_says_what_became_of_the_host(
    room: HostRoom, code: str, sentence: str
) -> None:
    assert unfit([room], ask("h2"), OPTIONS) == (code, sentence)
    assert select_destination([room], ask("h2"), OPTIONS) == f"No valid host was found. {sentence}"


def test_the_scheduler_has_nothing_against_a_host_with_room_nor_where_none_was_named() -> None:
    assert unfit([ROOM], ask("h2"), OPTIONS) is None
    assert select_destination([ROOM], ask("h2"), OPTIONS) == ROOM
    assert unfit([], ask(None), OPTIONS) is None
