"""What an agent asks of a hypervisor: the protocol that every driver fulfils.

A driver works on its own time: `begin` starts an operation and returns, `poll` says what has
happened since. It knows nothing of the log, of numbers, generations or queues, and never begins
anything by itself. Failures of guests are reports; an exception out of a driver is its bug.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Protocol

from events.envelope import Letter


class PowerState(IntEnum):
    """A guest's power state, in nova's numbers."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Capacity(NamedTuple):
    """What a host has to give."""

    node: str
    hypervisor_type: str
    vcpus: int
    memory_mb: int
    disk_gb: int


class Guest(NamedTuple):
    """A guest that is on this host: not half built, not half arrived, not given away."""

    instance_id: str
    power_state: int


class Report(NamedTuple):
    """A fact that a driver has to say."""

    instance_id: str
    fact: object
    #: The command that it answers; None where nobody asked.
    command_id: str | None


class Hypervisor(Protocol):
    """Carries commands out on one host."""

    def capacity(self) -> Capacity:
        """Return what the host has to give."""
        ...

    def guests(self) -> tuple[Guest, ...]:
        """Return every guest on this host, by instance id."""
        ...

    def begin(self, letter: Letter[object]) -> None:
        """Start carrying a command out; its facts come from `poll`, its ending last."""
        ...

    def poll(self) -> list[Report]:
        """Return what has happened since the last call; never waits."""
        ...

    def cancel(self, command_id: str) -> bool:
        """Stop an operation where it stands and say nothing more of it.

        False where it does not run, or has come too far to be stopped: its ending still comes.
        What a cancelled operation leaves behind is the next command's to clear away.
        """
        ...

    def outcome_of(self, letter: Letter[object]) -> tuple[object, ...]:
        """Say what became of a command that had begun before this agent started.

        Returns the facts that answer it from its beginning, the ending last, as far as they can be
        known; nothing where the operation still runs (under the id of this or of an earlier
        attempt): its reports then come under the id of this letter. Looks, may clear away what was
        never started, and never starts a guest.
        """
        ...
