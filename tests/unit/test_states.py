"""The vocabulary is nova's, word for word, by comparison with what was read out of nova."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from statemachines import states
from statemachines.states import (
    InstanceAction,
    MigrationStatus,
    MigrationType,
    PowerState,
    TaskState,
    VmState,
    api_status,
)

NOVA: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "nova-states.json").read_text(encoding="utf-8")
)


def test_the_states_are_novas_in_novas_order() -> None:
    assert [str(state) for state in VmState] == NOVA["vm_states"]
    assert [str(state) for state in TaskState] == NOVA["task_states"]


def test_the_migration_words_are_novas_in_novas_order() -> None:
    assert [str(kind) for kind in MigrationType] == NOVA["migration_types"]
    assert [str(status) for status in MigrationStatus] == NOVA["migration_statuses"]


def test_the_power_states_have_novas_numbers_names_and_labels() -> None:
    assert {str(int(power)): power.name for power in PowerState} == NOVA["power_state_names"]
    assert {str(int(power)): label for power, label in states.POWER_STATE_LABELS.items()} == NOVA[
        "power_states"
    ]


def test_the_instance_actions_are_novas() -> None:
    assert {action.name: action.value for action in InstanceAction} == NOVA["instance_actions"]


def test_a_member_is_named_after_its_value() -> None:
    spelled = {"soft-delete": "SOFT_DELETED", "running (post-copy)": "RUNNING_POST_COPY"}
    for member in (*VmState, *TaskState, *MigrationType, *MigrationStatus):
        expected = spelled.get(member.value, member.value.upper().replace("-", "_"))

        assert member.name == expected


@pytest.mark.parametrize("kind", MigrationType)
def test_the_statuses_of_a_migration_follow_novas_sequences(kind: MigrationType) -> None:
    told = NOVA["migration_status_sequences"][kind]
    expected = [told[name] for name in ("happy", "with_post_copy", "reverted") if name in told]

    assert [list(sequence) for sequence in states.MIGRATION_SEQUENCES[kind]] == expected


@pytest.mark.parametrize("kind", MigrationType)
def test_a_migration_ends_in_novas_terminal_statuses(kind: MigrationType) -> None:
    told = NOVA["migration_status_sequences"][kind]["terminal"]

    assert {status for status in MigrationStatus if states.is_terminal(kind, status)} == set(told)
    assert all(
        states.is_terminal(kind, sequence[-1]) for sequence in states.MIGRATION_SEQUENCES[kind]
    )


def test_in_progress_is_what_novas_two_queries_find() -> None:
    told = NOVA["migration_in_progress_queries"]

    assert set(told["by_instance"]) == states.IN_PROGRESS_FOR_INSTANCE
    assert set(NOVA["migration_statuses"]) - set(told["by_host_excludes"]) == (
        states.IN_PROGRESS_FOR_HOST
    )


def test_the_visible_status_of_every_pair_of_states_is_novas() -> None:
    for vm_state in NOVA["vm_states"]:
        by_task = NOVA["api_status_map"][vm_state]
        for task_state in (None, *NOVA["task_states"]):
            expected = by_task.get(task_state, by_task["default"])

            assert api_status(vm_state, task_state) == expected, (vm_state, task_state)


def test_a_vm_state_that_nova_does_not_have_shows_as_unknown() -> None:
    assert api_status("melted", None) == "UNKNOWN"
    assert api_status("melted", "migrating") == "UNKNOWN"


def test_a_task_state_that_nova_does_not_have_shows_the_vm_state() -> None:
    assert api_status("stopped", "melting") == "SHUTOFF"
