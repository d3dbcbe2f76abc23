"""Processes of one test: started, killed, paused, asked to stop; each has its log file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
STOP_S = 30.0


@dataclass
class Fleet:
    """Everything that runs beside the test, by name."""

    config: Path
    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *words: str) -> None:
        """Leave `python -m tests.e2e.process` running with these words."""
        kind, *rest = words
        command = [sys.executable, "-m", "tests.e2e.process", kind, str(self.config), *rest]
        with self.log_of(name).open("ab") as out:
            self.running[name] = subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ}
            )

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

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
