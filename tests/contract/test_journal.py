from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from compute.errors import JournalInUse, WrongEnrolment
from compute.journal import Entry, Head, Journal, Position, Task, TaskState
from compute.memory_journal import MemoryJournal
from compute.sqlite_journal import SqliteJournal
from events.seal import FIRST, digest
from events.values import replace

TOPIC = "regente.instance.events.v1"


def entry(
    sequence: int, prev: bytes, *, subject: str = "a", at_us: int = 0, command: str | None = None
) -> Entry:
    value = f"{subject} {sequence}".encode()
    return Entry(0, TOPIC, 1, subject, sequence, prev, value, "GuestFound", command, at_us)


def task(name: str, *, purpose: str = "saga/step/StopGuest") -> Task:
    return Task(
        command_id=name,
        instance_id="a",
        purpose=purpose,
        value=b"command",
        state=TaskState.TAKEN,
    )


class JournalContract(ABC):
    """What every journal does."""

    journal: Journal

    @abstractmethod
    def open(self) -> Journal:
        """Open the journal again, as the next process would."""

    def write(self, *entries: Entry) -> list[int]:
        with self.journal.transaction():
            return [self.journal.append(each) for each in entries]

    def test_a_new_journal_knows_nothing(self) -> None:
        journal = self.journal

        assert (journal.enrolment(), journal.boot_epoch()) == (0, 0)
        assert journal.position() is None
        assert journal.head(TOPIC, "a") == Head(0, FIRST)
        assert journal.unsent(10) == []
        assert journal.generation("a") == 0
        assert journal.open_tasks() == []

    def test_each_start_raises_the_boot_epoch(self) -> None:
        for expected in (1, 2):
            with self.journal.transaction():
                assert self.journal.raise_boot_epoch(3) == expected

        assert self.open().boot_epoch() == 2
        assert self.journal.enrolment() == 3

    @pytest.mark.parametrize("enrolment", [1, 3])
    def test_a_journal_of_another_enrolment_is_refused(self, enrolment: int) -> None:
        with self.journal.transaction():
            self.journal.raise_boot_epoch(2)

        with pytest.raises(WrongEnrolment), self.journal.transaction():
            self.journal.raise_boot_epoch(enrolment)

        assert self.journal.boot_epoch() == 1

    def test_a_chain_goes_on_after_a_restart(self) -> None:
        self.write(entry(1, FIRST))

        journal = self.open()
        with journal.transaction():
            journal.append(entry(2, digest(b"a 1")))

        assert journal.head(TOPIC, "a") == Head(2, digest(b"a 2"))

    def test_a_gap_in_a_chain_is_not_written(self) -> None:
        self.write(entry(1, FIRST))

        with pytest.raises(AssertionError, match="Expected number 2"):
            self.write(entry(3, digest(b"a 1")))

        assert self.journal.unsent_count() == 1

    def test_a_fork_of_a_chain_is_not_written(self) -> None:
        self.write(entry(1, FIRST))

        with pytest.raises(AssertionError, match="Expected number 2"):
            self.write(entry(2, FIRST))

    def test_facts_are_unsent_in_their_order_until_they_are_marked(self) -> None:
        one, two, three = self.write(
            entry(1, FIRST), entry(1, FIRST, subject="b"), entry(2, digest(b"a 1"))
        )
        with self.journal.transaction():
            self.journal.mark_sent([one])

        assert [each.number for each in self.journal.unsent(10)] == [two, three]
        assert [each.number for each in self.journal.unsent(1)] == [two]
        assert self.journal.unsent_count() == 2

    def test_a_fact_is_sent_again_with_the_same_bytes(self) -> None:
        (number,) = self.write(entry(1, FIRST))
        before = self.journal.unsent(1)
        with self.journal.transaction():
            self.journal.mark_sent([number])
        with self.journal.transaction():
            self.journal.mark_unsent([number])

        assert self.open().unsent(1) == before
        assert self.journal.entry(number) == before[0]

    def test_a_chain_is_found_from_a_number_on(self) -> None:
        numbers = self.write(
            entry(1, FIRST), entry(1, FIRST, subject="b"), entry(2, digest(b"a 1"))
        )

        assert self.journal.chain(TOPIC, "a", 2) == [numbers[2]]
        assert self.journal.chain(TOPIC, "a", 1) == [numbers[0], numbers[2]]

    def test_what_was_said_of_a_command_is_known_by_its_class(self) -> None:
        self.write(entry(1, FIRST, command="c"))

        assert self.journal.kinds_said(["b", "c"]) == frozenset({"GuestFound"})
        assert self.journal.kinds_said(["b"]) == frozenset()

    def test_an_exception_leaves_nothing_of_its_transaction(self) -> None:
        with pytest.raises(RuntimeError):
            self.break_in_the_middle()

        self.check_that_nothing_is_there(self.journal)
        self.check_that_nothing_is_there(self.open())

    def break_in_the_middle(self) -> None:
        with self.journal.transaction():
            self.journal.append(entry(1, FIRST))
            self.journal.put_task(task("c"))
            self.journal.raise_generation("a", 7)
            self.journal.move(Position("t", 9))
            self.journal.put_slot("a", is_aborted=False)
            raise RuntimeError

    def check_that_nothing_is_there(self, journal: Journal) -> None:
        assert journal.head(TOPIC, "a") == Head(0, FIRST)
        assert journal.task("c") is None
        assert journal.generation("a") == 0
        assert journal.position() is None
        assert journal.slots() == {}

    def test_nothing_is_written_outside_a_transaction(self) -> None:
        with pytest.raises(AssertionError, match="Expected a transaction"):
            self.journal.put_task(task("c"))

    def test_transactions_do_not_nest(self) -> None:
        with (
            pytest.raises(AssertionError, match="one transaction at a time"),
            self.journal.transaction(),
            self.journal.transaction(),
        ):
            pass

    def test_a_generation_only_rises(self) -> None:
        with self.journal.transaction():
            self.journal.raise_generation("a", 4)
            self.journal.raise_generation("a", 3)

        assert self.open().generation("a") == 4

    def test_the_position_is_kept(self) -> None:
        with self.journal.transaction():
            self.journal.move(Position("topic-1", 42))

        assert self.open().position() == Position("topic-1", 42)

    def test_tasks_keep_the_order_in_which_they_were_taken(self) -> None:
        with self.journal.transaction():
            for name in ("c", "b", "a"):
                self.journal.put_task(task(name))
            begun = replace(task("c"), state=TaskState.BEGUN)
            self.journal.put_task(begun)

        journal = self.open()
        assert [each.command_id for each in journal.open_tasks()] == ["c", "b", "a"]
        assert journal.task("c") == begun

    def test_a_task_that_is_done_is_open_no_more_but_known(self) -> None:
        done = replace(task("c"), state=TaskState.DONE, ending=5, is_success=True)
        with self.journal.transaction():
            self.journal.put_task(task("c"))
            self.journal.put_task(done)

        assert self.journal.open_tasks() == []
        assert self.journal.task("c") == done

    def test_attempts_at_one_purpose_are_found_in_order(self) -> None:
        with self.journal.transaction():
            self.journal.put_task(task("z"))
            self.journal.put_task(task("other", purpose="saga/other/StopGuest"))
            self.journal.put_task(task("a"))

        found = self.journal.attempts("saga/step/StopGuest")
        assert [each.command_id for each in found] == ["z", "a"]

    def test_places_of_those_that_come_are_kept(self) -> None:
        with self.journal.transaction():
            for each in ("b", "a", "a", "c"):
                self.journal.put_incoming(each)
            self.journal.free_incoming("c")
            self.journal.free_incoming("never")

        assert self.open().incoming() == {"a", "b"}

    def test_slots_are_kept_with_their_mark(self) -> None:
        with self.journal.transaction():
            self.journal.put_slot("b", is_aborted=False)
            self.journal.put_slot("a", is_aborted=False)
            self.journal.put_slot("a", is_aborted=True)
            self.journal.put_slot("c", is_aborted=False)
            self.journal.free_slot("c")

        assert self.open().slots() == {"a": True, "b": False}

    def test_old_facts_go_when_they_are_sent_and_the_head_stays(self) -> None:
        sent, unsent, young = self.write(
            entry(1, FIRST, at_us=10, command="c"),
            entry(2, digest(b"a 1"), at_us=11),
            entry(3, digest(b"a 2"), at_us=99),
        )
        with self.journal.transaction():
            self.journal.put_task(replace(task("c"), state=TaskState.DONE, ending=sent))
            self.journal.mark_sent([sent, young])

        with self.journal.transaction():
            assert self.journal.forget_before(50) == 1

        assert self.journal.chain(TOPIC, "a", 1) == [unsent, young]
        assert self.journal.entry(sent) is None
        assert self.journal.task("c") is None
        assert self.journal.attempts("saga/step/StopGuest") == []
        assert self.journal.head(TOPIC, "a") == Head(3, digest(b"a 3"))


