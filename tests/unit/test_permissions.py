"""The permissions are nova's, over the full product of states, and refusals speak as nova does.

The oracle is a small interpreter of what was read out of nova's decorators. It shares nothing
with the table under test, and it names every condition that is violated, not only the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from events.ids import HostName, InstanceId
from events.values import replace
from statemachines.permissions import (
    PERMISSIONS,
    Circumstances,
    Refusal,
    refusal,
    table_rows,
)
from statemachines.states import MigrationStatus, PowerState, TaskState, VmState

NOVA: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "nova-states.json").read_text(encoding="utf-8")
)
ACTIONS: dict[str, dict[str, Any]] = {entry["action"]: entry for entry in NOVA["actions"]}

INSTANCE = InstanceId("0a1b2c3d-0000-4000-8000-000000000001")
TASKS: tuple[TaskState | None, ...] = (None, *TaskState)
STATUSES: tuple[MigrationStatus | None, ...] = (None, *MigrationStatus)

AT_EASE = Circumstances(
    instance_id=INSTANCE,
    vm_state=VmState.ACTIVE,
    task_state=None,
    launched=True,
    locked=False,
    is_admin=False,
    host=HostName("node-1"),
    source_up=True,
    migration_status=None,
    power_state=PowerState.RUNNING,
)


def is_listed(listed: Any, value: str | None) -> bool:
    if listed == "*":
        return True
    if listed == "n/a":
        return False
    if isinstance(listed, dict):
        return value not in listed["not_in"]
    return value in listed


def violated(entry: dict[str, Any], now: Circumstances) -> set[str]:
    found = set()
    if not is_listed(entry["vm_states"], now.vm_state):
        found.add("vm-state")
    if not is_listed(entry["task_states"], now.task_state):
        found.add("task-state")
    if entry["must_have_launched"] and not now.launched:
        found.add("never-launched")
    if entry["lock_checked"] and now.locked and not now.is_admin:
        found.add("locked")
    return found | violated_hosts(entry, now) | violated_requirements(entry, now)


def violated_hosts(entry: dict[str, Any], now: Circumstances) -> set[str]:
    service = entry.get("requires", {}).get("source_service", "").split(" ")[0]
    in_the_api = "done in the API when shelved_offloaded" in entry.get("casts_to", "")
    found: set[str] = set()
    if in_the_api and now.vm_state == "shelved_offloaded":
        return found
    if entry.get("host_must_be_set") and now.host is None:
        found.add("no-host")
    if (entry.get("host_must_be_up") or service == "up") and not now.source_up:
        found.add("host-down")
    if service == "down" and now.source_up:
        found.add("host-up")
    return found


def violated_requirements(entry: dict[str, Any], now: Circumstances) -> set[str]:
    requires = entry.get("requires", {})
    assert set(requires) <= {"migration_status", "source_service", "power_state"}
    found = set()
    if "migration_status" in requires:
        told = requires["migration_status"]
        told = [told] if isinstance(told, str) else [word.split(" (")[0] for word in told]
        if now.migration_status not in told:
            found.add("migration-status")
    if "power_state" in requires and int(now.power_state) != requires["power_state"]:
        found.add("power-state")
    return found


def favourable(entry: dict[str, Any]) -> Circumstances:
    """Circumstances in which only the two states, the launch and the lock decide."""
    requires = entry.get("requires", {})
    told = requires.get("migration_status")
    status = told if isinstance(told, str) or told is None else told[0]
    return replace(
        AT_EASE,
        source_up=not requires.get("source_service", "").startswith("down"),
        migration_status=None if status is None else MigrationStatus(status),
        power_state=PowerState(requires.get("power_state", 1)),
    )


def by_states(start: Circumstances) -> Iterator[Circumstances]:
    flags = product((True, False), repeat=3)
    for (launched, locked, is_admin), vm_state, task_state in product(flags, VmState, TASKS):
        yield replace(
            start,
            vm_state=vm_state,
            task_state=task_state,
            launched=launched,
            locked=locked,
            is_admin=is_admin,
        )


def by_surroundings(start: Circumstances) -> Iterator[Circumstances]:
    statuses: list[tuple[str | None, int]] = [(status, start.power_state) for status in STATUSES]
    powers: list[tuple[str | None, int]] = [(start.migration_status, power) for power in PowerState]
    hosts = (None, HostName("node-1"))
    for host, source_up, (status, power) in product(hosts, (True, False), statuses + powers):
        yield replace(
            start, host=host, source_up=source_up, migration_status=status, power_state=power
        )


def assert_as_nova(action: str, now: Circumstances) -> None:
    reasons = violated(ACTIONS[action], now)
    answer = refusal(PERMISSIONS[action], now)
    if answer is None:
        assert not reasons, (action, now)
    else:
        assert answer.code in reasons, (action, now)
        assert INSTANCE in answer.sentence or answer.code in ("host-up", "host-down")


def test_every_action_of_nova_has_one_permission_in_novas_order() -> None:
    assert list(PERMISSIONS) == list(ACTIONS)
    assert len(PERMISSIONS) == 59
    assert all(name == permission.action for name, permission in PERMISSIONS.items())


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_taken_in_novas_states_and_in_no_others(action: str) -> None:
    for now in by_states(favourable(ACTIONS[action])):
        assert_as_nova(action, now)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_taken_in_novas_surroundings_and_in_no_others(action: str) -> None:
    busy = ((VmState.ACTIVE, TaskState.MIGRATING), (VmState.ERROR, TaskState.DELETING))
    for vm_state, task_state in (*((vm_state, None) for vm_state in VmState), *busy):
        start = replace(favourable(ACTIONS[action]), vm_state=vm_state, task_state=task_state)
        for now in by_surroundings(start):
            assert_as_nova(action, now)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_recorded_and_set_is_what_nova_records_and_sets(action: str) -> None:
    permission, entry = PERMISSIONS[action], ACTIONS[action]

    assert permission.sets_task_state == entry["sets_task_state"]
    assert permission.instance_action == entry["instance_action"]
    assert permission.migration_type == entry.get("migration_type")


@pytest.mark.parametrize("action", ACTIONS)
def test_no_condition_of_nova_is_unknown_to_the_oracle(action: str) -> None:
    explained = {
        *("action", "vm_states", "task_states", "must_have_launched", "lock_checked"),
        *("requires", "host_must_be_set", "host_must_be_up", "sets_task_state"),
        *("instance_action", "migration_type"),
    }
    # These tell what becomes of the action after it was taken, and where that was read.
    outcomes = {
        *("success", "failure", "source", "sources", "rest", "rpc", "casts_to", "note"),
        *("variants", "initial", "migration_transition", "expected_task_state_on_save"),
        *("task_state_sequence", "task_state_sequence_when_shelved"),
        "task_state_sequence_when_shelved_offloaded",
    }

    assert set(ACTIONS[action]) <= explained | outcomes


def test_the_table_has_a_row_for_every_action_and_pair_of_states() -> None:
    rows = table_rows()
    keys = [(row["action"], row["vm_state"], row["task_state"]) for row in rows]

    assert keys == list(product(ACTIONS, NOVA["vm_states"], (None, *NOVA["task_states"])))
    assert len(rows) == 59 * 12 * 43


def test_the_table_says_what_nova_allows_and_sets() -> None:
    for row in table_rows():
        entry = ACTIONS[row["action"]]
        allowed = is_listed(entry["vm_states"], row["vm_state"]) and is_listed(
            entry["task_states"], row["task_state"]
        )

        assert row["allowed"] is allowed, row
        assert row["sets_task_state"] == (entry["sets_task_state"] if allowed else None), row


def test_the_table_is_plain_enough_for_every_output_format() -> None:
    kinds = {type(value) for row in table_rows() for value in row.values()}

    assert kinds == {str, bool, type(None)}


def test_create_is_refused_for_an_instance_that_exists() -> None:
    assert all(not row["allowed"] for row in table_rows() if row["action"] == "create")
    assert refusal(PERMISSIONS["create"], AT_EASE) == Refusal(
        "vm-state", f"Cannot 'create' instance {INSTANCE} while it is in vm_state active"
    )


@pytest.mark.parametrize(
    ("action", "now", "expected"),
    [
        (
            "resize",
            replace(AT_EASE, vm_state=VmState.PAUSED),
            Refusal(
                "vm-state", f"Cannot 'resize' instance {INSTANCE} while it is in vm_state paused"
            ),
        ),
        (
            "confirm_resize",
            AT_EASE,
            Refusal(
                "vm-state",
                f"Cannot 'confirmResize' instance {INSTANCE} while it is in vm_state active",
            ),
        ),
        (
            "live_migrate",
            replace(AT_EASE, task_state=TaskState.POWERING_OFF),
            Refusal(
                "task-state",
                f"Cannot 'os-migrateLive' instance {INSTANCE} "
                "while it is in task_state powering-off",
            ),
        ),
        (
            "live_migrate_force_complete",
            AT_EASE,
            Refusal(
                "task-state", f"Instance {INSTANCE} is in an invalid state for 'force_complete'"
            ),
        ),
        (
            "pause",
            replace(AT_EASE, launched=False),
            Refusal("never-launched", f"Instance {INSTANCE} is in an invalid state for 'pause'"),
        ),
        (
            "stop",
            replace(AT_EASE, locked=True),
            Refusal("locked", f"Instance {INSTANCE} is locked"),
        ),
        (
            "stop",
            replace(AT_EASE, host=None),
            Refusal("no-host", f"Instance {INSTANCE} is not ready"),
        ),
        (
            "migrate",
            replace(AT_EASE, source_up=False),
            Refusal("host-down", "Service is unavailable at this time."),
        ),
        (
            "evacuate",
            AT_EASE,
            Refusal("host-up", "Compute service of node-1 is still in use."),
        ),
        (
            "revert_resize",
            replace(AT_EASE, vm_state=VmState.RESIZED, migration_status=MigrationStatus.CONFIRMING),
            Refusal(
                "migration-status",
                f"Migration not found for instance {INSTANCE} with status finished.",
            ),
        ),
        (
            "live_migrate_abort",
            replace(
                AT_EASE, task_state=TaskState.MIGRATING, migration_status=MigrationStatus.ACCEPTED
            ),
            Refusal(
                "migration-status",
                f"Migration state of instance {INSTANCE} is accepted. "
                "Cannot abort live migration while the migration is in this state.",
            ),
        ),
        (
            "external_event_power_update_off",
            replace(AT_EASE, power_state=PowerState.SHUTDOWN),
            Refusal(
                "power-state",
                f"Cannot 'stop' instance {INSTANCE} while it is in power_state shutdown",
            ),
        ),
    ],
)
def test_a_refusal_names_its_reason_in_novas_words(
    action: str, now: Circumstances, expected: Refusal
) -> None:
    assert refusal(PERMISSIONS[action], now) == expected


def test_the_lock_speaks_before_the_states_and_the_states_before_the_host() -> None:
    everything_wrong = replace(
        AT_EASE,
        vm_state=VmState.PAUSED,
        task_state=TaskState.DELETING,
        launched=False,
        locked=True,
        host=None,
        source_up=False,
    )
    mended: tuple[dict[str, Any], ...] = (
        {"locked": False},
        {"vm_state": VmState.ACTIVE},
        {"task_state": None},
        {"launched": True},
        {"host": HostName("node-1")},
        {"source_up": True},
    )
    codes = []
    now = everything_wrong
    for change in mended:
        answer = refusal(PERMISSIONS["resize"], now)
        assert answer is not None
        codes.append(answer.code)
        now = replace(now, **change)

    assert codes == ["locked", "vm-state", "task-state", "never-launched", "no-host", "host-down"]
    assert refusal(PERMISSIONS["resize"], now) is None


def test_an_administrator_may_change_what_is_locked() -> None:
    assert refusal(PERMISSIONS["stop"], replace(AT_EASE, locked=True, is_admin=True)) is None


def test_a_volume_leaves_an_offloaded_server_without_any_host() -> None:
    offloaded = replace(AT_EASE, vm_state=VmState.SHELVED_OFFLOADED, host=None, source_up=False)

    assert refusal(PERMISSIONS["detach_volume"], offloaded) is None


@pytest.mark.parametrize("action", ["delete", "force_delete", "reset_state"])
def test_delete_and_reset_are_open_in_every_state(action: str) -> None:
    for now in by_states(replace(AT_EASE, host=None, source_up=False)):
        assert refusal(PERMISSIONS[action], replace(now, locked=False)) is None


def test_evacuation_breaks_into_any_task_once_the_host_is_down() -> None:
    for vm_state, task_state in product((VmState.ACTIVE, VmState.STOPPED, VmState.ERROR), TASKS):
        now = replace(AT_EASE, vm_state=vm_state, task_state=task_state, source_up=False)

        assert refusal(PERMISSIONS["evacuate"], now) is None
