"""The log folded again into tables in memory: the ground truth of verify and rebuild.

Words that set a record aside are obeyed before the fold. They stand behind what they are about: the
fold goes on without having looked for them, and begins again where one comes too late. Nothing is
sent and nothing is written: effects are not linked into this code at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from conductor import limits
from conductor.bodies import RULES_CODEC
from conductor.fold import Fold
from conductor.opening import Decode, decoded
from conductor.ready import make_ready
from events.codec import decode_closely, decode_fact, registry
from events.decisions import RecordSetAside
from events.envelope import CONDUCTOR, Meta
from events.errors import BadRecord
from events.log import LogReader, Record, TopicInfo, TopicPartition
from events.seal import MasterKeyring, unseal
from events.topics import Topics
from projections.kept import Kept, KeptUnusable
from projections.rows import TABLES, Changes, InstanceStateRow, Key, NodeRow, ParkedRow, Row
from projections.store import Checkpoint

Tables = dict[str, dict[Key, Row]]
#: Seconds that a read of the log may go without a record before it is called cut off.
SILENCE_S: Final = 30.0
#: Columns of the key of a record that waits.
PARKED_KEY: Final = TABLES["parked"][1]


@dataclass(slots=True)
class Replayed:
    """What the log says at certain positions."""

    tables: Tables = field(default_factory=lambda: {name: {} for name in TABLES})
    checkpoints: list[Checkpoint] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    #: Rows that are there no more, where the fold went on from what was kept.
    gone: dict[str, set[Key]] = field(default_factory=lambda: {name: set() for name in TABLES})
    #: Positions of records that are authentic but not in the one form that an encoder gives.
    odd: list[tuple[str, int, int]] = field(default_factory=list)


class LogCutOff(Exception):
    """The log did not give the records up to the position that was asked for."""


class _Held(NamedTuple):
    """What the log holds of each partition when a fold begins, and how far an earlier one came."""

    infos: Mapping[str, TopicInfo]
    begins: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    known: Mapping[TopicPartition, Checkpoint]


class _FoldedToo(Exception):
    """A record was folded before the word that sets it aside was read."""


class Replay:
    """Folds the event topics of a log again."""

    def __init__(
        self,
        *,
        reader: LogReader,
        keyring: MasterKeyring,
        topics: Topics,
        check_form: bool = False,
    ) -> None:
        self._reader = reader
        self._keyring = keyring
        self._topics = topics
        self._check_form = check_form

    def ends(self) -> dict[TopicPartition, int]:
        """Return the present end of every partition of the event topics."""
        return self._reader.end_offsets(self.partitions())

    def partitions(self) -> list[TopicPartition]:
        """Return every partition of the event topics."""
        return _partitions_of(self._infos())

    def _infos(self) -> dict[str, TopicInfo]:
        topics = (self._topics.node_events, self._topics.instance_events)
        return {topic: self._reader.topic(topic) for topic in topics}

    def _held(self, after: Kept | None) -> _Held:
        """Ask of all partitions at once."""
        known = [] if after is None else after.checkpoints
        # While the broker's first answers are on their way.
        with ThreadPoolExecutor(1) as beside:
            beside.submit(make_ready)
            infos = self._infos()
            every = _partitions_of(infos)
            begins = self._reader.begin_offsets(every)
            ends = self._reader.end_offsets(every)
        return _Held(infos, begins, ends, {TopicPartition(c.topic, c.partition): c for c in known})

    def fold_to(
        self, positions: Mapping[TopicPartition, int], after: Kept | None = None
    ) -> Replayed:
        """Return the tables as the log says them at exactly these positions.

        After what an earlier verify kept: the rows that have changed since, or waited then. Raises
        KeptUnusable where the log does not go on from there, LogCutOff, PositionLost,
        LogUnavailable where it can't be read that far.
        """
        try:
            return self._fold_all(positions, after, look_ahead=False)
        except _FoldedToo:  # Seldom: a worker died twice.
            return self._fold_all(positions, after, look_ahead=True)

    def _fold_all(
        self, positions: Mapping[TopicPartition, int], after: Kept | None, *, look_ahead: bool
    ) -> Replayed:
        """Fold all partitions; raises _FoldedToo only where it did not look ahead."""
        found, held = Replayed(), self._held(after)
        if after is not None:
            found.tables["parked"] = {tuple(row[:PARKED_KEY]): row for row in after.parked()}
        for partition in held.ends:
            end = positions.get(partition, 0)
            self._fold(found, held, partition, end, after, look_ahead=look_ahead)
        return found

    def _fold(
        self,
        found: Replayed,
        held: _Held,
        partition: TopicPartition,
        end: int,
        after: Kept | None,
        *,
        look_ahead: bool,
    ) -> None:
        begin = held.known.get(partition)
        info = held.infos[partition.topic]
        tables = found.tables
        of_nodes = partition.topic == self._topics.node_events
        fold = Fold(
            partition,
            keyring=self._keyring,
            partitions=info.partitions,
            load=bodies_of(tables, of_nodes=of_nodes, after=after),
            of_nodes=of_nodes,
            decode=self._decode_closely(found) if self._check_form else decoded,
        )
        fold.besides.clear()
        start = 0 if begin is None else begin.next_offset
        first = start if look_ahead else max(start, end)
        fold.aside = set_aside_in(
            self._reader, self._keyring, partition, first, held.ends[partition]
        )
        if after is not None:
            _check_going_on(held, partition, begin, end, fold.aside)
        if begin is not None:
            fold.stand_at(
                next_offset=start,
                chain=begin.chain,
                leader_epoch=begin.leader_epoch,
                rules=begin.rules,
            )
        fold.waiting_for_schema = lambda: waiting_for_schema(tables, partition)
        for records in read_to(self._reader, partition, end, start):
            if not look_ahead and (aside := set_aside_among(records, self._keyring)):
                if min(aside) < records[0].offset:
                    raise _FoldedToo
                fold.aside |= aside
            batch = fold.fold(records)
            if batch is not None:
                fold.keep()
                merge(tables, batch.changes, None if after is None else found.gone)
        found.counts += fold.counts
        found.checkpoints.append(
            Checkpoint(
                topic=partition.topic,
                partition=partition.partition,
                next_offset=end,
                epoch=0,
                topic_id=info.topic_id,
                leader_epoch=fold.leader_epoch,
                chain=fold.chain,
                rules=RULES_CODEC.encode(fold.rules) if fold.next_offset else b"",
            )
        )

    def _decode_closely(self, found: Replayed) -> Decode:
        """Return what decodes, and notes the position of what an encoder would write otherwise."""

        def decode(record: Record) -> tuple[Meta, object]:
            meta, fact, is_canonical = decode_closely(record.value or b"")
            if not is_canonical:
                found.odd.append((record.topic, record.partition, record.offset))
            return meta, fact

        return decode


def _partitions_of(infos: Mapping[str, TopicInfo]) -> list[TopicPartition]:
    return [TopicPartition(topic, p) for topic, i in infos.items() for p in range(i.partitions)]


def _check_going_on(
    held: _Held,
    partition: TopicPartition,
    begin: Checkpoint | None,
    end: int,
    aside: Collection[int],
) -> None:
    """Raise KeptUnusable where the log of a partition does not simply go on."""
    name = f"{partition.topic}/{partition.partition}"
    if begin is None:
        raise KeptUnusable(f"Expected {name} in what was kept, but it is not there")
    start = begin.next_offset
    if begin.topic_id != held.infos[partition.topic].topic_id:
        raise KeptUnusable(f"Expected the topic of {name} as it was, but it was made anew")
    if end < start:
        raise KeptUnusable(f"Expected the rows of {name} at {start} or later, but at {end}")
    if held.begins[partition] > start:
        raise KeptUnusable(f"Expected {name} to hold {start}, but it was cut behind it")
    if early := [offset for offset in aside if offset < start]:
        raise KeptUnusable(
            f"Expected nothing before {start} of {name} to be set aside since, but {early}"
        )


def waiting_for_schema(tables: Tables, partition: TopicPartition) -> list[str]:
    """Return the instances of a partition with records that wait for their schema."""
    return [
        row.subject
        for row in tables["parked"].values()
        if isinstance(row, ParkedRow)
        and row.reason == "schema"
        and (row.topic, row.partition) == partition
    ]


def set_aside_in(
    reader: LogReader,
    keyring: MasterKeyring,
    partition: TopicPartition,
    begin: int = 0,
    end: int | None = None,
) -> frozenset[int]:
    """Return the offsets of a partition from `begin` on that were set aside, to an end or now's."""
    aside: set[int] = set()
    if end is None:
        end = reader.end_offsets([partition])[partition]
    for records in read_to(reader, partition, end, begin):
        aside |= set_aside_among(records, keyring)
    return frozenset(aside)


