"""What the parts of one conductor share: its ports, its options, its partitions, its voice."""

from __future__ import annotations

from dataclasses import dataclass, field

from conductor import limits
from conductor.commits import AtOnce, Beside
from conductor.owned import Owned
from conductor.scheduler_options import SchedulerOptions
from conductor.speaker import Speaker
from events.log import LogGroup, LogReader, LogWriter
from events.ports import Clock
from events.seal import MasterKeyring
from events.topics import Topics
from projections.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a conductor is told; names and units are nova's where nova has them."""

    service_down_time_s: int = 60
    batch_records_max: int = limits.BATCH_RECORDS_MAX
    read_ahead_records_min: int = limits.READ_AHEAD_RECORDS_MIN
    scheduler: SchedulerOptions = field(default_factory=SchedulerOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a conductor reaches the world through."""

    group: LogGroup
    #: For heartbeats: read without a group.
    reader: LogReader
    writer: LogWriter
    store: Store
    clock: Clock
    keyring: MasterKeyring
    topics: Topics
    #: Where a batch is written while the worker reads the next.
    beside: Beside = field(default_factory=AtOnce)


@dataclass(frozen=True, slots=True)
class Office:
    """Everything that a part of a conductor is handed."""

    ports: Ports
    options: Options
    owned: Owned
    speaker: Speaker
