"""What must hold at every step: checked where it happens, by those who see it happen.

The world is watched at every change, the database at every commit, the log at every append, the
heart at every fact. Whoever finds a law broken raises Broken there and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from compute.endings import CANCELLING
from compute.world import PRESENT
from conductor.bodies import HELD_CODEC, RULES_CODEC
from conductor.scheduler_options import SchedulerOptions
from conductor.step import Outcome, step
from events.codec import decode_fact
from events.decisions import PeriodElapsed, StepTimedOut
from events.envelope import Envelope
from events.images import GuestOffloaded
from events.instance import GuestDestroyed
from events.log import Message, TopicPartition
from events.memory_log import MemoryLog
from events.node import NodeLost
from events.register import COMMANDS
from events.seal import MAC
from projections.rows import InstanceRow, InstanceStateRow, NodeRow, SagaRow
from projections.store import SCHEDULER_HOST, Batch, Order
from statemachines.addressing import command_asked
from statemachines.dues import dues
from statemachines.held import Held
from statemachines.resume import resume
from statemachines.rules import Rules
from statemachines.verdict import Accepted
from tests.simulation.database import Watcher
from tests.simulation.laws import Broken

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud

S: Final = 1_000_000
_OPTIONS: Final = SchedulerOptions()
#: Nothing is overdue, and no host is lost, for so long after the broker came back.
QUIET_S: Final = 15


class Tap:
    """The log's one inlet: every append is seen."""

    def __init__(self, log: MemoryLog, watch: Watch) -> None:
        self._log = log
        self._watch = watch

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        offsets = self._log.append(messages)
        self._watch.appended(messages)
        return offsets

    def close(self) -> None:
        """Nothing to close."""


