"""The failure matrix: every operation, every step, whatever may befall whoever and when.

Generated from the sagas' tables: a new operation is in it as soon as its table is. A cell brings
an operation to a step in the lab, lets its blows fall at their moments, heals what they broke, runs
to rest, and asks whether every law holds; then the instance is deleted, and nothing may be left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import product
from typing import Final

from conductor import fold
from events.requests import ActionRequested
from events.values import replace
from statemachines.held import SagaState
from statemachines.saga import Role, Saga
from statemachines.sagas import BY_ACTION
from tests.simulation import troubles
from tests.simulation.cloud import NoRest
from tests.simulation.invariants import empty, quiet
from tests.simulation.lab import Trap
from tests.simulation.laws import Broken
from tests.simulation.moments import Actor, Moment, Target
from tests.simulation.patching import patched
from tests.simulation.processes import Process, S
from tests.simulation.routes import Route, arm, go, make, operations, prepare, route_to
from tests.simulation.troubles import CONDUCTORS, HOSTS, Trouble, Victim

#: What a user asks meanwhile.
INTERRUPTIONS: Final = (
    *("delete", "live_migrate_abort", "reset_state", "evacuate", "stop"),
    *("live_migrate", "migrate"),
)
USER: Final = "user"
#: Moments at which a user asks: of the step's executor.
ASKING: Final = (Moment.BEFORE, Moment.AFTER_EFFECT, Moment.AFTER_JOURNAL)
#: Moments at which pairs fall of which one blow is a user's; all pairs fall before.
LATER: Final = ASKING[1:]
#: What may befall first, and second, in a pair.
_PAIRED: Final = tuple(
    (victim, trouble)
    for victim in HOSTS
    for trouble in (Trouble.CRASH, Trouble.STOP, Trouble.CUT_OFF, Trouble.POWER)
)
#: The second blow of a pair falls when the next command begins, and after so long in any case.
SECOND_AFTER_S: Final = 30


class State(StrEnum):
    """How a cell ended."""

    PASSED = "passed"
    FAILED = "failed"
    #: There is no such case, for a reason.
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens to whom; a user's is an action."""

    victim: str
    trouble: str

    def __str__(self) -> str:
        return f"{self.victim}:{self.trouble}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One case of the matrix; as text it names itself, and can be repeated by that name."""

    operation: str
    step: str
    moment: Moment
    first: Blow
    second: Blow | None = None

    def __str__(self) -> str:
        then = "" if self.second is None else f"+{self.second}"
        return f"{self.operation}/{self.step}/{self.moment}/{self.first}{then}"


@dataclass(frozen=True, slots=True)
class Result:
    """How a cell ended, and why."""

    cell: Cell
    state: State
    sentences: tuple[str, ...] = ()
    #: Had an operator to lead it out?
    needed_operator: bool = False


def parse(text: str) -> Cell:
    """Return the cell of a name; raises ValueError where it is none."""
    operation, step, moment, blows = text.split("/")
    first, *second = (Blow(*each.split(":", 1)) for each in blows.split("+"))
    table = operations().get(operation)
    if table is None or step not in table.steps or len(second) > 1:
        raise ValueError(f"Expected operation/step/moment/victim:trouble, but {text!r}")
    return Cell(operation, step, Moment(moment), first, second[0] if second else None)


# Which cells there are.


def cells() -> Iterator[Cell]:
    """Yield every cell: single blows, then pairs, operation by operation."""
    for operation, table in operations().items():
        for step in table.steps:
            yield from _single(operation, step)
            yield from _pairs(operation, step)


def _single(operation: str, step: str) -> Iterator[Cell]:
    for victim in Victim:
        for trouble in Trouble:
            for moment in Moment:
                yield Cell(operation, step, moment, Blow(victim, trouble))
    for action in INTERRUPTIONS:
        for moment in ASKING:
            yield Cell(operation, step, moment, Blow(USER, action))


def _pairs(operation: str, step: str) -> Iterator[Cell]:
    of_hosts = [Blow(*each) for each in _PAIRED]
    of_users = [Blow(USER, each) for each in INTERRUPTIONS]
    for first, second in product([*of_hosts, *of_users], repeat=2):
        yield Cell(operation, step, Moment.BEFORE, first, second)
    for moment in LATER:
        for pair in product(of_hosts, of_users):
            for first, second in (pair, pair[::-1]):
                yield Cell(operation, step, moment, first, second)


