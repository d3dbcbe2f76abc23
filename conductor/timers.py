"""The timers: deadlines, losses, returns, and what falls due by itself, become facts.

Nobody else decides by the clock.

A step's clock starts when its command was sent. They act only for partitions that have caught up to
the end seen at the takeover, so that after a long outage nothing is born overdue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conductor import limits
from conductor.office import Office
from events.decisions import HostReturned, PeriodElapsed, StepHostLost, StepTimedOut
from events.log import TopicPartition
from events.topics import partition_of
from projections.store import Order, Timer
from statemachines.dues import AGAIN_S
from statemachines.resume import RESEND


class Timers:
    """Tells the log what did not happen in time, and which hosts are gone or back."""

    def __init__(self, office: Office) -> None:
        self._store = office.ports.store
        self._speaker = office.speaker
        self._topics = office.ports.topics
        self._clock = office.ports.clock
        self._owned = office.owned
        self._next_look_s = 0.0
        self._next_due_s = 0.0

    def turn(self) -> bool:
        """Tell of a bounded number of waits that are over; say whether there were any."""
        acting = self._owned.acting(self._topics.instance_events)
        if not acting:
            return False
        worked = False
        if self._clock.monotonic_s() >= self._next_due_s:
            worked = self._time_out(acting)
            if not worked:  # Else the next turn goes on.
                self._next_due_s = self._clock.monotonic_s() + limits.SOON_LOOK_S
        if self._clock.monotonic_s() >= self._next_look_s:
            worked = self._look_slowly(acting) or worked
            self._next_look_s = self._clock.monotonic_s() + limits.SLOW_LOOK_S
        return worked

    def _time_out(self, acting: Mapping[TopicPartition, int]) -> bool:
        due = self._store.due(acting, self._clock.now_us(), limits.TIMERS_MAX)
        if not due:
            return False
        asked = self._resend(acting, [t for t in due if t.step == RESEND])
        self._speaker.say(
            [
                (
                    TopicPartition(t.topic, t.partition),
                    t.instance_uuid,
                    StepTimedOut(saga_id=t.saga_id, step=t.step, attempt=t.attempt, host=t.host),
                )
                for t in due
                if t.step != RESEND
            ]
        )
        self._store.fired([t.command_id for t in due if t.command_id not in asked])
        return True

    def _resend(self, acting: Mapping[TopicPartition, int], timers: Sequence[Timer]) -> set[str]:
        """A gap that is still open is asked about once more; it decides nothing by itself."""
        orders: list[Order] = []
        for timer in timers:
            partition = TopicPartition(timer.topic, timer.partition)
            fold = self._owned.fold_of(partition)
            if fold is None:
                continue
            outstanding = fold.outstanding(timer.instance_uuid, self._clock.now_us())
            orders += [o for o in outstanding if o.command_id == timer.command_id]
        self._store.restore(acting, orders, again=True)
        for mine in self._owned.of(TopicPartition(o.topic, o.partition) for o in orders):
            mine.to_send.look()
        return {order.command_id for order in orders}

    def _look_slowly(self, acting: Mapping[TopicPartition, int]) -> bool:
        waits = self._store.waiting_on_lost(acting, limits.TIMERS_MAX)
        self._speaker.say(
            [
                (
                    TopicPartition(w.topic, w.partition),
                    w.instance_uuid,
                    StepHostLost(saga_id=w.saga_id, step=w.step, attempt=w.attempt, host=w.host),
                )
                for w in waits
            ]
        )
        if waits:
            self._store.fired([w.command_id for w in waits])
        owed = self._store.owed(acting, limits.TIMERS_MAX)
        self._speaker.say(
            [(self._home(acting, uuid), uuid, HostReturned(host=host)) for uuid, host in owed]
        )
        return self._elapse(acting) or bool(waits or owed)

    def _elapse(self, acting: Mapping[TopicPartition, int]) -> bool:
        """What falls due by itself has its time; the judge says whether the state agrees."""
        now = self._clock.now_us()
        dues = self._store.elapsed(acting, now, limits.TIMERS_MAX)
        self._speaker.say(
            [
                (
                    TopicPartition(d.topic, d.partition),
                    d.instance_uuid,
                    PeriodElapsed(action=d.action, since=d.since),
                )
                for d in dues
            ]
        )
        self._store.put_off(dues, now + AGAIN_S * 1_000_000)
        return bool(dues)

    def _home(self, acting: Mapping[TopicPartition, int], uuid: str) -> TopicPartition:
        topic = self._topics.instance_events
        fold = self._owned.fold_of(next(iter(acting)))
        assert fold is not None
        return TopicPartition(topic, partition_of(uuid, fold.rules.partitions))
