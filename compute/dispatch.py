"""What is done with a command: refuse it, answer it again, let it wait, begin it, end it.

Commands of one instance are carried out one at a time, in order. Exceptions: what steers a running
live migration goes to the driver at once, and what clears up, or tells a higher generation,
cancels the operation that runs (it is answered as superseded). Whatever is decided about a command
is one transaction of the journal; only after its commit does the driver begin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compute.endings import (
    AGENTS_OWN,
    ALWAYS_ADMITTED,
    ASKED_AGAIN,
    CANCELLING,
    ENDINGS,
    FENCING,
    FREES_INCOMING,
    FREES_SLOT,
    OF_ATTACHMENTS,
    STEERING,
    is_ending,
    is_success,
)
from compute.hypervisor import Hypervisor, Report
from compute.inbox import Inbox
from compute.journal import Journal, TaskState
from compute.limits import WAITING_MAX, Bounds
from compute.live_queue import LiveQueue
from compute.mailbox import Delivery
from compute.places import ready
from compute.scribe import Scribe
from events.codec import decode_command
from events.commands import (
    AbortLiveMigration,
    LiveMigrateGuest,
    LookForGuest,
    PrepareDestination,
    QueueLiveMigration,
    RaiseGeneration,
    ResendFacts,
)
from events.envelope import Letter
from events.instance import CommandRefused, GenerationRaised, GuestAbsent, GuestFound
from events.migration import AbortTaken, LiveMigrationAborted
from events.start_up import GuestMissed, GuestSeen

Letters = list[Letter[object]]


class Dispatch:
    """The commands of one host, from the mailbox to the driver and back."""

    def __init__(
        self, *, host: str, journal: Journal, scribe: Scribe, driver: Hypervisor, bounds: Bounds
    ) -> None:
        self._host = host
        self._journal = journal
        self._scribe = scribe
        self._driver = driver
        self._bounds = bounds
        self._inbox = Inbox(journal)
        slot_count = bounds.max_concurrent_live_migrations
        self._queue = LiveQueue(
            journal=journal, scribe=scribe, inbox=self._inbox, slot_count=slot_count
        )
        self._waiting: dict[str, Letter[object]] = {}
        #: By the id under which the driver knows the operation: that of its first attempt.
        self._running: dict[str, Letter[object]] = {}
        #: Reports about operations that do not run here, dropped.
        self.stray_count = 0

    @property
    def waiting_count(self) -> int:
        """How many commands wait for another of their instance, or for a place to build."""
        return len(self._waiting)

    def recover(self) -> None:
        """Leave every command that had begun before this start answered or known to run."""
        opened = self._inbox.open()
        if not opened:
            return
        with self._journal.transaction():
            for state, letter in opened:
                if state is TaskState.TAKEN:
                    self._waiting[letter.address.command_id] = letter
                elif isinstance(letter.command, QueueLiveMigration):
                    self._queue.rejoin(letter)
                else:
                    self._ask(letter)
            self._report_absent([letter for state, letter in opened if state is TaskState.BEGUN])

    def take(self, delivery: Delivery) -> None:
        """Leave one command refused, answered, waiting or begun, and the position behind it."""
        letter = delivery.letter
        with self._journal.transaction():
            self._journal.move(delivery.after)
            begun = [] if letter is None else self._file(letter, delivery.value)
        self._begin(begun)

    def hear(self, reports: Sequence[Report]) -> None:
        """Leave what the driver said in the journal."""
        if not reports:
            return
        with self._journal.transaction():
            for report in reports:
                self._note(report)

    def work(self) -> bool:
        """Begin what waits and may begin now. True when there was something."""
        ready = self._ready()
        if not ready and not self._queue.can_admit():
            return False
        with self._journal.transaction():
            self._queue.admit()
            begun = [letter for letter in ready if self._start(letter)]
        self._begin(begun)
        return True

    def _file(self, letter: Letter[object], value: bytes) -> Letters:
        """Decide about a command that came; returns what the driver shall begin."""
        address = letter.address
        if task := self._inbox.known(address.command_id):
            self._inbox.say_again(task)
            return []
        if address.host == self._host:
            self._journal.raise_generation(address.instance_id, address.generation)
        if refusal := self._refusal(letter):
            self._inbox.take(letter, value)
            self._end(letter, refusal)
            return []
        if isinstance(letter.command, ResendFacts):
            self._scribe.resend(address.instance_id, letter.command.from_sequence)
            return []
        self._inbox.take(letter, value)
        return self._admit(letter)

    def _refusal(self, letter: Letter[object]) -> CommandRefused | None:
        address, kind = letter.address, type(letter.command)
        if address.host != self._host:
            sentence = f"Expected a command for {self._host}, but it is for {address.host}"
            return CommandRefused(code="other-host", reason=sentence)
        if kind not in ENDINGS and kind is not ResendFacts:
            sentence = f"Expected a command for a host, but it is {kind.__name__}"
            return CommandRefused(code="unknown-command", reason=sentence)
        if older := self._older(letter):
            return older
        if kind in ALWAYS_ADMITTED:
            return None
        if self.waiting_count >= WAITING_MAX:
            sentence = f"Expected fewer than {WAITING_MAX} commands that wait here, but not so"
            return CommandRefused(code="busy", reason=sentence)
        unsent_max = self._bounds.unsent_max
        if self._journal.unsent_count() < unsent_max:
            return None
        sentence = f"Expected fewer than {unsent_max} facts that the log has not taken, but not so"
        return CommandRefused(code="draining", reason=sentence)

    def _older(self, letter: Letter[object]) -> CommandRefused | None:
        known = self._journal.generation(letter.address.instance_id)
        if letter.address.generation >= known:
            return None
        sentence = f"Expected generation {known}, but it is of {letter.address.generation}"
        return CommandRefused(code="older-generation", reason=sentence)

    def _admit(self, letter: Letter[object]) -> Letters:
        command = letter.command
        if self._is_overtaken(letter) or self._continues(letter) or self._is_done_already(letter):
            return []
        if isinstance(command, AbortLiveMigration) and self._aborts_before_copy(letter):
            return []
        if isinstance(command, QueueLiveMigration):
            self._queue.join(letter)
            self._queue.admit()
            return []
        if type(command) in CANCELLING | FENCING:
            self._supersede(letter)
        self._waiting[letter.address.command_id] = letter
        return [each for each in self._ready() if each is letter and self._start(each)]

    def _is_overtaken(self, letter: Letter[object]) -> bool:
        """Refuse an attempt that comes behind a later one."""
        earlier = self._inbox.earlier(letter)
        later = decode_command(earlier.value) if earlier else letter
        if later.address.attempt <= letter.address.attempt:
            return False
        self._end(letter, _superseded(later))
        return True

    def _continues(self, letter: Letter[object]) -> bool:
        """Let a new attempt take over what an earlier one has begun."""
        earlier = self._inbox.earlier(letter)
        if earlier is None or earlier.state is TaskState.DONE:
            return False
        if waiting := self._waiting.get(earlier.command_id):
            self._drop(waiting, letter)
            return False
        if not self._queue.replace(earlier.command_id, letter):
            first_id = self._first_id(earlier.command_id)
            self._running[first_id] = letter
        self._inbox.continue_by(letter)
        return True

    def _is_done_already(self, letter: Letter[object]) -> bool:
        """Answer a new attempt at what an earlier one achieved, if the driver still sees it so."""
        earlier = self._inbox.earlier(letter)
        if earlier is None or not earlier.is_success or type(letter.command) in AGENTS_OWN:
            return False
        outcome = self._driver.outcome_of(letter)
        if not outcome or not is_success(letter.command, outcome[-1]):
            return False
        self._inbox.begin(letter)
        self._end(letter, outcome[-1])
        return True

    def _aborts_before_copy(self, letter: Letter[object]) -> bool:
        """Give a live migration up that the driver does not know yet: queued or in preparation."""
        instance_id = letter.address.instance_id
        if not self._queue.take_out(instance_id, "aborted on request"):
            if instance_id not in self._journal.slots() or self._is_copying(instance_id):
                return False
            self._journal.put_slot(instance_id, is_aborted=True)
        self._end(letter, AbortTaken())
        return True

    def _is_copying(self, instance_id: str) -> bool:
        return any(
            isinstance(each.command, LiveMigrateGuest) and each.address.instance_id == instance_id
            for each in self._running.values()
        )

    def _supersede(self, by: Letter[object]) -> None:
        """Put an end to what waits or runs for the instance of `by` and must give way to it."""
        for letter in _giving_way(by, self._waiting.values()):
            self._drop(letter, by)
        for letter in _giving_way(by, self._queue.queued_of(by.address.instance_id)):
            self._queue.leave(letter)
            self._end(letter, _superseded(by))
        for letter in _giving_way(by, self._running.values()):
            first_id = self._first_id(letter.address.command_id)
            if self._driver.cancel(first_id):
                del self._running[first_id]
                self._end(letter, _superseded(by))

    def _drop(self, waiting: Letter[object], by: Letter[object]) -> None:
        del self._waiting[waiting.address.command_id]
        self._end(waiting, _superseded(by))

    def _ready(self) -> Letters:
        """Return what waits for nothing any more, in order."""
        running, incoming = self._running.values(), self._journal.incoming()
        return ready(self._waiting.values(), running, incoming, self._bounds)

    def _start(self, letter: Letter[object]) -> bool:
        """Leave a command that waited begun, or answered where it is not the driver's to do."""
        address, command = letter.address, letter.command
        del self._waiting[address.command_id]
        if older := self._older(letter):
            self._end(letter, older)
            return False
        if type(command) in FENCING:
            self._say_what_is(address.instance_id)
        if isinstance(command, RaiseGeneration):
            self._journal.free_slot(address.instance_id)
            self._journal.free_incoming(address.instance_id)
            self._end(letter, GenerationRaised())
            return False
        if isinstance(command, LookForGuest):
            self._end(letter, self._look(address.instance_id))
            return False
        if isinstance(command, LiveMigrateGuest):
            if self._journal.slots().get(address.instance_id, False):
                self._end(letter, LiveMigrationAborted(reason="aborted before the copy began"))
                return False
            self._journal.put_slot(address.instance_id, is_aborted=False)
        if isinstance(command, PrepareDestination):
            self._journal.put_incoming(address.instance_id)
        self._inbox.begin(letter)
        self._running[address.command_id] = letter
        return True

    def _say_what_is(self, instance_id: str) -> None:
        """Report what is here: an answer from before the new generation may not be believed."""
        guests = {guest.instance_id: guest for guest in self._driver.guests()}
        guest = guests.get(instance_id)
        fact = GuestFound(power_state=guest.power_state) if guest else GuestAbsent()
        self._scribe.say_of_instance(instance_id, fact)

    def _look(self, instance_id: str) -> GuestSeen | GuestMissed:
        for guest in self._driver.guests():
            if guest.instance_id == instance_id:
                return GuestSeen(power_state=guest.power_state)
        return GuestMissed()

    def _begin(self, letters: Letters) -> None:
        for letter in letters:
            self._driver.begin(letter)

    def _note(self, report: Report) -> None:
        if report.command_id is None:
            self._scribe.say_of_instance(report.instance_id, report.fact)
            return
        letter = self._running.get(report.command_id)
        if letter is None:
            self.stray_count += 1
        elif is_ending(letter.command, report.fact):
            del self._running[report.command_id]
            self._end(letter, report.fact)
        else:
            self._scribe.answer(letter, report.fact)

    def _ask(self, letter: Letter[object]) -> None:
        """Answer a command that had begun with what the driver sees; or note that it still runs."""
        outcome = self._driver.outcome_of(letter)
        if not outcome:
            self._running[letter.address.command_id] = letter
            return
        said = self._inbox.said(letter)
        for fact in outcome[:-1]:
            # What is attached is said part by part, and may be said again.
            if type(fact) in OF_ATTACHMENTS or type(fact).__name__ not in said:
                self._scribe.answer(letter, fact)
        self._end(letter, _after_death(letter.command, outcome[-1]))

    def _report_absent(self, letters: Letters) -> None:
        present = {guest.instance_id for guest in self._driver.guests()}
        present.update(each.address.instance_id for each in self._running.values())
        for instance_id in dict.fromkeys(letter.address.instance_id for letter in letters):
            if instance_id not in present:
                self._scribe.say_of_instance(instance_id, GuestAbsent())

    def _end(self, letter: Letter[object], fact: object) -> None:
        """Leave a command done, answered with `fact`."""
        number = self._scribe.answer(letter, fact)
        is_well = type(letter.command) in ENDINGS and is_success(letter.command, fact)
        self._inbox.end(letter, number, is_success=is_well)
        if _is_refused_unbegun(fact):
            return
        if type(letter.command) in FREES_SLOT:
            self._journal.free_slot(letter.address.instance_id)
        has_failed = isinstance(letter.command, PrepareDestination) and not is_well
        if type(letter.command) in FREES_INCOMING or has_failed:
            self._journal.free_incoming(letter.address.instance_id)

    def _first_id(self, command_id: str) -> str:
        """Return the id under which the driver knows an operation."""
        for first_id, letter in self._running.items():
            if letter.address.command_id == command_id:
                return first_id
        raise AssertionError(f"Expected {command_id} to run, but it does not")


