"""The yardstick: the least that a Python process can do with the same topic, written by hand.

One loop, one thread: poll, decode, look up what may follow, fold into the instance's row, and write
rows, history and offsets in one PostgreSQL transaction by binary COPY, exactly once. No MAC, no
chain, no saga, none of nova's tables. The settings and the way of writing are the fastest
that were found; none may be taken out, for what the service is measured against must not become
slower.
"""

from __future__ import annotations

import gc
import struct
import time
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import fastavro
import psycopg
from kafka import KafkaConsumer, TopicPartition

from bench.load import Load
from events.codec import registry

#: The fastest settings that were found; `check_crcs` stays on.
SETTINGS: Final[dict[str, Any]] = {
    "max_poll_records": 10_000,
    "max_partition_fetch_bytes": 4 << 20,
    "fetch_max_wait_ms": 20,
    "metrics_enabled": False,
}
DDL: Final = """
CREATE TABLE instances (uuid uuid PRIMARY KEY, vm_state text NOT NULL, task_state text, host text,
  power_state bigint NOT NULL, version bigint NOT NULL, updated_at timestamptz NOT NULL);
CREATE TABLE history (instance_uuid uuid NOT NULL, version bigint NOT NULL, kind text NOT NULL,
  occurred_at timestamptz NOT NULL, host text, PRIMARY KEY (instance_uuid, version));
CREATE TABLE rejected (instance_uuid uuid NOT NULL, version bigint NOT NULL, kind text NOT NULL);
CREATE TABLE offsets (topic text, part int, next bigint NOT NULL, PRIMARY KEY (topic, part));
"""
_COLUMNS: Final = "uuid, vm_state, task_state, host, power_state, version, updated_at"
_TEMPORARY: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE instances) ON COMMIT DELETE ROWS"
)
_COPY_ROWS: Final = f"COPY incoming ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_UPSERT: Final = (
    f"INSERT INTO instances ({_COLUMNS}) SELECT {_COLUMNS} FROM incoming"
    " ON CONFLICT (uuid) DO UPDATE SET vm_state = excluded.vm_state,"
    " task_state = excluded.task_state, host = excluded.host, power_state = excluded.power_state,"
    " version = excluded.version, updated_at = excluded.updated_at"
)
_COPY_HISTORY: Final = (
    "COPY history (instance_uuid, version, kind, occurred_at, host) FROM STDIN (FORMAT BINARY)"
)
_OFFSETS: Final = (
    "INSERT INTO offsets (topic, part, next)"
    " SELECT %s, p, o FROM unnest(%s::int[], %s::int8[]) AS x (p, o)"
    " ON CONFLICT (topic, part) DO UPDATE SET next = excluded.next"
)
_KNOWN: Final = (
    "SELECT uuid::text, vm_state, task_state, host, power_state FROM instances"
    " WHERE uuid = ANY(%s::uuid[])"
)

_START: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_BEGIN_ROW: Final = struct.Struct("!hi16s").pack
_BEGIN_HISTORY: Final = struct.Struct("!hi16siq").pack
_NUMBERS: Final = struct.Struct("!iqiqiq").pack
_TIME: Final = struct.Struct("!iq").pack
#: 2000-01-01, where PostgreSQL's time begins, in µs of Unix.
_EPOCH_US: Final = 946_684_800_000_000

#: vm_state, task_state, host, power_state.
_Row = tuple[str | None, str | None, str | None, int]


