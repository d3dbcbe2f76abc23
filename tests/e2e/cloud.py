"""A small cloud for tests that need the whole house: topics, rules, tables, keys, requests, views.

Puts real parts together over any log and any database; whoever uses it decides whether they live in
this process or in others.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from compute.fake_driver import FakeDriver, FakeOptions
from compute.journal import Journal
from compute.limits import Bounds
from compute.node import Node
from compute.wiring import Parts
from compute.wiring import Ports as ComputePorts
from compute.wiring import build as build_agent
from compute.world import World
from conductor.auditor import Audit, verify
from conductor.commits import beside
from conductor.replay import Replay
from conductor.rulebook import Rulebook
from conductor.speaker import Speaker
from conductor.wiring import Conductor, Options, Ports
from events.codec import encode_fact
from events.control import KeyOpened
from events.envelope import Meta
from events.log import Log, LogReader, Message, TopicPartition
from events.ports import Clock, SystemClock
from events.requests import ActionRequested, Flavor
from events.seal import MasterKeyring, sealed_message
from events.topics import Topics, partition_of
from projections import schema
from projections.kept import Keeper
from projections.rows import ClaimRow, InstanceRow, MigrationRow, Row, SagaRow
from projections.sql_store import SqlStore, open_store
from projections.store import Store
from statemachines.rules import SETTINGS

MASTER = b"m" * 32
SMALL = Flavor(name="m1.small", vcpus=1, memory_mb=2048, disk_gb=20)
MEDIUM = Flavor(name="m1.medium", vcpus=2, memory_mb=4096, disk_gb=40)
#: A turn of everybody costs at least this much when nobody has work.
PAUSE_S = 0.005
WAIT_S = 40.0


class TakesTurns(Protocol):
    def turn(self) -> bool: ...


class Closes(Protocol):
    def close(self) -> None: ...


_C = TypeVar("_C", bound=Closes)


@dataclass
class Cloud:
    """One log, one database, and what is said and seen from outside."""

    log: Log
    url: str
    topics: Topics
    partitions: int = 4
    hosts: tuple[str, ...] = ("host1", "host2", "host3")
    keyring: MasterKeyring = field(default_factory=lambda: MasterKeyring(MASTER))
    clock: Clock = field(default_factory=SystemClock)
    _open: ExitStack = field(default_factory=ExitStack)
    _eyes: LogReader | None = None

    def close(self) -> None:
        """Close whatever was opened here, the last first."""
        self._open.close()

    def _kept(self, each: _C) -> _C:
        self._open.callback(each.close)
        return each

    def found(self, settings: dict[str, str] | None = None) -> None:
        """Leave topics, tables, the first rules, and every host enrolled."""
        schema.upgrade(self.url)
        admin, reader, writer = self.log.admin(), self.log.reader(), self.log.writer()
        admin.create(self.topics.specs(self.partitions))
        admin.create(self.topics.command_spec(host) for host in self.hosts)
        speaker = Speaker(writer, self.keyring, self.clock)
        book = Rulebook(speaker=speaker, reader=reader, topics=self.topics)
        book.begin({**SETTINGS, **(settings or {})})
        for host in self.hosts:
            book.say(KeyOpened(key_id=f"{host}/1"))
        for each in (admin, reader, writer):
            each.close()

    # Its parts.

    def store(self) -> SqlStore:
        return self._kept(open_store(self.url))

    def conductor(
        self, options: Options | None = None, store: Store | None = None, **given: Any
    ) -> Conductor:
        """Return a conductor with ports of its own, but for those that are given."""
        own = self.store() if store is None else store
        is_served = getattr(own, "is_served", False)
        given = {"beside": beside(is_served=is_served), **given}
        if "group" not in given:
            given["group"] = self._kept(self.log.group(f"{self.topics.prefix}.conductors"))
        ports = Ports(
            reader=self._kept(self.log.reader()),
            writer=self._kept(self.log.writer()),
            store=own,
            clock=self.clock,
            keyring=self.keyring,
            topics=self.topics,
            **given,
        )
        return Conductor(ports, options or Options())

    def agent(
        self, host: str, world: World, journal: Journal, bounds: Bounds | None = None
    ) -> Parts:
        node = Node(
            host=host,
            key=self.keyring.key(host, 1),
            partitions=self.partitions,
            topics=self.topics,
            bounds=bounds or Bounds(report_interval_s=1),
        )
        ports = ComputePorts(
            writer=self._kept(self.log.writer()),
            reader=self._kept(self.log.reader()),
            driver=FakeDriver(host=host, world=world, options=FakeOptions()),
            clock=self.clock,
        )
        return build_agent(node, journal, ports)

    # What is said to it.

    def home(self, instance_id: str) -> TopicPartition:
        number = partition_of(instance_id, self.partitions)
        return TopicPartition(self.topics.instance_events, number)

    def request_message(
        self, action: str, instance_id: str, **fields: object
    ) -> tuple[str, Message]:
        fact = ActionRequested(
            action=action,
            user_id="user",
            project_id="project",
            **fields,  # type: ignore[arg-type]  # named fields of ActionRequested
        )
        return self.word_of_api(instance_id, fact)

    def word_of_api(self, instance_id: str, fact: object) -> tuple[str, Message]:
        """Return a request id and the sealed message in which the API says a fact."""
        request_id = f"req-{uuid.uuid4()}"
        now = self.clock.now_us()
        meta = Meta(source="api", instance_id=instance_id, request_id=request_id, occurred_at=now)
        return request_id, self.sealed(instance_id, encode_fact(meta, fact), "api")

    def sealed(self, key: str, value: bytes, by: str) -> Message:
        topic, partition = self.home(key)
        return sealed_message(
            topic=topic,
            partition=partition,
            key=key,
            value=value,
            prev=b"",
            by=self.keyring.key(by, 1),
        )

    def append(self, *messages: Message) -> tuple[int, ...]:
        writer = self.log.writer()
        try:
            return writer.append(messages)
        finally:
            writer.close()

    def request(self, action: str, instance_id: str, **fields: object) -> str:
        request_id, message = self.request_message(action, instance_id, **fields)
        self.append(message)
        return request_id

    # What is seen of it.

    def verify(self, store: SqlStore, keeper: Keeper | None = None) -> Audit:
        reader = self.log.reader()
        try:
            replay = Replay(
                reader=reader, keyring=self.keyring, topics=self.topics, check_form=True
            )
            return verify(store, replay, keeper=keeper)
        finally:
            reader.close()

    def lag(self, store: SqlStore) -> int:
        """Return how many records no conductor has taken yet."""
        if self._eyes is None:
            self._eyes = self._kept(self.log.reader())
        partitions = [
            TopicPartition(topic, n)
            for topic in (self.topics.instance_events, self.topics.node_events)
            for n in range(self.partitions)
        ]
        ends = self._eyes.end_offsets(partitions)
        taken = {(c.topic, c.partition): c.next_offset for c in store.checkpoints()}
        return sum(end - taken.get(partition, 0) for partition, end in ends.items())


def rows(store: SqlStore, table: str) -> list[Row]:
    with store.snapshot() as moment:
        return list(moment.read(table))


def instances(store: SqlStore) -> dict[str, InstanceRow]:
    return {row.uuid: row for row in rows(store, "instances") if isinstance(row, InstanceRow)}


def states(store: SqlStore, uuids: Iterable[str]) -> list[tuple[str | None, str | None]]:
    """Return (vm_state, task_state) of each, (None, None) where there is no row yet."""
    known = instances(store)
    return [(known[u].vm_state, known[u].task_state) if u in known else (None, None) for u in uuids]


def open_sagas(store: SqlStore) -> list[SagaRow]:
    """Return the sagas that have not ended."""
    found = (row for row in rows(store, "sagas") if isinstance(row, SagaRow))
    return [saga for saga in found if saga.status in ("running", "needs_operator")]


def claims_that_differ(store: SqlStore, world: World, hosts: Iterable[str]) -> list[str]:
    """Name the instances whose claims are not one at the owner and one where something of it is."""
    claims: dict[str, list[str]] = {}
    for claim in rows(store, "claims"):
        assert isinstance(claim, ClaimRow)
        claims.setdefault(claim.instance_uuid, []).append(claim.host)
    halves: dict[str, set[str]] = {}
    for host in hosts:
        for half in world.halves_of(host):
            halves.setdefault(half.instance_id, set()).add(host)
    found = []
    known = instances(store)
    for uid in sorted({*claims, *halves, *known}):
        row = known.get(uid)
        owner: set[str] = set() if row is None or row.host is None or row.deleted else {row.host}
        there = sorted(claims.get(uid, []))
        if there != sorted(owner | halves.get(uid, set())):
            moves = [
                m
                for m in rows(store, "migrations")
                if isinstance(m, MigrationRow) and m.instance_uuid == uid
            ]
            found.append(f"{row}: claims on {there}, halves on {halves.get(uid)}, {moves[-1:]}")
    return found


def spin(
    those: Sequence[TakesTurns],
    until: Callable[[], bool],
    *,
    what: str,
    wait_s: float = WAIT_S,
) -> None:
    """Give everybody turns until a condition holds; fail where it doesn't in time."""
    deadline = time.monotonic() + wait_s
    looked = 0.0
    while True:
        did = [each.turn() for each in those]
        now = time.monotonic()
        if now - looked > 0.05 or not any(did):
            if until():
                return
            looked = time.monotonic()
        assert now < deadline, f"Expected {what} within {wait_s} s, but it did not come"
        if not any(did):
            time.sleep(PAUSE_S)
