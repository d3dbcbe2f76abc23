"""A verify that goes on, when the topic was made anew or an old record is brought back since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conductor.replay import LogCutOff
from conductor.rulebook import Rulebook
from conductor.speaker import Speaker
from events.codec import encode_fact
from events.control import KeyOpened
from events.envelope import Meta
from events.log import Message, Record, TopicPartition
from events.memory_log import MemoryLog
from events.seal import sealed_message
from events.topics import CONTROL_KEY, TopicSpec
from tests.integration.test_verify_further import UIDS, Scene
from tests.integration.theatre import theatre
from tests.requeueing import said_too_early, word_for


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with theatre(tmp_path) as stage:
        yield Scene(stage, tmp_path / "audit")


def make_anew(scene: Scene, keep: Callable[[Record], bool]) -> None:
    """Make the topic of the instances anew, with some of its records."""
    log, topic = scene.stage.cloud.log, scene.stage.cloud.topics.instance_events
    assert isinstance(log, MemoryLog)
    info = log.topic(topic).info
    kept = [r for p in log.topic(topic).partitions for r in p.records if keep(r)]
    log.delete_topic(topic)
    log.make(TopicSpec(name=topic, partitions=info.partitions))
    for record in kept:
        tp = TopicPartition(topic, record.partition)
        log.append([Message(topic, record.partition, record.key, record.value, record.headers)])
        stored = log.partition(tp).records
        stored[-1] = stored[-1]._replace(timestamp_us=record.timestamp_us)


def test_a_topic_that_was_made_anew_with_all_its_records_is_named_and_not_gone_on_from(
    scene: Scene,
) -> None:
    make_anew(scene, lambda _: True)

    audit = scene.verify()

    assert "was made anew" in audit.from_start
    assert {(d.table, d.column) for d in audit.differences} == {("checkpoints", "topic_id")}
    assert scene.verify().from_start == audit.from_start  # What is not well is not kept.


def test_a_topic_that_was_made_anew_and_is_another_log_can_not_be_read_that_far(
    scene: Scene,
) -> None:
    make_anew(scene, lambda record: record.key == CONTROL_KEY.encode())

    with pytest.raises(LogCutOff):
        scene.verify()


def test_another_log_of_the_same_length_is_found_by_its_chain_and_its_rows(scene: Scene) -> None:
    log, home = scene.stage.cloud.log, scene.stage.cloud.home(UIDS[0])
    assert isinstance(log, MemoryLog)
    make_anew(scene, lambda _: True)
    records = log.partition(home).records
    at = next(i for i, r in enumerate(records) if r.key == UIDS[0].encode())
    records[at] = records[at]._replace(value=b"nothing of ours")

    audit = scene.verify()

    assert "was made anew" in audit.from_start
    named = {(d.table, d.column) for d in audit.differences}
    assert {("checkpoints", "topic_id"), ("checkpoints", "chain")} <= named
    assert "instances" in {table for table, _ in named}


def test_a_record_from_before_that_is_requeued_since_is_folded_where_its_word_stands(
    scene: Scene,
) -> None:
    cloud, home = scene.stage.cloud, scene.stage.cloud.home(UIDS[4])
    said = said_too_early(home, UIDS[4], cloud.keyring)
    (offset,) = cloud.append(said)
    scene.stage.rest()
    before = scene.verify()
    assert (before.is_well, before.rows["quarantine"]) == (True, 1)
    assert before.positions[home] > offset
    opened = KeyOpened(key_id="late/1")
    with closing(cloud.log.reader()) as reader, closing(cloud.log.writer()) as writer:
        speaker = Speaker(writer, cloud.keyring, cloud.clock)
        Rulebook(speaker=speaker, reader=reader, topics=cloud.topics).say(opened)
    about = Meta(source="api", instance_id="", request_id="req-again", occurred_at=1)
    cloud.append(
        sealed_message(
            topic=home.topic,
            partition=home.partition,
            key=CONTROL_KEY,
            value=encode_fact(about, word_for(said, offset)),
            prev=b"",
            by=cloud.keyring.key("api", 1),
        )
    )
    scene.stage.rest()

    audit = scene.verify()

    assert (audit.differences, audit.violations, audit.from_start) == ([], [], "")
    assert audit.went_on_after == sum(before.positions.values())
    assert audit.rows["quarantine"] == 0
    whole = cloud.verify(scene.stage.store)
    assert (audit.counts, audit.rows) == (whole.counts, whole.rows)
