"""What a takeover puts back: one look through all rows serves every partition taken over."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from conductor.speaker import Speaker
from conductor.wiring import Conductor
from events.control import RulesPublished
from events.log import TopicPartition
from events.topics import CONTROL_KEY
from projections.sql_store import SqlStore
from projections.store import Standing
from tests.stage import Stage
from tests.unit.compute_host import KEYRING, PARTITIONS, TOPICS
from tests.unit.conducted import conducting

ALL = {TopicPartition(TOPICS.instance_events, n) for n in range(PARTITIONS)}


class Asked:
    """A store that remembers for which partitions it was asked what may fall due."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.asked: list[set[TopicPartition]] = []

    def may_fall_due(
        self, partitions: Collection[TopicPartition], where: Sequence[Standing]
    ) -> Mapping[TopicPartition, tuple[str, ...]]:
        self.asked.append(set(partitions))
        return self._store.may_fall_due(partitions, where)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@contextmanager
def asking(stage: Stage, folder: Path) -> Iterator[tuple[Conductor, Asked]]:
    """Give a conductor on the log of a stage, and its store."""
    with conducting(stage, folder, store=Asked) as (conductor, ports):
        yield conductor, cast("Any", ports.store)


def publish(stage: Stage, partition: TopicPartition, **settings: str) -> None:
    """Put other settings in force in one partition."""
    speaker = Speaker(stage.cloud.log.writer(), KEYRING, stage.cloud.clock)
    value = speaker.encode(CONTROL_KEY, RulesPublished(number=1, settings=settings))
    speaker.tell([speaker.message(partition, CONTROL_KEY, value)])


def rest(conductor: Conductor) -> None:
    """Let the worker work until nothing is left."""
    worker = conductor.worker
    worker.turn()
    while worker.turn():
        pass


def test_a_takeover_looks_once_for_all_its_partitions(tmp_path: Path) -> None:
    with asking(Stage(), tmp_path) as (conductor, store):
        rest(conductor)

        assert store.asked == [ALL]
        assert all(mine.repaired for mine in conductor.owned.partitions.values())


def test_other_settings_look_again_for_their_partition_alone(tmp_path: Path) -> None:
    stage = Stage()
    with asking(stage, tmp_path) as (conductor, store):
        rest(conductor)
        publish(stage, stage.partition, resize_confirm_window="60")
        rest(conductor)

        assert store.asked == [ALL, {stage.partition}]


def test_other_settings_that_come_before_the_repair_make_the_first_look_void(
    tmp_path: Path,
) -> None:
    stage = Stage()
    with asking(stage, tmp_path) as (conductor, store):
        while not store.asked:
            conductor.worker.turn()
        owned = conductor.owned.partitions
        waiting = next(tp for tp in ALL if not owned[tp].repaired)
        publish(stage, waiting, resize_confirm_window="60")
        owned[waiting].end_at_takeover += 1
        rest(conductor)

        assert store.asked == [ALL, {waiting}]
        assert owned[waiting].repaired
