"""Quix Streams on the same topic: keyed state, a table of what may follow, its PostgreSQL sink.

Runs in its own virtual environment, knows nothing of the house, and is set up as its documentation
recommends: one `StreamingDataFrame`, state in its store with a changelog, at least once, a sink
per table. Prints the seconds from the first record to the end as the last line.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import psycopg2
from quixstreams import Application
from quixstreams.models.serializers import Deserializer
from quixstreams.sinks.community.postgresql import PostgreSQLSink

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COMMIT_EVERY = 5_000
DDL = """
CREATE TABLE q_instances (uuid text PRIMARY KEY, vm_state text, task_state text, host text,
  power_state bigint, version bigint, updated_at timestamp);
CREATE TABLE q_history (uuid text, version bigint, kind text, occurred_at timestamp, host text,
  PRIMARY KEY (uuid, version));
CREATE TABLE q_rejected (uuid text, version bigint, kind text);
"""


class Avro(Deserializer):
    """Single-object Avro, by fingerprint."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        super().__init__()
        self._schemas = {
            bytes.fromhex(mark): (name, fastavro.parse_schema(schema))
            for mark, (name, schema) in schemas.items()
        }

    def __call__(self, value: bytes, ctx: object) -> dict[str, Any]:
        """Return the fact, with what it is called."""
        name, schema = self._schemas[value[2:10]]
        fact: Any = fastavro.schemaless_reader(io.BytesIO(value[10:]), schema, None)
        return fact | {"kind": fact["action"] if name == "ActionRequested" else name}


class Judge:
    """What may follow what, and what it leads to, with the state of each key kept by Quix."""

    def __init__(self, transitions: list[list[str | None]]) -> None:
        self._table = {(m[0], m[1], m[2]): (m[3], m[4]) for m in transitions}

    def __call__(
        self, fact: dict[str, Any], _key: object, _at: int, _headers: object, state: Any
    ) -> dict[str, Any]:
        """Return the row that comes of a fact, and the verdict."""
        meta = fact["meta"]
        if meta["instance_id"] == "control":
            return {"verdict": "control"}
        vm, task, host, power, version = state.get("s") or (None, None, None, 0, 0)
        version += 1
        following = self._table.get((vm, task, fact["kind"]))
        row = {"uuid": meta["instance_id"], "version": version, "kind": fact["kind"]}
        if following is None:
            state.set("s", (vm, task, host, power, version))
            return row | {"verdict": "rejected"}
        if meta["source"].startswith("compute/"):
            host = meta["source"][8:]
        power = fact.get("power_state", power)
        state.set("s", (*following, host, power, version))
        moment = EPOCH + timedelta(microseconds=meta["occurred_at"])
        return row | {
            "verdict": "accepted",
            "vm_state": following[0],
            "task_state": following[1],
            "host": host,
            "power_state": power,
            "at": moment.replace(tzinfo=None),
        }


class Count:
    """Stops the application behind the last record."""

    def __init__(self, records: int) -> None:
        self._records = records
        self._done = 0
        self.begun_s = 0.0
        self.app: Application | None = None

    def __call__(self, *_: object) -> None:
        """Count one record."""
        self._done += 1
        if self._done == 1:
            self.begun_s = time.perf_counter()
        if self._done >= self._records and self.app is not None:
            self.app.stop()


def main(file: str) -> None:
    """Take the topic, check the tables, and print what it took."""
    given = json.loads(Path(file).read_text())
    connection = psycopg2.connect(**given["database"])
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(DDL)
    count = Count(given["records"])
    app = count.app = Application(
        broker_address=given["bootstrap"],
        consumer_group=f"quix-{uuid.uuid4()}",
        auto_offset_reset="earliest",
        commit_every=COMMIT_EVERY,
        state_dir=tempfile.mkdtemp(),
        loglevel="WARNING",
        on_message_processed=count,
    )
    lead(app, given)
    app.run()
    took = time.perf_counter() - count.begun_s
    cursor.execute("SELECT (SELECT count(*) FROM q_history), (SELECT count(*) FROM q_rejected)")
    found = cursor.fetchone()
    wanted = (given["accepted"], given["rejected"])
    assert found == wanted, f"Expected {wanted} accepted and rejected, but {found}"
    print(json.dumps({"seconds": took}))


def lead(app: Application, given: dict[str, Any]) -> None:
    """Lead the topic through the judge into three tables."""
    topic = app.topic(
        given["topic"], value_deserializer=Avro(given["schemas"]), key_deserializer="str"
    )
    judge = Judge(given["transitions"])
    frame = app.dataframe(topic).apply(judge, stateful=True, metadata=True)
    accepted = frame.filter(lambda row: row["verdict"] == "accepted")
    names = ("uuid", "vm_state", "task_state", "host", "power_state", "version")
    accepted.apply(lambda row: {n: row[n] for n in names} | {"updated_at": row["at"]}).sink(
        sink(given, "q_instances", ["uuid"])
    )
    accepted.apply(
        lambda row: (
            {n: row[n] for n in ("uuid", "version", "kind", "host")} | {"occurred_at": row["at"]}
        )
    ).sink(sink(given, "q_history", ["uuid", "version"]))
    frame.filter(lambda row: row["verdict"] == "rejected").apply(
        lambda row: {n: row[n] for n in ("uuid", "version", "kind")}
    ).sink(sink(given, "q_rejected", []))


def sink(given: dict[str, Any], table: str, keys: list[str]) -> PostgreSQLSink:
    """Return the sink of a table."""
    place = given["database"]
    return PostgreSQLSink(
        host=place["host"],
        port=int(place.get("port", 5432)),
        dbname=place["dbname"],
        user=place["user"],
        password=place.get("password") or "none",
        table_name=table,
        schema_auto_update=False,
        primary_key_columns=keys,
        upsert_on_primary_key=bool(keys),
        include_metadata=False,
    )


if __name__ == "__main__":
    main(sys.argv[1])
