"""Soft delete and restore: a delete that can be taken back, over whatever is going on."""

from __future__ import annotations

import pytest

from conductor.rows import instance_row
from events import images, migration, standby
from statemachines.conservation import broken_laws
from statemachines.states import MigrationStatus
from statemachines.verdict import Rejected
from tests.beginnings import ACTIONS, after, begin, built, resized, stopped
from tests.ends import check_end
from tests.hosts import World
from tests.story import LARGE, SMALL, must
from tests.unit.test_step_standby import pairs_of, recorded

MOST = 60
#: Before the first launch there is nothing to keep; what is deleted for good is not put aside.
OVER = [a for a in ACTIONS if a not in ("create", "delete", "soft_delete")]


def code(world: World, action: str) -> str:
    """Ask for what must be refused, and return the code of the refusal."""
    verdict = world.request(action).verdict
    assert isinstance(verdict, Rejected), verdict
    return verdict.code


def test_there_and_back_leads_through_the_pairs_that_were_recorded() -> None:
    world = built().from_here()
    for action in ("soft_delete", "restore"):
        must(world.request(action))
        world.settle()

    assert pairs_of(world) == recorded("soft_delete_restore")
    assert world.actions == [("delete", None), ("restore", None)]
    assert world.events == [
        ("compute_soft_delete_instance", "Success"),
        ("compute_restore_instance", "Success"),
    ]
    check_end(world)


def test_a_soft_delete_is_dated_from_its_request_and_a_restore_clears_the_date() -> None:
    world = begin("soft_delete")
    asked_at = world.now
    dates = [instance_row(world.here).deleted_at]
    world.settle()
    dates.append(instance_row(world.here).deleted_at)
    must(world.request("restore"))
    dates.append(instance_row(world.here).deleted_at)
    world.settle()
    dates.append(instance_row(world.here).deleted_at)

    assert dates == [asked_at, asked_at, None, None]
    assert instance_row(world.here).terminated_at is None


def test_what_is_put_aside_keeps_its_room_and_its_host() -> None:
    world = after("soft_delete")

    assert world.here.host == "h1"
    assert [c.host for c in world.here.claims] == ["h1"]


@pytest.mark.parametrize("action", ["stop", "start", "resize", "suspend", "soft_delete"])
def test_what_is_put_aside_takes_only_what_nova_takes(action: str) -> None:
    world = after("soft_delete")

    if action == "soft_delete":
        must(world.request(action))
    else:
        assert code(world, action) == "vm-state"


@pytest.mark.parametrize(
    ("action", "fact", "task", "left"),
    [
        (
            "soft_delete",
            standby.GuestSoftDeleteFailed(power_state=1, reason="x"),
            "soft-deleting",
            "active",
        ),
        (
            "restore",
            standby.GuestUndeleteFailed(power_state=4, reason="x"),
            "restoring",
            "soft-delete",
        ),
    ],
)
def test_a_failure_keeps_the_state(action: str, fact: object, task: str, left: str) -> None:
    world = begin(action).from_here()

    must(world.says("h1", fact))

    assert world.trace == [(left, task, None), (left, None, None)]
    assert world.actions[-1][1] == "Error"
    check_end(world)


@pytest.mark.parametrize(
    ("action", "left"), [("soft_delete", "active"), ("restore", "soft-delete")]
)
@pytest.mark.parametrize("how", ["lost", "silent"])
def test_what_nova_leaves_for_ever_keeps_the_state_and_the_host_is_fenced(
    action: str, left: str, how: str
) -> None:
    world = begin(action)
    if how == "lost":
        must(world.lose("h1"))
    else:
        for _ in range(3):
            must(world.time_out("h1"))

    assert world.states == (left, None)
    assert world.orders == [("RaiseGeneration", "h1")]
    world.settle(lost=frozenset({"h1"}))
    check_end(world)
    world.come_back()
    assert world.here.sides == ()