def set_aside_among(records: Iterable[Record], keyring: MasterKeyring) -> set[int]:
    """Return the offsets that the conductor sets aside by any of these records."""
    mark = registry().newest["RecordSetAside"].fingerprint
    aside: set[int] = set()
    for record in records:
        if record.value is None or record.value[2:10] != mark:
            continue
        try:
            sealed = unseal(record, keyring)
            _, fact = decode_fact(record.value)
        except BadRecord:
            continue
        if sealed.name == CONDUCTOR and isinstance(fact, RecordSetAside):
            aside.add(fact.offset)
    return aside


def read_to(
    reader: LogReader, partition: TopicPartition, end: int, begin: int = 0
) -> Iterator[list[Record]]:
    """Yield the records of a partition from `begin` to `end`; raises LogCutOff."""
    if begin >= end:
        return
    begin = max(begin, reader.begin_offsets([partition])[partition])
    if begin >= end:
        return
    reader.assign({partition: begin})
    position, silent = begin, 0
    while position < end:
        records = reader.poll(limits.BATCH_RECORDS_MAX, 1.0)
        if not records:
            silent += 1
            if silent > SILENCE_S:
                raise LogCutOff(
                    f"Expected {partition.topic}/{partition.partition} up to {end}, but the"
                    f" log gave nothing after {position}"
                )
            continue
        silent = 0
        position = records[-1].offset + 1
        wanted = [r for r in records if r.offset < end]
        if wanted:
            yield wanted


def merge(tables: Tables, changes: Changes, gone: dict[str, set[Key]] | None = None) -> None:
    """Write a batch's changes into tables in memory; note in `gone` what they have no more."""
    for name, rows in changes.items():
        table = tables[name]
        for key, row in rows.items():
            if row is None:
                table.pop(key, None)
            else:
                table[key] = row
            if gone is not None:
                (gone[name].add if row is None else gone[name].discard)(key)


def bodies_of(
    tables: Tables, *, of_nodes: bool, after: Kept | None = None
) -> Callable[[Collection[str]], Mapping[str, bytes]]:
    """Return what finds the states of instances, or of hosts, in tables in memory, or kept."""
    name = "nodes" if of_nodes else "instance_states"

    def load(keys: Collection[str]) -> Mapping[str, bytes]:
        table = tables[name]
        bodies: dict[str, bytes] = {}
        if after is not None:
            bodies.update(after.bodies(name, [key for key in keys if (key,) not in table]))
        for key in keys:
            row = table.get((key,))
            if isinstance(row, InstanceStateRow | NodeRow):
                bodies[key] = row.body
        return bodies

    return load
