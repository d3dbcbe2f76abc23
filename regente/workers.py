"""Worker processes of one machine: started, watched, started again, stopped together.

A worker is a command line of its own. One that ends with status 2 met something that a
restart does not change (a wrong setting, another schema), so all end; so they do where log or
database are away at the very start. One that dies otherwise, or finds them away when it is started
again, is started once more, less and less often: an outage must not end the service.
"""

from __future__ import annotations

import logging
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from events.ports import Clock

#: Seconds between two looks at the workers.
LOOK_S: Final = 0.1
#: Seconds until a worker that died is started again, doubled with each death up to the second.
RESTART_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
#: A worker that lived for so long counts as healthy again.
HEALTHY_S: Final = 60.0
#: Seconds that a clean stop may take; nova's graceful_shutdown_timeout.
STOP_S: Final = 180.0
_UNABLE: Final = 2
_AWAY: Final = 75

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    started_s: float
    pause_s: float = RESTART_S
    #: When to start it again; None while it lives.
    again_s: float | None = None
    starts: int = 1


class Crew:
    """The workers of one machine."""

    def __init__(self, line: Sequence[str], clock: Clock) -> None:
        self._line = tuple(line)
        self._clock = clock
        self._workers: list[_Worker] = []

    def run(self, count: int, should_stop: Callable[[], bool]) -> bool:
        """Leave `count` workers running until told to stop; False where one ended for good."""
        self._workers = workers = [self._started(number) for number in range(1, count + 1)]
        is_well = True
        while is_well and not should_stop():
            self._clock.sleep(LOOK_S)
            looks = [self._look_after(worker) for worker in workers]  # a list: at each of them
            is_well = all(looks)
        self._stop(workers)
        return is_well

    def kill(self) -> None:
        """Leave no worker running, whatever it is in the middle of."""
        for worker in self._workers:
            worker.process.kill()

    def _started(self, number: int) -> _Worker:
        # A group of its own: Ctrl-C on the terminal is for us, and we tell the workers.
        process = subprocess.Popen(self._line, start_new_session=True)
        _log.info("worker %d is process %d", number, process.pid)
        return _Worker(number, process, self._clock.monotonic_s())

    def _look_after(self, worker: _Worker) -> bool:
        now_s = self._clock.monotonic_s()
        if worker.again_s is not None:
            if now_s >= worker.again_s:
                fresh = self._started(worker.number)
                worker.process, worker.started_s, worker.again_s = fresh.process, now_s, None
                worker.starts += 1
            return True
        status = worker.process.poll()
        if status is None:
            return True
        if status == _UNABLE or (status == _AWAY and worker.starts == 1):
            _log.error("worker %d ended with status %d, for good", worker.number, status)
            return False
        if now_s - worker.started_s > HEALTHY_S:
            worker.pause_s = RESTART_S
        worker.again_s = now_s + worker.pause_s
        worker.pause_s = min(2 * worker.pause_s, RESTART_MAX_S)
        _log.error("worker %d died with status %d; it is started again", worker.number, status)
        return True

    def _stop(self, workers: Sequence[_Worker]) -> None:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGTERM)
        end_s = self._clock.monotonic_s() + STOP_S
        for worker in workers:
            try:
                worker.process.wait(max(0.0, end_s - self._clock.monotonic_s()))
            except subprocess.TimeoutExpired:
                _log.error("worker %d did not stop within %g s", worker.number, STOP_S)
                worker.process.kill()