def not_applicable(cell: Cell) -> str | None:
    """Say why there is no such case, where the tables say so; None where it has to be run."""
    table = operations()[cell.operation]
    step = table.steps[cell.step]
    for blow in (cell.first, cell.second):
        if blow is None:
            continue
        if blow.victim == USER:
            if blow.trouble not in BY_ACTION:
                return f"{blow.trouble} is not carried out yet"
        elif reason := troubles.why_not(Victim(blow.victim), Trouble(blow.trouble)):
            return reason
        elif blow.victim == Victim.DESTINATION and not _has_destination(table):
            return "the operation has no destination"
    victim = cell.first.victim
    if victim == Victim.SCHEDULER and step.to is not Role.SCHEDULER:
        return "no host is chosen at this step"
    if step.command is None and victim not in (Victim.CONDUCTOR, Victim.DATABASE):
        return "the step asks for no command"
    if victim == Victim.LOG:
        is_sent = cell.moment in (Moment.AFTER_JOURNAL, Moment.AFTER_SEND)
        return None if is_sent or step.to is not Role.SCHEDULER else "a choice is not sent"
    return Target.why_not(step, _actor_of(victim), cell.moment)


def _has_destination(table: Saga) -> bool:
    return any(step.to in (Role.DESTINATION, Role.SCHEDULER) for step in table.steps.values())


def _actor_of(victim: str) -> Actor:
    of_conductor = victim in (Victim.CONDUCTOR, Victim.DATABASE)
    return Actor.CONDUCTOR if of_conductor else Actor.EXECUTOR


# How a cell is run.


def run(cell: Cell) -> Result:
    """Return how a cell ended; it ends the same each time."""
    if reason := not_applicable(cell):
        return Result(cell, State.NOT_APPLICABLE, (reason,))
    route = route_to(cell.operation, cell.step)
    if route is None:
        return Result(cell, State.FAILED, ("no way leads to the step",))
    return _Run(cell, route).result()


class _Run:
    """One cell in its lab."""

    def __init__(self, cell: Cell, route: Route) -> None:
        self._cell = cell
        self._route = route
        self._lab = route.lab()
        self._target = Target(self._lab, operations()[cell.operation], cell.step)
        self._absent: str | None = None
        self._is_struck = False
        self._second: Trap | None = None

    def result(self) -> Result:
        """Run the cell and look at what is left."""
        lab, cell, broken = self._lab, self._cell, list[str]()
        with patched((fold, "step", lab.watch.step)):
            try:
                request = prepare(lab, self._route)
                arm(lab, self._route)
                lab.traps.append(Trap(self._is_moment, self._strike))
                make(lab, request)
                go(lab, self._route)
                if (second := self._second) is not None:
                    lab.until(lambda: second.is_sprung, "the second blow")
                    lab.turn()
                    lab.settle()
                if not self._is_struck or self._absent:
                    reason = self._absent or "the moment does not come on the way there"
                    return Result(cell, State.NOT_APPLICABLE, (reason,))
                broken += quiet(lab)
                if not broken:
                    lab.workload.delete_all()
                    lab.settle()
                    broken += empty(lab)
            except (Broken, NoRest, AssertionError) as error:
                broken.append(f"{type(error).__name__}: {error}")
        state = State.FAILED if broken else State.PASSED
        return Result(cell, state, tuple(broken), lab.workload.was_needed)

    # When.

    def _is_moment(self, who: Process, name: str, subject: object) -> bool:
        cell, target = self._cell, self._target
        if cell.first.victim == Victim.LOG:
            return self._is_moment_of_log(who, name, subject)
        return target.is_at(_actor_of(cell.first.victim), cell.moment, who, name, subject)

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
        self._is_struck = True
        if self._cell.second is not None:
            self._plan_second(self._cell.second)
        self._fall(self._cell.first, who, point)

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
            fenced = replace(_request(action), source_up=False, fenced_hosts=(held.host,))
            lab.ask_of_fenced(held.host, fenced)
        else:
            lab.ask(_request(action))


def _request(action: str) -> ActionRequested:
    arguments = {"state": "error"} if action == "reset_state" else {}
    return ActionRequested(
        action=action, user_id="user", project_id="project", is_admin=True, arguments=arguments
    )


def _is_of_move(table: Saga) -> bool:
    return table.migration_status is not None


# What came of it.


def summary(results: Sequence[Result]) -> str:
    """Return the counts per operation, and the reasons for what is not applicable."""
    lines = [f"{'operation':30}{'cells':>8}{'passed':>8}{'failed':>8}{'n/a':>8}{'operator':>10}"]
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
    operator = sum(r.needed_operator for r in results)
    return (
        f"{name:30}{len(results):8}{count[State.PASSED]:8}{count[State.FAILED]:8}"
        f"{count[State.NOT_APPLICABLE]:8}{operator:10}"
    )


def story(result: Result) -> str:
    """Return why a cell failed, and the command that repeats it."""
    lines = [f"{result.cell}: {result.state}", *(f"  {each}" for each in result.sentences)]
    if result.state is State.FAILED:
        lines.append(f"  again: make matrix CELL={result.cell}")
    return "\n".join(lines)
