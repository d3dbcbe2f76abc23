"""Journal → log, in order and without gaps, as often as it takes.

A fact counts as sent when the append has returned, and not before: whatever the log did not
acknowledge is appended again with the same bytes, and the fold knows it as a duplicate.
"""

from __future__ import annotations

from compute.journal import Entry, Journal
from compute.limits import EMIT_BYTES, EMIT_PER_TURN
from compute.node import Node
from events.errors import LogUnavailable
from events.log import LogWriter
from events.seal import sealed_message


class Emitter:
    """Sends a host's facts."""

    def __init__(self, *, node: Node, journal: Journal, writer: LogWriter) -> None:
        self._node = node
        self._journal = journal
        self._writer = writer
        #: Appends that the log did not acknowledge, since the last that it did.
        self.failure_count = 0

    @property
    def is_empty(self) -> bool:
        """Say whether the log has every fact of the journal."""
        return self._journal.unsent_count() == 0

    def turn(self) -> bool:
        """Leave the next facts in the log; False where there were none, or the log is away."""
        batch = _fitting(self._journal.unsent(EMIT_PER_TURN))
        if not batch:
            return False
        try:
            self._writer.append(
                [
                    sealed_message(
                        topic=entry.topic,
                        partition=entry.partition,
                        key=entry.subject,
                        value=entry.value,
                        prev=entry.prev,
                        by=self._node.key,
                    )
                    for entry in batch
                ]
            )
        except LogUnavailable:
            self.failure_count += 1
            return False
        self.failure_count = 0
        with self._journal.transaction():
            self._journal.mark_sent([entry.number for entry in batch])
        return True


def _fitting(entries: list[Entry]) -> list[Entry]:
    """Return the first entries, as many as one request takes, but at least one."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.value)
        if size > EMIT_BYTES and count:
            return entries[:count]
    return entries
