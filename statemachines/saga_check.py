"""The check that no saga can get stuck, made when a conductor starts.

It follows a table along every way, the conditions taken both ways, and names what it finds: a wait
without owner, deadline or bound; a way that leads nowhere; a failure, or a pair of them, after
which the saga goes round for ever. Two waits count as an end: for a person (alarmed, and led out of
by retry, compensate or resolve), and the patient wait of a clean-up owed, which ends when its host
is back or is resolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from msgspec.structs import fields

from events.register import FACTS
from statemachines.rules import SETTINGS
from statemachines.saga import (
    HOST_LOST,
    REFUSED,
    TIMED_OUT,
    Again,
    End,
    NeedsOperator,
    Next,
    Role,
    Saga,
    Step,
    To,
    branches,
)

#: Words of a step that no fact says: what its operator does, and what follows its last attempt.
COMPENSATED: Final = "SagaCompensated"
EXHAUSTED: Final = "the last attempt"
#: Attempts after the first: enough for a host that starts anew, few enough for a person to be told
#: within the day.
RETRIES_MAX: Final = 10

_Way = To | End | Again | NeedsOperator


def faults_of(table: Saga) -> tuple[str, ...]:
    """Name everything that could leave the saga stuck; empty for a saga that may be loaded.

    Each waiting step has an owner that is known by then, a deadline, a bound of its retries, an
    answer to refusal, to a lost host, to a time-out and to an operator who would go back; each way
    leads to a step or an ending that exists; and a terminal state is reached after every single
    failure that keeps happening, and after every pair: one failure of a step, then another that
    keeps happening where it led.
    """
    found = [f for step in table.steps.values() for f in _step_faults(table, step)]
    found += [f"first {f}" for f in _dangling(table, table.first)]
    if not found:
        found += [*_walk_faults(table), *_circles(table)]
    return tuple(f"{table.name}: {fault}" for fault in found)


def failures_of(step: Step) -> tuple[str, ...]:
    """Name every failure that a step may meet: what its command fails with, and the common ones."""
    common = (TIMED_OUT,) if step.to is Role.SCHEDULER else (TIMED_OUT, HOST_LOST, REFUSED)
    said = tuple(name for name in step.on if name not in common and _is_failure(name))
    return said if step.command is None else (*common, *said)


def ways_of(step: Step, word: str) -> tuple[_Way, ...]:
    """Return where a word may lead from a step; another attempt counts as the last one."""
    if word == EXHAUSTED:
        return tuple(branches(step.exhausted))
    if word == COMPENSATED:
        return () if step.compensate is None else tuple(branches(step.compensate))
    found: list[_Way] = []
    for way in branches(step.on.get(word, Again())):
        found += branches(step.exhausted) if isinstance(way, Again) else (way,)
    return tuple(found)


def _words(step: Step) -> tuple[str, ...]:
    return (*dict.fromkeys((*failures_of(step), *step.on)), EXHAUSTED, COMPENSATED)


def _is_failure(name: str) -> bool:
    """Say whether a fact tells of a failure: it has a reason."""
    fact = FACTS.get(name)
    return fact is not None and any(each.name == "reason" for each in fields(fact))


# What a step must have.


def _step_faults(table: Saga, step: Step) -> Iterator[str]:
    for fault in (*_owner_faults(step), *_bound_faults(step), *_way_back_faults(step)):
        yield f"step {step.name}: {fault}"
    compensate = () if step.compensate is None else (step.compensate,)
    for next_ in (*step.on.values(), step.exhausted, *compensate):
        yield from (f"step {step.name}: {f}" for f in _dangling(table, next_))


def _way_back_faults(step: Step) -> Iterator[str]:
    """An operator who would have it undone comes somewhere, or hears why not."""
    ways = () if step.compensate is None else tuple(branches(step.compensate))
    if any(isinstance(way, Again) for way in ways):
        yield "Expected a way back, but another attempt"
    leads_nowhere = not ways or any(isinstance(way, NeedsOperator) for way in ways)
    if leads_nowhere != bool(step.no_way_back):
        yield "Expected a way back, or why there is none, but " + (
            "neither" if leads_nowhere else "both"
        )


def _owner_faults(step: Step) -> Iterator[str]:
    if step.command is None:
        if not step.patient:
            yield "Expected a command or patience, but neither"
        if not step.on:
            yield "Expected a fact that ends it, but none"
    elif step.to is not Role.SCHEDULER:
        for word in (HOST_LOST, REFUSED):
            if word not in step.on:
                yield f"Expected a way for {word}, but none"


def _bound_faults(step: Step) -> Iterator[str]:
    if not step.deadline and not step.patient:
        yield "Expected a deadline, but none"
    if step.deadline and step.deadline not in SETTINGS:
        yield f"Expected a setting as deadline, but {step.deadline}"
    if not 0 <= step.retries <= RETRIES_MAX:
        yield f"Expected 0 to {RETRIES_MAX} retries, but {step.retries}"
    if any(isinstance(way, Again) for way in branches(step.exhausted)):
        yield "Expected a way out when the retries are used up, but another attempt"


def _dangling(table: Saga, next_: Next) -> Iterator[str]:
    for way in branches(next_):
        match way:
            case To():
                if way.step not in table.steps:
                    yield f"Expected a step {way.step}, but there is none"
                if way.outcome is not None and way.outcome not in table.endings:
                    yield f"Expected an ending {way.outcome}, but there is none"
            case End():
                if way.ending is not None and way.ending not in table.endings:
                    yield f"Expected an ending {way.ending}, but there is none"
            case NeedsOperator():
                if "resolved" not in table.endings:
                    yield "Expected an ending resolved for its operator, but there is none"
            case Again():
                pass


# What must be known when a step is reached.


class _Stand(NamedTuple):
    step: str
    has_destination: bool
    has_outcome: bool


def _walk_faults(table: Saga) -> Iterator[str]:
    """Walk every way from the start: whoever is asked is known by then, and so is the outcome."""
    chooses = any(step.to is Role.SCHEDULER for step in table.steps.values())
    found: dict[str, None] = {}
    seen: set[_Stand] = set()
    queue = [
        _Stand(way.step, not chooses, way.outcome is not None)
        for way in branches(table.first)
        if isinstance(way, To)
    ]
    while queue:
        stand = queue.pop()
        if stand in seen:
            continue
        seen.add(stand)
        step = table.steps[stand.step]
        if step.to is Role.DESTINATION and not stand.has_destination:
            found[f"step {step.name}: Expected a destination by then, but none is chosen"] = None
        for word in _words(step):
            for way in ways_of(step, word):
                if isinstance(way, To):
                    queue.append(_after(stand, step, way))
                elif isinstance(way, End) and way.ending is None and not stand.has_outcome:
                    found[f"step {step.name}: Expected an outcome after {word}, but none"] = None
    yield from found
    yield from (
        f"step {name}: Expected a way there, but none"
        for name in table.steps
        if name not in {stand.step for stand in seen}
    )


def _after(stand: _Stand, step: Step, way: To) -> _Stand:
    has_destination = stand.has_destination or step.to is Role.SCHEDULER
    has_outcome = stand.has_outcome or way.outcome is not None
    return _Stand(way.step, has_destination and not way.give_up, has_outcome)


# What could go round for ever.


def _circles(table: Saga) -> Iterator[str]:
    """Name each failure, and each pair of them, after which no ending may be reached."""
    single = [
        f"step {step.name}: no ending can be reached if {failure} keeps happening"
        for step in table.steps.values()
        for failure in failures_of(step)
        if _goes_round(table, step.name, {step.name: (failure,)}, (failure,))
    ]
    pairs = [] if single else list(_pairs(table))
    yield from (*single, *pairs)
    if not single and not pairs:
        yield from (
            f"step {name}: failures that keep happening may lead back to it"
            for name in table.steps
            if _goes_round(table, name, {s.name: failures_of(s) for s in table.steps.values()}, ())
        )


def _pairs(table: Saga) -> Iterator[str]:
    for step in table.steps.values():
        for first in failures_of(step):
            for then in dict.fromkeys(w.step for w in ways_of(step, first) if isinstance(w, To)):
                for second in failures_of(table.steps[then]):
                    if _goes_round(table, then, {step.name: (first,)}, (second,)):
                        yield (
                            f"step {step.name}: no ending can be reached if after {first} there "
                            f"{second} keeps happening in {then}"
                        )


def _goes_round(
    table: Saga, start: str, own: Mapping[str, tuple[str, ...]], common: tuple[str, ...]
) -> bool:
    """Say whether failures may lead round for ever: each step's own, else those common to all.

    A way that gives the destination up is no way round: there are only so many hosts.
    """

    def visit(name: str, path: tuple[str, ...]) -> bool:
        if name in path:
            return True
        step = table.steps[name]
        return not step.patient and any(
            visit(way.step, (*path, name))
            for word in own.get(name, common)
            for way in ways_of(step, word)
            if isinstance(way, To) and not way.give_up
        )

    return visit(start, ())
