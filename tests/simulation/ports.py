"""The ports of a process, with what can go wrong at a call: before it, and after its effect.

A process may die or be stopped for a while at any call; meanwhile the others go on, so it wakes up
with whatever it held in its hands. Log and database may refuse, or do it and lose the answer; the
log may repeat, delay, drop or misroute what it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from compute.hypervisor import Hypervisor
from compute.memory_journal import MemoryJournal
from events.envelope import Letter
from events.errors import LogUnavailable
from events.log import LogGroup, LogWriter, Message, Owner, Record, TopicInfo, TopicPartition
from events.topics import Topics
from projections.store import StoreUnavailable
from tests.simulation.faults import Dice, Died
from tests.simulation.laws import Broken
from tests.simulation.store_model import StoreModel

#: Methods of the store that change nothing: an answer that is lost there is an answer not had.
READS = frozenset(
    (
        *("checkpoints", "states", "node_bodies", "waiting_for_schema", "unsent", "answers"),
        *("due", "waiting_on_lost", "owed", "open_instances", "missing", "hosts", "set_aside"),
        *("surveys", "guests_of"),
    )
)


class Surroundings(Protocol):
    """What the ports of a process must know of the run."""

    dice: Dice
    is_broker_out: bool
    is_database_out: bool

    def let_others_run(self) -> None:
        """Leave the others some turns ahead."""
        ...

    def post_later(self, messages: Sequence[Message]) -> None:
        """Have messages arrive some time from now."""
        ...

    def note_misrouted(self, messages: Sequence[Message], offsets: Sequence[int]) -> None:
        """Remember where messages are that nobody may believe there."""
        ...

    def passed(self, gate: Gate, name: str, subject: object) -> None:
        """Hear that a process passes a point; may raise whatever happens to it there."""
        ...


class Gate:
    """Where a process passes at each call of a port."""

    def __init__(self, around: Surroundings, kind: str) -> None:
        self._around = around
        self._kind = kind
        self._stalls, self._dies = f"{kind}_stalls", f"{kind}_dies"
        #: Is the process cut off from the log?
        self.is_cut_off = False
        #: Is it kept off by an operator's hand?
        self.is_fenced = False
        #: Facts that the log has still to take, beside those in its journal.
        self.backlog = 0
        #: Told to die while it was stopped.
        self.is_doomed = False

    def point(self, name: str, subject: object = None) -> None:
        """Pass, die, or be stopped for a while; `subject` is what the call is about."""
        self._around.passed(self, name, subject)
        dice = self._around.dice
        may_strike = dice.rates and not dice.is_healing
        if may_strike and dice.strikes(self._stalls):
            self._around.let_others_run()
        if self.is_doomed or (may_strike and dice.strikes(self._dies)):
            raise Died(self._kind)

    def ask_log(self, name: str, subject: object = None) -> None:
        """Pass to the log, or find it away."""
        self.point(name, subject)
        is_deaf = self.is_cut_off or self.is_fenced
        if self._around.is_broker_out or is_deaf or self.strikes("log_refuses"):
            raise LogUnavailable("Expected the log to answer, but it is away")

    def ask_store(self, name: str, subject: object = None) -> None:
        """Pass to the database, or find it away."""
        self.point(name, subject)
        if self._around.is_database_out or self.strikes("store_refuses"):
            raise StoreUnavailable("Expected the database to answer, but it is away")

    def strikes(self, name: str) -> bool:
        """Say whether a class of faults strikes now."""
        dice = self._around.dice
        return bool(dice.rates) and dice.strikes(name)

    def post_later(self, messages: Sequence[Message]) -> None:
        """Have messages arrive some time from now."""
        self._around.post_later(messages)

    def note_misrouted(self, messages: Sequence[Message], offsets: Sequence[int]) -> None:
        """Remember where messages are that nobody may believe there."""
        self._around.note_misrouted(messages, offsets)

    def choice(self, count: int) -> int:
        """Draw a number below `count`."""
        return self._around.dice.rng.randrange(count)


class Writer:
    """Appends, or not, or more than once, or later, or to a wrong place as well."""

    def __init__(self, writer: LogWriter, gate: Gate, topics: Topics) -> None:
        self._writer = writer
        self._gate = gate
        self._topics = topics

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        gate = self._gate
        gate.ask_log("log.append", messages)
        if gate.strikes("log_delays"):
            gate.post_later(messages)
            raise LogUnavailable("Expected an answer in time, but the messages are on their way")
        kept = list(messages)
        if gate.strikes("log_drops_fact") and all(self._is_numbered(m) for m in kept):
            del kept[gate.choice(len(kept))]
        if gate.strikes("log_loses_answer"):
            self._writer.append(kept[: gate.choice(len(kept) + 1)])
            raise LogUnavailable("Expected an answer, but it was lost")
        offsets = self._writer.append(kept)
        if gate.strikes("log_repeats"):
            self._writer.append(kept)
        if gate.strikes("log_misroutes"):
            self._misroute(kept)
        gate.point("log.append.done", messages)
        return offsets

    def close(self) -> None:
        self._writer.close()

    def _is_numbered(self, message: Message) -> bool:
        """Only what is numbered can be missed: a host's facts."""
        by_host = any(n == "prev" and value for n, value in message.headers)
        return by_host and message.topic == self._topics.instance_events

    def _misroute(self, messages: Sequence[Message]) -> None:
        there = {
            self._topics.instance_events: self._topics.node_events,
            self._topics.node_events: self._topics.instance_events,
        }
        wrong = [m._replace(topic=there[m.topic]) for m in messages if m.topic in there]
        self._gate.note_misrouted(wrong, self._writer.append(wrong))


