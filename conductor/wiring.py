"""The composition root: builds a conductor from its ports. Nothing else constructs its parts.

A conductor is one worker and the turns of an owner over the same partitions: relay, scheduler,
timers, host watch, survey. `[conductor] manager` names the class that is built here, for those who
extend it.
"""

from __future__ import annotations

from conductor.host_watch import HostWatch
from conductor.office import Office, Options, Ports
from conductor.owned import Owned
from conductor.relay import Relay
from conductor.scheduler import Scheduler
from conductor.scheduler_options import SchedulerOptions
from conductor.speaker import Speaker
from conductor.survey import Survey
from conductor.timers import Timers
from conductor.worker import Worker
from events.errors import LogUnavailable
from statemachines.sagas import check

__all__ = ["Conductor", "Options", "Ports", "SchedulerOptions", "build"]


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
        office = Office(ports, options, self.owned, speaker)
        self.worker = Worker(office)
        self.relay = Relay(office)
        self.scheduler = Scheduler(office)
        self.timers = Timers(office)
        self.host_watch = HostWatch(office)
        self.survey = Survey(office)

    def turn(self) -> bool:
        """Let every part take its turn once; say whether any had work.

        Raises StoreUnavailable, LogUnavailable: nothing was lost, call again after a while.
        """
        try:
            worked = self.worker.turn()
            if self._was_out:
                self._after_outage()
            parts = (self.relay, self.scheduler, self.host_watch, self.survey, self.timers)
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
        self.relay.note_sent()  # What begins to wait from now on is put off with the others.
        epochs = {tp: mine.epoch for tp, mine in self.owned.partitions.items()}
        ports.store.postpone(epochs, now + self._options.service_down_time_s * 1_000_000)
        self._was_out = False


def build(ports: Ports, options: Options) -> Conductor:
    """Return a conductor over its ports."""
    return Conductor(ports, options)
