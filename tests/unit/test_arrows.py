"""The table of arrows, compared pair by pair with the machines that `transitions` makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from transitions import Machine, MachineError

from events.register import FACTS, NODE_FACTS
from statemachines.arrows import arrows, table
from statemachines.conditions import CONDITIONS
from statemachines.machine import (
    IDLE,
    KEEP,
    TASK_STATES,
    VM_STATES,
    Arrow,
    compiled,
    machines,
    name_of,
)
from statemachines.sagas import BY_ACTION, IMMEDIATE, SAGAS

PAIRS = [(vm, task) for vm in VM_STATES for task in TASK_STATES]


class Model:
    """What `transitions` moves; the machine adds `state` and `trigger`."""


def fire(machine: Machine, model: Any, trigger: str, state: str) -> str | None:
    """Return the state to which a trigger leads from a state; None where it is refused."""
    machine.set_state(state, model)
    try:
        model.trigger(trigger)
    except MachineError:
        return None
    return str(model.state)


@cache
def fired() -> tuple[dict[tuple[int, str], str | None], dict[tuple[int, str], str | None]]:
    """Fire every arrow from every state of its machine: where each leads."""
    said = arrows()
    vm_machine, task_machine = machines(said)
    vm_model, task_model = Model(), Model()
    vm_machine.add_model(vm_model)
    task_machine.add_model(task_model)
    vm: dict[tuple[int, str], str | None] = {}
    task: dict[tuple[int, str], str | None] = {}
    for n, arrow in enumerate(said):
        trigger = name_of(arrow, n)
        for state in VM_STATES:
            vm[n, state] = fire(vm_machine, vm_model, trigger, state)
        for each in TASK_STATES:
            name = IDLE if each is None else each
            task[n, name] = fire(task_machine, task_model, trigger, name)
    return vm, task


def after(arrow: Arrow, vm_state: str, task_state: str | None) -> tuple[str, str]:
    """Return where an arrow of the table leads."""
    vm = vm_state if arrow.vm_state == KEEP else arrow.vm_state
    task = task_state if arrow.task_state == KEEP else arrow.task_state
    return vm, IDLE if task is None else task


def by_machine(
    numbers: list[int], vm_state: str, task_state: str | None
) -> Iterator[tuple[str, str]]:
    """Yield where the machines lead by the arrows of one trigger that both accept."""
    vm, task = fired()
    name = IDLE if task_state is None else task_state
    for n in numbers:
        vm_after, task_after = vm[n, vm_state], task[n, name]
        if vm_after is not None and task_after is not None:
            yield vm_after, task_after


def test_every_trigger_leads_from_every_pair_to_where_the_machines_lead() -> None:
    numbers: dict[str, list[int]] = {}
    for n, arrow in enumerate(arrows()):
        numbers.setdefault(arrow.trigger, []).append(n)

    for trigger, mine in numbers.items():
        for vm, task in PAIRS:
            said = [after(a, vm, task) for a in table().open[trigger, vm, task]]
            assert said == list(by_machine(mine, vm, task)), (trigger, vm, task)


def test_all_stored_combinations_are_there() -> None:
    assert len(VM_STATES) == 12
    assert len(TASK_STATES) == 43


def test_every_fact_request_and_ending_has_arrows() -> None:
    facts = set(FACTS) - set(NODE_FACTS)
    requests = {f"request:{a}" for a in (*BY_ACTION, *IMMEDIATE) if a != "create"}
    endings = {f"{t.name}:{e}" for t in SAGAS.values() for e in t.endings}

    assert set(table().by_trigger) == facts | requests | endings


def test_every_ending_of_a_primary_saga_leaves_no_task_behind() -> None:
    # Wherever its request, or a fact on the way, can leave the task_state.
    left = {
        f"{saga.name}:{ending}"
        for saga in SAGAS.values()
        if saga.primary
        for ending in saga.endings
        if not any(a.task_state is None for a in table().by_trigger[f"{saga.name}:{ending}"])
    }

    # A confirm never had one.
    assert left == {"confirm_resize:failed"}


def test_every_condition_of_an_arrow_is_known() -> None:
    assert {a.condition for a in arrows() if a.condition is not None} <= CONDITIONS.keys()


@pytest.mark.parametrize(
    ("vm_state", "task_state"), [("nowhere", None), ("active", "dreaming")], ids=["vm", "task"]
)
def test_an_arrow_to_a_state_that_is_none_is_refused(vm_state: str, task_state: str | None) -> None:
    arrow = Arrow("Dreamt", frozenset({"active"}), frozenset({None}), vm_state, task_state)

    with pytest.raises(ValueError, match=r"nowhere|dreaming"):
        compiled([arrow])
