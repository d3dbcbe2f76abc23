"""Every bound of the conductor, with its unit and its reason."""

from __future__ import annotations

from typing import Final

#: Records folded in one transaction: where the bulk paths of the database are at their best.
BATCH_RECORDS_MAX: Final = 10_000
#: Records of a batch from which on the next are read while it is written: fewer are written sooner
#: than a poll returns, and whoever waits for one of a few shall not wait for a poll as well.
READ_AHEAD_RECORDS_MIN: Final = 2_000
#: Seconds that a poll may wait for records when there is nothing else to do.
POLL_WAIT_S: Final = 0.02
#: Commands sent in one turn of the relay, in a tenth of a second: of what a batch asks for all that
#: goes at once is answered at once, so that the next batches are as large.
RELAY_ORDERS_MAX: Final = 2_000
#: Orders of a partition that a conductor keeps at hand when it has put them into the outbox, some
#: 1.5 kB each; where there are more it keeps none, and looks into the outbox.
ORDERS_AT_HAND_MAX: Final = 1_000
#: Seconds after the last COMMIT in a partition for which they are trusted: a conductor that stood
#: still may own it no longer. Less than the time in which a silent member is taken for dead.
AT_HAND_S: Final = 5.0
#: Choices made in one turn, in one transaction that locks the hosts. Each looks at all of them, so
#: there are fewer where hosts are many, down to those for which the transaction is worth its price.
SCHEDULER_ORDERS_MIN: Final = 100
SCHEDULER_ORDERS_MAX: Final = 2_000
#: Looks at a host in one turn that more choices than the fewest may take, a tenth of a second.
SCHEDULER_LOOKS_MAX: Final = 100_000
#: Timers that become facts in one turn, so that a storm of them does not starve the fold.
TIMERS_MAX: Final = 200
#: Heartbeats read in one turn.
HEARTBEATS_MAX: Final = 5_000
#: Instances whose state a worker keeps as a value between batches, 2 to 7 kB each, shared among its
#: partitions: as many as are at work where batches are small. More of them is no quicker.
CACHE_VALUES_MAX: Final = 500
#: Bytes of states that it keeps as they are stored, shared among its partitions: of 30,000
#: instances or so, in 37 MB of memory. Others are read again, in one query a batch.
CACHE_BODIES_BYTES_MAX: Final = 28_000_000
#: Instances looked at in one turn of the repair after a takeover.
REPAIR_INSTANCES_MAX: Final = 1_000
#: Deaths at the same offset after which a record is set aside: once may be somebody's kill.
DEATHS_MAX: Final = 2
#: Seconds between two looks for deadlines that have passed, and for heartbeats: both are counted in
#: seconds, and each look is a request.
SOON_LOOK_S: Final = 0.1
#: Seconds between two words to lag tools about how far we are: a request to the broker each.
TELL_LAG_S: Final = 1.0
#: Seconds between looks at what only changes slowly (lost hosts, owed clean-ups).
SLOW_LOOK_S: Final = 1.0
#: Guests asked after in one turn of the survey, so that a host full of them starves nobody.
DOUBTS_MAX: Final = 500
#: Hosts that the survey reads in one look; the next look goes on behind them.
HOSTS_READ_MAX: Final = 1_000
#: Hosts whose guests the survey reads in one turn, by one query; the next turn goes on.
SURVEYED_HOSTS_MAX: Final = 100
#: Seconds for which a digest must differ before guests are asked after: facts may be on their way.
DIGEST_SETTLES_S: Final = 10.0
#: Seconds to wait after the world failed, doubled up to the second figure.
BACK_OFF_S: Final = 0.2
BACK_OFF_MAX_S: Final = 10.0
