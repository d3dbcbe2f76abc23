"""A law of notifications: whoever follows them knows every instance's states, whatever happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from conductor.fold import Fold
from conductor.notifications.telling import Manner, notices_of
from conductor.replay import set_aside_in
from conductor.step import Outcome
from events.envelope import Envelope
from events.log import TopicPartition
from events.nova_wire import Notice, value_of

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud

_ALL = Manner(notify_on_state_change="vm_and_task_state")
Hear = Callable[[Envelope[object], Outcome], None]
Shown = tuple[object, object, object]


def told_at_rest(cloud: Cloud) -> list[str]:
    """I21: after every fact the last update shows the instance as it is; no two share an id."""
    shown: dict[str, Shown] = {}
    ids: set[str] = set()
    broken: list[str] = []

    def hear(envelope: Envelope[object], outcome: Outcome) -> None:
        for notice in notices_of(envelope, outcome, _ALL):
            value_of(notice)
            if notice.message_id in ids:
                broken.append(f"I21: {notice.message_id} is the id of two notifications")
            ids.add(notice.message_id)
            if notice.event_type == "instance.update":
                shown[notice.key] = _shown(notice)
        after = outcome.after
        assert after is not None
        now = (after.vm_state, after.task_state, after.host)
        # One that was never scheduled is not told of yet.
        if (last := shown.get(after.instance_id, now)) != now:
            at = f"{envelope.topic}/{envelope.partition}@{envelope.offset}"
            broken.append(f"I21: {at} left {after.instance_id} {now}, but it is shown as {last}")

    for number in range(cloud.plan.partitions):
        _fold(cloud, TopicPartition(cloud.topics.instance_events, number), hear)
    for row in cloud.watch.instances():
        now = (row.vm_state, row.task_state, row.host)
        if (last := shown.get(row.uuid, now)) != now:
            broken.append(f"I21: {row.uuid} was last shown as {last}, but is {now}")
    return broken


def _shown(notice: Notice) -> Shown:
    data = notice.payload["nova_object.data"]
    assert isinstance(data, dict)
    return data["state"], data["task_state"], data["host"]


def _fold(cloud: Cloud, partition: TopicPartition, hear: Hear) -> None:
    reader = cloud.log.reader()
    fold = Fold(
        partition,
        keyring=cloud.keyring,
        partitions=cloud.plan.partitions,
        load=lambda _uuids: {},
    )
    fold.aside = set_aside_in(reader, cloud.keyring, partition)
    fold.listener = hear
    reader.assign({partition: 0})
    while records := reader.poll(10_000, 0):
        if fold.fold(records) is not None:
            fold.keep()