@pytest.mark.parametrize("action", OVER)
@pytest.mark.parametrize("lost", [None, "h1", "h2"])
def test_at_every_moment_of_an_operation_it_wins_and_the_guest_is_kept_on_one_host(
    action: str, lost: str | None
) -> None:
    hosts = frozenset[str]() if lost is None else frozenset({lost})
    world = begin(action)
    for _ in range(MOST):
        other = world.fork()
        is_nowhere = other.here.vm_state == "shelved_offloaded"
        must(other.request("soft_delete"))
        other.settle(lost=hosts)
        check_end(other)
        if is_nowhere:  # There is no guest that could be kept.
            assert other.states == ("deleted", None)
        elif not hosts:
            assert other.states == ("soft-delete", None)
            assert [c.host for c in other.here.claims] == [other.here.host]
        other.come_back()
        check_end(other)
        assert other.here.sides == ()

        if not world.letters:
            return
        world.succeed(world.letters[0])


def test_a_resize_that_waits_is_confirmed_first_as_in_nova() -> None:
    world = resized()
    must(world.request("soft_delete"))
    assert world.orders == [("ConfirmResize", "h1")]

    world.succeed(world.letters[0])

    assert world.states == ("active", "soft-deleting")
    assert world.orders == [("SoftDeleteGuest", "h2")]
    world.settle()
    assert world.here.move is not None
    assert world.here.move.status == MigrationStatus.CONFIRMED
    assert [(c.host, c.vcpus) for c in world.here.claims] == [("h2", 4)]


def test_a_resize_that_cannot_be_confirmed_fails_the_delete() -> None:
    world = resized()
    must(world.request("soft_delete"))

    must(world.fail(world.letters[0], migration.ResizeConfirmFailed))

    assert world.states == ("error", None)
    assert world.here.move is not None
    assert world.here.move.status == MigrationStatus.ERROR
    assert world.orders == [("DestroyGuest", "h1")]


def test_with_the_source_of_a_waiting_resize_lost_it_is_confirmed_and_owes() -> None:
    world = resized()
    must(world.request("soft_delete"))

    world.settle(lost=frozenset({"h1"}))

    assert world.states == ("soft-delete", None)
    assert world.here.move is not None
    assert world.here.move.status == MigrationStatus.CONFIRMED
    assert [(s.saga, s.target) for s in world.here.sides] == [("debt", "h1")]


@pytest.mark.parametrize(("power_state", "left"), [(1, "active"), (4, "stopped")])
def test_what_was_confirmed_without_its_lost_source_waits_for_no_confirm_if_it_fails_then(
    power_state: int, left: str
) -> None:
    world = resized()
    must(world.request("soft_delete"))
    must(world.lose("h1"))

    failed = standby.GuestSoftDeleteFailed(power_state=power_state, reason="x")
    must(world.says("h2", failed))

    assert world.states == (left, None)
    world.come_back()
    check_end(world)


def test_a_guest_that_nobody_vouches_for_is_in_error_if_it_cannot_be_put_aside() -> None:
    world = begin("pause")
    must(world.request("soft_delete"))
    world.succeed(world.letters[0])

    must(world.says("h1", standby.GuestSoftDeleteFailed(power_state=0, reason="gone")))

    assert world.states == ("error", None)


def test_a_soft_delete_does_not_stop_a_delete_and_a_forced_one_stops_a_soft_one() -> None:
    deleting, aside = begin("delete"), begin("soft_delete")

    assert code(deleting, "soft_delete") == "saga-running"
    assert code(aside, "soft_delete") == "already-running"
    must(aside.request("force_delete"))
    aside.settle()

    assert aside.states == ("deleted", None)
    check_end(aside)


@pytest.mark.parametrize("action", ["delete", "force_delete"])
def test_what_was_put_aside_is_deleted_for_good(action: str) -> None:
    world = after("soft_delete").from_here()

    must(world.request(action))
    world.settle()

    assert world.trace == [
        ("soft-delete", None, None),
        ("soft-delete", "deleting", None),
        ("deleted", None, None),
    ]
    assert world.here.claims == ()
    assert instance_row(world.here).deleted_at == world.now


