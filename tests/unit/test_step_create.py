"""Create: nova's build with re-schedule, step by step."""

from __future__ import annotations

from events import instance, requests
from statemachines.notes import FaultNote
from statemachines.verdict import Rejected
from tests.beginnings import begin
from tests.ends import check_end
from tests.hosts import World
from tests.story import INSTANCE, SMALL, must

SCHEDULING = ("building", "scheduling", None)
TAKEN = ("building", None, None)
BUILT = "compute__do_build_and_run_instance"
SCHEDULED = "conductor_schedule_and_build_instances"


def fault_of(world: World) -> str:
    """Return what the user of the instance is told, which must be one thing."""
    (fault,) = world.noted(FaultNote)
    assert isinstance(fault, FaultNote)
    return fault.message


def test_a_build_goes_through_novas_states() -> None:
    world = begin("create")

    world.settle()

    assert world.trace == [
        SCHEDULING,
        TAKEN,
        ("building", "networking", None),
        ("building", "block_device_mapping", None),
        ("building", "spawning", None),
        ("active", None, None),
    ]
    assert world.actions == [("create", None)]
    assert world.events == [(BUILT, "Success")]
    assert world.here.host == "h1"
    assert world.here.node == "h1"
    assert world.here.launched_at == world.now
    assert world.here.power_state == 1


def test_the_host_claims_at_the_choice_and_owns_from_the_acceptance_on() -> None:
    world = begin("create")

    must(world.choose("h1"))
    assert [world.here.host] == [None]
    assert [c.host for c in world.here.claims] == ["h1"]
    must(world.says("h1", instance.BuildAccepted(node="n1")))

    assert (world.here.host, world.here.node) == ("h1", "n1")


def test_a_host_that_was_restarted_in_the_middle_may_answer_with_the_ending_alone() -> None:
    world = begin("create")
    must(world.choose("h1"))

    must(world.says("h1", instance.GuestBuilt(power_state=1)))

    assert world.states == ("active", None)
    assert world.here.host == "h1"


def test_no_valid_host_is_an_error_without_a_host() -> None:
    world = begin("create")

    must(world.no_valid_host())

    assert world.trace == [SCHEDULING, ("error", None, None)]
    assert world.actions == [("create", "Error")]
    (fault,) = world.noted(FaultNote)
    assert isinstance(fault, FaultNote)
    assert fault.message == "No valid host was found."
    assert world.events == [(SCHEDULED, "Error")]
    assert world.here.claims == ()


def test_a_build_that_was_rescheduled_goes_to_another_host() -> None:
    world = begin("create")
    must(world.choose("h1"))
    must(world.says("h1", instance.BuildAccepted(node="h1")))

    must(world.says("h1", instance.BuildRescheduled(reason="no memory")))

    assert world.states == ("building", "scheduling")
    assert [world.here.host] == [None]
    assert world.here.claims == ()
    world.settle()
    assert world.here.host == "h2"
    assert world.events == [(BUILT, "Error"), (BUILT, "Success")]


def test_max_attempts_bounds_the_hosts_that_are_tried() -> None:
    world = begin("create", max_attempts="3")
    for host in ("h1", "h2", "h3"):
        must(world.choose(host))
        must(world.says(host, instance.BuildRescheduled(reason="full")))

    assert world.states == ("error", None)
    assert world.actions == [("create", "Error")]
    assert world.events == [(BUILT, "Error")] * 3
    assert fault_of(world) == (
        "Exceeded maximum number of retries. Exceeded max scheduling attempts 3"
        f" for instance {INSTANCE}. Last exception: full"
    )
    check_end(world)


def test_when_no_host_is_left_the_user_is_told_why_the_last_one_could_not() -> None:
    world = begin("create")
    must(world.choose("h1"))
    must(world.says("h1", instance.BuildRescheduled(reason="no memory")))

    must(world.no_valid_host())

    assert world.states == ("error", None)
    assert world.events == [(BUILT, "Error"), (SCHEDULED, "Error")]
    assert fault_of(world) == (
        "Exceeded maximum number of retries. Exhausted all hosts available for retrying build"
        f" failures for instance {INSTANCE}. Last exception: no memory"
    )
    check_end(world)


