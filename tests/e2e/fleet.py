"""Services of one test as processes: started, killed, paused, stopped; each has a log file."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.installation import ROOT, Installation

STOP_S = 30.0
_UNABLE = 2


@dataclass
class Fleet:
    """Everything that runs beside the test, by name."""

    installation: Installation
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _words: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Leave the command `regente` running with these words."""
        with self.log_of(name).open("ab") as out:
            process = subprocess.Popen(
                self.installation.command(*words),
                cwd=ROOT,
                env=self.installation.environment(),
                stdout=out,
                stderr=out,
            )
        self.running[name] = process
        self._words[name] = words
        return process

    def log_of(self, name: str) -> Path:
        return self.installation.folder / f"{name}.log"

    def signal(self, name: str, number: signal.Signals) -> None:
        self.running[name].send_signal(number)

    def kill(self, name: str) -> None:
        """End it as a power cut would."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def dead(self) -> dict[str, int]:
        """Return the exit status of each that has ended by itself."""
        found = {name: process.poll() for name, process in self.running.items()}
        return {name: status for name, status in found.items() if status is not None}

    def supervise(self) -> None:
        """Start again what could not start, as an init system would: the database was away then.

        Whoever has begun to work goes on through everything; any other end is a bug.
        """
        for name, status in self.dead().items():
            assert status == _UNABLE, f"Expected {name} to live, but {status}: {self.log_of(name)}"
            self.start(name, *self._words[name])

    def stop(self) -> dict[str, int]:
        """Ask everybody to stop, and return the exit statuses."""
        for process in self.running.values():
            process.terminate()
        statuses = {name: process.wait(STOP_S) for name, process in self.running.items()}
        self.running.clear()
        return statuses

    def end(self) -> None:
        """Leave none running, however the test ended."""
        for process in self.running.values():
            process.kill()
            process.wait()
        self.running.clear()
