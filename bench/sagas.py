"""Line 5: live-migration sagas from request to end, against agents that answer at once.

Everything of ours runs: worker, outbox, relay, command topics, scheduler with its locks, timers.
The agents are one process that reads the commands of all hosts, and answers each with the facts of
a migration that goes well.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final
from uuid import UUID

import psycopg

from bench import service
from bench.backlog import conninfo_of
from bench.contest import Figure, apart
from bench.heartbeats import ROOMY, said_by_host
from bench.lives import ANSWERS, FLAVOR
from bench.load import HOSTS, KEYRING, PARTITIONS, Load, append, begun, open_log
from bench.places import Places
from conductor.collector import collect_seldom
from conductor.wiring import Conductor
from events.codec import decode_command, encode_fact
from events.envelope import API, COMPUTE, Address, Meta
from events.log import LogReader, LogWriter, Message, TopicPartition
from events.node import HeartbeatSent
from events.ports import SystemClock
from events.requests import ActionRequested
from events.seal import FIRST, digest, sealed_message
from events.topics import Topics, partition_of

#: Seconds that all of it may take; it takes a few.
PATIENCE_S: Final = 120.0
READ_RECORDS: Final = 5_000
#: Seconds that agents wait for commands before they look whether they may end.
READ_WAIT_S: Final = 0.05
_LAST: Final = {"create": "BuildGuest", "live_migrate": "CleanUpSource"}


def measure(places: Places) -> list[Figure]:
    """Return live migrations a second."""
    runs = []
    for run in range(places.scale.long_runs):
        prefix = f"sagas{run}"
        topics = begun(places.kafka, prefix, hosts=HOSTS)
        admin = open_log(places.kafka).admin()
        admin.create([topics.command_spec(f"host{n}") for n in range(HOSTS)])
        admin.close()
        for fact in (ROOMY, HeartbeatSent(report_interval_s=10)):
            append(places.kafka, [said_by_host(topics, n, fact) for n in range(HOSTS)])
        load = Load(address=places.kafka, prefix=prefix, facts=0, accepted=0)
        url = service.new_database(places.database(prefix))
        runs.append(places.scale.sagas / apart(migrated, load, url, places.scale.sagas))
    return [
        Figure(
            line="5",
            name="live-migration sagas, from request to end",
            unit="sagas/s",
            runs=runs,
            target="≥ 10 × DBOS's workflows",
            conditions={"sagas": places.scale.sagas, "hosts": HOSTS},
        )
    ]


def migrated(load: Load, url: str, count: int) -> float:
    """Return the seconds in which that many instances were migrated, having been created."""
    uuids = [str(UUID(int=n + 1)) for n in range(count)]
    with service.conducting(load, url) as conductor, answering(load) as answered:
        nodes = [TopicPartition(load.topics.node_events, p) for p in range(PARTITIONS)]
        reader = load.log().reader()
        ends = reader.end_offsets(nodes)
        reader.close()
        service.until(conductor, lambda: service.folded(conductor, ends) >= 1.0)
        _carried_out(conductor, answered, load, "create", uuids)
        collect_seldom()
        begin = time.perf_counter()
        _carried_out(conductor, answered, load, "live_migrate", uuids)
        took = time.perf_counter() - begin
    with psycopg.connect(conninfo_of(url)) as connection:
        ended = connection.execute(
            "SELECT saga, status, ok, count(*) FROM sagas GROUP BY 1, 2, 3"
        ).fetchall()
    expected = ("live_migration", "ended", 1, count)
    assert expected in ended, f"Expected {expected} of the sagas, but {ended}"
    return took


def _carried_out(
    conductor: Conductor, answered: Answered, load: Load, action: str, uuids: list[str]
) -> None:
    """Ask for an action of every instance, and go on until each of them has ended."""
    append(load.address, [_asked(load.topics, uuid, action) for uuid in uuids])
    end_s = time.monotonic() + PATIENCE_S
    while answered.of(_LAST[action]) < len(uuids):
        conductor.turn()
        assert time.monotonic() < end_s, f"Expected every {action} to end, but {answered}"
    ends = load.ends()
    service.until(conductor, lambda: service.folded(conductor, ends) >= 1.0)


def _asked(topics: Topics, uuid: str, action: str) -> Message:
    fact = ActionRequested(
        action=action,
        user_id="user",
        project_id="project",
        is_admin=True,
        flavor=FLAVOR if action == "create" else None,
    )
    meta = Meta(
        source=API,
        instance_id=uuid,
        request_id=f"req-{action}-{uuid}",
        occurred_at=SystemClock().now_us(),
    )
    return sealed_message(
        topic=topics.instance_events,
        partition=partition_of(uuid, PARTITIONS),
        key=uuid,
        value=encode_fact(meta, fact),
        prev=b"",
        by=KEYRING.key(API, 1),
    )


class Answered:
    """How many commands the agents have answered, as far as they have said."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"answered {dict(self._counts)}"

    def of(self, command: str) -> int:
        """Return how many of one kind; raises EOFError where the agents are gone."""
        while self._pipe.poll():
            self._counts.update(self._pipe.recv())
        return self._counts[command]


