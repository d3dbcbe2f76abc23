"""One partition folded: records in, one batch out. The same for live work, rebuild and audit.

It opens each record (size, key, MAC, partition, schema, decode), puts the fact before the step, and collects what the
batch changes: rows, orders, what is forgotten, checkpoint and chain. It reads states through the `load` that it was
handed and writes nothing; a batch that failed is dropped with `forget`, one that is in the database is kept with `keep`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, cast

from conductor.limits import CACHE_INSTANCES_MAX
from conductor.rows import (
    node_row,
    note_rows,
    parked_row,
    quarantine_row,
    rejection_row,
    state_rows,
)
from conductor.step import Outcome, step
from events.codec import StateCodec, decode_fact, encode_command, fingerprint_in
from events.control import KeyClosed, KeyOpened, RulesPublished
from events.envelope import API, COMPUTE, CONDUCTOR, NOVA, Envelope, Letter
from events.errors import BadRecord
from events.log import Record, TopicPartition
from events.requests import RecordDiscarded
from events.seal import MasterKeyring, Sealed, digest, unseal
from events.topics import CONTROL_KEY, partition_of
from projections.rows import Changes, drop
from projections.store import Batch, Order
from statemachines.held import Held, Parked
from statemachines.node import NodeHeld, step_node
from statemachines.parking import (
    blocks,
    fits,
    full,
    parked_of,
    ready,
    record_of,
    with_parked,
    without,
)
from statemachines.resume import deadline_s, resume
from statemachines.rules import Rules
from statemachines.rules import evolve as evolve_rules
from statemachines.verdict import Accepted, Duplicate, Rejected

HELD_CODEC: Final = StateCodec(Held, "Held")
NODE_CODEC: Final = StateCodec(NodeHeld, "NodeHeld")
RULES_CODEC: Final = StateCodec(Rules, "Rules")

_CONTROL: Final = CONTROL_KEY.encode()
_PLANE: Final = frozenset({API, CONDUCTOR, NOVA})
START_OF_CHAIN: Final = bytes(32)

Load = Callable[[Collection[str]], Mapping[str, bytes]]


@dataclass(slots=True)
class Scratch:
    """What the present batch has come to so far; thrown away as a whole if it fails."""

    begin: int
    end: int
    rules: Rules
    chain: bytes
    leader_epoch: int
    changes: Changes = field(default_factory=dict)
    #: State of each instance touched, as the batch found it and as it is now.
    found: dict[str, Held | None] = field(default_factory=dict)
    held: dict[str, Held | None] = field(default_factory=dict)
    nodes: dict[str, NodeHeld | None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


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
        self._of_nodes = of_nodes
        self._partitions = partitions
        self._keyring = keyring
        self._load = load
        self._cache: OrderedDict[str, Held | None] = OrderedDict()
        self._nodes: dict[str, NodeHeld | None] = {}
        self._now: Scratch | None = None

    # Where it stands.

    def stand_at(self, *, next_offset: int, chain: bytes, leader_epoch: int, rules: bytes) -> None:
        """Go on from a checkpoint; everything remembered is dropped."""
        self.next_offset = next_offset
        self.chain = chain or START_OF_CHAIN
        self.leader_epoch = leader_epoch
        fresh = Rules(partitions=self._partitions)
        self.rules = cast("Rules", RULES_CODEC.decode(rules)) if rules else fresh
        self._cache.clear()
        self._nodes.clear()
        self._now = None

    def state(self, instance_id: str) -> Held | None:
        """Return the state of an instance after everything that was kept."""
        if instance_id not in self._cache:
            self._fetch([instance_id])
        return self._cache.get(instance_id)

    def outstanding(self, instance_id: str, now_us: int) -> list[Order]:
        """Return every order that an instance's sagas still wait for, as it would be sent now."""
        held = self.state(instance_id)
        if held is None:
            return []
        return [
            order_of(letter, held, self.partition, self.rules, now_us) for letter in resume(held)
        ]

    # A batch.

    def fold(self, records: Iterable[Record]) -> Batch | None:
        """Fold the next records of the partition and return what they change; None for none."""
        fresh = [r for r in records if r.offset >= self.next_offset]
        if not fresh:
            return None
        self._prefetch(fresh)
        self._now = now = Scratch(
            begin=self.next_offset,
            end=fresh[-1].offset + 1,
            rules=self.rules,
            chain=self.chain,
            leader_epoch=max(self.leader_epoch, fresh[-1].leader_epoch),
        )
        for record in fresh:
            self._take(now, record)
        return self._batch(now)

    def keep(self) -> None:
        """Go on from the batch in hand: it is known to be in the database."""
        now = self._now
        assert now is not None, f"Expected a batch of {self.partition} in hand, but none"
        self.next_offset = now.end
        self.chain = now.chain
        self.leader_epoch = now.leader_epoch
        self.rules = now.rules
        self.counts += now.counts
        for instance_id, held in now.held.items():
            self._cache[instance_id] = held
            self._cache.move_to_end(instance_id)
        self._nodes.update(now.nodes)
        while len(self._cache) > CACHE_INSTANCES_MAX:
            self._cache.popitem(last=False)
        self._now = None

    # Opening a record.

    def _take(self, now: Scratch, record: Record) -> None:
        now.chain = chained(now.chain, record)
        try:
            self._open(now, record)
        except BadRecord as bad:
            now.counts["quarantined"] += 1
            quarantine_row(now.changes, record, bad)

    def _open(self, now: Scratch, record: Record) -> None:
        if record.offset in self.aside:
            self._set_aside(now, record)
            return
        sealed = unseal(record, self._keyring)
        key = _text(record.key)
        if record.key == _CONTROL:
            self._control(now, record, sealed)
            return
        if partition_of(key, self._partitions) != record.partition:
            raise BadRecord(
                "wrong-partition",
                f"Expected {key} in partition {partition_of(key, self._partitions)}, but it is in "
                f"{record.partition}",
            )
        key_id = f"{sealed.name}/{sealed.enrolment}"
        if sealed.name != CONDUCTOR and not now.rules.is_open(key_id):
            raise BadRecord("closed-key", f"Expected a key that is open here, but {key_id} is not")
        if self._of_nodes:
            self._node(now, self._envelope(record, sealed, key))
            return
        held = self._held(now, key)
        if held is not None and blocks(held):
            self._wait(now, record, held, sealed)
            return
        fingerprint = fingerprint_in(cast("bytes", record.value)).hex()
        if not now.rules.admits(fingerprint):
            if held is None:
                raise BadRecord(
                    "not-admitted", f"Expected a schema in force, but {fingerprint} is not"
                )
            self._wait(now, record, held, sealed)
            return
        self._judge(now, self._envelope(record, sealed, key))

    def _envelope(self, record: Record, sealed: Sealed, key: str) -> Envelope[object]:
        value = cast("bytes", record.value)
        meta, fact = decode_fact(value)
        source = sealed.name if sealed.name in _PLANE else COMPUTE + sealed.name
        if meta.source != source:
            raise BadRecord(
                "wrong-source", f"Expected {source} to speak, but it says {meta.source}"
            )
        if meta.instance_id != key:
            raise BadRecord("wrong-key", f"Expected a fact about {key}, but {meta.instance_id}")
        return Envelope(fact, meta, record, digest(value), sealed.prev, sealed.enrolment)

    def _control(self, now: Scratch, record: Record, sealed: Sealed) -> None:
        meta, fact = decode_fact(cast("bytes", record.value))
        if isinstance(fact, RecordDiscarded) and sealed.name == API:
            drop(now.changes, "quarantine", (record.topic, fact.partition, fact.offset))
            now.counts["control"] += 1
            return
        if sealed.name != CONDUCTOR or not isinstance(fact, RulesPublished | KeyOpened | KeyClosed):
            raise BadRecord(
                "not-control",
                f"Expected rules of the conductor, but {sealed.name} says {meta.source}",
            )
        now.counts["control"] += 1
        before, now.rules = now.rules, evolve_rules(now.rules, fact)
        if not self._of_nodes and now.rules.fingerprints != before.fingerprints:
            waiting = {k for k, h in now.held.items() if h is not None and blocks(h)}
            for instance_id in sorted(waiting | set(self.waiting_for_schema())):
                self._release(now, instance_id)

    # Waiting.

    def _set_aside(self, now: Scratch, record: Record) -> None:
        key = _text(record.key)
        held = self._held(now, key) if key and not self._of_nodes else None
        if held is None:
            raise BadRecord(
                "set-aside", "Expected to survive the record, but the worker died twice"
            )
        self._park(now, held, parked_of(record, source="", sequence=0, reason="set-aside"))

    def _wait(self, now: Scratch, record: Record, held: Held, sealed: Sealed) -> None:
        source = sealed.name if sealed.name in _PLANE else COMPUTE + sealed.name
        self._park(now, held, parked_of(record, source=source, sequence=0, reason="schema"))

    def _park(self, now: Scratch, held: Held, parked: Parked) -> None:
        if not fits(held, parked):
            rejected = full(held)
            raise BadRecord(rejected.code, rejected.sentence)
        now.counts["parked"] += 1
        now.held[held.instance_id] = with_parked(held, parked)
        parked_row(now.changes, held.instance_id, parked)

    def _release(self, now: Scratch, instance_id: str) -> None:
        """Judge every record of an instance that may be judged now, in order."""
        while True:
            held = self._held(now, instance_id)
            parked = ready(held, now.rules)
            if held is None or parked is None:
                return
            drop(now.changes, "parked", (parked.topic, parked.partition, parked.offset))
            record = record_of(parked)
            try:
                sealed = unseal(record, self._keyring)
                self._step(now, self._envelope(record, sealed, instance_id))
            except BadRecord as bad:
                now.counts["quarantined"] += 1
                now.held[instance_id] = without(held, parked.offset)
                quarantine_row(now.changes, record, bad)

    # Judging.

    def _judge(self, now: Scratch, envelope: Envelope[object]) -> None:
        held = self._step(now, envelope)
        if held is not None and held.parked:
            self._release(now, held.instance_id)

    def _step(self, now: Scratch, envelope: Envelope[object]) -> Held | None:
        instance_id = envelope.meta.instance_id
        before = self._held(now, instance_id)
        outcome = step(before, envelope, now.rules)
        self._note(now, envelope, outcome)
        now.held[instance_id] = outcome.after
        return outcome.after

    def _note(self, now: Scratch, envelope: Envelope[object], outcome: Outcome) -> None:
        match outcome.verdict:
            case Accepted():
                now.counts["accepted"] += 1
                assert outcome.after is not None
                note_rows(now.changes, outcome.after, outcome, envelope.partition, now.rules)
                if isinstance(envelope.fact, RecordDiscarded):
                    discarded = (envelope.topic, envelope.fact.partition, envelope.fact.offset)
                    drop(now.changes, "quarantine", discarded)
                    drop(now.changes, "parked", discarded)
            case Duplicate():
                now.counts["duplicate"] += 1
            case Rejected():
                now.counts["rejected"] += 1
                rejection_row(now.changes, envelope, outcome.before, outcome.verdict)
            case _:
                now.counts["parked"] += 1
                assert outcome.after is not None
                parked = next(p for p in outcome.after.parked if p.offset == envelope.offset)
                parked_row(now.changes, outcome.after.instance_id, parked)

    def _node(self, now: Scratch, envelope: Envelope[object]) -> None:
        host = envelope.meta.instance_id
        outcome = step_node(self._node_held(now, host), envelope)
        match outcome.verdict:
            case Accepted():
                now.counts["accepted"] += 1
                now.nodes[host] = outcome.after
            case Rejected():
                now.counts["rejected"] += 1
                rejection_row(now.changes, envelope, None, outcome.verdict)
            case _:
                now.counts["duplicate"] += 1

    # States.

    def _held(self, now: Scratch, instance_id: str) -> Held | None:
        if instance_id not in now.held:
            if instance_id not in self._cache:
                self._fetch([instance_id])
            now.held[instance_id] = now.found[instance_id] = self._cache.get(instance_id)
        return now.held[instance_id]

    def _node_held(self, now: Scratch, host: str) -> NodeHeld | None:
        if host not in now.nodes:
            if host not in self._nodes:
                body = self._load([host]).get(host)
                self._nodes[host] = (
                    None if body is None else cast("NodeHeld", NODE_CODEC.decode(body))
                )
            now.nodes[host] = self._nodes[host]
        return now.nodes[host]

    def _prefetch(self, records: Iterable[Record]) -> None:
        """Read the states that a batch touches in one query."""
        if self._of_nodes:
            return
        keys = {_text(r.key) for r in records if r.key and r.key != _CONTROL}
        self._fetch([k for k in keys if k not in self._cache])

    def _fetch(self, keys: Collection[str]) -> None:
        if not keys:
            return
        bodies = self._load(sorted(keys))
        for key in keys:
            body = bodies.get(key)
            self._cache[key] = None if body is None else cast("Held", HELD_CODEC.decode(body))

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
        for instance_id, held in now.held.items():
            before = now.found.get(instance_id)
            if held is None or held is before:
                continue
            state_rows(now.changes, before, held, self.partition.partition, HELD_CODEC.encode(held))
            self._orders(now, batch, before, held)
        for host_held in now.nodes.values():
            if host_held is not None and host_held is not self._nodes.get(host_held.host):
                node_row(now.changes, host_held, NODE_CODEC.encode(host_held))
        return batch

    def _orders(self, now: Scratch, batch: Batch, before: Held | None, after: Held) -> None:
        """Order what `resume` names now and did not before; forget what it no longer names."""
        old = () if before is None else resume(before)
        new = resume(after)
        known = {letter.address.command_id for letter in old}
        named = {letter.address.command_id for letter in new}
        batch.forget |= known - named
        for letter in new:
            if letter.address.command_id not in known:
                order = order_of(letter, after, self.partition, now.rules, after.updated_at)
                batch.orders[order.command_id] = order


def order_of(
    letter: Letter[object],
    held: Held,
    partition: TopicPartition,
    rules: Rules,
    created_at: int,
) -> Order:
    """Return a command as it stands in the outbox."""
    address = letter.address
    return Order(
        command_id=address.command_id,
        topic=partition.topic,
        partition=partition.partition,
        instance_uuid=address.instance_id,
        saga_id=address.saga_id,
        step=address.step,
        attempt=address.attempt,
        command=type(letter.command).__name__,
        host=address.host,
        value=encode_command(letter),
        deadline_s=deadline_s(letter, held, rules),
        created_at=created_at,
    )


def chained(chain: bytes, record: Record) -> bytes:
    """Return the hash of a partition up to and with a record."""
    h = sha256(chain)
    h.update(record.offset.to_bytes(8, "big"))
    for part in (record.key, record.value, *(value for _, value in record.headers)):
        h.update(b"\xff" if part is None else len(part).to_bytes(4, "big") + part)
    return h.digest()


def _text(key: bytes | None) -> str:
    if not key:
        return ""
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise BadRecord("bad-key", "Expected a key in UTF-8, but it is not") from error
