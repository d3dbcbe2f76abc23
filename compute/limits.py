"""Every bound of an agent: its number, its unit and the reason for it.

What an operator may set is in `Bounds`, under nova's names and defaults where nova has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Commands read in one turn: each costs at least one fsync, and a turn shall stay below a second.
COMMANDS_PER_TURN: Final = 100
#: Records looked at in one turn while catching up: decoding only, nothing is done with them.
SCAN_PER_TURN: Final = 1_000
#: Commands that wait for their turn at most; beyond it only what leads out of trouble is taken.
WAITING_MAX: Final = 1_000
#: Facts sent in one turn, and their bytes: one request to a broker that takes 1 MiB.
EMIT_PER_TURN: Final = 500
EMIT_BYTES: Final = 512 * 1024
#: A reason is a sentence for people; a record that grows too large would stop its whole chain.
REASON_CHARS_MAX: Final = 1_000
#: Beyond this many times `unsent_max`, not even refusals are written: nothing more is read.
HARD_BOUND_FACTOR: Final = 2
#: After so many seconds without having read the command topic, the agent counts as cut off.
CUT_OFF_S: Final = 30
#: Sent facts, and the inbox rows that point to them, are kept so long.
KEEP_SENT_DAYS: Final = 30
#: Seconds between two looks for sent facts that are old enough to go.
FORGET_EVERY_S: Final = 3_600
#: A heartbeat that could not be sent is tried again after so many seconds.
HEARTBEAT_RETRY_S: Final = 1
#: The loop waits so long when nobody had work, doubling from the first to the second.
IDLE_MIN_S: Final = 0.01
IDLE_MAX_S: Final = 0.25
#: At a clean stop the loop tries so long to send what is left.
STOP_S: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an operator may set of a node."""

    #: Live migrations that leave this host at the same time; 0 is no bound.
    max_concurrent_live_migrations: int = 1
    #: Live migrations that come to this host at the same time; 0 is no bound. Ours: nova bounds the
    #: source alone, and an emptied rack may all go to one host.
    max_concurrent_incoming_live_migrations: int = 10
    #: Guests built at the same time; 0 is no bound.
    max_concurrent_builds: int = 10
    #: Guests snapshotted or backed up at the same time; 0 is no bound.
    max_concurrent_snapshots: int = 5
    #: Seconds between two heartbeats.
    report_interval_s: int = 10
    #: Seconds between two digests of the guests.
    digest_interval_s: int = 600
    #: Facts in the journal that the log has not taken yet; beyond it new work is refused.
    unsent_max: int = 10_000
