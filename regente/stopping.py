"""How a service is told to stop: by SIGTERM or Ctrl-C it ends cleanly, by a second one at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


class StopSignals:
    """Remembers that somebody asked to stop."""

    def __init__(self) -> None:
        self.is_asked = False
        #: What has to be done before the end that comes at once.
        self.at_once: Callable[[], None] = lambda: None

    def install(self) -> None:
        """Hear SIGTERM and SIGINT from now on."""
        signal.signal(signal.SIGTERM, self._hear)
        signal.signal(signal.SIGINT, self._hear)

    def __call__(self) -> bool:
        """Say whether to stop."""
        return self.is_asked

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self.is_asked:
            self.at_once()
            os._exit(128 + number)
        self.is_asked = True
