"""The composition root: builds a conductor from its ports. Nothing else constructs its parts.

A conductor is one worker and the turns of an owner over the same partitions: relay, scheduler, timers, host watch.
`[conductor] manager` names the class that is built here, for those who extend it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from conductor import limits
from conductor.host_watch import HostWatch
from conductor.owned import Owned
from conductor.relay import Relay
from conductor.scheduler import Scheduler, SchedulerOptions
from conductor.speaker import Speaker
from conductor.timers import Timers
from conductor.worker import Worker
from events.errors import LogUnavailable
from events.log import LogGroup, LogReader, LogWriter
from events.ports import Clock
from events.seal import MasterKeyring
from events.topics import Topics
from projections.store import Store
from statemachines.sagas import check


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a conductor is told; names and units are nova's where nova has them."""

    service_down_time_s: int = 60
    batch_records_max: int = limits.BATCH_RECORDS_MAX
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


class Conductor:
    """One member of the group: folds its partitions and acts for them."""

    def __init__(self, ports: Ports, options: Options) -> None:
        stuck = check()
        assert not stuck, f"Expected every saga to have a way out, but {stuck}"
        self.owned = Owned()
        self._ports = ports
        self._options = options
        self._was_out = False
        speaker = Speaker(ports.writer, ports.keyring, ports.clock)
        self.worker = Worker(
            group=ports.group,
            store=ports.store,
            speaker=speaker,
            keyring=ports.keyring,
            topics=ports.topics,
            clock=ports.clock,
            owned=self.owned,
            service_down_time_s=options.service_down_time_s,
            batch_records_max=options.batch_records_max,
        )
        self.relay = Relay(
            store=ports.store,
            writer=ports.writer,
            speaker=speaker,
            keyring=ports.keyring,
            topics=ports.topics,
            clock=ports.clock,
            owned=self.owned,
        )
        self.scheduler = Scheduler(
            store=ports.store,
            speaker=speaker,
            topics=ports.topics,
            clock=ports.clock,
            owned=self.owned,
            options=options.scheduler,
        )
        self.timers = Timers(
            store=ports.store,
            speaker=speaker,
            topics=ports.topics,
            clock=ports.clock,
            owned=self.owned,
        )
        self.host_watch = HostWatch(
            reader=ports.reader,
            store=ports.store,
            speaker=speaker,
            keyring=ports.keyring,
            topics=ports.topics,
            clock=ports.clock,
            owned=self.owned,
            service_down_time_s=options.service_down_time_s,
        )

    def turn(self) -> bool:
        """Let every part take its turn once; say whether any had work.

        Raises StoreUnavailable, LogUnavailable: nothing was lost, call again after a while.
        """
        try:
            worked = self.worker.turn()
            if self._was_out:
                self._after_outage()
            parts = (self.relay, self.scheduler, self.host_watch, self.timers)
            did = [part.turn() for part in parts]  # a list: each gets its turn
        except LogUnavailable:
            self._was_out = True
            raise
        return worked or any(did)

    def stop(self) -> None:
        """Finish cleanly: everything committed stays, the group is left, nothing is half done."""
        self.worker.stop()

    def _after_outage(self) -> None:
        """The log was away: nobody could answer meanwhile, so nobody is late for it."""
        ports = self._ports
        now = ports.clock.now_us()
        for mine in self.owned.partitions.values():
            mine.taken_at = now
        self.host_watch.forget()
        epochs = {tp: mine.epoch for tp, mine in self.owned.partitions.items()}
        ports.store.postpone(epochs, now + self._options.service_down_time_s * 1_000_000)
        self._was_out = False


def build(ports: Ports, options: Options) -> Conductor:
    """Return a conductor over its ports."""
    return Conductor(ports, options)