def test_a_host_asked_for_by_name_is_the_only_one_tried() -> None:
    world = World()
    must(world.request("create", flavor=SMALL, host="h3"))
    must(world.choose("h3"))

    must(world.says("h3", instance.BuildRescheduled(reason="full")))

    assert world.states == ("error", None)
    assert fault_of(world) == f"Build of instance {INSTANCE} was re-scheduled: full"


def test_a_build_that_no_host_could_do_ends_at_once() -> None:
    world = begin("create")
    must(world.choose("h1"))

    must(world.says("h1", instance.BuildAborted(reason="no network")))

    assert world.states == ("error", None)
    assert world.here.claims == ()
    assert world.here.host is None


def test_a_silent_host_is_undone_before_another_is_tried() -> None:
    world = begin("create")
    must(world.choose("h1"))
    must(world.time_out("h1"))
    assert world.orders == [("DestroyGuest", "h1")]
    assert [c.host for c in world.here.claims] == ["h1"]

    must(world.says("h1", instance.GuestDestroyed()))

    assert world.orders == [("ChooseDestination", "@scheduler")]
    assert world.here.claims == ()


def test_a_lost_host_owes_what_it_may_have_built_and_no_other_is_tried() -> None:
    world = begin("create")
    must(world.choose("h1"))
    must(world.says("h1", instance.BuildAccepted(node="h1")))

    must(world.lose("h1"))

    # It may only be unheard: built elsewhere, the guest could run twice.
    assert world.states == ("error", None)
    assert world.here.host is None
    assert [(s.saga, s.target) for s in world.here.sides] == [("debt", "h1")]
    world.settle(lost=frozenset({"h1"}))
    assert [c.host for c in world.here.claims] == ["h1"]
    world.come_back()
    assert world.here.claims == ()


def test_what_a_given_up_host_says_late_changes_nothing() -> None:
    world = begin("create")
    must(world.choose("h1"))
    command_id = world.outstanding("h1")
    must(world.says("h1", instance.CommandRefused(code="draining", reason="full")))
    must(world.choose("h2"))

    for fact in (instance.BuildAccepted(node="h1"), instance.GuestBuilt(power_state=1)):
        outcome = world.says("h1", fact, command_id=command_id)
        assert isinstance(outcome.verdict, Rejected)
        assert outcome.verdict.code == "older-attempt"

    assert world.here.host is None
    assert world.states == ("building", "scheduling")


def test_a_host_that_cannot_undo_is_a_persons_business_who_may_lead_out() -> None:
    world = begin("create")
    must(world.choose("h1"))
    must(world.time_out("h1"))
    for _ in range(4):
        must(world.says("h1", instance.GuestDestroyFailed(reason="busy")))
    assert world.saga.needs_operator is not None
    assert "h1" in world.saga.needs_operator
    assert world.orders == []
    word = {"saga_id": world.saga.saga_id, "user_id": "op", "reason": "mended"}

    retried, resolved = world.fork(), world.fork()
    must(retried.api(requests.SagaRetried(**word)))
    retried.settle()
    must(resolved.api(requests.SagaResolved(**word)))
    must(world.api(requests.SagaCompensated(**word)))

    assert retried.states == ("active", None)
    assert resolved.states == ("error", None)
    assert world.states == ("error", None)
    assert [(s.saga, s.target) for s in world.here.sides] == [("debt", "h1")]


def test_a_saga_that_waited_for_a_person_goes_on_when_its_host_answers_after_all() -> None:
    world = begin("create")
    must(world.choose("h1"))
    must(world.time_out("h1"))
    asked = []
    for _ in range(4):
        asked.append(world.outstanding("h1"))
        must(world.says("h1", instance.GuestDestroyFailed(reason="busy")))
    assert world.orders == []

    must(world.says("h1", instance.GuestDestroyed(), command_id=asked[-1]))

    assert world.saga.needs_operator is None
    assert world.orders == [("ChooseDestination", "@scheduler")]


def test_a_create_without_a_flavor_or_of_what_exists_is_refused() -> None:
    nameless, twice = World(), begin("create")

    verdicts = [
        nameless.request("create").verdict,
        twice.request("create", flavor=SMALL).verdict,
    ]

    assert [v.code for v in verdicts if isinstance(v, Rejected)] == ["bad-request", "exists"]
