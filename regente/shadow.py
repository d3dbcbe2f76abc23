"""A recording of nova's notifications, taken through ingest, log, fold and rows.

The code that runs live folds it: the worker, on a log and a database that nobody else has. The
log's clock is the recording's, so that rows have the times of then. Nothing is asked of any host:
what nova said is not commanded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from conductor.wiring import Options, Ports, build
from events.codec import encode_fact
from events.envelope import NOVA, Meta
from events.errors import BadRecord
from events.facts_nova import NovaReported
from events.log import Log, Message
from events.nova_ingest import Ingest
from events.ports import Clock
from events.seal import Key, MasterKeyring, sealed_message
from events.topics import PARTITIONS_EMBEDDED, Topics, partition_of
from projections.rows import InstanceRow, MigrationRow, RejectionRow
from projections.sql_store import open_store
from projections.view_rows import Stuck
from projections.views import Views
from regente.control import ENROLMENT, Control
from regente.rules import publication
from regente.settings import Settings

#: Facts appended at a time.
APPEND_RECORDS: Final = 1_000
#: No bound: a recording fits on a disk, and whoever replays it wants all of it.
ALL_ROWS: Final = 2**31
#: Seconds of silence after which something that nova left in the middle is called stuck.
OVERDUE_S: Final = 60


class RecordedClock:
    """The clock of a recording: it stands at the last notification that had a time."""

    def __init__(self) -> None:
        self._now_us = 0

    def now_us(self) -> int:
        """Return µs UTC of the recording."""
        return self._now_us

    def monotonic_s(self) -> float:
        """Return the same in seconds."""
        return self._now_us / 1_000_000

    def sleep(self, seconds: float) -> None:
        """Do not wait: a recording is there already."""

    def hear(self, fact: NovaReported) -> None:
        """Stand at the time of a fact, never going back; of the row where the envelope has none."""
        told = fact.timestamp_us or fact.updated_at_us or fact.created_at_us or 0
        self._now_us = max(self._now_us, told)


@dataclass(frozen=True, slots=True)
class Unread:
    """A line that is no notification, and why."""

    line: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Where a recording ends."""

    instances: tuple[InstanceRow, ...]
    migrations: tuple[MigrationRow, ...]
    rejections: tuple[RejectionRow, ...]
    stuck: tuple[Stuck, ...]


class Scratch:
    """A log and a database for one recording."""

    def __init__(
        self, *, log: Log, url: str, master: bytes, clock: RecordedClock, settings: Settings
    ) -> None:
        """Leave topics with rules in force; the database has its tables already."""
        self._log = log
        self._url = url
        self._clock = clock
        self._keyring = MasterKeyring(master)
        self._topics = Topics(settings.conductor.topic)
        admin = log.admin()
        admin.create(self._topics.specs(settings.topics.partitions or PARTITIONS_EMBEDDED))
        admin.close()
        control = Control(log, self._topics, master, clock)
        control.publish(publication(settings, control.in_force()))

    def feed(self, lines: Iterable[bytes], name: str) -> tuple[Unread, ...]:
        """Leave what the lines say in the log, and return those that say nothing readable."""
        ingest, unread = Ingest(), []
        key = self._keyring.key(NOVA, ENROLMENT)
        reader = self._log.reader()
        count = reader.topic(self._topics.instance_events).partitions
        reader.close()
        writer = self._log.writer()
        waiting: list[Message] = []
        waiting_at = self._clock.now_us()
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                facts = ingest.read(line, origin=f"{name}:{number}")
            except BadRecord as bad:
                unread.append(Unread(number, bad.code, bad.sentence))
                continue
            for fact in facts:
                self._clock.hear(fact)
                # The log stamps a batch with one time, so one batch has one time.
                is_later = bool(waiting) and self._clock.now_us() != waiting_at
                if is_later or len(waiting) == APPEND_RECORDS:
                    writer.append(waiting)
                    waiting = []
                waiting_at = self._clock.now_us()
                waiting.append(self._message(fact, key, count))
        if waiting:
            writer.append(waiting)
        writer.close()
        return tuple(unread)

    def fold(self) -> None:
        """Leave rows for everything that is in the log, written by the worker that runs live."""
        store = open_store(self._url)
        conductor = build(
            Ports(
                group=self._log.group("shadow"),
                reader=self._log.reader(),
                writer=self._log.writer(),
                store=store,
                clock=self._clock,
                keyring=self._keyring,
                topics=self._topics,
            ),
            Options(),
        )
        try:
            while conductor.worker.turn():
                pass
            conductor.stop()
        finally:
            store.close()

    def ending(self, views: Views, clock: Clock) -> Ending:
        """Return where every instance ended, and what stands still at the time of `clock`."""
        return Ending(
            instances=views.instances(deleted=True, limit=ALL_ROWS),
            migrations=views.migrations(limit=ALL_ROWS),
            rejections=views.rejections(limit=ALL_ROWS),
            stuck=views.stuck(clock.now_us(), overdue_s=OVERDUE_S, limit=ALL_ROWS),
        )

    def _message(self, fact: NovaReported, key: Key, partitions: int) -> Message:
        uuid = fact.instance_uuid
        meta = Meta(
            source=NOVA,
            instance_id=uuid,
            request_id=fact.request_id,
            occurred_at=fact.timestamp_us or self._clock.now_us(),
        )
        return sealed_message(
            topic=self._topics.instance_events,
            partition=partition_of(uuid, partitions),
            key=uuid,
            value=encode_fact(meta, fact),
            prev=b"",
            by=key,
        )
