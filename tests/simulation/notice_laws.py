"""A law of notifications: whoever follows them knows every instance's states, whatever happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conductor.fold import Fold
from conductor.notifications.telling import Manner, notices_of
from conductor.step import Outcome
from events.envelope import Envelope
from events.log import TopicPartition
from events.nova_wire import Notice, value_of

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud

_ALL = Manner(notify_on_state_change="vm_and_task_state")
Shown = tuple[object, object, object]


class Told:
    """What those who follow the notifications were told, while the log is folded again for them."""

    def __init__(self) -> None:
        self._folded: dict[TopicPartition, _OfPartition] = {}

    def fold(self, partition: TopicPartition, **values: Any) -> Fold:
        """Return a fold that is listened to; a second one of a partition is listened to alone."""
        fold = Fold(partition, **values)
        heard = self._folded[partition] = _OfPartition()
        fold.listener = heard.hear
        return fold

    def broken(self, cloud: Cloud) -> list[str]:
        """I21: after every fact the last update shows the instance as it is; no two share an id."""
        shown: dict[str, Shown] = {}
        ids: set[str] = set()
        broken: list[str] = []
        for partition in cloud.partitions():
            heard = self._folded[partition]
            twice = ids & heard.ids
            broken += [*heard.broken, *(_twice(each) for each in sorted(twice))]
            ids |= heard.ids
            shown |= heard.shown
        for row in cloud.watch.instances():
            now = (row.vm_state, row.task_state, row.host)
            if (last := shown.get(row.uuid, now)) != now:
                broken.append(f"I21: {row.uuid} was last shown as {last}, but is {now}")
        return broken


class _OfPartition:
    """What was told of the instances of one partition."""

    def __init__(self) -> None:
        self.shown: dict[str, Shown] = {}
        self.ids: set[str] = set()
        self.broken: list[str] = []

    def hear(self, envelope: Envelope[object], outcome: Outcome) -> None:
        for notice in notices_of(envelope, outcome, _ALL):
            value_of(notice)
            if notice.message_id in self.ids:
                self.broken.append(_twice(notice.message_id))
            self.ids.add(notice.message_id)
            if notice.event_type == "instance.update":
                self.shown[notice.key] = _shown(notice)
        after = outcome.after
        assert after is not None
        now = (after.vm_state, after.task_state, after.host)
        # One that was never scheduled is not told of yet.
        if (last := self.shown.get(after.instance_id, now)) != now:
            at = f"{envelope.topic}/{envelope.partition}@{envelope.offset}"
            self.broken.append(
                f"I21: {at} left {after.instance_id} {now}, but it is shown as {last}"
            )


def _twice(message_id: str) -> str:
    return f"I21: {message_id} is the id of two notifications"


def _shown(notice: Notice) -> Shown:
    data = notice.payload["nova_object.data"]
    assert isinstance(data, dict)
    return data["state"], data["task_state"], data["host"]
