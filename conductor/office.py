"""What the parts of one conductor share: its ports, its options, its partitions, its voice."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from conductor import limits
from conductor.commits import AtOnce, Beside
from conductor.owned import Owned
from conductor.scheduler_options import SchedulerOptions
from conductor.speaker import Speaker
from events.log import LogGroup, LogReader, LogWriter
from events.ports import Clock
from events.seal import MasterKeyring
from events.topics import Topics
from projections.store import Order, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a conductor is told; names and units are nova's where nova has them."""

    service_down_time_s: int = 60
    batch_records_max: int = limits.BATCH_RECORDS_MAX
    read_ahead_records_min: int = limits.READ_AHEAD_RECORDS_MIN
    scheduler: SchedulerOptions = field(default_factory=SchedulerOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a conductor reaches the world through."""

    group: LogGroup
    #: For heartbeats: read without a group.
    reader: LogReader
    writer: LogWriter
    store: Store
    clock: Clock
    keyring: MasterKeyring
    topics: Topics
    #: Where a batch is written while the worker reads the next.
    beside: Beside = field(default_factory=AtOnce)


_RANK: Final = attrgetter("rank")


@dataclass(frozen=True, slots=True)
class Office:
    """Everything that a part of a conductor is handed."""

    ports: Ports
    options: Options
    owned: Owned
    speaker: Speaker

    def next_orders(self, most: int, *, scheduler: bool) -> list[Order]:
        """Return the first orders that wait, by rank and age: for hosts, or for the scheduler.

        What a batch put into the outbox is at hand once its COMMIT is known. The outbox is looked
        into for what this conductor did not put there, or has lost sight of; what a look finds is
        at hand then, unless there is more of it.
        """
        topic, owned = self.ports.topics.instance_events, self.owned
        now_s = self.ports.clock.monotonic_s()
        for mine in owned.partitions.values():
            mine.waiting(scheduler=scheduler).doubt(now_s)
        looking = owned.acting(topic, lambda mine: mine.waiting(scheduler=scheduler).must_look)
        # No more than may be at hand: what a look finds to the end shall not be too much at once.
        seen = min(most, limits.ORDERS_AT_HAND_MAX)
        found = list(self.ports.store.unsent(looking, seen, scheduler=scheduler)) if looking else []
        if len(found) < seen:
            for mine in owned.of(looking):
                mine.waiting(scheduler=scheduler).must_look = False
            for order in found:
                owned.home(order).waiting(scheduler=scheduler).came([order], now_s)
            found = []
        at_hand = [
            order
            for mine in owned.of(owned.acting(topic))
            for order in mine.waiting(scheduler=scheduler).at_hand.values()
        ]
        at_hand.sort(key=_RANK)
        return found + at_hand[: most - len(found)]