class Watch(Watcher):
    """Hears of every commit, every append and every fact, and remembers what laws need."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._next: dict[TopicPartition, int] = {}
        self._epochs: dict[TopicPartition, int] = {}
        self._ordered: dict[bytes, str] = {}
        self._orders: dict[str, Order] = {}
        #: (instance, host) of every command that a saga ever asked for.
        self._involved: set[tuple[str, str]] = set()
        self._published: set[str] = set()
        #: Who has found the broker away since it went.
        self.noticed: set[str] = set()
        #: µs until which those who did may call nothing overdue.
        self._quiet_until: dict[str, int] = {}
        #: Copies in a topic for which they were not sealed, which no conductor may believe.
        self.misrouted: list[tuple[str, int, int]] = []

    # The database.

    def committed(self, batch: Batch) -> None:
        tp, known = batch.partition, self._next.get(batch.partition, 0)
        if batch.begin != known or batch.end <= batch.begin:
            raise Broken(f"I15: {tp} was at {known}, a batch says {batch.begin} to {batch.end}")
        if batch.epoch < self._epochs.get(tp, 0):
            raise Broken(f"I5: {tp} was written under {batch.epoch} after {self._epochs[tp]}")
        self._next[tp], self._epochs[tp] = batch.end, batch.epoch
        # Chosen and given up within one batch, a host was asked nothing and is involved.
        claims = batch.changes.get("claims", {})
        self._involved |= {(str(uuid), str(host)) for uuid, _, host in claims}
        self.ordered(list(batch.orders.values()))
        self._check_dues(batch)
        if "claims" in batch.changes:
            self._check_room()

    def ordered(self, orders: Sequence[Order]) -> None:
        for each in orders:
            self._ordered[each.value] = each.command_id
            self._orders[each.command_id] = each
            pair = each.instance_uuid, each.host
            if COMMANDS[each.command] in CANCELLING and pair not in self._involved:
                raise Broken(f"C1: {each.command} to {pair}, which was never asked anything")

    def begun(self, command_id: str) -> None:
        """Tell the world what a command is that a host begins."""
        order = self._orders[command_id]
        self._cloud.world.begun(order.command, order.host, order.instance_uuid)

    def marked_sent(self, orders: Sequence[Order]) -> None:
        for each in orders:
            if each.host != SCHEDULER_HOST and each.command_id not in self._published:
                raise Broken(f"I14: {each.command} {each.command_id} marked as sent, and was not")

    def _check_dues(self, batch: Batch) -> None:
        """What falls due by itself has a row in the transaction of the state, and nothing else."""
        if batch.rules is not None:
            return  # Rows follow the rules in the next turn.
        for uuid, *_ in batch.changes.get("instance_states", ()):
            assert isinstance(uuid, str), f"Expected a uuid, but {uuid!r}"
            if broken := self.wrong_dues(uuid, batch.partition):
                raise Broken(broken)

    def wrong_dues(self, uuid: str, partition: TopicPartition) -> str | None:
        """Say how the rows of what falls due differ from what the state names."""
        db = self._cloud.database
        rules = _rules_in(db.checkpoints[partition].rules)
        named = {(d.action, d.since) for d in dues(self.held(uuid), rules)}
        there = {(d.action, d.since) for d in db.dues.values() if d.instance_uuid == uuid}
        if named == there:
            return None
        return f"I18: {uuid} has {sorted(there)} before it, but names {sorted(named)}"

    def _check_room(self) -> None:
        used = self._cloud.database.used()
        for row in self._cloud.database.rows["nodes"].values():
            assert isinstance(row, NodeRow), f"Expected a node, but {row!r}"
            v, m, d = used.get(row.host, (0, 0, 0))
            o = _OPTIONS
            most = (
                row.vcpus * o.cpu_allocation_ratio_percent // 100 - o.reserved_host_cpus,
                row.memory_mb * o.ram_allocation_ratio_percent // 100 - o.reserved_host_memory_mb,
                row.disk_gb * o.disk_allocation_ratio_percent // 100 - o.reserved_host_disk_gb,
            )
            if v > most[0] or m > most[1] or d > most[2]:
                raise Broken(f"I9: {row.host} has {most}, and {(v, m, d)} are taken")

    # The log.

    def broker(self, *, is_out: bool) -> None:
        """Note when the broker went away and came back."""
        now = self._cloud.now_us
        if is_out:
            self.noticed.clear()
        else:
            self._quiet_until.update(dict.fromkeys(self.noticed, now + QUIET_S * S))

    def appended(self, messages: Sequence[Message]) -> None:
        """Look at what was appended."""
        commands = self._cloud.topics.commands("")
        running = self._cloud.running
        name = "" if running is None else running.name
        is_early = self._cloud.now_us < self._quiet_until.get(name, 0)
        for message in messages:
            if message.topic.startswith(commands):
                self._command(message)
            elif is_early and is_decision(message):
                self._decision(message)

    def _command(self, message: Message) -> None:
        command_id = self._ordered.get(message.value or b"")
        if command_id is None:
            raise Broken(f"I14: a command for {message.key!r} was published without an order")
        self._published.add(command_id)

    def _decision(self, message: Message) -> None:
        _, fact = decode_fact(message.value or b"")
        if isinstance(fact, StepTimedOut | PeriodElapsed | NodeLost):
            raise Broken(f"T3: {fact} was born overdue, right after an outage")

    # The heart.

    def step(self, held: Held | None, envelope: Envelope[object], rules: Rules) -> Outcome:
        """Fold a fact, and see that only who may changed only what he may."""
        outcome = step(held, envelope, rules)
        after = outcome.after
        for saga in () if after is None else (after.saga, *after.sides):
            if saga is None:
                continue
            self._involved |= {
                (envelope.meta.instance_id, each.host)
                for each in saga.asked
                if COMMANDS[command_asked(saga, each)] not in CANCELLING
            }
        if held is None or after is None or after is held:
            return outcome
        if isinstance(outcome.verdict, Accepted):
            _check_released(after, envelope)
        if after.generation < held.generation:
            raise Broken(f"I10: generation of {held.instance_id} fell to {after.generation}")
        if held.vm_state == "deleted" and after.vm_state != "deleted":
            raise Broken(f"I10: {held.instance_id} rose from the dead to {after.vm_state}")
        if not isinstance(outcome.verdict, Accepted):
            _check_untouched(held, after, envelope)
        elif envelope.host is not None:
            _check_entitled(held, after, envelope)
        return outcome

    def may_vanish(self, uuid: str) -> bool:
        """Say whether nothing need be left: never whole, being deleted, or made anew elsewhere."""
        held = self.held(uuid)
        if held is None or held.launched_at is None or not held.image:
            return True  # What is booted from a volume is nothing but its volumes.
        sagas = [r for r in self._cloud.database.rows["sagas"].values() if isinstance(r, SagaRow)]
        ends = ("delete", "evacuate")
        return any(row.saga in ends and row.instance_uuid == uuid for row in sagas)

    # At rest.

    def unrest(self) -> list[str]:
        """Say what is left to do; nothing of it is a fault by itself."""
        cloud, db = self._cloud, self._cloud.database
        left = [
            f"lag of {tp}"
            for tp in cloud.partitions()
            if tp not in db.checkpoints
            or db.checkpoints[tp].next_offset != cloud.log.partition(tp).end
        ]
        left += [
            f"{row.saga} of {row.instance_uuid} {row.status} at {row.step} for {row.waits_for}"
            for row in db.rows["sagas"].values()
            if isinstance(row, SagaRow) and row.status != "ended"
        ]
        left += [f"outbox: {o.command} to {o.host}" for o, _ in db.outbox.values()]
        left += [f"{uuid} has a {action} before it" for uuid, action in db.dues]
        left += [f"parked: {key}" for key in db.rows["parked"]]
        left += [f"{h.name} has unsent facts" for h in cloud.hosts if h.journal.unsent_count()]
        left += [
            f"{row.host} is {row.status}"
            for row in db.rows["nodes"].values()
            if isinstance(row, NodeRow) and row.status != "started"
        ]
        left += [f"{p.process.name} is down" for p in cloud.processes if not p.process.is_up]
        return left + (self._uncounted() if "log_drops_fact" in cloud.dice.struck else [])

    def _uncounted(self) -> list[str]:
        """Say whose power was told in a fact that the log lost: the next digest shows it."""
        found = []
        for row in self.instances():
            half = self._cloud.world.half(row.host or "", row.uuid)
            if half is not None and half.role in PRESENT and half.power_state != row.power_state:
                found.append(f"{row.host} has not told of {half}")
        return found

    def held(self, uuid: str) -> Held | None:
        """Return the stored state of an instance."""
        row = self._cloud.database.rows["instance_states"].get((uuid,))
        return _held_in(row.body) if isinstance(row, InstanceStateRow) else None

    def instances(self) -> list[InstanceRow]:
        """Return every instance's row, by uuid."""
        rows = self._cloud.database.rows["instances"]
        return [row for key in sorted(rows) if isinstance(row := rows[key], InstanceRow)]

    def named(self) -> set[str]:
        """Return the ids of every command that some saga's `resume` names."""
        return {
            letter.address.command_id
            for row in self.instances()
            for letter in resume(self.held(row.uuid))
        }


