"""How far a worker is, as lag tools are told it: seldom while it works, whole when it rests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from conductor.limits import TELL_LAG_S
from conductor.worker import Worker
from events.log import LogGroup, TopicPartition
from tests.stage import Stage
from tests.unit.conducted import conducting

Told = list[Mapping[TopicPartition, int]]


class Listening:
    """A group that hears what lag tools are told."""

    def __init__(self, group: LogGroup) -> None:
        self._group = group
        self.told: Told = []

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        self.told.append(dict(positions))
        self._group.commit(positions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)


@contextmanager
def working(stage: Stage, folder: Path) -> Iterator[tuple[Worker, Told]]:
    """Give a worker on the log of a stage, and what it tells lag tools."""
    with conducting(stage, folder, group=Listening) as (conductor, ports):
        yield conductor.worker, cast("Any", ports.group).told


def rest(worker: Worker) -> None:
    """Let it work until nothing is left."""
    while not worker.turn():
        pass
    while worker.turn():
        pass


def test_batches_of_one_second_are_told_at_once(tmp_path: Path) -> None:
    stage = Stage()
    clock = stage.cloud.clock
    with working(stage, tmp_path) as (worker, told):
        rest(worker)
        at_the_start = len(told)
        clock.sleep(TELL_LAG_S / 2)
        stage.ask("create", request_id="req-1")
        rest(worker)
        stage.ask("create", request_id="req-2")
        rest(worker)

        assert len(told) == at_the_start

        clock.sleep(TELL_LAG_S / 2)
        worker.turn()
        worker.turn()

        end = stage.cloud.log.reader().end_offsets([stage.partition])
        assert told[at_the_start:] == [end]


def test_whoever_stops_tells_what_was_not_told(tmp_path: Path) -> None:
    stage = Stage()
    with working(stage, tmp_path) as (worker, told):
        rest(worker)
        stage.ask("create", request_id="req-1")
        rest(worker)
        worker.stop()

    end = stage.cloud.log.reader().end_offsets([stage.partition])
    assert told[-1] == end


def test_of_a_partition_that_was_taken_away_nothing_is_told(tmp_path: Path) -> None:
    stage = Stage()
    with working(stage, tmp_path) as (worker, told):
        rest(worker)
        count = len(told)
        stage.ask("create", request_id="req-1")
        rest(worker)

        worker.revoked([stage.partition])
        stage.cloud.clock.sleep(TELL_LAG_S)
        worker.turn()

        assert len(told) == count
