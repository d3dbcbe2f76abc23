"""Evacuation: how it fails, what follows then, and the tombstone of the old host."""

from __future__ import annotations

import pytest

from events import evacuation, instance
from events.decisions import HostReturned
from events.requests import SagaResolved
from statemachines.notes import MigrationNote
from tests.answers import argument
from tests.ends import check_end
from tests.evacuations import evacuated, evacuating, rebuilding, refusal, status
from tests.story import SMALL, must

GONE = evacuation.EvacuationFailed(reason="no space left on device")
FULL = evacuation.EvacuationClaimFailed(reason="Insufficient compute resources")


# How it fails.


def test_a_claim_that_fails_keeps_the_vm_state() -> None:
    world = rebuilding()

    must(world.says("h2", FULL))

    assert world.states == ("active", None)
    assert status(world) == "failed"
    assert world.here.host == "h1"
    assert [c.host for c in world.here.claims] == ["h1"]
    check_end(world)


def test_a_failure_after_the_claim_leaves_an_error_on_the_dead_host() -> None:
    world = rebuilding()
    must(world.says("h2", evacuation.EvacuationClaimed()))

    must(world.says("h2", GONE))

    assert world.states == ("error", None)
    assert status(world) == "failed"
    assert world.here.host == "h1"
    assert [c.host for c in world.here.claims] == ["h1"]
    assert world.actions[-1] == ("evacuate", "Error")
    check_end(world)


def test_it_may_be_repeated_after_it_failed() -> None:
    world = rebuilding()
    must(world.says("h2", GONE))

    must(world.request("evacuate", source_up=False, fenced_hosts=("h1",)))
    world.settle(lost=frozenset({"h1"}))

    assert world.states == ("active", None)
    assert world.here.host == "h2"
    world.come_back()
    assert status(world) == "completed"
    check_end(world)


def test_a_host_asked_for_by_name_that_can_not_be_had_keeps_the_vm_state() -> None:
    world = evacuating(host="h4")
    assert argument(world.letters[0], "forced_host") == "h4"

    must(world.no_valid_host())

    assert world.states == ("active", None)
    assert status(world) == "error"


def test_the_dead_host_is_never_chosen() -> None:
    world = evacuating()

    assert argument(world.letters[0], "excluded_hosts") == ("h1",)


def test_a_destination_that_is_lost_may_run_the_guest_so_nothing_else_is_started() -> None:
    world = rebuilding()
    must(world.says("h2", evacuation.EvacuationClaimed()))

    must(world.lose("h2"))

    assert world.states == ("error", None)
    assert status(world) == "failed"
    world.request("evacuate", source_up=False, fenced_hosts=("h1",))
    assert refusal(world)[0] == "not-fenced"
    world.settle(lost=frozenset({"h1", "h2"}))
    world.come_back()
    check_end(world)
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1",)))


@pytest.mark.parametrize("action", ["reboot_hard", "rebuild"])
def test_nor_is_it_started_at_home_before_that_destination_is_heard_or_vouched_for(
    action: str,
) -> None:
    world = rebuilding()
    must(world.lose("h2"))
    world.settle(lost=frozenset({"h1", "h2"}))
    must(world.unasked("h1", instance.GuestFound(power_state=4)))
    world.settle(lost=frozenset({"h2"}))

    world.request(action)
    assert refusal(world)[0] == "not-fenced"

    vouched = world.fork()
    must(vouched.request(action, fenced_hosts=("h2",)))
    world.come_back()
    must(world.request(action))


def test_a_destination_that_is_silent_is_cleaned_up() -> None:
    world = rebuilding()
    must(world.time_out("h2"))
    assert world.orders == [("DestroyGuest", "h2")]

    must(world.says("h2", instance.GuestDestroyed()))

    assert world.states == ("error", None)
    assert status(world) == "failed"
    check_end(world)


