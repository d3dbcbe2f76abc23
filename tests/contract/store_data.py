"""Plain rows and values for the store's tests, with what a test cares about in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_type_hints

from events.log import TopicPartition
from events.topics import Topics
from projections.rows import (
    TABLES,
    Changes,
    ClaimRow,
    InstanceRow,
    InstanceStateRow,
    NodeRow,
    ParkedRow,
    RejectionRow,
    Row,
    SagaRow,
    put,
)
from projections.store import SCHEDULER_HOST, Batch, Order, Store

#: A row, and the name of its table.
Named = tuple[str, Row]

TOPIC: Final = Topics().instance_events
P0: Final = TopicPartition(TOPIC, 0)
P1: Final = TopicPartition(TOPIC, 1)
NODES_P0: Final = TopicPartition(Topics().node_events, 0)
S: Final = 1_000_000
LIMIT: Final = 100

#: What SQL, sorting, quoting or a decoder could stumble over.
ODD_TEXT: Final = "Ünïcode ' \" \\ \t\n % {} , \N{SNOWMAN} \N{GRINNING FACE}"
BIGGEST: Final = 2**63 - 1


def own(store: Store, *partitions: TopicPartition) -> dict[TopicPartition, int]:
    """Take partitions over and return their epochs."""
    taken = store.take_over(partitions or (P0,))
    return {each: checkpoint.epoch for each, checkpoint in taken.items()}


def batch(
    owned: Mapping[TopicPartition, int],
    begin: int = 0,
    rows: Iterable[Named] = (),
    orders: Iterable[Order] = (),
    partition: TopicPartition = P0,
) -> Batch:
    """Return a batch of one record with these rows and orders."""
    changes: Changes = {}
    for table, row in rows:
        put(changes, table, row)
    return Batch(
        partition=partition,
        epoch=owned[partition],
        begin=begin,
        end=begin + 1,
        topic_id="topic-1",
        leader_epoch=3,
        chain=bytes([begin + 1]) * 32,
        changes=changes,
        orders={each.command_id: each for each in orders},
    )


def order(
    command_id: str = "c1",
    *,
    host: str = "host1",
    partition: TopicPartition = P0,
    instance: str = "i1",
    deadline_s: int = 60,
) -> Order:
    return Order(
        command_id=command_id,
        topic=partition.topic,
        partition=partition.partition,
        instance_uuid=instance,
        saga_id="s1",
        step="ask",
        attempt=1,
        command="StopGuest",
        host=host,
        value=b"\x00\xff" + command_id.encode(),
        deadline_s=deadline_s,
        created_at=5 * S,
    )


def choice(command_id: str, partition: TopicPartition = P0) -> Order:
    """Return an order for the scheduler."""
    return order(command_id, host=SCHEDULER_HOST, partition=partition)


def instance(uuid: str = "i1", **values: object) -> Named:
    row = InstanceRow(
        uuid=uuid,
        display_name="one",
        vm_state="active",
        task_state=None,
        power_state=1,
        host="host1",
        node="node1",
        user_id="user",
        project_id="project",
        image_ref="",
        flavor_name="m1.small",
        vcpus=1,
        memory_mb=2048,
        root_gb=20,
        locked=0,
        launched_at=None,
        terminated_at=None,
        created_at=1,
        updated_at=2,
        deleted=0,
        deleted_at=None,
        origin="regente",
        generation=0,
    )
    return "instances", row._replace(**values)  # type: ignore[arg-type]  # a test names its fields


def state(uuid: str = "i1", body: bytes = b"body", *, partition: int = 0) -> Named:
    return "instance_states", InstanceStateRow(instance_uuid=uuid, partition=partition, body=body)


def node(host: str = "host1", **values: object) -> Named:
    row = NodeRow(
        host=host,
        node=f"{host}.node",
        hypervisor_type="fake",
        vcpus=4,
        memory_mb=8192,
        disk_gb=100,
        boot_epoch=1,
        enrolment=1,
        status="started",
        lost_count=0,
        guest_count=0,
        start_sequence=0,
        digest_sequence=0,
        surveyed_sequence=0,
        digest="",
        created_at=1,
        updated_at=2,
        body=b"node",
    )
    return "nodes", row._replace(**values)  # type: ignore[arg-type]  # a test names its fields


def sample(table: str, n: int) -> Row:
    """Return the n-th of some rows of a table, each under a key of its own."""
    kind: Any = TABLES[table][0]
    hints = get_type_hints(kind)
    values: dict[object, Any] = {str: f"text{n}", int: n, bytes: b"%d" % n}
    row: Row = kind(**{name: values.get(hint) for name, hint in hints.items()})
    return row


def claim(uuid: str, host: str = "host1", vcpus: int = 1) -> Named:
    row = ClaimRow(
        instance_uuid=uuid,
        saga_id="s1",
        host=host,
        vcpus=vcpus,
        memory_mb=1024 * vcpus,
        disk_gb=10 * vcpus,
        created_at=1,
    )
    return "claims", row


def saga(saga_id: str = "s1", **values: object) -> Named:
    row = SagaRow(
        saga_id=saga_id,
        instance_uuid="i1",
        saga="stop",
        version=1,
        is_primary=1,
        request_id=None,
        generation=1,
        step="ask",
        attempt=1,
        waits_for="host1",
        status="running",
        ending=None,
        ok=None,
        reason=None,
        source=None,
        destination=None,
        deadline_s=60,
        partition=0,
        started_at=1,
        entered_at=2,
        updated_at=3,
        ended_at=None,
    )
    return "sagas", row._replace(**values)  # type: ignore[arg-type]  # a test names its fields


def parked(offset: int, subject: str, reason: str = "schema") -> Named:
    row = ParkedRow(
        topic=TOPIC,
        partition=0,
        offset=offset,
        subject=subject,
        source="compute/host1",
        sequence=2,
        reason=reason,
        created_at=1,
    )
    return "parked", row


def rejection(offset: int, request_id: str | None = None) -> Named:
    row = RejectionRow(
        topic=TOPIC,
        partition=0,
        offset=offset,
        subject="i1",
        source="api",
        fact="ActionRequested",
        sequence=0,
        request_id=request_id,
        code="illegal",
        reason=ODD_TEXT,
        vm_state="active",
        task_state=None,
        generation=0,
        created_at=1,
    )
    return "rejections", row
