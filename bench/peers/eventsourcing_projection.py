"""The library eventsourcing: aggregates saved, then projected into tables by its runner.

Runs in its own virtual environment and is set up as its documentation recommends: its PostgreSQL
module, a tracking recorder, one transaction an event. Prints the seconds of both as the last line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner

LOOK_S = 0.02
DDL = """
CREATE TABLE es_instances (uuid uuid PRIMARY KEY, vm_state text, task_state text, host text,
  version bigint, updated_at timestamptz);
CREATE TABLE es_history (uuid uuid, version bigint, kind text, host text,
  PRIMARY KEY (uuid, version));
"""


class Instance(Aggregate):
    """One instance."""

    class Created(Aggregate.Created):
        """The first event."""

    @event(Created)
    def __init__(self) -> None:
        self.vm_state: str | None = None
        self.task_state: str | None = None

    @event("Reported")
    def report(self, kind: str, vm_state: str, task_state: str | None, host: str) -> None:
        """Move on."""
        self.vm_state, self.task_state = vm_state, task_state


class Instances(Application[UUID]):
    """Saves them."""


class View(PostgresTrackingRecorder):
    """The tables, and how far the projection is."""

    def put(self, happened: Any, tracking: Any) -> None:
        """Leave an event in the tables, and the position behind it."""
        with self.datastore.transaction(commit=True) as cursor:
            if isinstance(happened, Instance.Reported):
                cursor.execute(
                    "INSERT INTO es_instances VALUES (%s, %s, %s, %s, %s, %s)"
                    " ON CONFLICT (uuid) DO UPDATE SET vm_state = excluded.vm_state,"
                    " task_state = excluded.task_state, host = excluded.host,"
                    " version = excluded.version, updated_at = excluded.updated_at",
                    (
                        happened.originator_id,
                        happened.vm_state,
                        happened.task_state,
                        happened.host,
                        happened.originator_version,
                        happened.timestamp,
                    ),
                    prepare=True,
                )
                cursor.execute(
                    "INSERT INTO es_history VALUES (%s, %s, %s, %s)",
                    (
                        happened.originator_id,
                        happened.originator_version,
                        happened.kind,
                        happened.host,
                    ),
                    prepare=True,
                )
            self._insert_tracking(cursor, tracking)


class ToTables(Projection[View]):
    """Every event into the tables."""

    name = "totables"
    topics = ()

    def process_event(self, happened: Any, tracking: Any) -> None:
        """Lead an event to the view."""
        self.view.put(happened, tracking)


def main(file: str) -> None:
    """Save, project, and print how many a second."""
    given = json.loads(Path(file).read_text())
    place = given["database"]
    with psycopg.connect(**place, autocommit=True) as connection:
        connection.execute(DDL)
    env = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": place["dbname"],
        "POSTGRES_HOST": place["host"],
        "POSTGRES_PORT": str(place.get("port", 5432)),
        "POSTGRES_USER": place["user"],
        "POSTGRES_PASSWORD": place.get("password") or "none",
    }
    app = Instances(env=env)
    lives = [Instance() for _ in range(given["instances"])]
    app.save(*lives)
    began = time.perf_counter()
    for n in range(given["events_each"]):
        for life in lives:
            kind, vm_state, task_state = given["life"][n % len(given["life"])]
            life.report(kind, vm_state, task_state, f"host{n % 20}")
            app.save(life)
    saving = time.perf_counter() - began
    events = given["events_each"] * len(lives)
    last = app.recorder.max_notification_id()
    assert last is not None
    app.close()
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Instances, projection_class=ToTables, view_class=View, env=env
    ) as runner:
        # Its own wait backs off: too coarse for a measure.
        while (runner.projection.view.max_tracking_id(runner.app.name) or 0) < last:
            time.sleep(LOOK_S)
            assert not runner.is_interrupted.is_set(), "Expected the projection to go on"
        projecting = time.perf_counter() - began
    with psycopg.connect(**place) as connection:
        found = connection.execute("SELECT count(*) FROM es_history").fetchone()
    assert found == (events,), f"Expected {events} events in the history, but {found}"
    print(json.dumps({"saves_per_s": events / saving, "events_per_s": last / projecting}))


if __name__ == "__main__":
    main(sys.argv[1])