@lru_cache(200_000)
def _uuid(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


@lru_cache(10_000)
def _text(text: str | None) -> bytes:
    if text is None:
        return _NULL
    body = text.encode()
    return struct.pack("!i", len(body)) + body


class Lean:
    """One process that takes a topic from where its offsets stand."""

    def __init__(self, load: Load, conninfo: str) -> None:
        self._topic = load.topics.instance_events
        self._table = {(m[0], m[1], m[2]): (m[3], m[4]) for m in load.transitions}
        self._schemas = {mark: (f.name, f.schema) for mark, f in registry().by_fingerprint.items()}
        self._state: dict[str, _Row] = {}
        self.taken = 0
        self._connection = psycopg.connect(conninfo)
        self._cursor = self._connection.cursor()
        partitions = [TopicPartition(self._topic, p) for p in range(load.partitions)]
        self._consumer: Any = KafkaConsumer(
            bootstrap_servers=load.address,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **SETTINGS,
        )
        self._consumer.assign(partitions)
        known = self._cursor.execute("SELECT part, next FROM offsets").fetchall()
        offsets = {int(part): int(next_) for part, next_ in known}
        for each in partitions:
            self._consumer.seek(each, offsets.get(each.partition, 0))
        #: Where the log ends now; asking also makes the client ready to fetch.
        self.ends: dict[Any, int] = self._consumer.end_offsets(partitions)
        self._connection.commit()

    def close(self) -> None:
        """Leave no connection."""
        self._consumer.close()
        self._connection.close()

    def step(self, timeout_ms: int = 1_000) -> dict[int, int]:
        """Take what there is, in one transaction; return the next offset of each partition."""
        polled = self._consumer.poll(timeout_ms=timeout_ms)
        if not polled:
            return {}
        decode, schemas = fastavro.schemaless_reader, self._schemas
        facts: list[tuple[int, str, Any]] = []
        offsets: dict[int, int] = {}
        for partition, records in polled.items():
            offsets[partition.partition] = records[-1].offset + 1
            for record in records:
                value = record.value
                name, schema = schemas[value[2:10]]
                facts.append((record.offset, name, decode(BytesIO(value[10:]), schema, None)))
        rows, history, rejected = self._fold(facts)
        self._write(rows, history, rejected)
        self._cursor.execute(_OFFSETS, (self._topic, list(offsets), list(offsets.values())))
        self._connection.commit()
        self.taken += len(facts)
        return offsets

    def _fold(
        self, facts: list[tuple[int, str, Any]]
    ) -> tuple[dict[str, tuple[Any, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        state, table = self._state, self._table
        rows: dict[str, tuple[Any, ...]] = {}
        history, rejected = [], []
        missing = {fact["meta"]["instance_id"] for _, _, fact in facts} - state.keys()
        missing.discard("control")
        if missing:
            self._load(list(missing))
        nothing: _Row = (None, None, None, 0)
        for version, name, fact in facts:
            meta = fact["meta"]
            uuid = meta["instance_id"]
            if uuid == "control":
                continue
            kind = fact["action"] if name == "ActionRequested" else name
            vm_state, task_state, host, power_state = state.get(uuid, nothing)
            next_ = table.get((vm_state, task_state, kind))
            if next_ is None:
                rejected.append((uuid, version, kind))
                continue
            source = meta["source"]
            if source[:8] == "compute/":
                host = source[8:]
            power_state = fact.get("power_state", power_state)
            state[uuid] = (*next_, host, power_state)
            at = meta["occurred_at"]
            rows[uuid] = (*next_, host, power_state, version, at)
            history.append((uuid, version, kind, at, host))
        return rows, history, rejected

    def _load(self, uuids: list[str]) -> None:
        for uuid, *row in self._cursor.execute(_KNOWN, (uuids,)).fetchall():
            self._state[uuid] = tuple(row)

    def _write(
        self,
        rows: dict[str, tuple[Any, ...]],
        history: list[tuple[Any, ...]],
        rejected: list[tuple[Any, ...]],
    ) -> None:
        cursor = self._cursor
        cursor.execute(_TEMPORARY)
        with cursor.copy(_COPY_ROWS) as copy:
            copy.write(_rows(rows))
        cursor.execute(_UPSERT)
        with cursor.copy(_COPY_HISTORY) as copy:
            copy.write(_history(history))
        if rejected:
            cursor.executemany("INSERT INTO rejected VALUES (%s, %s, %s)", rejected)


def _rows(rows: dict[str, tuple[Any, ...]]) -> bytes:
    return b"".join(
        [
            _START,
            *(
                _BEGIN_ROW(7, 16, _uuid(uuid))
                + _text(vm_state)
                + _text(task_state)
                + _text(host)
                + _NUMBERS(8, power_state, 8, version, 8, at - _EPOCH_US)
                for uuid, (vm_state, task_state, host, power_state, version, at) in rows.items()
            ),
            _END,
        ]
    )


def _history(history: list[tuple[Any, ...]]) -> bytes:
    return b"".join(
        [
            _START,
            *(
                _BEGIN_HISTORY(5, 16, _uuid(uuid), 8, version)
                + _text(kind)
                + _TIME(8, at - _EPOCH_US)
                + _text(host)
                for uuid, version, kind, at, host in history
            ),
            _END,
        ]
    )


def make_tables(conninfo: str) -> None:
    """Leave the empty tables of the lean pipeline."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(DDL)


def backlog(load: Load, conninfo: str) -> float:
    """Return the seconds in which the whole topic was taken, having checked that it was."""
    lean = Lean(load, conninfo)
    wanted = sum(lean.ends.values())
    gc.collect()
    begin = time.perf_counter()
    while lean.taken < wanted:
        lean.step()
    took = time.perf_counter() - begin
    lean.close()
    with psycopg.connect(conninfo) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM history), (SELECT count(*) FROM rejected)"
        ).fetchone()
    expected = (load.accepted, load.facts - load.accepted)
    assert found == expected, f"Expected {expected} facts accepted and rejected, but {found}"
    return took
