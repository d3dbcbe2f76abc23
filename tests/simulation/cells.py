"""Which cells the failure matrix has: generated from the sagas' tables, none written by hand.

What may befall a step: a trouble of whoever carries it out, a word of a user, a failure that its
command may answer with; and pairs of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from statemachines.permissions import PERMISSIONS
from statemachines.saga import Role, Saga, Step, To
from statemachines.saga_check import failures_of, ways_of
from statemachines.sagas import BY_ACTION
from tests.simulation import provoking, troubles
from tests.simulation.moments import Actor, Moment, Target
from tests.simulation.routes import operations
from tests.simulation.troubles import HOSTS, Trouble, Victim

#: What a user asks meanwhile.
INTERRUPTIONS: Final = (
    *("delete", "live_migrate_abort", "reset_state", "evacuate", "stop"),
    *("live_migrate", "migrate"),
)
#: What a user asks meanwhile only of what it may break into; elsewhere it is refused.
BREAKING: Final = "reboot_hard"
#: What a user asks meanwhile without a second blow: it takes over as a reset does.
ALONE: Final = ("soft_delete",)
#: A reset to a state of its own: of `active` the owner's guest stays, whatever else there is.
RESET_TO_ACTIVE: Final = "reset_state=active"
USER: Final = "user"
#: What the step's command is answered with, as often as it is asked.
ANSWER: Final = "answer"
#: Who has an operation undone, though nothing is wrong with it.
OPERATOR: Final = "operator"
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


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens to whom; a user's is an action, an answer's is the fact that it is."""

    victim: str
    trouble: str

    def __str__(self) -> str:
        return f"{self.victim}:{self.trouble}"


_UNDONE: Final = Blow(OPERATOR, "compensate")


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


def parse(text: str) -> Cell:
    """Return the cell of a name; raises ValueError where it is none."""
    operation, step, moment, blows = text.split("/")
    first, *second = (Blow(*each.split(":", 1)) for each in blows.split("+"))
    table = operations().get(operation)
    if table is None or step not in table.steps or len(second) > 1:
        raise ValueError(f"Expected operation/step/moment/victim:trouble, but {text!r}")
    return Cell(operation, step, Moment(moment), first, second[0] if second else None)


def cells() -> Iterator[Cell]:
    """Yield every cell: single blows, then pairs, operation by operation."""
    for operation, table in operations().items():
        for step in table.steps.values():
            yield from _single(operation, step)
            yield from _pairs(operation, step.name)
            yield from _pairs_of_answers(operation, table, step)
            if lets_in(table, BREAKING):
                yield from _breaking_in(operation, step)


def lets_in(table: Saga, action: str) -> bool:
    """Say whether an action may be asked of a guest to which an operation is being done."""
    permission = PERMISSIONS[action]
    begun = [PERMISSIONS[name] for name, its in BY_ACTION.items() if its is table]
    if not begun:
        return not table.primary  # Nobody asks for it: it goes on beside whatever else does.
    return any(
        each.vm_states & permission.vm_states and each.sets_task_state in permission.task_states
        for each in begun
    )


def _breaking_in(operation: str, step: Step) -> Iterator[Cell]:
    """Yield what breaks into an operation: alone, and with any other blow before or behind it."""
    breaks, users = Blow(USER, BREAKING), [Blow(USER, each) for each in INTERRUPTIONS]
    of_hosts = [Blow(*each) for each in _PAIRED]
    for moment in ASKING:
        yield Cell(operation, step.name, moment, breaks)
        for other in (*of_hosts, *(users if moment is Moment.BEFORE else ())):
            yield Cell(operation, step.name, moment, breaks, other)
            yield Cell(operation, step.name, moment, other, breaks)
    yield Cell(operation, step.name, Moment.BEFORE, breaks, breaks)
    for word in failures_of(step):
        yield Cell(operation, step.name, Moment.BEFORE, Blow(ANSWER, word), breaks)


def _single(operation: str, step: Step) -> Iterator[Cell]:
    for victim in Victim:
        for trouble in Trouble:
            for moment in Moment:
                yield Cell(operation, step.name, moment, Blow(victim, trouble))
    for action in (*INTERRUPTIONS, *ALONE, RESET_TO_ACTIVE):
        for moment in ASKING:
            yield Cell(operation, step.name, moment, Blow(USER, action))
    for word in failures_of(step):
        yield Cell(operation, step.name, Moment.BEFORE, Blow(ANSWER, word))
    if step.compensate is not None and not step.goes_back:
        for moment in ASKING:
            yield Cell(operation, step.name, moment, _UNDONE)
        for each in _PAIRED:
            yield Cell(operation, step.name, Moment.BEFORE, _UNDONE, Blow(*each))