def test_a_guest_that_came_up_too_late_does_not_count() -> None:
    world = rebuilding()
    late = world.outstanding("h2")
    must(world.time_out("h2"))

    world.says("h2", evacuation.GuestEvacuated(power_state=1), command_id=late)

    assert refusal(world)[0] == "step-past"
    assert world.here.host == "h1"
    world.settle()
    check_end(world)


def test_a_reset_state_in_the_middle_finds_the_guest_where_it_was_made_anew() -> None:
    world = rebuilding()
    rebuild = world.outstanding("h2")
    must(world.request("reset_state", arguments={"state": "active"}))

    must(world.says("h2", evacuation.GuestEvacuated(power_state=1), command_id=rebuild))

    assert world.here.host == "h2"
    world.settle(lost=frozenset({"h1"}))
    assert world.states == ("active", None)
    world.come_back()
    assert [c.host for c in world.here.claims] == ["h2"]


def test_a_delete_in_the_middle_leaves_nothing_anywhere() -> None:
    world = rebuilding()
    must(world.says("h2", evacuation.EvacuationClaimed()))

    must(world.request("delete"))
    world.settle(lost=frozenset({"h1"}))

    assert world.states == ("deleted", None)
    world.come_back()
    assert world.here.claims == ()
    check_end(world)


# Tombstones.


def test_evacuation_records_in_done_are_no_time_bomb() -> None:
    """ "A host came back and destroyed guests by records that were long out of date" (1922053)."""
    world = evacuated()
    must(world.decide(HostReturned(host="h1")))
    world.settle()
    must(world.request("live_migrate", host="h1"))
    world.settle()
    assert world.here.host == "h1"

    must(world.unasked("h1", instance.GuestFound(power_state=1)))

    assert world.orders == []
    assert world.here.tombstones == ()
    assert world.states == ("active", None)


def test_a_guest_evacuated_twice_leaves_a_tombstone_for_each_host() -> None:
    world = evacuated()
    must(world.request("evacuate", source_up=False, fenced_hosts=("h1", "h2")))
    world.settle(lost=frozenset({"h1", "h2"}))
    assert world.here.host == "h3"
    assert [t.source for t in world.here.tombstones] == ["h1", "h2"]

    must(world.decide(HostReturned(host="h1")))
    world.settle(lost=frozenset({"h2"}))

    assert [t.source for t in world.here.tombstones] == ["h2"]
    assert status(world) == "done"
    world.come_back()
    assert status(world) == "completed"
    rows = {
        n.move.migration_id: n.move.status
        for n in world.noted(MigrationNote)
        if isinstance(n, MigrationNote)
    }
    assert list(rows.values()) == ["completed", "completed"]
    check_end(world)


def test_a_tombstone_outlives_the_instance() -> None:
    world = evacuated()
    must(world.request("delete"))
    world.settle(lost=frozenset({"h1"}))
    assert world.states == ("deleted", None)
    assert [t.source for t in world.here.tombstones] == ["h1"]

    world.come_back()

    assert status(world) == "completed"
    assert world.here.claims == ()


def test_the_old_host_that_finds_its_guest_is_told_to_destroy_it() -> None:
    world = evacuated()

    must(world.unasked("h1", instance.GuestFound(power_state=1)))

    assert sorted(world.orders) == [("DestroyGuest", "h1"), ("RaiseGeneration", "h1")]
    assert world.here.host == "h2"
    assert world.here.power_state == 1
    world.settle()
    assert status(world) == "completed"


def test_room_is_counted_on_both_hosts_until_the_old_one_has_paid() -> None:
    world = evacuated()

    assert sorted((c.host, c.memory_mb) for c in world.here.claims) == [
        ("h1", SMALL.memory_mb),
        ("h2", SMALL.memory_mb),
    ]


def test_an_operator_may_resolve_what_a_host_that_never_comes_back_owes() -> None:
    world = evacuated()
    debt = next(s for s in world.here.sides if s.saga == "debt")

    must(world.api(SagaResolved(saga_id=debt.saga_id, user_id="o", reason="scrapped")))

    assert status(world) == "completed"
    assert [c.host for c in world.here.claims] == ["h2"]
