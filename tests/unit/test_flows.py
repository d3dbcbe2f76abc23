"""Nova's flows against the tables: whose each is, and that each word of it is said here too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from events.requests import ActionRequested
from statemachines.arrows import table
from statemachines.permissions import PERMISSIONS
from statemachines.refused import UNSUPPORTED, never_taken
from statemachines.request_arguments import CROSS_CELL
from statemachines.saga import Saga
from statemachines.sagas import BY_ACTION, IMMEDIATE
from statemachines.states import MigrationStatus, TaskState

ROOT: Final = Path(__file__).parents[2]
NOVA = json.loads((ROOT / "tests/data/nova-states.json").read_text())
FLOWS: Final[dict[str, dict[str, Any]]] = {flow["operation"]: flow for flow in NOVA["flows"]}
#: Which actions carry out a flow of nova's; none where a request for it is refused.
CARRIED_OUT: Final[dict[str, tuple[str, ...]]] = {
    "build": ("create",),
    "live-migration": ("live_migrate",),
    "live-migration-rollback": ("live_migrate",),
    "live-migration-abort": ("live_migrate_abort", "live_migrate"),
    "live-migration-force-complete": ("live_migrate_force_complete", "live_migrate"),
    "resize": ("resize",),
    "cold-migration": ("migrate",),
    "resize-confirm": ("confirm_resize",),
    "resize-revert": ("revert_resize",),
    "rebuild": ("rebuild",),
    "evacuate": ("evacuate",),
    "shelve": ("shelve", "shelve_offload"),
    "unshelve": ("unshelve",),
    "cross-cell-resize": (),
    "cross-cell-confirm": (),
    "cross-cell-revert": (),
    "delete": ("delete", "force_delete"),
    "soft-delete": ("soft_delete",),
    "restore": ("restore",),
}
#: Statuses that a flow names and its sagas do not set: why.
OTHERWISE: Final[dict[str, dict[str, str]]] = {
    "resize-confirm": {"finished": "the resize left it so"},
    "evacuate": {"completed": "set when the old host has paid: statemachines.tombstones"},
    "delete": {
        "confirmed": "set when the instance is buried: statemachines.burial",
        "confirming": "one fact, one change: README",
    },
}
OF_FLOW = pytest.mark.parametrize(
    "flow", [name for name, actions in CARRIED_OUT.items() if actions]
)


def named(flow: str, kind: type[TaskState | MigrationStatus], of: str) -> set[str]:
    """Name the states of a kind that the steps of a flow name."""
    found = set[str]()
    for step in FLOWS[flow]["steps"]:
        told = step["instance"]["task_state"] if of == "task_state" else step.get(of)
        words = set(re.findall(r"[\w-]+(?: \(post-copy\))?", told or ""))
        found |= words & {str(member) for member in kind}
    return found


def tables_of(flow: str) -> Iterator[Saga]:
    """Yield the tables that carry out a flow."""
    yield from (BY_ACTION[action] for action in CARRIED_OUT[flow])


def tasks_of(flow: str) -> set[str]:
    """Name every task_state into which a request, fact or ending of a flow's sagas leads."""
    triggers = {f"request:{action}" for action in CARRIED_OUT[flow]}
    for saga in tables_of(flow):
        triggers |= {f"{saga.name}:{ending}" for ending in saga.endings}
        for step in saga.steps.values():
            triggers |= {*step.on, *step.progress}
    return {str(a.task_state) for a in table().arrows if a.trigger in triggers} | {
        str(PERMISSIONS[action].sets_task_state) for action in CARRIED_OUT[flow]
    }


def statuses_of(flow: str) -> set[str]:
    """Name every status that a flow's sagas give to a migration."""
    found = set[MigrationStatus | None]()
    for saga in tables_of(flow):
        found |= {saga.migration_status, *saga.statuses.values()}
        found |= {step.migration_status for step in saga.steps.values()}
        found |= {ending.migration_status for ending in saga.endings.values()}
    return {str(status) for status in found if status is not None}


def test_every_flow_of_nova_is_carried_out_or_refused() -> None:
    assert FLOWS.keys() == CARRIED_OUT.keys()
    assert len(FLOWS) == 19


@OF_FLOW
def test_every_task_state_of_a_flow_is_one_here(flow: str) -> None:
    assert named(flow, TaskState, "task_state") <= tasks_of(flow)


@OF_FLOW
def test_every_migration_status_of_a_flow_is_one_here(flow: str) -> None:
    told = named(flow, MigrationStatus, "migration_status")

    assert told - statuses_of(flow) == OTHERWISE.get(flow, {}).keys()


def test_nothing_is_refused_but_what_the_readme_lists() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("## Not carried out\n")[2].partition("\n## ")[0]
    sagas, at_once = re.findall(r"\(([a-z_, ]+)\)", section.partition("\n\n")[0] or section)[:2]
    refused = [line.partition(": ")[2] for line in section.splitlines() if line.startswith("- ")]
    listed = {name for line in refused for name in re.findall(r"[a-z_]+", line)}

    assert set(sagas.split(", ")) == BY_ACTION.keys()
    assert set(at_once.split(", ")) == IMMEDIATE
    assert listed == UNSUPPORTED.keys() == PERMISSIONS.keys() - BY_ACTION.keys() - IMMEDIATE
    assert CROSS_CELL in section
    assert len(PERMISSIONS) == 59


@pytest.mark.parametrize("action", ["resize", "migrate"])
def test_a_move_to_another_cell_is_refused_with_a_sentence_that_names_it(action: str) -> None:
    asked = ActionRequested(
        action=action, user_id="u", project_id="p", arguments={CROSS_CELL: "true"}
    )

    found = never_taken(asked)

    assert found is not None
    assert found.code == "unsupported"
    assert f"cross-cell {action}" in found.sentence
