"""One value per row of each table: what a projection returns and what the auditor compares.

Field names are column names, in order; the first `KEYS[table]` fields are the primary key. Times
are BIGINT µs UTC of the log's append time; integers and text only, no floats. Names and shapes are
nova's where nova has the table. This module knows no SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class InstanceRow(NamedTuple):
    """`instances`: what is true now of one instance."""

    uuid: str
    display_name: str
    vm_state: str
    task_state: str | None
    #: Nova's integer: 0, 1, 3, 4, 6, 7.
    power_state: int
    host: str | None
    node: str | None
    user_id: str
    project_id: str
    image_ref: str
    flavor_name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    locked: int
    launched_at: int | None
    terminated_at: int | None
    created_at: int
    updated_at: int
    #: 0, or 1 for a tombstone.
    deleted: int
    deleted_at: int | None
    #: `regente` or `nova` (shadow).
    origin: str
    generation: int


class InstanceStateRow(NamedTuple):
    """`instance_states`: the whole state that the fold carries, as one body (`held.vN`)."""

    instance_uuid: str
    #: Topic partition that owns the instance.
    partition: int
    body: bytes


class MigrationRow(NamedTuple):
    """`migrations`: one move."""

    id: int
    uuid: str
    instance_uuid: str
    migration_type: str
    status: str
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    old_flavor: str
    new_flavor: str
    user_id: str
    project_id: str
    created_at: int
    updated_at: int
    memory_total: int | None
    memory_processed: int | None
    memory_remaining: int | None
    disk_total: int | None
    disk_processed: int | None
    disk_remaining: int | None
    #: How the status is known: `judged` (ours), or nova's `told`, `inferred`, `unknown`.
    status_provenance: str


class ActionRow(NamedTuple):
    """`instance_actions`: one user request."""

    instance_uuid: str
    request_id: str
    action: str
    user_id: str
    project_id: str
    start_time: int
    finish_time: int | None
    #: None or `Error`.
    message: str | None
    saga_id: str | None


class ActionEventRow(NamedTuple):
    """`instance_actions_events`: what was done for a request, where, and how it ended."""

    id: int
    instance_uuid: str
    request_id: str
    event: str
    host: str | None
    start_time: int
    finish_time: int | None
    #: None, `Success` or `Error`.
    result: str | None
    details: str | None


class FaultRow(NamedTuple):
    """`instance_faults`: what went wrong."""

    id: int
    instance_uuid: str
    code: int
    message: str
    details: str
    host: str | None
    created_at: int


class ClaimRow(NamedTuple):
    """`claims`: room that an instance takes on a host; deleted when it is released."""

    instance_uuid: str
    saga_id: str
    host: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    created_at: int


class SagaRow(NamedTuple):
    """`sagas`: where each saga stands, or how it ended."""

    saga_id: str
    instance_uuid: str
    saga: str
    version: int
    #: 1 primary, 0 side.
    is_primary: int
    request_id: str | None
    generation: int
    step: str
    attempt: int
    #: Hosts waited for, comma separated.
    waits_for: str
    #: `running`, `needs_operator`, `ended`.
    status: str
    ending: str | None
    #: 1 ended well, 0 not; None while it goes on.
    ok: int | None
    reason: str | None
    source: str | None
    destination: str | None
    #: Seconds that the present attempt may take; 0 where it waits as long as it takes.
    deadline_s: int
    partition: int
    started_at: int
    entered_at: int
    updated_at: int
    ended_at: int | None


class SagaStepRow(NamedTuple):
    """`saga_steps`: each step that a saga entered."""

    saga_id: str
    n: int
    instance_uuid: str
    step: str
    attempt: int
    hosts: str
    entered_at: int
    left_at: int | None
    #: The fact that ended it.
    left_by: str | None


class RejectionRow(NamedTuple):
    """`rejections`: facts that changed nothing, and why."""

    topic: str
    partition: int
    offset: int
    #: The record's key: instance or host.
    subject: str
    source: str
    fact: str
    sequence: int
    request_id: str | None
    code: str
    reason: str
    #: The state that the fact met.
    vm_state: str | None
    task_state: str | None
    generation: int
    #: When the log appended it.
    created_at: int


class ParkedRow(NamedTuple):
    """`parked`: records that wait; deleted when they are judged."""

    topic: str
    partition: int
    offset: int
    subject: str
    source: str
    sequence: int
    #: `early`, `schema` or `set-aside`.
    reason: str
    created_at: int


class QuarantineRow(NamedTuple):
    """`quarantine`: records that are no facts of ours; the bytes stay in the log."""

    topic: str
    partition: int
    offset: int
    #: The key as far as it can be read.
    subject: str
    source: str
    code: str
    reason: str
    #: `waiting`, or `discarded` by an operator.
    status: str
    created_at: int


class NodeRow(NamedTuple):
    """`nodes`: what each host says of itself, and whether it is lost."""

    host: str
    node: str
    hypervisor_type: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    boot_epoch: int
    enrolment: int
    #: `started`, `stopped`, `lost`.
    status: str
    lost_count: int
    guest_count: int
    start_sequence: int
    digest_sequence: int
    surveyed_sequence: int
    #: Lower-case hex.
    digest: str
    created_at: int
    updated_at: int
    #: The fold's own state of this host, Avro (`node_held.vN`).
    body: bytes


class BlockDeviceRow(NamedTuple):
    """`block_device_mapping`: a volume of an instance, and where it is attached."""

    instance_uuid: str
    volume_id: str
    device_name: str
    boot_index: int | None
    source_type: str
    destination_type: str
    delete_on_termination: int
    #: `attaching`, `in-use`, `swapping` or `detaching`.
    status: str
    #: Host names with commas.
    hosts: str
    created_at: int


class InterfaceRow(NamedTuple):
    """`virtual_interfaces`: a port of an instance, and where it is bound."""

    instance_uuid: str
    uuid: str
    network_id: str
    #: Addresses with commas.
    fixed_ips: str
    #: `attaching`, `in-use` or `detaching`.
    status: str
    #: Host names with commas.
    hosts: str
    active_host: str | None
    created_at: int


class AcceleratorRow(NamedTuple):
    """`accelerators`: an accelerator request of an instance, and where it is bound."""

    instance_uuid: str
    uuid: str
    device_profile: str
    #: Host names with commas.
    hosts: str
    created_at: int


class MetadataRow(NamedTuple):
    """`instance_metadata`: what a user noted of an instance."""

    instance_uuid: str
    key: str
    value: str


class TagRow(NamedTuple):
    """`tags`: a word that a user gave to an instance."""

    resource_id: str
    tag: str


Row = (
    InstanceRow
    | InstanceStateRow
    | MigrationRow
    | ActionRow
    | ActionEventRow
    | FaultRow
    | ClaimRow
    | SagaRow
    | SagaStepRow
    | RejectionRow
    | ParkedRow
    | QuarantineRow
    | NodeRow
    | BlockDeviceRow
    | InterfaceRow
    | AcceleratorRow
    | MetadataRow
    | TagRow
)

#: The tables that are functions of the log, each with its row type and the width of its key.
TABLES: Final[Mapping[str, tuple[type[Row], int]]] = MappingProxyType(
    {
        "instances": (InstanceRow, 1),
        "instance_states": (InstanceStateRow, 1),
        "migrations": (MigrationRow, 1),
        "instance_actions": (ActionRow, 2),
        "instance_actions_events": (ActionEventRow, 1),
        "instance_faults": (FaultRow, 1),
        "claims": (ClaimRow, 3),
        "sagas": (SagaRow, 1),
        "saga_steps": (SagaStepRow, 2),
        "rejections": (RejectionRow, 3),
        "parked": (ParkedRow, 3),
        "quarantine": (QuarantineRow, 3),
        "nodes": (NodeRow, 1),
        "block_device_mapping": (BlockDeviceRow, 2),
        "virtual_interfaces": (InterfaceRow, 2),
        "accelerators": (AcceleratorRow, 2),
        "instance_metadata": (MetadataRow, 2),
        "tags": (TagRow, 2),
    }
)

Key = tuple[str | int, ...]
#: Rows to write (None: to delete) by table and key; a later change of a key replaces an earlier.
Changes = dict[str, dict[Key, Row | None]]


def put(changes: Changes, table: str, row: Row) -> None:
    """Leave `row` in `changes` as the last word on its key."""
    key: Key = row[: TABLES[table][1]]  # type: ignore[assignment]  # no key has a null or bytes
    changes.setdefault(table, {})[key] = row


def drop(changes: Changes, table: str, key: Key) -> None:
    """Leave in `changes` that the row of `key` is to be deleted."""
    changes.setdefault(table, {})[key] = None
