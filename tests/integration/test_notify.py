"""A whole cloud, told in nova's words, and followed by its words alone: the rows are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from compute.memory_journal import MemoryJournal
from compute.world import MemoryWorld
from events.log import Log, TopicPartition
from events.nova import Notification, read_notification
from events.nova_wire import notification_specs
from events.owner_lock import OwnerLock
from events.ports import RandomIds, SystemClock
from events.sqlite_log import SqliteLog
from events.topics import TopicSpec
from regente.asking import Desk, Wish
from regente.checks import is_fine, topic_findings
from regente.cli.app import run
from regente.embedded import Embedded
from regente.notifying import Notifying, build_notifier, notifications_url, run_notifier
from regente.places import database_url, open_log, opened_views, topics_of
from regente.requests import Requests
from regente.settings import Conductor, Notifications, Settings
from regente.setup import make_topics
from regente.state_folder import StateError, StateFolder
from tests.e2e.cloud import MASTER, SMALL, rows, spin, states
from tests.e2e.cloud import Cloud as House


class TurningClock(SystemClock):
    """Waiting is letting the others work."""

    cloud: Embedded

    def sleep(self, seconds: float) -> None:
        self.cloud.turn()


class Cloud:
    """Two hosts, a conductor, a notifier, and who asks."""

    def __init__(self, folder: Path) -> None:
        told = Notifications(
            notification_format="versioned", notify_on_state_change="vm_and_task_state"
        )
        self.settings = Settings(state_dir=folder, notifications=told)
        self.clock = TurningClock()
        self.embedded = self.clock.cloud = Embedded(self.settings, 2, self.clock)
        state = self.embedded.folder
        self.requests = Requests(
            log=open_log(self.settings, state),
            topics=topics_of(self.settings),
            master=state.master(),
            clock=self.clock,
            ids=RandomIds(),
        )
        while self.embedded.turn():
            pass

    def ask(self, action: str, instance: str, **arguments: str) -> None:
        """Ask, and let it end."""
        with opened_views(database_url(self.settings, self.embedded.folder)) as views:
            desk = Desk(views=views, requests=self.requests, clock=self.clock, ids=RandomIds())
            wish = Wish(
                action=action, instance=instance, arguments=arguments, host=None, is_admin=True
            )
            answer = desk.verdict(*desk.send(wish))
            assert answer.saga_id is not None, answer
            desk.ending(answer.saga_id, 30)

    def notifying(self) -> Notifying:
        """Return a notifier, as another process on this machine would start it."""
        state = self.embedded.folder
        return build_notifier(
            self.settings,
            log=SqliteLog(state.log, SystemClock(), OwnerLock(state.notifier_lock)),
            url=notifications_url(self.settings, state),
            master=state.master(),
            from_beginning=True,
        )

    def notifications(self) -> list[bytes]:
        """Return what who listens to nova gets, in the order of the log's times."""
        reader = open_log(self.settings, self.embedded.folder).reader()
        found = []
        for name in ("versioned_notifications.info", "versioned_notifications.error"):
            count = reader.topic(name).partitions
            reader.assign({TopicPartition(name, p): 0 for p in range(count)})
            while records := reader.poll(1_000, 0.0):
                found += [r.value or b"" for r in records]
        reader.close()
        return sorted(found, key=_time_of)

    def rows(self, *argv: str) -> list[dict[str, object]]:
        """Return what a command of the cloud shows."""
        out = StringIO()
        folder = ("--state-dir", str(self.settings.state_dir))
        assert run([*folder, *argv, "-f", "json"], out=out, err=StringIO()) == 0
        shown: list[dict[str, object]] = json.loads(out.getvalue())
        return shown


def _time_of(value: bytes) -> str:
    return str(json.loads(json.loads(value)["oslo.message"])["timestamp"])


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path / "state")
    yield made
    made.embedded.stop()


def test_who_follows_our_notifications_has_our_rows(small: Cloud, tmp_path: Path) -> None:
    for name in ("web1", "db1"):
        small.ask("create", name, flavor="m1.small")
    small.ask("live_migrate", "web1")
    small.ask("resize", "db1", flavor="m1.medium")
    small.ask("confirm_resize", "db1")
    small.ask("stop", "db1")
    notifying = small.notifying()
    while notifying.notifier.turn():
        pass
    notifying.notifier.stop()
    notifying.close()
    recording = tmp_path / "ours.jsonl"
    recording.write_bytes(b"\n".join(small.notifications()))

    out = StringIO()
    assert run(["shadow", "replay", str(recording), "-f", "json"], out=out, err=StringIO()) == 0
    followed = json.loads(out.getvalue())

    assert (followed["quarantine"], followed["rejections"]) == ([], [])
    states = ("uuid", "display_name", "vm_state", "task_state", "power_state", "host")
    ours = small.rows("instance", "list")
    assert _only(followed["instances"], states) == _only(ours, states)
    assert {r["vm_state"] for r in ours} == {"active", "stopped"}
    moves = ("instance_uuid", "migration_type", "status", "source_compute", "dest_compute")
    assert _only(followed["migrations"], moves) == _only(small.rows("migration", "list"), moves)