class Reader:
    """Reads; the log may be away at every call."""

    def __init__(self, reader: LogGroup, gate: Gate, batch_max: int = 5_000) -> None:
        self._reader = reader
        self._gate = gate
        self._batch_max = batch_max

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._reader.assign(positions)

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        self._gate.ask_log("log.poll")
        records = self._reader.poll(min(max_records, self._batch_max), timeout_s)
        self._gate.point("log.poll.done", records)
        return records

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._gate.ask_log("log.offsets")
        return self._reader.begin_offsets(partitions)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._gate.ask_log("log.offsets")
        return self._reader.end_offsets(partitions)

    def topic(self, name: str) -> TopicInfo:
        return self._reader.topic(name)

    def subscribe(self, topics: Sequence[str], owner: Owner) -> None:
        self._reader.subscribe(topics, owner)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._reader.seek(partition, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._reader.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._reader.resume(partitions)

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        self._reader.commit(positions)

    def close(self) -> None:
        self._reader.close()


class GatedStore:
    """Every method of the store, with what can go wrong before it and after its effect."""

    def __init__(self, store: StoreModel, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    def __getattr__(self, name: str) -> Callable[..., object]:
        method, gate, changes = getattr(self._store, name), self._gate, name not in READS
        before, after = f"store.{name}", f"store.{name}.done"

        def call(*args: object, **kwargs: object) -> object:
            gate.ask_store(before, args)
            found = method(*args, **kwargs)
            if changes:
                if gate.strikes("store_loses_answer"):
                    raise StoreUnavailable("Expected an answer to COMMIT, but it was lost")
                gate.point(after, args)
            return found

        self.__dict__[name] = call
        return call


class GatedJournal:
    """A journal whose transactions can be the last thing that a process did."""

    def __init__(self, journal: MemoryJournal, gate: Gate) -> None:
        self._journal = journal
        self._gate = gate

    def __getattr__(self, name: str) -> object:
        found = getattr(self._journal, name)
        self.__dict__[name] = found
        return found

    def unsent_count(self) -> int:
        return self._journal.unsent_count() + self._gate.backlog

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._gate.point("journal.write")
        with self._journal.transaction():
            yield
        self._gate.point("journal.write.done")


class GatedDriver:
    """A driver before and after each of whose doings the agent can die."""

    def __init__(self, driver: Hypervisor, gate: Gate, journal: MemoryJournal) -> None:
        self._driver = driver
        self._gate = gate
        self._journal = journal

    def begin(self, letter: Letter[object]) -> None:
        """Begin; whoever was told a newer generation must not come here with an older."""
        self._gate.point("driver.begin", letter)
        address = letter.address
        known = self._journal.generation(address.instance_id)
        if address.generation < known:
            kind = type(letter.command).__name__
            raise Broken(f"S6: {kind} of {address.generation} carried out, but {known} was told")
        self._driver.begin(letter)
        self._gate.point("driver.begin.done", letter)

    def __getattr__(self, name: str) -> Callable[..., object]:
        method, gate = getattr(self._driver, name), self._gate
        before, after = f"driver.{name}", f"driver.{name}.done"

        def call(*args: object, **kwargs: object) -> object:
            gate.point(before, args)
            found = method(*args, **kwargs)
            gate.point(after, found)
            return found

        self.__dict__[name] = call
        return call
