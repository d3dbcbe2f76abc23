"""Line 5: live-migration sagas from request to end, against agents that answer at once.

Everything of ours runs: worker, outbox, relay, command topics, scheduler with its locks, timers.
The agents are one process that reads the commands of all hosts, answers each with the facts of a
migration that goes well, and says of every host each ten seconds that it is there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final
from uuid import UUID

import psycopg

from bench import service
from bench.contest import Figure, apart, beside, rounded
from bench.heartbeats import REPORT_INTERVAL_S, ROOMY, said_by_host
from bench.lives import ANSWERS, FLAVOR
from bench.load import HOSTS, KEYRING, PARTITIONS, Load, append, begun, open_log
from bench.places import Places
from bench.processors import of_port, of_postgres, taken_s
from conductor.collector import collect_seldom
from conductor.ready import ready_to_fold
from conductor.wiring import Conductor
from events.codec import decode_command, encode_fact
from events.envelope import API, COMPUTE, Address, Meta
from events.kafka_log.options import Fetcher
from events.log import LogReader, LogWriter, Message, TopicPartition
from events.node import HeartbeatSent
from events.ports import SystemClock
from events.requests import ActionRequested
from events.seal import FIRST, Key, digest, sealed_message
from events.topics import Topics, partition_of
from tests.servers.postgres import conninfo_of

#: Seconds that all of it may take; it takes a few.
PATIENCE_S: Final = 120.0
READ_RECORDS: Final = 5_000
#: Seconds that agents wait for commands before they look whether they may end.
READ_WAIT_S: Final = 0.05
_LAST: Final = {"create": "BuildGuest", "live_migrate": "CleanUpSource"}


def measure(places: Places) -> list[Figure]:
    """Return live migrations a second, by either fetcher."""
    fetchers: tuple[tuple[str, Fetcher], ...] = (("5", "kafka-python"), ("5r", "librdkafka"))
    runs: dict[str, list[float]] = {line: [] for line, _ in fetchers}
    cpu_ms: dict[str, dict[str, list[float]]] = {line: {} for line, _ in fetchers}
    for run in range(places.scale.long_runs):
        for line, fetcher in fetchers:
            took_s, cpu_s = once(places, f"sagas{run}{fetcher}", fetcher)
            runs[line].append(places.scale.sagas / took_s)
            for name, each_s in cpu_s.items():
                each_ms = rounded(1e3 * each_s / places.scale.sagas)
                cpu_ms[line].setdefault(name, []).append(each_ms)
    return [
        Figure(
            line=line,
            name="live-migration sagas, from request to end"
            + ("" if fetcher == "kafka-python" else f", {fetcher} fetches"),
            unit="sagas/s",
            runs=runs[line],
            target="≥ 10 × DBOS's workflows",
            conditions={
                "sagas": places.scale.sagas,
                "hosts": HOSTS,
                "cpu_ms_per_saga": cpu_ms[line],
            },
        )
        for line, fetcher in fetchers
    ]


def once(
    places: Places, prefix: str, fetcher: Fetcher = "kafka-python"
) -> tuple[float, dict[str, float]]:
    """Return the seconds of one run, on topics and a database of its own, and of whose processors.

    Its scale says how many sagas.
    """
    topics = begun(places.kafka, prefix, hosts=HOSTS)
    admin = open_log(places.kafka).admin()
    admin.create([topics.command_spec(f"host{n}") for n in range(HOSTS)])
    admin.close()
    append(places.kafka, [said_by_host(topics, n, ROOMY) for n in range(HOSTS)])
    load = Load(address=places.kafka, prefix=prefix, facts=0, accepted=0, fetcher=fetcher)
    url = service.new_database(places.database(prefix))
    return apart(migrated, load, url, places.scale.sagas)


def migrated(load: Load, url: str, count: int) -> tuple[float, dict[str, float]]:
    """Return the seconds in which that many instances were migrated, having been created.

    And what each process took of the processors meanwhile, in seconds, by its name.
    """
    servers = {
        "postgresql": of_postgres(conninfo_of(url)),
        "kafka": of_port(int(load.address.rpartition(":")[2])),
    }
    uuids = [str(UUID(int=n + 1)) for n in range(count)]
    with service.conducting(load, url) as conductor, answering(load) as answered:
        nodes = [TopicPartition(load.topics.node_events, p) for p in range(PARTITIONS)]
        reader = load.log().reader()
        ends = reader.end_offsets(nodes)
        reader.close()
        service.until(conductor, lambda: service.folded(conductor, ends) >= 1.0)
        _carried_out(conductor, answered, load, "create", uuids)
        ready_to_fold()
        pids = {"agents": answered.pid, **{k: pid for k, pid in servers.items() if pid is not None}}
        before, begin = taken_s(pids), time.perf_counter()
        _carried_out(conductor, answered, load, "live_migrate", uuids)
        took, after = time.perf_counter() - begin, taken_s(pids)
    with psycopg.connect(conninfo_of(url)) as connection:
        ended = connection.execute(
            "SELECT saga, status, ok, count(*) FROM sagas GROUP BY 1, 2, 3"
        ).fetchall()
    expected = ("live_migration", "ended", 1, count)
    assert expected in ended, f"Expected {expected} of the sagas, but {ended}"
    return took, {name: after[name] - before[name] for name in after}


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

    def __init__(self, pid: int, pipe: Connection) -> None:
        #: The process of the agents.
        self.pid = pid
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
    with beside(answer, load) as (pipe, pid):
        yield Answered(pid, pipe)


def answer(pipe: Connection, load: Load) -> None:
    """Answer commands, and say which, until nobody is at the other end of the pipe."""
    agents = Agents(load)
    collect_seldom()  # All hosts are one process: as each of them would hardly ever have it look.
    try:
        while not pipe.poll():
            if answered := agents.turn():
                pipe.send(answered)
    except (EOFError, BrokenPipeError):
        pass
    agents.close()


@dataclass(slots=True)
class _Said:
    """What a host has said of an instance: what an emitter keeps in its journal."""

    partition: int
    key: Key
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
        #: A host has one key, and keeps it.
        self._keys = {host: KEYRING.key(host, 1) for host in hosts}
        self._known: set[str] = set()
        self._chains: dict[tuple[str, str], _Said] = {}
        self._next_beat_s = 0.0

    def close(self) -> None:
        """Release the connections."""
        self._reader.close()
        self._writer.close()

    def turn(self) -> Counter[str]:
        """Answer what was asked since; return how many commands of each kind that were."""
        answers = self._beats()
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

    def _beats(self) -> list[Message]:
        """Every host is there, and says so as often as hosts do."""
        if time.monotonic() < self._next_beat_s:
            return []
        self._next_beat_s = time.monotonic() + REPORT_INTERVAL_S
        beat = HeartbeatSent(report_interval_s=REPORT_INTERVAL_S)
        return [said_by_host(self.load.topics, n, beat) for n in range(HOSTS)]

    def _said(self, host: str, fact: object, address: Address) -> Message:
        uuid = address.instance_id
        if (chain := self._chains.get((host, uuid))) is None:
            chain = _Said(partition_of(uuid, PARTITIONS), self._keys[host])
            self._chains[host, uuid] = chain
        chain.sequence += 1
        meta = Meta(
            source=COMPUTE + host,
            boot_epoch=1,
            sequence=chain.sequence,
            instance_id=uuid,
            generation=address.generation,
            command_id=address.command_id,
            request_id=address.request_id,
            occurred_at=SystemClock().now_us(),
        )
        value = encode_fact(meta, fact)
        message = sealed_message(
            topic=self.load.topics.instance_events,
            partition=chain.partition,
            key=uuid,
            value=value,
            prev=chain.prev,
            by=chain.key,
        )
        chain.prev = digest(value)
        return message
