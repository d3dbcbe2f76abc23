"""What the judge said of an operator's word that leaves no row of its own when it is taken.

Once the checkpoint of its partition is past the fact, it was judged: refused if a rejection names
its request, else taken.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from events.ports import Clock
from projections.rows import RejectionRow
from projections.sql_store import open_store
from projections.views import Views
from regente.requests import Appended

VERDICT_S: Final = 10.0
_POLL_S: Final = 0.05


class Told(NamedTuple):
    """What became of it."""

    request_id: str
    #: `accepted`, `refused` or `pending`.
    verdict: str
    reason: str | None
    #: Name of the exit status.
    exit_name: str


class Deeds:
    """Waits for verdicts in the rows of one database."""

    def __init__(self, url: str, views: Views, clock: Clock) -> None:
        self._url = url
        self._views = views
        self._clock = clock

    def verdict(self, sent: Appended, within_s: float = VERDICT_S) -> Told:
        """Return what the judge said, `pending` if nothing within that time."""
        end_s = self._clock.monotonic_s() + within_s
        store = open_store(self._url)
        try:
            while True:
                taken = {(c.topic, c.partition): c.next_offset for c in store.checkpoints()}
                if taken.get((sent.at.topic, sent.at.partition), 0) > sent.offset:
                    return self._judged(sent)
                if self._clock.monotonic_s() >= end_s:
                    return Told(sent.request_id, "pending", None, "PENDING")
                self._clock.sleep(_POLL_S)
        finally:
            store.close()

    def _judged(self, sent: Appended) -> Told:
        row = self._views.verdict(sent.request_id)
        if isinstance(row, RejectionRow):
            return Told(sent.request_id, "refused", row.reason, "NO")
        return Told(sent.request_id, "accepted", None, "DONE")