def _pairs(operation: str, step: str) -> Iterator[Cell]:
    of_hosts = [Blow(*each) for each in _PAIRED]
    of_users = [Blow(USER, each) for each in INTERRUPTIONS]
    for first, second in product([*of_hosts, *of_users], repeat=2):
        yield Cell(operation, step, Moment.BEFORE, first, second)
    for other in of_hosts:
        yield Cell(operation, step, Moment.BEFORE, other, Blow(USER, RESET_TO_ACTIVE))
        yield Cell(operation, step, Moment.BEFORE, Blow(USER, RESET_TO_ACTIVE), other)
    for moment in LATER:
        for pair in product(of_hosts, of_users):
            for first, second in (pair, pair[::-1]):
                yield Cell(operation, step, moment, first, second)


def _pairs_of_answers(operation: str, table: Saga, step: Step) -> Iterator[Cell]:
    """Yield a failure of the step with whatever comes next, and with one of the step after it."""
    others = [*(Blow(*each) for each in _PAIRED), *(Blow(USER, each) for each in INTERRUPTIONS)]
    for word in failures_of(step):
        after = (failures_of(each) for each in steps_after(table, step, word))
        answers = dict.fromkeys(word for words in after for word in words)
        for second in (*others, *(Blow(ANSWER, each) for each in answers)):
            yield Cell(operation, step.name, Moment.BEFORE, Blow(ANSWER, word), second)


def steps_after(table: Saga, step: Step, word: str) -> tuple[Step, ...]:
    """Return the steps to which a failure of a step may lead."""
    names = dict.fromkeys(way.step for way in ways_of(step, word) if isinstance(way, To))
    return tuple(table.steps[name] for name in names)


def not_applicable(cell: Cell) -> str | None:
    """Say why there is no such case, where the tables say so; None where it has to be run."""
    table = operations()[cell.operation]
    step = table.steps[cell.step]
    for blow in (cell.first, cell.second):
        if blow is not None and (reason := _never_falls(table, step, cell, blow)):
            return reason
    victim = cell.first.victim
    if victim == ANSWER:
        return None
    if victim == Victim.SCHEDULER and step.to is not Role.SCHEDULER:
        return "no host is chosen at this step"
    if step.command is None and victim not in (Victim.CONDUCTOR, Victim.DATABASE):
        return "the step asks for no command"
    if victim == Victim.LOG:
        is_sent = cell.moment in (Moment.AFTER_JOURNAL, Moment.AFTER_SEND)
        return None if is_sent or step.to is not Role.SCHEDULER else "a choice is not sent"
    return Target.why_not(step, actor_of(victim), cell.moment)


def _never_falls(table: Saga, step: Step, cell: Cell, blow: Blow) -> str | None:
    if blow.victim == OPERATOR:
        return None
    if blow.victim == USER:
        is_known = _action_of(blow) in BY_ACTION
        return None if is_known else f"{blow.trouble} is not carried out yet"
    if blow.victim == ANSWER:
        at = (step,) if blow is cell.first else steps_after(table, step, cell.first.trouble)
        reasons = [provoking.why_not(s, blow.trouble) for s in at if blow.trouble in failures_of(s)]
        return None if None in reasons else next(iter(reasons), "the step has no such answer")
    if reason := troubles.why_not(Victim(blow.victim), Trouble(blow.trouble)):
        return reason
    is_absent = blow.victim == Victim.DESTINATION and not _has_destination(table)
    return "the operation has no destination" if is_absent else None


def _action_of(blow: Blow) -> str:
    """Return the action that a user asks for; what it names beside stands behind `=`."""
    return blow.trouble.partition("=")[0]


def _has_destination(table: Saga) -> bool:
    return any(step.to in (Role.DESTINATION, Role.SCHEDULER) for step in table.steps.values())


def actor_of(victim: str) -> Actor:
    """Return whose moment it is at which something befalls a victim."""
    of_conductor = victim in (Victim.CONDUCTOR, Victim.DATABASE)
    return Actor.CONDUCTOR if of_conductor else Actor.EXECUTOR
