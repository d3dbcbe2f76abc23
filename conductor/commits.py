"""One transaction at a time, written while its worker does something else.

A database is waited for; in that time the worker reads the next records (`Worker._read_ahead`). The
transaction never outlasts the turn, and never a word of the group about partitions: whoever gives
partitions or takes them away (from within a poll) first hears what became of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from threading import Thread
from typing import Final, Protocol

from projections.store import Batch, Fenced, Store, StoreError, StoreUnavailable

Work = Callable[[], None]

#: Seconds after which a thread that computes lets another go on, while a batch is written. Of some
#: forty answers of the database each would wait for Python's own 5 ms until it is heard.
SWITCH_S: Final = 0.000_2


class Beside(Protocol):
    """Where work is done that another process does most of."""

    def begin(self, work: Work) -> Work:
        """Begin it; return what waits for its end, and raises what it raised."""
        ...


class AtOnce:
    """In the caller's own time: for a database in this process, and where chance has no part.

    What the store raises is kept until the end is asked for, as in a thread.
    """

    def begin(self, work: Work) -> Work:
        """Do it; return what raises what the store raised."""
        failures: list[StoreError] = []
        try:
            work()
        except StoreError as error:
            failures.append(error)
        return lambda: _raise_any(failures)


class InThread:
    """In a thread: for a database of which an answer is waited for, by its driver without the lock.

    A process that ends does not wait for it: that is a death before COMMIT like any other.
    """

    def begin(self, work: Work) -> Work:
        """Begin it in a thread of its own."""
        failures: list[BaseException] = []
        patience_s = sys.getswitchinterval()

        def keep() -> None:
            try:
                work()
            except BaseException as error:  # Raised again, in the thread that asks.
                failures.append(error)

        thread = Thread(target=keep, name="commit", daemon=True)
        sys.setswitchinterval(SWITCH_S)
        thread.start()

        def end() -> None:
            thread.join()
            sys.setswitchinterval(patience_s)
            _raise_any(failures)

        return end


def _raise_any(failures: Sequence[BaseException]) -> None:
    for failure in failures:
        raise failure


def beside(*, is_served: bool) -> Beside:
    """Return where the batches of a store are written: `is_served` if a server does the work."""
    return InThread() if is_served else AtOnce()


class Commits:
    """Writes batches, and tells of each that is known to be in the database."""

    def __init__(self, store: Store, beside: Beside, known: Callable[[Batch], None]) -> None:
        self._store = store
        self._beside = beside
        self._known = known
        self._batches: tuple[Batch, ...] = ()
        self._end: Work | None = None
        self._failure: StoreError | None = None
        #: Batches of which it is not known whether they are in the database.
        self.doubt: tuple[Batch, ...] = ()

    def write(self, batches: Sequence[Batch], meanwhile: Work | None = None) -> None:
        """Leave the batches written, and something else done while the database was at it.

        Raises Fenced: nothing was written. Raises StoreUnavailable: the batches are in `doubt`.
        Otherwise raises what was raised meanwhile; the batches are written then.
        """
        self._batches, self._failure = tuple(batches), None
        beside = AtOnce() if meanwhile is None else self._beside
        self._end = beside.begin(partial(self._store.commit, batches))
        try:
            if meanwhile is not None:
                meanwhile()
        except Exception:
            self._finish()
            raise
        self._finish()

    def join(self) -> None:
        """Leave no transaction under way; what failed is raised where it was begun."""
        end, self._end = self._end, None
        if end is None:
            return
        batches, self._batches = self._batches, ()
        try:
            end()
        except Fenced as fenced:
            self._failure = fenced
        except StoreUnavailable as unavailable:
            self._failure = unavailable
            self.doubt = batches
        else:
            for batch in batches:
                self._known(batch)

    def _finish(self) -> None:
        self.join()
        if self._failure is not None:
            raise self._failure
