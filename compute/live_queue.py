"""Who may leave this host live: the places for live migrations, and the queue before them.

Places are rows of the journal and survive a crash; the queue is the inbox's QueueLiveMigration
commands that have begun, in order. Both are the agent's own business: the driver knows neither.
"""

from __future__ import annotations

from compute.inbox import Inbox
from compute.journal import Journal
from compute.scribe import Scribe
from events.envelope import Letter
from events.migration import LiveMigrationAdmitted, LiveMigrationDequeued, LiveMigrationQueued


class LiveQueue:
    """The live migrations that wait for a place. Called within a transaction of the journal."""

    def __init__(self, *, journal: Journal, scribe: Scribe, inbox: Inbox, slot_count: int) -> None:
        self._journal = journal
        self._scribe = scribe
        self._inbox = inbox
        self._slot_count = slot_count
        self._queued: list[Letter[object]] = []

    def join(self, letter: Letter[object]) -> None:
        """Leave a migration in the queue, and say so."""
        self._inbox.begin(letter)
        self._scribe.answer(letter, LiveMigrationQueued())
        self._queued.append(letter)

    def rejoin(self, letter: Letter[object]) -> None:
        """Put a migration back that was in the queue when the agent died."""
        self._queued.append(letter)

    def replace(self, command_id: str, letter: Letter[object]) -> bool:
        """Have a place in the queue answered under a later attempt; False where it has none."""
        for at, queued in enumerate(self._queued):
            if queued.address.command_id == command_id:
                self._queued[at] = letter
                return True
        return False

    def can_admit(self) -> bool:
        """Say whether `admit` would let one go."""
        return any(self._may_leave(letter) for letter in self._queued)

    def admit(self) -> None:
        """Give out the places that are free, in order."""
        for letter in tuple(self._queued):
            if self._may_leave(letter):
                self._queued.remove(letter)
                self._journal.put_slot(letter.address.instance_id, is_aborted=False)
                number = self._scribe.answer(letter, LiveMigrationAdmitted())
                self._inbox.end(letter, number, is_success=True)

    def take_out(self, instance_id: str, reason: str) -> bool:
        """Take a migration out of the queue; its command is answered as dequeued."""
        for letter in self.queued_of(instance_id):
            self._queued.remove(letter)
            number = self._scribe.answer(letter, LiveMigrationDequeued(reason=reason))
            self._inbox.end(letter, number, is_success=False)
            return True
        return False

    def leave(self, letter: Letter[object]) -> None:
        """Take a migration out of the queue without a word: its caller answers."""
        self._queued.remove(letter)

    def queued_of(self, instance_id: str) -> list[Letter[object]]:
        """Return the commands of an instance that are in the queue."""
        return [each for each in self._queued if each.address.instance_id == instance_id]

    def _may_leave(self, letter: Letter[object]) -> bool:
        slots = self._journal.slots()
        has_slot = letter.address.instance_id in slots
        return has_slot or not self._slot_count or len(slots) < self._slot_count
