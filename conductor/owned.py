"""The partitions that this conductor owns: the fold of each, its epoch, and how far it may act.

Shared by the worker, which fills it, and by the owner's turns (relay, scheduler, timers), which
act only for partitions in it, under the epoch in it, and only when they have caught up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from conductor.fold import Fold
from conductor.waiting import Waiting
from events.log import TopicPartition
from projections.store import Order


@dataclass(slots=True)
class Ownership:
    """One partition of ours."""

    fold: Fold
    epoch: int
    topic_id: str
    #: The end of the partition when it was taken over: until then nobody acts for it.
    end_at_takeover: int
    #: µs of the clock at the takeover: nothing is overdue, and no host is lost, before this plus
    #: `service_down_time`.
    taken_at: int
    #: Have orders that neither the outbox nor a timer has been put back?
    repaired: bool = False
    #: Names of the instances that may fall due by themselves, until they are looked at; None while
    #: nobody has asked. Whatever a batch changes later it writes down itself.
    may_fall_due: Sequence[str] | None = None
    #: Has a batch of ours been written? Until then each is tried alone, behind a marker.
    is_proven: bool = False
    #: The offset under our marker.
    marked_at: int | None = None
    #: Records before this offset are tried one at a time: a batch among them was fatal. 0 for none.
    careful_to: int = 0
    #: What was not sent to its host yet.
    to_send: Waiting = field(default_factory=Waiting)
    #: What the scheduler has not chosen yet.
    to_choose: Waiting = field(default_factory=Waiting)
    #: May there be answers of the scheduler that the log was not told, and that nobody has at hand?
    may_tell: bool = True
    #: Orders that were sent and still stand in the outbox: the next batch takes them out. If it is
    #: lost they are sent once more, and hosts know them.
    sent: list[Order] = field(default_factory=list)
    #: µs of the clock when they were sent.
    sent_at: int = 0
    #: Why it is stopped, loudly, until a person decides; None while it goes on.
    stopped: str | None = None

    @property
    def caught_up(self) -> bool:
        """Has everything been folded that was there at the takeover?"""
        return self.fold.next_offset >= self.end_at_takeover

    def waiting(self, *, scheduler: bool) -> Waiting:
        """Return the orders that wait: for the scheduler, or for hosts."""
        return self.to_choose if scheduler else self.to_send


@dataclass(slots=True)
class Owned:
    """All of them."""

    partitions: dict[TopicPartition, Ownership] = field(default_factory=dict)

    def of(self, partitions: Iterable[TopicPartition]) -> list[Ownership]:
        """Return those of some partitions that are ours still."""
        return [self.partitions[each] for each in partitions if each in self.partitions]

    def acting(
        self, topic: str, where: Callable[[Ownership], bool] = lambda _mine: True
    ) -> Mapping[TopicPartition, int]:
        """Return the epochs of the partitions of a topic for which one may act now.

        Those alone of which `where` says so.
        """
        return {
            tp: mine.epoch
            for tp, mine in self.partitions.items()
            if tp.topic == topic and mine.repaired and mine.caught_up and mine.stopped is None
            if where(mine)
        }

    def home(self, order: Order) -> Ownership:
        """Return our partition that an order comes from."""
        return self.partitions[TopicPartition(order.topic, order.partition)]

    def fold_of(self, partition: TopicPartition) -> Fold | None:
        """Return the fold of a partition of ours."""
        mine = self.partitions.get(partition)
        return None if mine is None else mine.fold
