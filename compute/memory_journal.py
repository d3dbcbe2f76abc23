"""A journal without a disk, that loses at a crash what a disk would lose.

It holds everything twice: as the process sees it, and as it would be found after a crash. A
transaction moves its writes from the first to the second; `crash` forgets the difference.
`forgets_begun` plants the bug that the inbox's `begun` is written but not synced: it then reaches
the disk only together with the next transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast

from compute.errors import WrongEnrolment
from compute.journal import Entry, Head, Position, Task, TaskState
from events.seal import FIRST, digest
from events.values import replace

_GONE: Final = object()
_Table = dict[object, object]
_Write = tuple[str, object, object]
_TABLES: Final = (
    "about", "heads", "facts", "unsent", "said", "generations", "tasks", "attempts", "slots",
    "incoming",
)  # fmt: skip


class MemoryJournal:
    """The journal of a simulated host."""

    def __init__(self, *, forgets_begun: bool = False) -> None:
        self._live: dict[str, _Table] = {name: {} for name in _TABLES}
        self._durable: dict[str, _Table] = {name: {} for name in _TABLES}
        self._forgets_begun = forgets_begun
        self._written: list[_Write] = []
        self._undo: list[_Write] = []
        self._unsynced: list[_Write] = []
        self._is_open = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Leave everything written within durable together, or nothing of it."""
        assert not self._is_open, "Expected one transaction at a time, but one is open"
        self._is_open = True
        self._written, self._undo = [], []
        try:
            yield
        except BaseException:
            for table, key, old in reversed(self._undo):
                _write(self._live[table], key, old)
            raise
        else:
            self._unsynced.extend(self._written)
            if not (self._forgets_begun and any(map(_is_begun, self._written))):
                self._sync()
        finally:
            self._is_open = False

    def crash(self) -> None:
        """Forget what was not durable: the next agent finds the journal as a disk would have it."""
        self._is_open = False
        self._unsynced.clear()
        self._live = {name: dict(rows) for name, rows in self._durable.items()}

    def enrolment(self) -> int:
        """Return the enrolment that the journal belongs to; 0 while it is empty."""
        return self._number("enrolment")

    def boot_epoch(self) -> int:
        """Return how often the agent has started with this journal."""
        return self._number("boot_epoch")

    def raise_boot_epoch(self, enrolment: int) -> int:
        """Return the new boot epoch; raises WrongEnrolment where the journal is another's."""
        if self.enrolment() not in (0, enrolment):
            raise WrongEnrolment(
                f"Expected the journal of enrolment {enrolment}, but it is of {self.enrolment()}"
            )
        self._put("about", "enrolment", enrolment)
        return self._count_up("boot_epoch")

    def position(self) -> Position | None:
        """Return how far the command topic was taken; None before the first time."""
        return cast("Position | None", self._live["about"].get("position"))

    def move(self, position: Position) -> None:
        """Leave `position` as the place from which commands are read."""
        self._put("about", "position", position)

    def head(self, topic: str, subject: str) -> Head:
        """Return the end of a chain; number 0 and 32 zero bytes where it has not begun."""
        return cast("Head", self._live["heads"].get((topic, subject), Head(0, FIRST)))

    def append(self, entry: Entry) -> int:
        """Write a fact behind the head of its chain, unsent, and return its number."""
        head = self.head(entry.topic, entry.subject)
        follows = (entry.sequence, entry.prev) == (head.sequence + 1, head.digest)
        assert follows, f"Expected number {head.sequence + 1} of {entry.subject}, but {entry!r}"
        number = self._count_up("facts")
        self._put("facts", number, entry._replace(number=number))
        self._put("unsent", number, None)
        hashed = Head(entry.sequence, digest(entry.value))
        self._put("heads", (entry.topic, entry.subject), hashed)
        if entry.command_id is not None:
            said = cast("tuple[str, ...]", self._live["said"].get(entry.command_id, ()))
            self._put("said", entry.command_id, (*said, entry.kind))
        return number

    def entry(self, number: int) -> Entry | None:
        """Return a fact; None where it was forgotten."""
        return cast("Entry | None", self._live["facts"].get(number))

    def unsent(self, limit: int) -> list[Entry]:
        """Return the first facts that the log has not taken, in the order of their numbers."""
        numbers = sorted(cast("dict[int, None]", self._live["unsent"]))[:limit]
        return [cast("Entry", self._live["facts"][number]) for number in numbers]

    def unsent_count(self) -> int:
        """Return how many facts the log has not taken."""
        return len(self._live["unsent"])

    def mark_sent(self, numbers: Iterable[int]) -> None:
        """Note that the log has these facts."""
        for number in numbers:
            self._put("unsent", number, _GONE)

    def mark_unsent(self, numbers: Iterable[int]) -> None:
        """Have these facts sent again."""
        for number in numbers:
            if number in self._live["facts"]:
                self._put("unsent", number, None)

    def chain(self, topic: str, subject: str, from_sequence: int) -> list[int]:
        """Return the numbers of the facts of a chain from one on, as far as they are kept."""
        return [
            entry.number
            for entry in cast("dict[int, Entry]", self._live["facts"]).values()
            if (entry.topic, entry.subject) == (topic, subject) and entry.sequence >= from_sequence
        ]

    def kinds_said(self, command_ids: Sequence[str]) -> frozenset[str]:
        """Return the classes of the facts that answer any of these commands."""
        said = self._live["said"]
        return frozenset(
            kind for each in command_ids for kind in cast("tuple[str, ...]", said.get(each, ()))
        )

    def forget_before(self, time_us: int) -> int:
        """Drop sent facts written before, and the tasks that they ended; heads stay."""
        entries = cast("dict[int, Entry]", self._live["facts"])
        unsent = self._live["unsent"]
        old = [n for n, e in entries.items() if e.written_at_us < time_us and n not in unsent]
        gone = frozenset(old)
        tasks = cast("dict[str, Task]", self._live["tasks"])
        for task in [task for task in tasks.values() if task.ending in gone]:
            self._put("tasks", task.command_id, _GONE)
            self._put("said", task.command_id, _GONE)
            left = tuple(i for i in self._attempt_ids(task.purpose) if i != task.command_id)
            self._put("attempts", task.purpose, left or _GONE)
        for number in old:
            self._put("facts", number, _GONE)
        return len(old)

    def generation(self, instance_id: str) -> int:
        """Return the highest generation told of an instance; 0 where none was."""
        return cast("int", self._live["generations"].get(instance_id, 0))

    def raise_generation(self, instance_id: str, generation: int) -> None:
        """Note a generation where it is higher than the one known."""
        if generation > self.generation(instance_id):
            self._put("generations", instance_id, generation)

    def task(self, command_id: str) -> Task | None:
        """Return a command of the inbox."""
        return cast("Task | None", self._live["tasks"].get(command_id))

    def put_task(self, task: Task) -> None:
        """Leave a command in the inbox as it is here; a new one behind all others."""
        if task.command_id not in self._live["tasks"]:
            ids = self._attempt_ids(task.purpose)
            self._put("attempts", task.purpose, (*ids, task.command_id))
        self._put("tasks", task.command_id, replace(task))

    def attempts(self, purpose: str) -> list[Task]:
        """Return every attempt at a purpose, in the order in which they were taken."""
        return [cast("Task", self._live["tasks"][each]) for each in self._attempt_ids(purpose)]

    def open_tasks(self) -> list[Task]:
        """Return what is taken or begun, in the order in which it was taken."""
        tasks = cast("dict[str, Task]", self._live["tasks"])
        return [task for task in tasks.values() if task.state is not TaskState.DONE]

    def slots(self) -> dict[str, bool]:
        """Return the instances that hold a place for a live migration, and whether to abort it."""
        return dict(sorted(cast("dict[str, bool]", self._live["slots"]).items()))

    def put_slot(self, instance_id: str, *, is_aborted: bool) -> None:
        """Give an instance a place for its live migration."""
        self._put("slots", instance_id, is_aborted)

    def incoming(self) -> frozenset[str]:
        """Return the instances that hold a place for a live migration to this host."""
        return frozenset(cast("dict[str, bool]", self._live["incoming"]))

    def put_incoming(self, instance_id: str) -> None:
        """Give an instance a place for its live migration to this host."""
        self._put("incoming", instance_id, True)

    def free_incoming(self, instance_id: str) -> None:
        """Take that place back, if it was given."""
        self._put("incoming", instance_id, _GONE)

    def free_slot(self, instance_id: str) -> None:
        """Take the place back, if it was given."""
        self._put("slots", instance_id, _GONE)

    def close(self) -> None:
        """Let the journal go; what is durable stays for the next agent."""
        self.crash()

    def _attempt_ids(self, purpose: str) -> tuple[str, ...]:
        return cast("tuple[str, ...]", self._live["attempts"].get(purpose, ()))

    def _number(self, name: str) -> int:
        return cast("int", self._live["about"].get(name, 0))

    def _count_up(self, name: str) -> int:
        number = self._number(name) + 1
        self._put("about", name, number)
        return number

    def _put(self, table: str, key: object, value: object) -> None:
        assert self._is_open, f"Expected a transaction, but {table} is written without one"
        rows = self._live[table]
        self._undo.append((table, key, rows.get(key, _GONE)))
        self._written.append((table, key, value))
        _write(rows, key, value)

    def _sync(self) -> None:
        for table, key, value in self._unsynced:
            _write(self._durable[table], key, value)
        self._unsynced.clear()


def _write(rows: _Table, key: object, value: object) -> None:
    if value is _GONE:
        rows.pop(key, None)
    else:
        rows[key] = value


def _is_begun(write: _Write) -> bool:
    value = write[2]
    return isinstance(value, Task) and value.state is TaskState.BEGUN
