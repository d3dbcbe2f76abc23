"""The failure matrix: every operation, every step, whatever may befall whoever and when.

Generated from the sagas' tables (`cells`): a new operation is in it as soon as its table is. A cell
brings an operation to a step in the lab, lets its blows fall at their moments, heals what they
broke, runs to rest, and asks whether every law holds. A guest that is left in error though its
disks are at its home is rebooted hard and has to run; then the instance is deleted, and nothing may
be left.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from enum import StrEnum
from functools import partial
from typing import Final

from compute.fake_effects import RESTORABLE
from conductor import fold
from events.codec import decode_fact
from events.requests import ActionRequested
from events.values import replace
from statemachines.held import SagaState
from statemachines.saga import HOST_LOST, Saga
from statemachines.saga_check import failures_of
from tests.simulation import provoking, troubles
from tests.simulation.cells import (
    ANSWER,
    OPERATOR,
    USER,
    Blow,
    Cell,
    actor_of,
    not_applicable,
    steps_after,
)
from tests.simulation.invariants import empty, quiet
from tests.simulation.lab import Lab, Trap
from tests.simulation.moments import Moment, Target
from tests.simulation.patching import patched, uncollected
from tests.simulation.processes import Process, S
from tests.simulation.routes import Asked, Route, arm, go, make, operations, prepared, route_to
from tests.simulation.troubles import CONDUCTORS, HOSTS, Trouble, Victim

#: The second blow of a pair falls when the next command begins, and after so long in any case.
SECOND_AFTER_S: Final = 30
#: A second blow may fall upon the first.
REBOOTS_MAX: Final = 3


class State(StrEnum):
    """How a cell ended."""

    PASSED = "passed"
    FAILED = "failed"
    #: There is no such case, for a reason.
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Result:
    """How a cell ended, and why."""

    cell: Cell
    state: State
    sentences: tuple[str, ...] = ()
    #: Had an operator to lead it out?
    needed_operator: bool = False
    #: How long a processor was at it.
    seconds: float = field(default=0.0, compare=False)


# How a cell is run.


def run(cell: Cell) -> Result:
    """Return how a cell ended; it ends the same each time."""
    if reason := not_applicable(cell):
        return Result(cell, State.NOT_APPLICABLE, (reason,))
    began = time.process_time()
    route = route_to(cell.operation, cell.step)
    if route is None:
        return Result(cell, State.FAILED, ("no way leads to the step",))
    try:
        lab, request = prepared(route)
    except AssertionError as error:
        return Result(cell, State.FAILED, (f"{type(error).__name__}: {error}",))
    here = _Run(cell, route, lab)
    return changed(here.result(request), seconds=time.process_time() - began)


class _Run:
    """One cell in its lab."""

    def __init__(self, cell: Cell, route: Route, lab: Lab) -> None:
        self._cell = cell
        self._route = route
        self._lab = lab
        self._target = Target(lab, operations()[cell.operation], cell.step)
        self._absent: str | None = None
        self._is_struck = False
        self._is_struck_again = False
        self._second: Trap | None = None

    def result(self, request: Asked) -> Result:
        """Make the request, run the cell, and look at what is left."""
        lab, cell, broken = self._lab, self._cell, list[str]()
        with uncollected(), patched((fold, "step", lab.watch.step)):
            try:
                arm(lab, self._route)
                self._plan_first(cell.first)
                make(lab, request)
                go(lab, self._route)
                if cell.first.victim == ANSWER:
                    lab.turn()  # What was held back for as long as the step lasted comes now.
                    lab.settle()
                if (second := self._second) is not None:
                    lab.until(lambda: second.is_sprung, "the second blow")
                    lab.turn()
                    lab.settle()
                if reason := self._missing():
                    return Result(cell, State.NOT_APPLICABLE, (reason,))
                broken += [*self._unsaid(), *quiet(lab)]
                if not broken:
                    broken += self._started_again()
                if not broken:
                    lab.workload.delete_all()
                    lab.settle()
                    broken += empty(lab)
            except AssertionError as error:
                broken.append(f"{type(error).__name__}: {error}")
        state = State.FAILED if broken else State.PASSED
        return Result(cell, state, tuple(broken), lab.operators.was_needed)

    def _started_again(self) -> list[str]:
        """See that a guest in error whose disks are at its home runs after a hard reboot.

        Of one that was never launched nova refuses it: it can only be deleted.
        """
        lab, held = self._lab, self._lab.held
        if held is None or held.vm_state != "error" or held.host is None or not held.launched_at:
            return []
        half = lab.world.half(held.host, lab.uuid)
        if half is None or half.role not in RESTORABLE:
            return []
        for _ in range(REBOOTS_MAX):
            lab.ask(requested("reboot_hard"))
            lab.settle()
            held = lab.held
            if held is not None and held.vm_state == "active":
                return quiet(lab)
        states = None if held is None else (held.vm_state, held.task_state, held.power_state)
        return [f"Expected a guest of what is {half.role} on {half.host}, but {states}"]

    def _missing(self) -> str | None:
        """Say what did not come in the course of this; None where all did."""
        if self._absent:
            return self._absent
        if not self._is_struck:
            return "the moment does not come on the way there"
        cell = self._cell
        if cell.second is not None:
            is_lacking = cell.second.victim == ANSWER and not self._is_struck_again
            return "the first failure does not lead to the second's step" if is_lacking else None
        is_lost = cell.first.victim == ANSWER and HOST_LOST in self._said()
        return "its host is lost before it says so" if is_lost and self._unsaid() else None

    def _unsaid(self) -> list[str]:
        """See that what was to be answered was."""
        cell = self._cell
        if cell.first.victim != ANSWER or cell.second is not None:
            return []
        word, said = cell.first.trouble, self._said()
        return [] if word in said else [f"Expected {word} at {cell.step}, but {sorted(said)}"]

    def _said(self) -> set[str]:
        """Name the facts that tell of the step, or answer its first commands."""
        lab, ids = self._lab, {order.command_id for order in self._target.orders}
        found = set[str]()
        for tp in lab.partitions():
            for record in lab.log.partition(tp).records:
                meta, fact = decode_fact(record.value or b"")
                if meta.command_id in ids or getattr(fact, "step", None) == self._cell.step:
                    found.add(type(fact).__name__)
        return found

    # When.

    def _plan_first(self, blow: Blow) -> None:
        if blow.victim == ANSWER:
            provoking.provoke(self._lab, self._target, blow.trouble, self._struck)
        else:
            self._lab.traps.append(Trap(self._is_moment, self._strike))

    def _is_moment(self, who: Process, name: str, subject: object) -> bool:
        cell, target = self._cell, self._target
        if cell.first.victim == Victim.LOG:
            return self._is_moment_of_log(who, name, subject)
        return target.is_at(actor_of(cell.first.victim), cell.moment, who, name, subject)

    def _is_moment_of_log(self, who: Process, name: str, subject: object) -> bool:
        target, moment = self._target, self._cell.moment
        target.look(name, subject)
        is_done = moment in (Moment.AFTER_EFFECT, Moment.AFTER_SEND)
        if not target.orders or name != ("log.append.done" if is_done else "log.append"):
            return False
        is_command = moment in (Moment.BEFORE, Moment.AFTER_EFFECT)
        return target.sends_command(subject) if is_command else target.sends_answer(subject)

    # What.

    def _strike(self, who: Process, point: str) -> None:
        self._struck(who, point)
        self._fall(self._cell.first, who, point)

    def _struck(self, _who: Process, _point: str) -> None:
        self._is_struck = True
        if self._cell.second is None:
            return
        if self._cell.second.victim == ANSWER:
            self._plan_answer(self._cell.second.trouble)
        else:
            self._plan_second(self._cell.second)

    def _plan_answer(self, word: str) -> None:
        """Have the steps to which the first failure leads fail too."""
        target, first = self._target, self._cell.first
        for step in steps_after(target.table, target.step, first.trouble):
            if word in failures_of(step) and provoking.why_not(step, word) is None:
                then = Target(self._lab, target.table, step.name)
                provoking.provoke(self._lab, then, word, self._struck_again)

    def _struck_again(self, _who: Process, _point: str) -> None:
        self._is_struck_again = True

    def _plan_second(self, blow: Blow) -> None:
        lab, known = self._lab, {order.command_id for order in self._target.orders}
        until = lab.now_us + SECOND_AFTER_S * S
        trap = Trap(partial(self._is_next, known), partial(self._fall_second, blow))
        self._second = trap
        lab.traps.append(trap)

        def fall_late() -> None:
            if not trap.is_sprung:
                trap.is_sprung = True
                self._fall(blow, None, "")

        lab.when(lambda: lab.now_us >= until, fall_late)

    def _is_next(self, known: set[str], who: Process, name: str, subject: object) -> bool:
        if name != "driver.begin":
            return False
        address = subject.address  # type: ignore[attr-defined]  # a letter
        return address.command_id not in known

    def _fall_second(self, blow: Blow, who: Process, point: str) -> None:
        self._fall(blow, who, point)

    def _fall(self, blow: Blow, who: Process | None, point: str) -> None:
        lab = self._lab
        if blow.victim == USER:
            self._ask(blow.trouble)
            return
        if blow.victim == OPERATOR:
            provoking.have_undone(lab, self._target)
            return
        victim, trouble = Victim(blow.victim), Trouble(blow.trouble)
        if victim in HOSTS:
            host = self._host(victim)
            if host is not None:
                troubles.befall_host(lab, host, trouble, who, point)
            return
        assert who is not None, f"Expected a process at the moment of {blow}, but none"
        if victim in CONDUCTORS:
            troubles.befall_conductor(lab, trouble, who, point)
        elif victim is Victim.DATABASE:
            troubles.befall_database(lab, trouble, who)
        else:
            troubles.befall_log(lab, trouble, who)

    def _host(self, victim: Victim) -> str | None:
        """Name the source or the destination of what is going on; note where there is none."""
        held, saga = self._lab.held, self._saga()
        source = None if held is None else held.host
        destination = None if saga is None else saga.destination
        if held is not None and held.move is not None and _is_of_move(self._target.table):
            source = held.move.source
            destination = destination or held.move.destination
        found = source if victim is Victim.SOURCE else destination
        if found is None:
            self._absent = self._absent or f"there is no {victim} at this step"
        elif victim is Victim.DESTINATION and source == destination and held is not None:
            self._absent = self._absent or "the destination is the source"
        return found

    def _saga(self) -> SagaState | None:
        name = self._target.table.name
        sagas = self._lab.sagas()
        return next((s for s in sagas if s.saga == name), sagas[0] if sagas else None)

    def _ask(self, action: str) -> None:
        lab = self._lab
        held = lab.held
        if action == "evacuate" and held is not None and held.host is not None:
            fenced = replace(requested(action), source_up=False, fenced_hosts=(held.host,))
            lab.ask_of_fenced(held.host, fenced)
        else:
            lab.ask(requested(action))


def requested(action: str) -> ActionRequested:
    """Return what a user asks meanwhile; of a reset the state, where it is not `error`."""
    action, _, state = action.partition("=")
    arguments = {"state": state or "error"} if action == "reset_state" else {}
    return ActionRequested(
        action=action, user_id="user", project_id="project", is_admin=True, arguments=arguments
    )


def _is_of_move(table: Saga) -> bool:
    return table.migration_status is not None


# What came of it.


def summary(results: Sequence[Result]) -> str:
    """Return the counts per operation, and the reasons for what is not applicable."""
    heads = ("cells", "possible", "passed", "failed", "operator", "seconds")
    lines = ["".join((f"{'operation':30}", *(f"{each:>9}" for each in heads)))]
    reasons: dict[str, int] = {}
    for name in dict.fromkeys(r.cell.operation for r in results):
        lines.append(_line(name, [r for r in results if r.cell.operation == name]))
    lines.append(_line("all", results))
    for result in results:
        if result.state is State.NOT_APPLICABLE:
            reasons[result.sentences[0]] = reasons.get(result.sentences[0], 0) + 1
    lines += [f"not applicable {count:6}: {reason}" for reason, count in sorted(reasons.items())]
    return "\n".join(lines)


def _line(name: str, results: Sequence[Result]) -> str:
    count = {state: sum(r.state is state for r in results) for state in State}
    possible = len(results) - count[State.NOT_APPLICABLE]
    operator = sum(r.needed_operator for r in results)
    seconds = round(sum(r.seconds for r in results))
    numbers = (len(results), possible, count[State.PASSED], count[State.FAILED], operator, seconds)
    return "".join((f"{name:30}", *(f"{each:9}" for each in numbers)))


def story(result: Result) -> str:
    """Return why a cell failed, and the command that repeats it."""
    lines = [f"{result.cell}: {result.state}", *(f"  {each}" for each in result.sentences)]
    if result.state is State.FAILED:
        lines.append(f"  again: make matrix CELL={result.cell}")
    return "\n".join(lines)
