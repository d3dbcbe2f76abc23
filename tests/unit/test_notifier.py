"""The notifier on a log in memory: everything is told, at least once, and nothing waits for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from conductor.notifications.notifier import Notifier, NotifierOptions, NotifierPorts
from conductor.notifications.telling import Manner
from events.errors import LogUnavailable, UnknownTopic
from events.log import LogWriter, Message, Record
from events.nova import read_notification
from events.nova_wire import notification_specs
from events.topics import CONTROL_KEY, partition_of
from projections.schema import upgrade
from projections.sql_store import open_store
from projections.store import Batch, Store, StoreUnavailable
from tests.plays import PLAYS, ask, build
from tests.stage import INSTANCE, Stage
from tests.unit.compute_host import KEYRING, PARTITIONS, TOPICS

NAME: Final = "versioned_notifications"
STATE_CHANGES: Final = Manner(notify_on_state_change="vm_and_task_state")


class Trouble:
    """A writer and a store that fail where they are told to."""

    def __init__(self, writer: LogWriter, store: Store) -> None:
        self._writer = writer
        self._store = store
        self.is_log_away = False
        self.dies_before_commit = False

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        if self.is_log_away:
            raise LogUnavailable
        return self._writer.append(messages)

    def close(self) -> None:
        self._writer.close()

    def commit(self, batches: Sequence[Batch]) -> None:
        if self.dies_before_commit:
            self.dies_before_commit = False
            raise StoreUnavailable
        self._store.commit(batches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Listening:
    """A stage, notifiers beside it, and what those hear who listen to nova."""

    def __init__(self, folder: Path, *, makes_topics: bool = True) -> None:
        self.stage = Stage()
        self.url = f"sqlite:///{folder / 'notifications.sqlite'}"
        upgrade(self.url)
        if makes_topics:
            self.stage.cloud.log.admin().create(notification_specs(NAME, PARTITIONS))

    def notifier(self, **options: Any) -> tuple[Notifier, Trouble]:
        """Return a notifier that has not taken a turn yet, as a new process would."""
        log = self.stage.cloud.log
        trouble: Any = Trouble(log.writer(), open_store(self.url))
        ports = NotifierPorts(
            group=log.group("notifications"),
            reader=log.reader(),
            writer=trouble,
            store=trouble,
            keyring=KEYRING,
            topics=TOPICS,
        )
        return Notifier(ports, NotifierOptions(manner=STATE_CHANGES, **options)), trouble

    def records(self, priority: str = "info") -> list[Record]:
        """Return what is in a topic of notifications."""
        return self.stage.cloud.records(f"{NAME}.{priority}")

    def heard(self, priority: str = "info") -> list[str]:
        """Return the types of the notifications in a topic, in order."""
        return [read_notification(r.value or b"").event_type for r in self.records(priority)]

    def ids(self) -> list[str]:
        """Return the ids of all notifications, in order."""
        records = self.records("info") + self.records("error")
        return [read_notification(r.value or b"").message_id for r in records]


def run_out(notifier: Notifier) -> None:
    """Let a notifier take turns until it has nothing to do."""
    idle = 0
    while idle < 3:
        idle = 0 if notifier.turn() else idle + 1


@pytest.fixture
def listening(tmp_path: Path) -> Listening:
    return Listening(tmp_path)


STOP: Final = ["instance.update", "instance.power_off.start"]
STOPPED: Final = ["instance.update", "instance.power_off.end"]


def test_what_happens_is_told_in_oslos_form_under_the_key_of_the_instance(
    listening: Listening,
) -> None:
    notifier, _ = listening.notifier()
    run_out(notifier)
    build("host1")(listening.stage)
    ask("stop")(listening.stage)

    run_out(notifier)

    assert listening.heard()[-4:] == STOP + STOPPED
    last = listening.records()[-1]
    assert (last.key, last.partition) == (INSTANCE.encode(), partition_of(INSTANCE, PARTITIONS))
    assert last.headers == ()
    envelope = json.loads(last.value or b"")
    message = json.loads(envelope["oslo.message"])
    assert envelope["oslo.version"] == "2.0"
    assert set(message) == {
        "message_id",
        "publisher_id",
        "event_type",
        "priority",
        "payload",
        "timestamp",
    }
    assert message["timestamp"] == "1970-01-01 00:" + message["timestamp"][14:]
    assert (message["publisher_id"], message["priority"]) == ("nova-compute:host1", "INFO")


def test_errors_go_to_a_topic_of_their_own(listening: Listening) -> None:
    notifier, _ = listening.notifier()
    run_out(notifier)
    for act in PLAYS["create_no_valid_host"].acts:
        act(listening.stage)

    run_out(notifier)

    assert listening.heard("error") == ["compute_task.build_instances.error"]
    assert listening.heard() == ["instance.update"]


def test_a_first_start_tells_what_comes_and_not_what_was(listening: Listening) -> None:
    build("host1")(listening.stage)
    notifier, _ = listening.notifier()
    run_out(notifier)
    assert listening.heard() == []

    ask("stop")(listening.stage)
    run_out(notifier)

    assert listening.heard() == STOP + STOPPED


def test_from_the_beginning_everything_is_told(listening: Listening) -> None:
    build("host1")(listening.stage)
    notifier, _ = listening.notifier(from_beginning=True)

    run_out(notifier)

    assert listening.heard()[-1] == "instance.create.end"
    assert listening.heard().count("instance.create.start") == 1


def test_a_restart_goes_on_where_the_last_one_was(listening: Listening) -> None:
    notifier, _ = listening.notifier()
    run_out(notifier)
    build("host1")(listening.stage)
    run_out(notifier)
    told = listening.ids()
    notifier.stop()
    ask("stop")(listening.stage)

    again, _ = listening.notifier()
    run_out(again)

    assert listening.ids()[: len(told)] == told
    assert listening.heard()[len(told) :] == STOP + STOPPED


def test_who_dies_between_sending_and_committing_sends_the_same_again(
    listening: Listening,
) -> None:
    notifier, trouble = listening.notifier()
    run_out(notifier)
    build("host1")(listening.stage)
    trouble.dies_before_commit = True

    with pytest.raises(StoreUnavailable):
        run_out(notifier)
    once = listening.ids()
    run_out(notifier)

    twice = listening.ids()
    assert once
    assert twice == once * 2
    assert listening.records()[0].value == listening.records()[len(once)].value


def test_while_the_log_is_away_nothing_is_lost(listening: Listening) -> None:
    notifier, trouble = listening.notifier()
    run_out(notifier)
    build("host1")(listening.stage)
    trouble.is_log_away = True
    with pytest.raises(LogUnavailable):
        run_out(notifier)
    with pytest.raises(LogUnavailable):
        run_out(notifier)
    trouble.is_log_away = False

    run_out(notifier)

    assert listening.heard()[-1] == "instance.create.end"
    assert len(set(listening.ids())) == len(listening.ids())


def test_who_was_fenced_commits_nothing_and_begins_again(listening: Listening) -> None:
    first, _ = listening.notifier()
    run_out(first)
    build("host1")(listening.stage)
    store = open_store(listening.url)
    store.take_over([listening.stage.partition])  # as another process would
    store.close()

    run_out(first)

    assert listening.heard()[-1] == "instance.create.end"
    ids = listening.ids()
    assert ids[: len(ids) // 2] == ids[len(ids) // 2 :]  # sent once by each of the two


def test_garbage_in_the_log_is_passed_over(listening: Listening) -> None:
    notifier, _ = listening.notifier()
    at = listening.stage.partition
    rubbish = [(INSTANCE.encode(), b"\x00"), (CONTROL_KEY.encode(), b"{}"), (None, None)]
    listening.stage.cloud.log.append(
        [Message(at.topic, at.partition, key, value) for key, value in rubbish]
    )
    for other in range(PARTITIONS):
        if other != at.partition:
            listening.stage.cloud.log.append([Message(at.topic, other, b"x", b"y")])

    run_out(notifier)

    assert listening.heard() == []


def test_a_missing_topic_is_named(tmp_path: Path) -> None:
    listening = Listening(tmp_path, makes_topics=False)
    notifier, _ = listening.notifier()
    run_out(notifier)
    build("host1")(listening.stage)

    with pytest.raises(UnknownTopic, match=r"versioned_notifications\.info"):
        run_out(notifier)


def test_a_notifier_appends_to_no_other_topic(listening: Listening) -> None:
    build("host1")(listening.stage)
    topics = [TOPICS.instance_events, TOPICS.node_events, TOPICS.commands("host1")]
    before = [len(listening.stage.cloud.records(topic)) for topic in topics]
    notifier, _ = listening.notifier(from_beginning=True)

    run_out(notifier)

    assert listening.heard() != []
    assert [len(listening.stage.cloud.records(topic)) for topic in topics] == before
