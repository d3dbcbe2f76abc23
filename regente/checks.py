"""Is everything as it has to be: each finding says what was found and what to do about it.

Looks at topics, keys, tables, rules, lag, clocks, and at what waits for a person. It changes
nothing, and a part that can't be looked at is a finding and no reason to stop looking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from events.codec import decode_fact
from events.errors import BadRecord, EventsError
from events.log import Log, LogReader, TopicInfo, TopicPartition
from events.nova_wire import notification_specs
from events.ports import Clock
from events.topics import TopicSpec
from projections.store import StoreError
from regente.places import existing_database_url, existing_log, opened_views, topics_of
from regente.settings import Settings
from regente.state_folder import StateError, StateFolder

#: A partition that is so many records behind is a finding.
LAG_RECORDS_MAX: Final = 10_000
#: Clocks that differ by more than this make times in rows misleading; order never depends on them.
CLOCK_US_MAX: Final = 2_000_000
#: Seconds past its deadline after which a step is called stuck.
OVERDUE_S: Final = 60
_FAILED: Final = "failure"
_WARNED: Final = "warning"
_FINE: Final = "ok"


class Finding(NamedTuple):
    """One check and what came of it."""

    check: str
    #: `ok`, `warning` or `failure`.
    status: str
    found: str
    what_to_do: str


def is_fine(findings: tuple[Finding, ...]) -> bool:
    """Say whether nothing is wrong."""
    return all(each.status == _FINE for each in findings)


def topic_findings(settings: Settings, folder: StateFolder) -> tuple[Finding, ...]:
    """Check every shared topic; raises StateError, LogUnavailable."""
    return tuple(_topics(settings, existing_log(settings, folder)))


def all_findings(settings: Settings, folder: StateFolder, clock: Clock) -> tuple[Finding, ...]:
    """Check everything."""
    parts: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("log", lambda: _topics(settings, existing_log(settings, folder))),
        ("keys", lambda: _keys(folder)),
        ("database", lambda: _database(settings, folder)),
        ("rules", lambda: _rules(settings, folder)),
        ("lag", lambda: _lag(settings, folder)),
        ("clock", lambda: _clocks(settings, folder, clock)),
        ("waiting", lambda: _waiting(settings, folder, clock)),
    )
    found: list[Finding] = []
    for name, part in parts:
        try:
            found += part()
        except (EventsError, StoreError, StateError) as error:
            found.append(Finding(name, _FAILED, str(error), "see the sentence"))
    return tuple(found)


def _topics(settings: Settings, log: Log) -> Iterator[Finding]:
    topics = topics_of(settings)
    admin = log.admin()
    try:
        there = {info.name: info for info in admin.topics()}
        known = there.get(topics.instance_events)
        count = settings.topics.partitions or (
            settings.partitions if known is None else known.partitions
        )
        for spec in topics.specs(count):
            yield from _topic(spec, there.get(spec.name))
            read = getattr(admin, "settings", None)  # brokers have settings, a file has none
            if read is not None and spec.name in there:
                yield from _broker_settings(spec.name, read(spec.name))
        if settings.notifications.is_on:
            for name in settings.notifications.topics:
                for spec in notification_specs(name, count):
                    yield from _notified(spec, there.get(spec.name))
    finally:
        admin.close()


def _notified(spec: TopicSpec, info: TopicInfo | None) -> Iterator[Finding]:
    """A topic of notifications may be nova's: that it is there is enough."""
    if info is None:
        yield from _topic(spec, None)
    else:
        yield Finding(f"topic {spec.name}", _FINE, f"{info.partitions} partitions", "")


def _topic(spec: TopicSpec, info: TopicInfo | None) -> Iterator[Finding]:
    check = f"topic {spec.name}"
    if info is None:
        yield Finding(check, _FAILED, "it does not exist", "run `regente topics create`")
        return
    if info.partitions != spec.partitions:
        yield Finding(
            check,
            _FAILED,
            f"expected {spec.partitions} partitions, but it has {info.partitions}",
            "never change the number: it decides the order per instance; correct [topics]"
            " partitions, or restore the topic",
        )
    elif info.retention_ms != spec.retention_ms:
        yield Finding(
            check,
            _FAILED if spec.retention_ms == -1 else _WARNED,
            f"expected retention.ms {spec.retention_ms}, but it is {info.retention_ms}",
            f"set retention.ms={spec.retention_ms} on the topic",
        )
    else:
        yield Finding(check, _FINE, f"{info.partitions} partitions", "")


def _broker_settings(name: str, found: dict[str, str]) -> Iterator[Finding]:
    kind = found.get("message.timestamp.type", "")
    if kind != "LogAppendTime":
        yield Finding(
            f"topic {name}",
            _FAILED,
            f"expected message.timestamp.type LogAppendTime, but it is {kind}",
            "set message.timestamp.type=LogAppendTime on the topic",
        )
    replicas = found.get("min.insync.replicas", "1")
    if replicas == "1":
        yield Finding(
            f"topic {name}",
            _WARNED,
            "min.insync.replicas is 1: an acknowledged record may be on one broker only",
            "with three brokers set replication 3 and min.insync.replicas=2",
        )


