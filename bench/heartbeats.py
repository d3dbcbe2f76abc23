"""Line 10: heartbeats of very many hosts, as the share of a worker that hears them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench import service
from bench.contest import Figure, Took, apart, measured
from bench.load import KEYRING, PARTITIONS, Load, append, begun, open_log
from bench.places import Places
from conductor.ready import ready_to_fold
from events.codec import encode_fact
from events.envelope import COMPUTE, Meta
from events.log import Message, TopicPartition
from events.node import HeartbeatSent, NodeStarted
from events.ports import SystemClock
from events.seal import FIRST, sealed_message
from events.topics import Topics, partition_of
from projections.sql_store import open_store

#: Seconds between two heartbeats of a host; nova's report_interval.
REPORT_INTERVAL_S: Final = 10
#: A host that always has room.
ROOMY: Final = NodeStarted(
    node="node", hypervisor_type="fake", vcpus=1_000, memory_mb=10_000_000, disk_gb=1_000_000
)


def measure(places: Places) -> list[Figure]:
    """Return the share of a worker's time that all heartbeats take."""
    hosts = places.scale.hosts // REPORT_INTERVAL_S * REPORT_INTERVAL_S
    topics = begun(places.kafka, "hosts", hosts=hosts)
    append(places.kafka, (said_by_host(topics, n, ROOMY) for n in range(hosts)))
    load = Load(address=places.kafka, prefix="hosts", facts=hosts, accepted=hosts)
    took: Took = apart(heard, load, service.new_database(places.database("hosts")), hosts)
    return [
        Figure(
            line="10",
            name=f"heartbeats of {hosts:,} hosts, {hosts // REPORT_INTERVAL_S:,} a second",
            unit="% of a worker",
            runs=[100 * took.cpu_s / REPORT_INTERVAL_S],
            target="≤ 10, beyond ≤ 3",
            conditions={"cpu_us_per_heartbeat": round(took.cpu_s / hosts * 1e6, 1)},
        )
    ]


def heard(load: Load, url: str, hosts: int) -> Took:
    """Return what a worker took to hear every host once, in as many turns as there are seconds."""
    whole = Took()
    topics = load.topics
    with service.conducting(load, url) as conductor:
        nodes = [TopicPartition(topics.node_events, p) for p in range(PARTITIONS)]
        reader = open_log(load.address).reader()
        ends = reader.end_offsets(nodes)
        service.until(conductor, lambda: service.folded(conductor, ends) >= 1.0)
        # A start is another thing than a heartbeat: until every host has been surveyed.
        service.until(conductor, lambda: _are_surveyed(url))
        for _ in range(20):  # Until everything is repaired and heartbeats are listened to.
            conductor.turn()
        ready_to_fold()
        each = hosts // REPORT_INTERVAL_S
        for second in range(REPORT_INTERVAL_S):
            append(load.address, _beats(topics, range(second * each, (second + 1) * each)))
            with measured() as took:
                while not conductor.turn():
                    pass
                while conductor.turn():
                    pass
            whole.cpu_s += took.cpu_s
        reader.close()
    store = open_store(url)
    heard_of = sum(each.last_seen_at > 0 for each in store.hosts(PARTITIONS, range(PARTITIONS)))
    store.close()
    assert heard_of == hosts, f"Expected {hosts} hosts to be heard, but {heard_of} were"
    return whole


def _are_surveyed(url: str) -> bool:
    store = open_store(url)
    try:
        return not store.surveys("", 1)
    finally:
        store.close()


def _beats(topics: Topics, hosts: range) -> Iterator[Message]:
    for n in hosts:
        yield said_by_host(topics, n, HeartbeatSent(report_interval_s=REPORT_INTERVAL_S))


def said_by_host(topics: Topics, n: int, fact: object) -> Message:
    """Return what the n-th host says of itself, as number 1 of its chain or as a heartbeat."""
    host = f"host{n}"
    numbered = not isinstance(fact, HeartbeatSent)
    meta = Meta(
        source=COMPUTE + host,
        boot_epoch=1,
        sequence=int(numbered),
        instance_id=host,
        occurred_at=SystemClock().now_us(),
    )
    return sealed_message(
        topic=topics.node_events if numbered else topics.heartbeats,
        partition=partition_of(host, PARTITIONS),
        key=host,
        value=encode_fact(meta, fact),
        prev=FIRST if numbered else b"",
        by=KEYRING.key(host, 1),
    )
