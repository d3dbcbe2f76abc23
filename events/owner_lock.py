"""Who owns the partitions of a log in one file: the process that holds a lock beside it.

The kernel lets go of the lock when the process dies, however it dies. The lock says nothing about
reading and appending, which any process of the machine may do.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class OwnerLock:
    """A lock on one file, held by at most one object on the machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Hold the lock if nobody else does, and say whether it is held; never waits."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        # For people who wonder who it is; the lock itself doesn't need it.
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Hold the lock no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
