"""Mermaid text from any table: the two machines of an instance, and each saga.

It draws what the tables say and knows no operation by name, so a diagram can't tell anything but
what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from statemachines.machine import IDLE, KEEP, TASK_STATES, VM_STATES, Arrow
from statemachines.saga import (
    TIMED_OUT,
    Again,
    Choice,
    End,
    NeedsOperator,
    Next,
    Saga,
    Step,
    To,
)

_HEAD = "stateDiagram-v2"
#: A set of sources with all states in it is drawn as one.
_ANY = "any_state"
#: An arrow: from, label, to.
Edge = tuple[str, str, str]


def vm_states(arrows: Iterable[Arrow]) -> str:
    """Return the machine of vm_states: what changes what the user owns."""
    edges: list[Edge] = []
    for arrow in arrows:
        if arrow.vm_state == KEEP:
            continue
        for source in _sources(arrow.vm_states, VM_STATES):
            edges.append((source, _label(arrow), arrow.vm_state))
    return _drawn(["[*] --> building"], edges, {_ANY: "any vm_state"})


def task_states(arrows: Iterable[Arrow]) -> str:
    """Return the machine of task_states: what changes what is being done."""
    edges: list[Edge] = []
    for arrow in arrows:
        if arrow.task_state == KEEP:
            continue
        for source in _sources(arrow.task_states, TASK_STATES):
            edges.append((source, _label(arrow), arrow.task_state or IDLE))
    names = {_ANY: "any task_state", IDLE: "no task"}
    return _drawn([f"[*] --> {IDLE}"], edges, names)


def saga(table: Saga) -> str:
    """Return the steps of a saga, what ends each and where that leads, and its endings."""
    edges = [edge for step in table.steps.values() for edge in _step_edges(table, step)]
    first = [("[*]", label, target) for label, target in _ways(table, "", "", table.first)]
    used = {target for _, _, target in (*edges, *first)}
    if "needs_operator" in used and "resolved" in table.endings:
        edges.append(("needs_operator", "operator resolves", "end_resolved"))
        used.add("end_resolved")
    names = {f"end_{name}": name for name in table.endings if f"end_{name}" in used}
    tails = [f"{name} --> [*]" for name in names]
    if "needs_operator" in used:
        names["needs_operator"] = "needs an operator"
    return _drawn([], [*first, *edges], names, tails)


def way_back(table: Saga, step: Step) -> str:
    """Say where an operator's compensate leads from a step, or why nowhere."""
    if step.compensate is None:
        return f"none: {step.no_way_back}"
    ways = [
        f"{label} {target.removeprefix('end_')}".strip()
        for label, target in _ways(table, step.name, "", step.compensate)
        if target != "needs_operator"
    ]
    if step.no_way_back:
        ways.append(f"else none: {step.no_way_back}")
    when = ", once it waits for a person" if step.goes_back else ""
    return f"to {'; '.join(ways)}{when}"


def _step_edges(table: Saga, step: Step) -> Iterator[Edge]:
    for fact, next_ in step.on.items():
        for label, target in _ways(table, step.name, fact, next_):
            yield step.name, label, target
    for fact in sorted(step.progress):
        yield step.name, f"{fact} (goes on)", step.name
    if step.command is not None:
        if TIMED_OUT not in step.on:
            yield step.name, f"{TIMED_OUT} (again)", step.name
        for label, target in _ways(table, step.name, "retries used up", step.exhausted):
            yield step.name, label, target
    if step.compensate is not None:
        for label, target in _ways(table, step.name, "operator compensates", step.compensate):
            yield step.name, label, target


def _ways(table: Saga, step: str, label: str, next_: Next) -> Iterator[tuple[str, str]]:
    match next_:
        case Choice():
            yes = f"{label} [{next_.condition}]".strip()
            no = f"{label} [not {next_.condition}]".strip()
            yield from _ways(table, step, yes, next_.then)
            yield from _ways(table, step, no, next_.otherwise)
        case To():
            yield label, next_.step
        case Again():
            yield f"{label} (again)", step
        case NeedsOperator():
            yield label, "needs_operator"
        case End() if next_.ending is not None:
            yield label, f"end_{next_.ending}"
        case End():
            # The ending was noted on the way: it is one of those to which a compensation leads.
            for name in _noted(table):
                yield f"{label} [outcome {name}]", f"end_{name}"


def _noted(table: Saga) -> tuple[str, ...]:
    found = {
        way.outcome
        for step in table.steps.values()
        for next_ in (*step.on.values(), step.exhausted, step.compensate)
        if next_ is not None
        for way in _leaves(next_)
        if isinstance(way, To) and way.outcome is not None
    }
    return tuple(name for name in table.endings if name in found)


def _leaves(next_: Next) -> Iterator[Next]:
    if isinstance(next_, Choice):
        yield from _leaves(next_.then)
        yield from _leaves(next_.otherwise)
    else:
        yield next_


def _sources(states: Iterable[str | None], every: tuple[str | None, ...]) -> list[str]:
    found = set(states)
    if found == set(every):
        return [_ANY]
    return [IDLE if state is None else str(state) for state in every if state in found]


def _label(arrow: Arrow) -> str:
    # A colon would end mermaid's label.
    words = arrow.trigger.replace(":", " ")
    return f"{words} [{arrow.condition}]" if arrow.condition else words


def _drawn(
    starts: list[str], edges: list[Edge], names: dict[str, str], tails: Iterable[str] = ()
) -> str:
    """Return the text: one line for each pair of states, what leads from one to the other in it."""
    labels: dict[tuple[str, str], list[str]] = {}
    for source, label, target in edges:
        kept = labels.setdefault((source, target), [])
        if label not in kept:
            kept.append(label)
    used = {state for pair in labels for state in pair}
    lines = [_HEAD]
    lines += [f'state "{name}" as {state}' for state, name in names.items() if state in used]
    lines += starts
    for (source, target), found in labels.items():
        said = "<br/>".join(label for label in found if label)
        lines.append(f"{_id(source)} --> {_id(target)}" + (f" : {said}" if said else ""))
    lines += tails
    return lines[0] + "\n" + "".join(f"    {line}\n" for line in lines[1:])


def _id(state: str) -> str:
    return state if state == "[*]" else state.replace("-", "_")
