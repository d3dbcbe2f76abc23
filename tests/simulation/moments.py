"""When something goes wrong: the four moments of whoever carries a step out, named as data.

A step is entered by the conductor: before its transaction, after its effect in the database, after
the conductor knows of it, after the command was sent. Then a host, or the scheduler, does what was
asked: before the effect, after it, after the journal (or the database) has it, after the log has
the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from compute.endings import AGENTS_OWN, is_ending
from compute.hypervisor import Report
from compute.journal import TaskState
from events.envelope import Letter
from events.log import Message, Record
from events.register import COMMANDS
from projections.rows import SagaRow
from projections.store import SCHEDULER_HOST, Batch, Order
from statemachines.saga import Role, Saga, Step
from tests.simulation.processes import Process

if TYPE_CHECKING:
    from tests.simulation.lab import Lab


class Moment(StrEnum):
    """A moment of a step."""

    BEFORE = "before"
    AFTER_EFFECT = "after-effect"
    AFTER_JOURNAL = "after-journal"
    AFTER_SEND = "after-send"


class Actor(StrEnum):
    """Whose moment it is."""

    #: The conductor, who enters the step.
    CONDUCTOR = "conductor"
    #: The host or the scheduler, who does what the step asks.
    EXECUTOR = "executor"


class Target:
    """The first stay of a saga at a step: who is asked what."""

    def __init__(self, lab: Lab, table: Saga, step: str) -> None:
        self._lab = lab
        self.table = table
        self.step = table.steps[step]
        #: The orders of the step, known when its transaction begins.
        self.orders: tuple[Order, ...] = ()
        self.is_entered = False
        self.is_stored = False

    @staticmethod
    def why_not(step: Step, actor: Actor, moment: Moment) -> str | None:
        """Say why a moment never comes; None where it may."""
        command = COMMANDS.get(step.command or "")
        if command is None and (actor is Actor.EXECUTOR or moment is Moment.AFTER_SEND):
            return "the step asks for no command"
        if actor is Actor.CONDUCTOR and moment is Moment.AFTER_SEND:
            return "a choice is not sent" if step.to is Role.SCHEDULER else None
        if actor is Actor.EXECUTOR and moment is Moment.AFTER_EFFECT and command in AGENTS_OWN:
            return "the agent carries it out in its journal"
        return None

    def is_at(self, actor: Actor, moment: Moment, who: Process, name: str, subject: object) -> bool:
        """Say whether a moment has come at the point that a process passes."""
        self.look(name, subject)
        if actor is Actor.CONDUCTOR:
            return self._of_conductor(moment, name, subject)
        if not self.is_stored or not self.orders:
            return False
        order = self.orders[0]
        if order.host == SCHEDULER_HOST:
            return self._of_scheduler(moment, order, name, subject)
        return who.name == order.host and self._of_host(moment, order, name, subject)

    def look(self, name: str, subject: object) -> None:
        """Note the transaction that enters the step."""
        if not self.is_stored and self._enters(name, subject):
            batches = cast("tuple[Sequence[Batch]]", subject)[0]
            orders = [o for batch in batches for o in batch.orders.values()]
            self.orders = tuple(o for o in orders if o.step == self.step.name)
            self.is_entered = True
            self.is_stored = name.endswith(".done")

    def _enters(self, name: str, subject: object) -> bool:
        if name not in ("store.commit", "store.commit.done"):
            return False
        batches = cast("tuple[Sequence[Batch]]", subject)[0]
        rows = [row for batch in batches for row in batch.changes.get("sagas", {}).values()]
        return any(
            isinstance(row, SagaRow)
            and (row.saga, row.step) == (self.table.name, self.step.name)
            and row.status != "ended"
            for row in rows
        )

    def _of_conductor(self, moment: Moment, name: str, subject: object) -> bool:
        match moment:
            case Moment.BEFORE:
                return name == "store.commit" and self.is_entered
            case Moment.AFTER_EFFECT:
                return name == "store.commit.done" and self.is_stored
            case Moment.AFTER_JOURNAL:
                return self.is_stored and self._goes_on(name, subject)
            case Moment.AFTER_SEND:
                return name == "log.append.done" and self.sends_command(subject)

    def _goes_on(self, name: str, subject: object) -> bool:
        """Say whether the conductor does now what it knows that the step asks for."""
        if not self.orders:
            return name.startswith("store.") and not name.startswith("store.commit")
        return (name == "log.append" and self.sends_command(subject)) or (
            name == "store.decide" and self._is_decided(self.orders[0], subject)
        )

    @staticmethod
    def _is_decided(order: Order, subject: object) -> bool:
        return any(each.command_id == order.command_id for each in cast("Any", subject)[1])

    def sends_command(self, subject: object) -> bool:
        """Say whether one of these messages is the step's command."""
        values = {order.value for order in self.orders}
        return any(each.value in values for each in cast("Sequence[Message]", subject))

    def _of_scheduler(self, moment: Moment, order: Order, name: str, subject: object) -> bool:
        match moment:
            case Moment.BEFORE | Moment.AFTER_EFFECT:
                wanted = "store.decide" + (".done" if moment is Moment.AFTER_EFFECT else "")
                return name == wanted and self._is_decided(order, subject)
            case Moment.AFTER_JOURNAL | Moment.AFTER_SEND:
                wanted = "log.append" + (".done" if moment is Moment.AFTER_SEND else "")
                return name == wanted and self.sends_answer(subject)

    def _of_host(self, moment: Moment, order: Order, name: str, subject: object) -> bool:
        journal = self._lab.host(order.host).journal
        match moment:
            case Moment.BEFORE:
                if COMMANDS[order.command] in AGENTS_OWN:
                    records = cast("Sequence[Record]", subject)
                    return name == "log.poll.done" and any(r.value == order.value for r in records)
                letter = cast("Letter[object]", subject)
                return name == "driver.begin" and letter.address.command_id == order.command_id
            case Moment.AFTER_EFFECT:
                return name == "driver.poll.done" and self._reports_ending(order, subject)
            case Moment.AFTER_JOURNAL:
                task = journal.task(order.command_id)
                is_done = task is not None and task.state is TaskState.DONE
                return name == "journal.write.done" and is_done
            case Moment.AFTER_SEND:
                return name == "log.append.done" and self.sends_answer(subject)

    def _reports_ending(self, order: Order, subject: object) -> bool:
        command = COMMANDS[order.command]
        for report in cast("Sequence[Report]", subject):
            if report.command_id == order.command_id and is_ending(_blank(command), report.fact):
                return True
        return False

    def sends_answer(self, subject: object) -> bool:
        """Say whether one of these messages ends the step's command."""
        return bool(self._answers() & {m.value for m in cast("Sequence[Message]", subject)})

    def _answers(self) -> set[bytes]:
        order = self.orders[0]
        if order.host == SCHEDULER_HOST:
            said = self._lab.database.answers.get(order.command_id)
            return set() if said is None else {said.answer.value}
        journal = self._lab.host(order.host).journal
        task = journal.task(order.command_id)
        entry = None if task is None or task.ending is None else journal.entry(task.ending)
        return set() if entry is None else {entry.value}


def _blank(command: type[Struct]) -> object:
    """Return a command of which nothing but the class is looked at."""
    return command(**dict.fromkeys(command.__struct_fields__))
