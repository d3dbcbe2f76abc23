"""One partition folded: records in, one batch out. The same for live work, rebuild and audit.

It opens each record (size, key, MAC, partition, schema, decode), puts the fact before the step, and
collects what the batch changes: rows, orders, what is forgotten, checkpoint and chain. It reads
states through the `load` that it was handed and writes nothing; a batch that is known to be in the
database is kept with `keep`, any other is dropped with `stand_at`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, cast

from conductor.ahead import Ahead, Opened, opened, opened_ahead
from conductor.bodies import HELD_CODEC, NODE_CODEC, RULES_CODEC
from conductor.due_rows import due_changes, due_rows
from conductor.opening import (
    START_OF_CHAIN,
    Decode,
    believed,
    claimed_source,
    decoded,
    envelope_of,
    leads_out,
    requeued,
    source_of,
    text_of,
)
from conductor.orders import order_changes, orders_of
from conductor.rows import keep_notes, node_row, note_rows, state_rows
from conductor.scratch import Scratch
from conductor.states import Load, States
from conductor.step import Outcome, step
from conductor.verdict_rows import dropped, dropped_row, quarantine_row, rejection_row
from events.codec import HEADER_BYTES, MARKER, fingerprint_in
from events.control import KeyClosed, KeyOpened, RulesPublished
from events.decisions import RecordSetAside
from events.envelope import API, CONDUCTOR, Envelope
from events.errors import BadRecord
from events.log import Record, TopicPartition
from events.requests import RecordDiscarded, RecordRequeued
from events.seal import MasterKeyring, Sealed, unseal
from events.topics import CONTROL_KEY, partition_of
from projections.rows import drop
from projections.store import Batch, DueRow, Order
from statemachines.conservation import broken_laws
from statemachines.held import Held, Parked
from statemachines.node import NodeHeld, step_node
from statemachines.parking import (
    RELEASED,
    blocks,
    fits,
    full,
    parked_of,
    ready,
    record_of,
    with_parked,
    without,
)
from statemachines.rules import Rules
from statemachines.rules import evolve as evolve_rules
from statemachines.verdict import Accepted, Duplicate, Rejected

_CONTROL: Final = CONTROL_KEY.encode()


class Fold:
    """The fold of one partition of the instance topic or of the node topic."""

    def __init__(
        self,
        partition: TopicPartition,
        *,
        keyring: MasterKeyring,
        partitions: int,
        load: Load,
        of_nodes: bool = False,
        decode: Decode = decoded,
    ) -> None:
        self.partition = partition
        self.next_offset = 0
        self.chain = START_OF_CHAIN
        self.leader_epoch = 0
        self.rules = Rules(partitions=partitions)
        self.counts: Counter[str] = Counter()
        #: Offsets that a person has to look at first; collected before the fold.
        self.aside: frozenset[int] = frozenset()
        #: Instances with records parked for a schema: asked when the rules change.
        self.waiting_for_schema: Callable[[], Iterable[str]] = tuple
        #: Hears each fact that is accepted, and what it did; may hear it again in a later try.
        self.listener: Callable[[Envelope[object], Outcome], None] | None = None
        self.besides = [order_changes, due_changes]  # Cleared where nobody acts on a batch.
        self._of_nodes = of_nodes
        self._decode = decode
        self._partitions = partitions
        self._keyring = keyring
        self._states = States(load)
        self._now: Scratch | None = None
        self._ahead = Ahead()

    # Where it stands.

    def stand_at(self, *, next_offset: int, chain: bytes, leader_epoch: int, rules: bytes) -> None:
        """Go on from a checkpoint; everything remembered is dropped."""
        self.next_offset = next_offset
        self.chain = chain or START_OF_CHAIN
        self.leader_epoch = leader_epoch
        self.rules = RULES_CODEC.decode(rules) if rules else Rules(partitions=self._partitions)
        self._states.clear()
        self._now = None
        self._ahead = Ahead()

    def state(self, instance_id: str) -> Held | None:
        """Return the state of an instance after everything that was kept."""
        return self._states.instance(instance_id)

    def outstanding(self, instance_id: str, now_us: int) -> list[Order]:
        """Return every order that an instance's sagas still wait for, as it would be sent now."""
        return orders_of(self.state(instance_id), self.partition, self.rules, now_us)

    def falling_due(self, instance_id: str) -> list[DueRow]:
        """Return what falls due by itself if nothing else happens to an instance."""
        return due_rows(self.state(instance_id), self.partition, self.rules)

    # A batch.

    def fold(self, records: Iterable[Record]) -> Batch | None:
        """Fold the next records of the partition and return what they change; None for none."""
        begin = self.next_offset
        fresh = list(records)
        if fresh and fresh[0].offset < begin:  # Offsets only grow: else all are fresh.
            fresh = [record for record in fresh if record.offset >= begin]
        if not fresh:
            return None
        if not self._of_nodes:
            keys = {record.key for record in fresh} - {None, b"", _CONTROL}
            self._states.prefetch({cast("bytes", k).decode("utf-8", "replace") for k in keys})
        ahead, self._ahead = self._ahead.of(fresh, self.chain), Ahead()
        self._now = now = Scratch(
            begin=begin,
            end=fresh[-1].offset + 1,
            rules=self.rules,
            chain=ahead.chain,
            leader_epoch=max(self.leader_epoch, fresh[-1].leader_epoch),
        )
        for record, each in zip(fresh, ahead.opened, strict=True):
            try:
                self._open(now, record, each)
            except BadRecord as bad:
                now.others["quarantined"] += 1
                quarantine_row(now.changes, record, bad)
        return self._batch(now)

    def read_ahead(self, records: Sequence[Record]) -> None:
        """Open records that come behind the batch in hand, as far as it has no word in that."""
        begin = self.chain if self._now is None else self._now.chain
        self._ahead = opened_ahead(
            records, begin, keyring=self._keyring, decode=self._decode, aside=self.aside
        )

    def keep(self, *, shares: int = 1) -> None:
        """Go on from the batch in hand: it is known to be in the database.

        So many folds share the memory for states.
        """
        now = self._now
        assert now is not None, f"Expected a batch of {self.partition} in hand, but none"
        self.next_offset = now.end
        self.chain = now.chain
        self.leader_epoch = now.leader_epoch
        self.rules = now.rules
        self.counts += now.others + Counter(accepted=now.accepted)
        self._states.share(shares)
        self._states.keep(now.held, now.bodies(), now.nodes)
        self._now = None

    # Opening a record.

    def _open(self, now: Scratch, record: Record, ahead: Opened | None = None) -> None:
        if record.offset in self.aside:
            self._set_aside(now, record)
            return
        sealed, key, envelope = ahead or opened(record, self._keyring)
        if record.key == _CONTROL:
            self._control(now, record, sealed)
            return
        held = now.held.get(key) or self._met(now, record, key)
        if sealed.key_id not in now.believed:
            believed(sealed, now.rules)
            now.believed.add(sealed.key_id)
        if self._of_nodes:
            self._node(now, envelope or envelope_of(record, sealed, key, self._decode))
            return
        if (
            held is not None
            and (held.parked or held.set_aside)
            and blocks(held)
            and not leads_out(record, sealed)
        ):
            self._wait(now, record, held, sealed)
            return
        if record.value[:HEADER_BYTES] not in now.admitted:  # type: ignore[index]  # no tombstone
            fingerprint = fingerprint_in(cast("bytes", record.value))
            if not now.rules.admits(fingerprint.hex()):
                self._refuse(now, record, held, sealed)
                return
            now.admitted.add(MARKER + fingerprint)
        held = self._step(now, held, envelope or envelope_of(record, sealed, key, self._decode))
        if held is not None and held.parked:
            self._release(now, key)

    def _met(self, now: Scratch, record: Record, key: str) -> Held | None:
        """Return the state that the first record about an instance meets in this batch."""
        there = partition_of(key, self._partitions)
        if there != record.partition:
            sentence = f"Expected {key} in partition {there}, but it is in {record.partition}"
            raise BadRecord("wrong-partition", sentence)
        return None if self._of_nodes else self._held(now, key)

    def _control(self, now: Scratch, record: Record, sealed: Sealed) -> None:
        meta, fact = self._decode(record)
        if isinstance(fact, RecordSetAside) and sealed.name == CONDUCTOR:
            now.others["control"] += 1  # Obeyed before the fold, by whoever folds.
            return
        if isinstance(fact, RecordDiscarded) and sealed.name == API:
            drop(now.changes, "quarantine", (record.topic, fact.partition, fact.offset))
            now.others["control"] += 1
            return
        if isinstance(fact, RecordRequeued) and sealed.name == API:
            now.others["control"] += 1
            self._again(now, record, fact)
            return
        if sealed.name != CONDUCTOR or not isinstance(fact, RulesPublished | KeyOpened | KeyClosed):
            raise BadRecord(
                "not-control",
                f"Expected rules of the conductor, but {sealed.name} says {meta.source}",
            )
        now.others["control"] += 1
        before = now.rules
        now.obey(evolve_rules(before, fact))
        if not self._of_nodes and now.rules.fingerprints != before.fingerprints:
            waiting = {k for k, h in now.held.items() if h is not None and blocks(h)}
            for instance_id in sorted(waiting | set(self.waiting_for_schema())):
                self._release(now, instance_id)

    def _again(self, now: Scratch, word: Record, fact: RecordRequeued) -> None:
        """Open a record as if it had come where the word for it stands."""
        drop(now.changes, "quarantine", (word.topic, fact.partition, fact.offset))
        record = requeued(word, fact)
        try:
            if record.key == _CONTROL:
                raise BadRecord("not-requeued", "Expected a fact about a subject, but a control")
            self._open(now, record)
        except BadRecord as bad:
            # It is where it was; only the reason may be another.
            quarantine_row(now.changes, record._replace(offset=fact.offset), bad)

    # Waiting.

    def _set_aside(self, now: Scratch, record: Record) -> None:
        key = text_of(record.key)
        is_here = not self._of_nodes and partition_of(key, self._partitions) == record.partition
        held = self._held(now, key) if key and is_here else None
        if held is None:
            raise BadRecord("set-aside", "Expected to survive it, but the worker died twice")
        source = claimed_source(record)
        self._park(now, held, parked_of(record, source=source, sequence=0, reason="set-aside"))

    def _wait(self, now: Scratch, record: Record, held: Held, sealed: Sealed) -> None:
        parked = parked_of(record, source=source_of(sealed), sequence=0, reason="schema")
        self._park(now, held, parked)

    def _refuse(self, now: Scratch, record: Record, held: Held | None, sealed: Sealed) -> None:
        """Have a record wait until its schema is admitted, where it has something to wait with."""
        if held is None:
            fingerprint = fingerprint_in(record.value or b"").hex()
            raise BadRecord("not-admitted", f"Expected a schema in force, but {fingerprint} is not")
        self._wait(now, record, held, sealed)

    def _park(self, now: Scratch, held: Held, parked: Parked) -> None:
        if not fits(held, parked):
            rejected = full(held)
            raise BadRecord(rejected.code, rejected.sentence)
        now.others["parked"] += 1
        now.held[held.instance_id] = with_parked(held, parked)

    def _release(self, now: Scratch, instance_id: str) -> None:
        """Judge every record of an instance that may be judged now, in order."""
        while True:
            held = self._held(now, instance_id)
            parked = ready(held, now.rules)
            if held is None or parked is None:
                return
            record = record_of(parked)
            try:
                sealed = unseal(record, self._keyring)
                if parked.reason == RELEASED:  # Nothing was looked at when it was set aside.
                    believed(sealed, now.rules)
                    if not now.rules.admits(fingerprint_in(parked.value).hex()):
                        self._wait(now, record, without(held, parked.offset), sealed)
                        return
                self._step(now, held, envelope_of(record, sealed, instance_id, self._decode))
            except BadRecord as bad:
                now.others["quarantined"] += 1
                now.held[instance_id] = without(held, parked.offset)
                quarantine_row(now.changes, record, bad)

    # Judging.

    def _step(self, now: Scratch, before: Held | None, envelope: Envelope[object]) -> Held | None:
        outcome = step(before, envelope, now.rules)
        after = now.held[envelope.meta.instance_id] = outcome.after
        if outcome.verdict.__class__ is Accepted:
            assert after is not None
            now.accepted += 1
            if self.listener is not None:
                self.listener(envelope, outcome)
            if outcome.notes:
                keep_notes(now.notes, after, outcome.notes, now.rules)
            if before is not None and before.parked:
                for parked in dropped(outcome, envelope.offset):
                    dropped_row(now.changes, after, parked)
            if envelope.fact.__class__ is RecordDiscarded:
                self._forget(now, envelope)
        else:
            self._note(now, envelope, outcome)
        return after

    def _forget(self, now: Scratch, word: Envelope[object]) -> None:
        """Leave no row of a record in quarantine that somebody gave up."""
        fact = cast("RecordDiscarded", word.fact)
        drop(now.changes, "quarantine", (word.topic, fact.partition, fact.offset))

    def _note(self, now: Scratch, envelope: Envelope[object], outcome: Outcome) -> None:
        """Write down what was not accepted."""
        match outcome.verdict:
            case Duplicate():
                now.others["duplicate"] += 1
            case Rejected():
                now.others["rejected"] += 1
                rejection_row(now.changes, envelope, outcome.before, outcome.verdict)
            case _:
                now.others["parked"] += 1

    def _node(self, now: Scratch, envelope: Envelope[object]) -> None:
        host = envelope.meta.instance_id
        outcome = step_node(self._node_held(now, host), envelope)
        match outcome.verdict:
            case Accepted():
                now.accepted += 1
                now.nodes[host] = outcome.after
            case Rejected():
                now.others["rejected"] += 1
                rejection_row(now.changes, envelope, None, outcome.verdict)
            case _:
                now.others["duplicate"] += 1

    # States.

    def _held(self, now: Scratch, instance_id: str) -> Held | None:
        if instance_id in now.held:
            return now.held[instance_id]
        held = self._states.instance(instance_id)
        now.held[instance_id] = now.found[instance_id] = held
        return held

    def _node_held(self, now: Scratch, host: str) -> NodeHeld | None:
        if host not in now.nodes:
            now.nodes[host] = self._states.node(host)
        return now.nodes[host]

    # What the batch changes.

    def _batch(self, now: Scratch) -> Batch:
        batch = Batch(
            partition=self.partition,
            epoch=0,
            begin=now.begin,
            end=now.end,
            leader_epoch=now.leader_epoch,
            chain=now.chain,
            rules=None if now.rules is self.rules else RULES_CODEC.encode(now.rules),
            changes=now.changes,
        )
        note_rows(now.changes, now.notes, self.partition.partition)
        now.notes.clear()  # With them every state on the way, which nobody will ask for.
        for instance_id, held in now.held.items():
            before = now.found.get(instance_id)
            if held is None or held is before:
                continue
            broken = broken_laws(held)
            assert not broken, "; ".join(broken)
            state_rows(now.changes, before, held, self.partition.partition, HELD_CODEC.encode(held))
            for say in self.besides:
                say(batch, before, held, now.rules)
        for host_held in now.nodes.values():
            if host_held is not None and host_held is not self._states.node(host_held.host):
                node_row(now.changes, host_held, NODE_CODEC.encode(host_held))
        return batch
