"""Rows that views make of several tables; a row of one table comes as that table's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from projections.rows import (
    AcceleratorRow,
    ActionEventRow,
    ActionRow,
    BlockDeviceRow,
    FaultRow,
    InterfaceRow,
    MetadataRow,
    MigrationRow,
    RejectionRow,
    SagaRow,
    TagRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that the rows tell of one instance's past."""

    actions: tuple[ActionRow, ...]
    events: tuple[ActionEventRow, ...]
    faults: tuple[FaultRow, ...]
    migrations: tuple[MigrationRow, ...]
    sagas: tuple[SagaRow, ...]
    rejections: tuple[RejectionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What an instance holds besides memory and disk, and what users noted of it."""

    block_device_mapping: tuple[BlockDeviceRow, ...]
    virtual_interfaces: tuple[InterfaceRow, ...]
    accelerators: tuple[AcceleratorRow, ...]
    metadata: tuple[MetadataRow, ...]
    tags: tuple[TagRow, ...]


class Service(NamedTuple):
    """A host as nova lists its services."""

    host: str
    node: str
    #: `started`, `stopped`, `lost`, `forced_down`.
    status: str
    boot_epoch: int
    guest_count: int
    #: µs UTC of the log's append time of its last heartbeat; 0 for never.
    last_seen_at: int
    updated_at: int


class Stuck(NamedTuple):
    """Something that doesn't go on by itself."""

    instance_uuid: str
    #: The saga's name, or nova's migration type; None for a task of nova's without a migration.
    operation: str | None
    #: The saga's step, or nova's migration status.
    at: str | None
    vm_state: str | None
    task_state: str | None
    #: µs UTC of the log's append time of the last that was heard of it.
    since: int
    #: None where nova did it: there is no saga then.
    saga_id: str | None = None
    #: `needs_operator`, `running` (overdue), or `left` by nova.
    status: str = "left"
    reason: str | None = None

    @classmethod
    def of_saga(cls, saga: SagaRow) -> Self:
        """Say the same of a saga."""
        return cls(
            instance_uuid=saga.instance_uuid,
            operation=saga.saga,
            at=saga.step,
            vm_state=None,
            task_state=None,
            since=saga.entered_at,
            saga_id=saga.saga_id,
            status=saga.status,
            reason=saga.reason,
        )