#: Laws look at the same states and rules again and again; nobody in the house sees what is kept.
@lru_cache(maxsize=1_024)
def _held_in(body: bytes) -> Held:
    held = HELD_CODEC.decode(body)
    assert isinstance(held, Held), f"Expected a state, but {held!r}"
    return held


@lru_cache(maxsize=64)
def _rules_in(body: bytes) -> Rules:
    return RULES_CODEC.decode(body) if body else Rules()


def _entitled(held: Held) -> set[str | None]:
    hosts: set[str | None] = {held.host}
    for saga in (held.saga, *held.sides):
        if saga is not None:
            hosts |= {saga.destination, saga.target, *(a.host for a in saga.asked)}
    return hosts


def _changes(held: Held, after: Held) -> list[str]:
    names = ("vm_state", "task_state", "power_state", "host", "flavor", "claims", "saga", "move")
    return [name for name in names if getattr(held, name) != getattr(after, name)]


def _check_entitled(held: Held, after: Held, envelope: Envelope[object]) -> None:
    if envelope.host in _entitled(held) or not (changed := _changes(held, after)):
        return
    fact = type(envelope.fact).__name__
    raise Broken(f"I13: {fact} of {envelope.host} changed {changed} of {held.instance_id}")


def _check_released(after: Held, envelope: Envelope[object]) -> None:
    """Nothing is claimed on a host that said last that it has nothing, unless it owns a new guest.

    Else what it has paid is owed again, for ever.
    """
    host, is_gone = envelope.host, after.vm_state == "deleted"
    if not isinstance(envelope.fact, GuestDestroyed | GuestOffloaded):
        return
    if any(c.host == host for c in after.claims) and (is_gone or host != after.host):
        fact = type(envelope.fact).__name__
        raise Broken(f"I9: {host} said {fact} of {after.instance_id}, and claims {after.claims}")


def _check_untouched(held: Held, after: Held, envelope: Envelope[object]) -> None:
    if changed := _changes(held, after):
        fact = type(envelope.fact).__name__
        raise Broken(f"I10: a refused {fact} changed {changed} of {held.instance_id}")


def is_decision(message: Message) -> bool:
    """Say whether the conductor speaks, and not to everybody."""
    return any(
        n == MAC and value and value.startswith(b"conductor/") for n, value in message.headers
    )
