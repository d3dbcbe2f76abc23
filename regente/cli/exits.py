"""The exit statuses of `regente`, one table for every command.

A command's help names those that it may end with; nothing else ends with another.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import Final


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    #: The answer is no: refused, failed, differences found, not found.
    NO = 1
    #: It could not be tried: usage, settings, a missing extra, log or database away or unreadable.
    UNABLE = 2
    #: Recorded, and not judged within the time that one waits for it.
    PENDING = 3
    #: A worker of a crew found log or database away (EX_TEMPFAIL); its crew starts it again.
    AWAY = 75
    #: `--wait` lasted longer than `--timeout`.
    TIMED_OUT = 124
    #: Ctrl-C.
    INTERRUPTED = 130
    #: A bug of ours: please report it; `--debug` shows where.
    UNEXPECTED = 255


MEANINGS: Final = MappingProxyType(
    {
        Exit.DONE: "done",
        Exit.NO: "the answer is no: refused, failed, not found, differences or findings",
        Exit.UNABLE: "it could not be tried: usage, settings, a missing extra, "
        "log or database away or unreadable",
        Exit.PENDING: "recorded, and not judged within 10 seconds",
        Exit.AWAY: "a worker found log or database away; it is started again",
        Exit.TIMED_OUT: "--wait lasted longer than --timeout",
        Exit.INTERRUPTED: "interrupted by Ctrl-C",
        Exit.UNEXPECTED: "a bug of ours; --debug shows where",
    }
)

#: Every command may end like this.
EVERY: Final = (Exit.DONE, Exit.UNABLE)


def described(exits: tuple[Exit, ...]) -> str:
    """Return the statuses of a command as its help shows them."""
    wanted = sorted({*EVERY, *exits})
    return "exit status: " + "; ".join(f"{int(each)} {MEANINGS[each]}" for each in wanted)