def kept(before: World) -> World:
    """Return the same world under rules by which deleted guests are kept for a time."""
    before.rules.settings["reclaim_instance_interval"] = "600"
    return before


def test_a_delete_is_soft_while_deleted_guests_are_kept() -> None:
    world = kept(stopped()).from_here()

    must(world.request("delete"))
    world.settle()

    assert [pair[:2] for pair in world.trace] == [
        ("stopped", None),
        ("stopped", "soft-deleting"),
        ("soft-delete", None),
    ]
    assert world.actions == [("delete", None)]


def test_a_forced_delete_is_for_good_all_the_same() -> None:
    world = kept(built())

    must(world.request("force_delete"))

    assert world.here.task_state == "deleting"


def test_what_was_never_launched_is_deleted_for_good() -> None:
    world = begin("create", reclaim_instance_interval="600")

    assert code(world, "soft_delete") == "never-launched"
    must(world.request("delete"))

    assert world.states == ("deleted", None)


@pytest.mark.parametrize("action", ["delete", "soft_delete"])
def test_with_its_host_down_there_is_no_way_back_so_it_is_deleted_as_in_nova(action: str) -> None:
    world = kept(built())

    must(world.request(action, source_up=False))
    world.settle(lost=frozenset({"h1"}))

    assert world.states == ("deleted", None)
    assert [(s.saga, s.target) for s in world.here.sides] == [("debt", "h1")]


@pytest.mark.parametrize("heard", [0, 1])
def test_what_is_put_aside_in_the_middle_of_a_resize_has_the_size_of_its_new_home(
    heard: int,
) -> None:
    world = begin("resize")
    while world.saga.step != "finish":
        world.succeed(world.letters[0])
    for _ in range(heard):
        world.says("h2", migration.ResizeFinishing())
    must(world.request("soft_delete"))
    world.settle()
    world.come_back()

    assert world.states == ("soft-delete", None)
    assert world.here.host == "h2"
    assert world.here.flavor == LARGE
    assert [(c.host, c.vcpus) for c in world.here.claims] == [("h2", LARGE.vcpus)]


def test_what_a_stranded_resize_left_is_kept_until_the_guest_is_gone_for_good() -> None:
    world = begin("resize")
    while world.saga.step != "finish":
        world.succeed(world.letters[0])
    must(world.says("h2", migration.ResizeFinishFailed(power_state=0, reason="x")))
    must(world.request("soft_delete"))

    must(world.says("h2", standby.GuestSoftDeleted(power_state=0)))

    assert world.states == ("soft-delete", None)
    assert sorted(c.host for c in world.here.claims) == ["h1", "h2"]
    assert broken_laws(world.here) == ()
    must(world.request("force_delete"))
    world.settle()
    assert world.here.claims == ()


def test_what_a_revert_had_given_up_before_is_put_aside_where_its_disks_were_kept() -> None:
    world = resized()
    must(world.request("revert_resize"))
    given_up = world.outstanding("h2")
    must(world.request("soft_delete"))

    must(world.says("h2", migration.ResizeReverted(), command_id=given_up))
    assert world.here.host == "h1"
    world.settle()

    assert world.states == ("soft-delete", None)
    assert world.here.flavor == SMALL
    assert [(c.host, c.vcpus) for c in world.here.claims] == [("h1", SMALL.vcpus)]
    check_end(world)


def test_what_was_offloaded_before_its_host_heard_of_it_cannot_be_put_aside_and_is_kept() -> None:
    world = begin("shelve_offload")
    offloading = world.outstanding("h1")
    must(world.request("soft_delete"))

    must(world.says("h1", images.GuestOffloaded(power_state=4), command_id=offloading))
    world.settle()

    assert world.states == ("shelved_offloaded", None)
    assert world.here.host is None
    assert world.here.claims == ()
    assert world.here.shelved_image is not None
    assert world.actions[-1] == ("delete", "Error")
    check_end(world)
    must(world.request("unshelve"))
    world.settle()
    assert world.states == ("active", None)