@contextmanager
def answering(load: Load) -> Iterator[Answered]:
    """Let agents answer in a process of their own meanwhile."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(load, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Answered(ours)
    finally:
        ours.close()
        process.join()


def answer(load: Load, pipe: Connection) -> None:
    """Answer commands, and say which, until nobody is at the other end of the pipe."""
    agents = Agents(load)
    try:
        while not pipe.poll():
            if answered := agents.turn():
                pipe.send(answered)
    except (EOFError, BrokenPipeError):
        pass
    agents.close()


@dataclass
class _Said:
    sequence: int = 0
    prev: bytes = FIRST


@dataclass
class Agents:
    """All hosts: each command is answered at once, with all that is said in its course."""

    load: Load

    def __post_init__(self) -> None:
        log, topics = self.load.log(), self.load.topics
        self._reader: LogReader = log.reader()
        self._writer: LogWriter = log.writer()
        hosts = [f"host{n}" for n in range(HOSTS)]
        self._reader.assign({TopicPartition(topics.commands(host), 0): 0 for host in hosts})
        self._known: set[str] = set()
        self._chains: dict[tuple[str, str], _Said] = {}

    def close(self) -> None:
        """Release the connections."""
        self._reader.close()
        self._writer.close()

    def turn(self) -> Counter[str]:
        """Answer what was asked since; return how many commands of each kind that were."""
        answers: list[Message] = []
        answered: Counter[str] = Counter()
        for record in self._reader.poll(READ_RECORDS, READ_WAIT_S):
            letter = decode_command(record.value or b"")
            command, address = type(letter.command).__name__, letter.address
            if address.command_id in self._known:
                continue
            self._known.add(address.command_id)
            answered[command] += 1
            for fact in ANSWERS[command]:
                answers.append(self._said(address.host, fact, address))
        if answers:
            self._writer.append(answers)
        return answered

    def _said(self, host: str, fact: object, address: Address) -> Message:
        chain = self._chains.setdefault((host, address.instance_id), _Said())
        chain.sequence += 1
        meta = Meta(
            source=COMPUTE + host,
            boot_epoch=1,
            sequence=chain.sequence,
            instance_id=address.instance_id,
            generation=address.generation,
            command_id=address.command_id,
            request_id=address.request_id,
            occurred_at=SystemClock().now_us(),
        )
        value = encode_fact(meta, fact)
        message = sealed_message(
            topic=self.load.topics.instance_events,
            partition=partition_of(address.instance_id, PARTITIONS),
            key=address.instance_id,
            value=value,
            prev=chain.prev,
            by=KEYRING.key(host, 1),
        )
        chain.prev = digest(value)
        return message
