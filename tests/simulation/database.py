"""What the simulation's database holds: rows, checkpoints and the operational tables.

Dictionaries, and somebody who watches what is committed. How they change is the store model's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock

from events.log import TopicPartition
from projections.digests import Entries, made_here
from projections.rows import TABLES, ClaimRow, Key, Row
from projections.store import Answer, Batch, Checkpoint, DueRow, Order, Reservation, Timer


@dataclass(slots=True)
class Waiting:
    """A timer, and whether the log was told that it is over."""

    timer: Timer
    fired: bool = False


@dataclass(slots=True)
class Said:
    """An answer of the scheduler, and whether the log was told."""

    answer: Answer
    created_at: int
    told: bool = False


class Watcher:
    """Hears of everything that was committed."""

    def committed(self, batch: Batch) -> None:
        """Hear of one batch that is in the database now."""

    def ordered(self, orders: Sequence[Order]) -> None:
        """Hear of orders that were put back into the outbox."""

    def marked_sent(self, orders: Sequence[Order]) -> None:
        """Hear of orders that were taken out of the outbox as sent."""


@dataclass
class Database:
    """What is stored; several stores may be open on it."""

    rows: dict[str, dict[Key, Row]] = field(default_factory=lambda: {name: {} for name in TABLES})
    checkpoints: dict[TopicPartition, Checkpoint] = field(default_factory=dict)
    #: In the order in which they came; True once the log was told that the host is lost.
    outbox: dict[str, tuple[Order, bool]] = field(default_factory=dict)
    timers: dict[str, Waiting] = field(default_factory=dict)
    dues: dict[tuple[str, str], DueRow] = field(default_factory=dict)
    answers: dict[str, Said] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    last_seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    markers: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)
    aside: dict[TopicPartition, dict[int, str]] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)
    watcher: Watcher = field(default_factory=Watcher)

    def used(self) -> dict[str, tuple[int, int, int]]:
        """Return what is taken of each host: claims plus reservations."""
        sums: dict[str, tuple[int, int, int]] = {}
        taken: list[ClaimRow | Reservation] = list(self.reservations.values())
        taken += [c for c in self.rows["claims"].values() if isinstance(c, ClaimRow)]
        for each in taken:
            v, m, d = sums.get(each.host, (0, 0, 0))
            sums[each.host] = (v + each.vcpus, m + each.memory_mb, d + each.disk_gb)
        return sums


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of the database."""

    checkpoints: tuple[Checkpoint, ...]
    rows: Mapping[str, Mapping[Key, Row]]

    def values(self, table: str) -> Iterator[list[tuple[object, ...]]]:
        """Yield the values of the rows of a table in key order, many at a time."""
        rows = self.rows[table]
        yield [tuple(rows[key]) for key in sorted(rows)]

    def picked(
        self, table: str, column: str, names: Collection[str]
    ) -> Iterator[list[tuple[object, ...]]]:
        """Yield the values of those rows of a table that have one of the names in a column."""
        rows = self.rows[table].values()
        yield [tuple(row) for row in rows if getattr(row, column) in names]

    @contextmanager
    def digested(self) -> Iterator[Callable[[], Entries]]:
        """Give what returns a mark and a digest of every row."""
        yield lambda: {table: list(made_here(table, self.values(table))) for table in TABLES}