def _keys(folder: StateFolder) -> Iterator[Finding]:
    folder.master()
    yield Finding("master key", _FINE, str(folder.master_key), "")


def _database(settings: Settings, folder: StateFolder) -> Iterator[Finding]:
    from projections.schema import check

    yield Finding(
        "database", _FINE, f"revision {check(existing_database_url(settings, folder))}", ""
    )


def _rules(settings: Settings, folder: StateFolder) -> Iterator[Finding]:
    from regente.rules import compared
    from regente.setup import known_rules, open_control

    in_force = open_control(settings, folder).in_force(known_rules(settings, folder))
    differing = [each for each in compared(settings, in_force.values()) if each.differs]
    for each in differing:
        yield Finding(
            f"rules: {each.kind} {each.name}",
            _WARNED,
            f"in force is {each.in_force}, here is {each.here}",
            "conductors obey the log: `regente rules publish` once all of them are upgraded",
        )
    if not differing:
        yield Finding("rules", _FINE, "in force as installed here", "")


def _lag(settings: Settings, folder: StateFolder) -> Iterator[Finding]:
    from projections.sql_store import open_store

    topics = topics_of(settings)
    reader = existing_log(settings, folder).reader()
    store = open_store(existing_database_url(settings, folder))
    try:
        taken = {TopicPartition(c.topic, c.partition): c for c in store.checkpoints()}
        wanted = [
            TopicPartition(name, n)
            for name in (topics.instance_events, topics.node_events)
            for n in range(reader.topic(name).partitions)
        ]
        ends, begins = reader.end_offsets(wanted), reader.begin_offsets(wanted)
    finally:
        reader.close()
        store.close()
    behind = {at: ends[at] - (taken[at].next_offset if at in taken else 0) for at in wanted}
    for at in wanted:
        position = taken[at].next_offset if at in taken else 0
        if not begins[at] <= position <= ends[at]:
            yield Finding(
                f"partition {at.topic}/{at.partition}",
                _FAILED,
                f"the checkpoint is at {position}, but the log holds {begins[at]} to {ends[at]}",
                "the log lost records: restore it, or `regente rebuild` from what is there",
            )
    worst = max(behind.values(), default=0)
    status = _WARNED if worst > LAG_RECORDS_MAX else _FINE
    todo = "start conductors, or look why they are slow" if status == _WARNED else ""
    total = sum(behind.values())
    yield Finding("lag", status, f"{total} records, at most {worst} in one partition", todo)


def _clocks(settings: Settings, folder: StateFolder, clock: Clock) -> Iterator[Finding]:
    """Compare the hosts' clocks, and ours, with the log's by the last heartbeats."""
    topic = topics_of(settings).heartbeats
    reader = existing_log(settings, folder).reader()
    try:
        skews = _skews(reader, topic, clock.now_us())
    finally:
        reader.close()
    off = {name: us for name, us in skews.items() if abs(us) > CLOCK_US_MAX}
    for name, us in sorted(off.items()):
        yield Finding(
            f"clock of {name}",
            _WARNED,
            f"it differs from the log's by {us / 1e6:+.1f} s",
            "look at its time service; order never depends on it, times in rows do",
        )
    if not off:
        yield Finding("clock", _FINE, f"{len(skews)} heard", "")


def _skews(reader: LogReader, topic: str, now_us: int) -> dict[str, int]:
    partitions = [TopicPartition(topic, n) for n in range(reader.topic(topic).partitions)]
    ends, begins = reader.end_offsets(partitions), reader.begin_offsets(partitions)
    found: dict[str, int] = {}
    for at in partitions:
        start = max(begins[at], ends[at] - 100)
        if start == ends[at]:
            continue
        reader.assign({at: start})
        for record in reader.poll(100, 1.0):
            try:
                meta, _ = decode_fact(record.value or b"")
            except BadRecord:
                continue
            found[meta.instance_id] = meta.occurred_at - record.timestamp_us
            if record.timestamp_us - now_us > CLOCK_US_MAX:
                found["this machine"] = now_us - record.timestamp_us
    return found


def _waiting(settings: Settings, folder: StateFolder, clock: Clock) -> Iterator[Finding]:
    with opened_views(existing_database_url(settings, folder)) as views:
        lost = [s.host for s in views.services() if s.status in ("lost", "forced_down")]
        stuck = views.stuck(clock.now_us(), overdue_s=OVERDUE_S)
        quarantine, parked = views.quarantine(), views.parked()
    lists = (
        ("hosts lost", lost, "bring them back, or evacuate: " + ", ".join(lost[:10])),
        ("stuck", stuck, "`regente saga list --stuck`, then retry, compensate or resolve"),
        ("quarantine", quarantine, "`regente quarantine list`, then discard or repair the writer"),
        (
            "parked",
            parked,
            "`regente parked list`: a gap in a host's chain, or a schema to publish",
        ),
    )
    for name, found, todo in lists:
        status = _WARNED if found else _FINE
        yield Finding(name, status, str(len(found)), todo if found else "")
