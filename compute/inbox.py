"""Which commands were taken, begun and done, and with what answer.

Rows of the journal, and the laws over them: a command id begins at most once; a command that is
done is answered with the very record that ended it; a later attempt at the same purpose takes the
place of one that is under way. Knows no driver.
"""

from __future__ import annotations

from compute.journal import Journal, Task, TaskState
from events.codec import decode_command
from events.envelope import Letter
from events.values import replace


class Inbox:
    """The commands of one host. Called within a transaction of the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def known(self, command_id: str) -> Task | None:
        """Return a command that was taken before."""
        return self._journal.task(command_id)

    def say_again(self, task: Task) -> None:
        """Have the record that ended a command sent again; nothing while it is under way."""
        if task.ending is not None:
            self._journal.mark_unsent([task.ending])

    def take(self, letter: Letter[object], value: bytes) -> None:
        """Leave a command waiting."""
        self._journal.put_task(_task(letter, value))

    def begin(self, letter: Letter[object]) -> None:
        """Leave a command begun; it must not begin again."""
        task = self._task(letter)
        assert task.state is TaskState.TAKEN, f"Expected a command that waits, but {task!r}"
        self._journal.put_task(replace(task, state=TaskState.BEGUN))

    def end(self, letter: Letter[object], ending: int, *, is_success: bool) -> None:
        """Leave a command done, and with it the earlier attempts that it continued."""
        task = self._task(letter)
        for each in self._journal.attempts(task.purpose):
            if each.command_id == task.command_id or each.continued_by == task.command_id:
                done = replace(each, state=TaskState.DONE, ending=ending, is_success=is_success)
                self._journal.put_task(done)

    def continue_by(self, letter: Letter[object]) -> None:
        """Have the attempts that are under way answered under the id of this one."""
        task = self._task(letter)
        for each in self._journal.attempts(task.purpose):
            if each.command_id != task.command_id and each.state is TaskState.BEGUN:
                self._journal.put_task(replace(each, continued_by=task.command_id))
        self._journal.put_task(replace(task, state=TaskState.BEGUN))

    def earlier(self, letter: Letter[object]) -> Task | None:
        """Return the last other attempt at what a command asks for."""
        own = letter.address.command_id
        attempts = self._journal.attempts(purpose_of(letter))
        return next((each for each in reversed(attempts) if each.command_id != own), None)

    def said(self, letter: Letter[object]) -> frozenset[str]:
        """Return the classes of facts that this command, or one it continues, was answered with."""
        own = letter.address.command_id
        attempts = self._journal.attempts(purpose_of(letter))
        ids = [t.command_id for t in attempts if own in (t.command_id, t.continued_by)]
        return self._journal.kinds_said(ids)

    def open(self) -> list[tuple[TaskState, Letter[object]]]:
        """Return what waits and what has begun, in order; not what a later attempt continues."""
        return [
            (task.state, decode_command(task.value))
            for task in self._journal.open_tasks()
            if task.continued_by is None
        ]

    def _task(self, letter: Letter[object]) -> Task:
        task = self._journal.task(letter.address.command_id)
        assert task is not None, f"Expected {letter.address.command_id} in the inbox, but it is not"
        return task


def purpose_of(letter: Letter[object]) -> str:
    """Name what every attempt at the same command of the same step has in common."""
    address = letter.address
    kind = type(letter.command).__name__
    return f"{address.instance_id}/{address.saga_id}/{address.step}/{kind}"


def _task(letter: Letter[object], value: bytes) -> Task:
    return Task(
        command_id=letter.address.command_id,
        instance_id=letter.address.instance_id,
        purpose=purpose_of(letter),
        value=value,
        state=TaskState.TAKEN,
    )