def _giving_way(by: Letter[object], letters: Iterable[Letter[object]]) -> Letters:
    """Return those of the instance of `by` that are older, or that `by` is there to cancel.

    What clears up gives way to a higher generation alone: no roll-back can stop a deletion.
    """
    is_cancelling = type(by.command) in CANCELLING
    return [
        each
        for each in letters
        if each.address.instance_id == by.address.instance_id
        and type(each.command) not in STEERING
        and (
            each.address.generation < by.address.generation
            or (is_cancelling and type(each.command) not in CANCELLING)
        )
    ]


def _superseded(by: Letter[object]) -> CommandRefused:
    address = by.address
    sentence = f"Gave way to {type(by.command).__name__} {address.command_id}"
    return CommandRefused(code="superseded", reason=sentence)


def _after_death(command: object, ending: object) -> object:
    """Return the answer to a command that had begun when the agent died, and ended so."""
    if type(command) not in ASKED_AGAIN or is_success(command, ending):
        return ending
    reason: str = getattr(ending, "reason", "")
    return CommandRefused(code="interrupted", reason=reason)


def _is_refused_unbegun(fact: object) -> bool:
    """A refusal at the door says nothing about the operation that holds the place."""
    return isinstance(fact, CommandRefused) and fact.code != "superseded"
