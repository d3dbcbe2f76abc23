"""What can be wrong with a node's own part: its journal, its key, its driver.

    ComputeError
    ├── JournalFailed      the disk did not take a write: stop, nothing may be done unrecorded
    ├── JournalInUse       another agent of this host holds the journal
    └── WrongEnrolment     the journal belongs to another enrolment of this host than the key

None may be retried by the loop; each ends the agent's process with its sentence. What is wrong
with the log is `events.errors`. A class's docstring is its default message.
"""

from __future__ import annotations


class ComputeError(Exception):
    """The agent can't go on."""

    retriable = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class JournalFailed(ComputeError):
    """The journal could not be read or written."""


class JournalInUse(ComputeError):
    """Another agent holds the journal."""


class WrongEnrolment(ComputeError):
    """The journal belongs to another enrolment of this host."""