def _only(rows: list[dict[str, object]], columns: tuple[str, ...]) -> list[tuple[object, ...]]:
    return sorted(tuple(row[c] for c in columns) for row in rows)


def _beside(log: Log) -> Log:
    """Return a log whose groups need no leave of the conductor's: a file has a lock for each."""
    if not isinstance(log, SqliteLog):
        return log
    return SqliteLog(log.path, SystemClock(), OwnerLock(log.path.with_name("notifier.lock")))


@pytest.mark.servers
def test_on_any_log_what_happens_is_told_once_in_order(cloud: House, tmp_path: Path) -> None:
    cloud.found()
    topic = f"{cloud.topics.prefix}.notifications"
    admin = cloud.log.admin()
    admin.create(notification_specs(topic, 2))
    admin.close()
    told = Notifications(
        notification_format="versioned",
        versioned_notifications_topics=topic,
        notify_on_state_change="vm_and_task_state",
    )
    notifying = build_notifier(
        Settings(conductor=Conductor(topic=cloud.topics.prefix), notifications=told),
        log=_beside(cloud.log),
        url=f"sqlite:///{tmp_path / 'notifications.sqlite'}",
        master=MASTER,
        from_beginning=True,
    )
    store, world = cloud.store(), MemoryWorld()
    agents = [cloud.agent(host, world, MemoryJournal()) for host in cloud.hosts]
    everybody = [cloud.conductor(), *(turn for agent in agents for turn in agent.turns)]
    spin(everybody, lambda: len(rows(store, "nodes")) == 3, what="three hosts")
    server = RandomIds().uuid()
    cloud.request("create", server, flavor=SMALL, arguments={"name": "n"})
    spin(everybody, lambda: states(store, [server]) == [("active", None)], what="a server")
    cloud.request("stop", server)
    spin(everybody, lambda: states(store, [server]) == [("stopped", None)], what="its stop")

    reader = cloud.log.reader()
    reader.assign({TopicPartition(f"{topic}.info", p): 0 for p in range(2)})
    heard: list[Notification] = []

    def all_heard() -> bool:
        heard.extend(read_notification(r.value or b"") for r in reader.poll(1_000, 0.0))
        return bool(heard) and heard[-1].event_type == "instance.power_off.end"

    spin([notifying.notifier], all_heard, what="everything to be told")
    notifying.notifier.stop()
    notifying.close()
    reader.close()

    assert [n.event_type for n in heard] == [
        *["instance.update"] * 2,
        "instance.create.start",
        *["instance.update"] * 5,
        "instance.create.end",
        "instance.update",
        "instance.power_off.start",
        "instance.update",
        "instance.power_off.end",
    ]
    assert len({n.message_id for n in heard}) == len(heard)


def test_what_is_switched_off_does_not_start(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)

    with pytest.raises(StateError, match="notification_format of versioned or both, but it is"):
        run_notifier(settings, StateFolder(tmp_path), lambda: True)


def test_the_conductors_database_is_refused(tmp_path: Path) -> None:
    url = "postgresql://there/rows"
    settings = Settings.model_validate(
        {"notifications": {"connection": url}, "database": {"connection": url}}
    )

    with pytest.raises(StateError, match="a database of its own"):
        notifications_url(settings, StateFolder(tmp_path))


def test_one_notifier_at_a_time_has_the_files(small: Cloud) -> None:
    lock = OwnerLock(small.embedded.folder.notifier_lock)
    assert lock.take()

    with pytest.raises(StateError, match="no other notifier"):
        run_notifier(small.settings, small.embedded.folder, lambda: True)

    lock.release()
    run_notifier(small.settings, small.embedded.folder, lambda: True)


def test_missing_topics_are_found_and_novas_own_stay_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    off = Settings(state_dir=folder)
    Embedded(off, 0, SystemClock()).stop()
    on = Settings(state_dir=folder, notifications=Notifications(notification_format="both"))
    state = StateFolder(folder)
    missing = [f.check for f in topic_findings(on, state) if f.status == "failure"]
    assert missing == [
        "topic versioned_notifications.info",
        "topic versioned_notifications.error",
    ]
    admin = open_log(on, state).admin()
    admin.create([TopicSpec(name="versioned_notifications.info", partitions=1)])  # as nova's
    admin.close()

    made = make_topics(on, state)

    assert made.topics == ("versioned_notifications.error",)
    assert is_fine(topic_findings(on, state))