class TestMemoryJournal(JournalContract):
    @pytest.fixture(autouse=True)
    def _open_first(self) -> None:
        self.memory = MemoryJournal()
        self.journal = self.memory

    def open(self) -> Journal:
        self.memory.crash()
        return self.memory

    def test_a_crash_loses_what_was_not_committed(self) -> None:
        transaction = self.memory.transaction()
        transaction.__enter__()
        self.memory.put_task(task("c"))

        self.memory.crash()

        assert self.memory.task("c") is None

    def test_a_begun_that_is_not_synced_is_lost_with_the_crash(self) -> None:
        journal = MemoryJournal(forgets_begun=True)
        with journal.transaction():
            journal.put_task(task("c"))
        with journal.transaction():
            journal.put_task(replace(task("c"), state=TaskState.BEGUN))

        journal.crash()

        left = journal.task("c")
        assert left
        assert left.state is TaskState.TAKEN

    def test_a_begun_that_is_not_synced_is_kept_by_the_next_transaction(self) -> None:
        journal = MemoryJournal(forgets_begun=True)
        with journal.transaction():
            journal.put_task(replace(task("c"), state=TaskState.BEGUN))
        with journal.transaction():
            journal.raise_generation("a", 1)

        journal.crash()

        left = journal.task("c")
        assert left
        assert left.state is TaskState.BEGUN


class TestSqliteJournal(JournalContract):
    @pytest.fixture(autouse=True)
    def _open_first(self, tmp_path: Path) -> None:
        self.path = tmp_path / "journal.db"
        self.journal = SqliteJournal(self.path)

    def open(self) -> Journal:
        self.journal.close()
        self.journal = SqliteJournal(self.path)
        return self.journal

    def test_a_second_agent_does_not_get_the_journal(self) -> None:
        with pytest.raises(JournalInUse, match="an agent holds it"):
            SqliteJournal(self.path)
