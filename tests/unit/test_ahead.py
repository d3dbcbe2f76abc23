"""What is opened before its turn: the fold comes to the same, and looks again where it must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from conductor.ahead import opened_ahead
from conductor.fold import Fold
from conductor.opening import START_OF_CHAIN, chained_over, decoded
from events.control import KeyClosed
from events.envelope import Meta
from events.log import Record, TopicPartition
from events.memory_log import MemoryLog
from tests.stage import Stage
from tests.story import SMALL
from tests.unit.compute_host import KEYRING, PARTITIONS


def said() -> list[Record]:
    """Return what a partition holds: a life, and records of every kind that is none of it."""
    stage = Stage()
    stage.ask("create", flavor=SMALL, host="host1")
    stage.settle()
    stage.ask("stop")
    stage.settle()
    log = stage.cloud.log
    assert isinstance(log, MemoryLog)
    good = log.partition(stage.partition).records[:]
    last = good[-1]
    bad = (
        last._replace(value=None),
        last._replace(key=None),
        last._replace(headers=()),
        last._replace(value=(last.value or b"") + b"!"),
        last._replace(key=b"6f1b7b3e-0000-4000-8000-00000000000b"),
    )
    stage._speaker.say([(stage.partition, "control", KeyClosed(key_id="host1/1", reason="lost"))])
    stage.ask("start")
    stage.settle()
    more = log.partition(stage.partition).records[len(good) :]
    return [each._replace(offset=n) for n, each in enumerate((*good, *bad, *more, *more))]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return said()


def fold_of(records: Sequence[Record]) -> Fold:
    """Return a fold of their partition that has taken none of them."""
    return Fold(
        TopicPartition(records[0].topic, records[0].partition),
        keyring=KEYRING,
        partitions=PARTITIONS,
        load=lambda _keys: {},
    )


def test_it_comes_to_the_same_wherever_a_batch_ends(records: list[Record]) -> None:
    counts: Counter[str] = Counter()
    for end in range(1, len(records)):
        plain, ahead = fold_of(records), fold_of(records)
        found = []
        for fold in (plain, ahead):
            fold.aside = frozenset({len(records) - 1})
            first = fold.fold(records[:end])
            if fold is ahead:
                fold.read_ahead(records[end:])
            fold.keep()
            found.append((first, fold.fold(records[end:])))
            fold.keep()

        assert found[0] == found[1]
        assert plain.counts == ahead.counts
        counts = plain.counts
    assert all(
        counts[each] for each in ("accepted", "control", "duplicate", "parked", "quarantined")
    )


def test_a_record_is_opened_once(records: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    fold, count = fold_of(records), Counter[int]()

    def counted(record: Record) -> tuple[Meta, object]:
        count[record.offset] += 1
        return decoded(record)

    monkeypatch.setattr(fold, "_decode", counted)
    good = records[:5]
    fold.read_ahead(good)
    assert set(count.values()) == {1}
    fold.fold(good)

    assert set(count.values()) == {1}


def test_of_other_records_or_of_another_place_nothing_is_believed(records: list[Record]) -> None:
    ahead = opened_ahead(records[1:4], START_OF_CHAIN, keyring=KEYRING, decode=decoded, aside=())

    same = ahead.of(records[1:4], START_OF_CHAIN)
    others = ahead.of(records[1:5], START_OF_CHAIN)
    elsewhere = ahead.of(records[1:4], bytes(31) + b"!")

    assert same is ahead
    assert others.opened == [None] * 4
    assert elsewhere.opened == [None] * 3
    assert elsewhere.chain == chained_over(bytes(31) + b"!", records[1:4]) != ahead.chain
