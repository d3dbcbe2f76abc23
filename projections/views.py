"""The read side: named questions about what is true now, each answered with frozen rows.

Knows how rows are found, filtered and ordered; knows nothing of how they are shown, and writes
nothing. Every question is one short transaction, and every list has a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    Select,
    Table,
    func,
    literal,
    null,
    or_,
    select,
)

from projections.rows import (
    TABLES,
    AcceleratorRow,
    ActionEventRow,
    ActionRow,
    BlockDeviceRow,
    ClaimRow,
    FaultRow,
    InstanceRow,
    InterfaceRow,
    MetadataRow,
    MigrationRow,
    NodeRow,
    ParkedRow,
    QuarantineRow,
    RejectionRow,
    SagaRow,
    SagaStepRow,
    TagRow,
)
from projections.sql_decide import room_of
from projections.store import HostRoom
from projections.tables import ANSWERS, LAST_SEEN, OUTBOX, RESERVATIONS, ROWS, TIMERS
from projections.transactions import reading
from projections.view_rows import History, Holdings, Service, Stuck

R = TypeVar("R")

#: How many rows a list gives where nobody says otherwise.
ROWS_MAX: Final = 1000

_US_PER_S: Final = 1_000_000
#: Statuses in which something is being done; `finished` waits for a person by design.
_MOVING: Final = (
    "accepted",
    "queued",
    "preparing",
    "running",
    "running (post-copy)",
    "pre-migrating",
    "migrating",
    "post-migrating",
    "confirming",
    "reverting",
)

_TABLE_OF: Final[Mapping[object, Table]] = {row: ROWS[name] for name, (row, _) in TABLES.items()}

_INSTANCES = ROWS["instances"].c
_MIGRATIONS = ROWS["migrations"].c
_ACTIONS = ROWS["instance_actions"].c
_EVENTS = ROWS["instance_actions_events"].c
_FAULTS = ROWS["instance_faults"].c
_CLAIMS = ROWS["claims"].c
_SAGAS = ROWS["sagas"].c
_STEPS = ROWS["saga_steps"].c
_REJECTIONS = ROWS["rejections"].c
_PARKED = ROWS["parked"].c
_QUARANTINE = ROWS["quarantine"].c
_NODES = ROWS["nodes"].c


class Views:
    """Questions to one database; the engine stays its owner's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Instances.

    def instances(
        self,
        *,
        name: str | None = None,
        host: str | None = None,
        vm_state: str | None = None,
        deleted: bool = False,
        limit: int = ROWS_MAX,
    ) -> tuple[InstanceRow, ...]:
        """Return instances, oldest first; tombstones too with `deleted`."""
        given = {_INSTANCES.display_name: name, _INSTANCES.host: host}
        where = _given({**given, _INSTANCES.vm_state: vm_state})
        if not deleted:
            where.append(_INSTANCES.deleted == 0)
        order = (_INSTANCES.created_at, _INSTANCES.uuid)
        return self._rows(InstanceRow, where, order, limit)

    def instance(self, name: str) -> InstanceRow | None:
        """Return the instance of that uuid, else the newest of that name that is not deleted."""
        found = self._rows(InstanceRow, [_INSTANCES.uuid == name], (), 1) or self._rows(
            InstanceRow,
            [_INSTANCES.display_name == name, _INSTANCES.deleted == 0],
            (_INSTANCES.created_at.desc(), _INSTANCES.uuid),
            1,
        )
        return found[0] if found else None

    def holdings(self, instance_uuid: str, limit: int = ROWS_MAX) -> Holdings:
        """Return what an instance holds besides memory and disk, and what users noted of it."""

        def of(kind: Callable[..., R]) -> tuple[R, ...]:
            table = _TABLE_OF[kind]
            owner, second = list(table.c)[:2]
            return self._rows(kind, [owner == instance_uuid], (second,), limit)

        return Holdings(
            block_device_mapping=of(BlockDeviceRow),
            virtual_interfaces=of(InterfaceRow),
            accelerators=of(AcceleratorRow),
            metadata=of(MetadataRow),
            tags=of(TagRow),
        )

    def history(self, instance_uuid: str, limit: int = ROWS_MAX) -> History:
        """Return what was asked of an instance, what was done, and what went wrong."""
        return History(
            actions=self.actions(instance_uuid, limit),
            events=self._rows(
                ActionEventRow,
                [_EVENTS.instance_uuid == instance_uuid],
                (_EVENTS.start_time, _EVENTS.id),
                limit,
            ),
            faults=self._rows(
                FaultRow,
                [_FAULTS.instance_uuid == instance_uuid],
                (_FAULTS.created_at, _FAULTS.id),
                limit,
            ),
            migrations=self.migrations(instance_uuid=instance_uuid, limit=limit),
            sagas=self.sagas(instance_uuid=instance_uuid, limit=limit),
            rejections=self.rejections(subject=instance_uuid, limit=limit),
        )

    def actions(self, instance_uuid: str, limit: int = ROWS_MAX) -> tuple[ActionRow, ...]:
        """Return the requests that an instance was asked, in order."""
        where = [_ACTIONS.instance_uuid == instance_uuid]
        order = (_ACTIONS.start_time, _ACTIONS.request_id)
        return self._rows(ActionRow, where, order, limit)

    def verdict(self, request_id: str) -> ActionRow | RejectionRow | None:
        """Return the accepted request, or its refusal; None while it is not judged."""
        accepted = self._rows(
            ActionRow,
            [_ACTIONS.request_id == request_id],
            (_ACTIONS.start_time, _ACTIONS.instance_uuid),
            1,
        )
        if accepted:
            return accepted[0]
        refused = self._rows(
            RejectionRow,
            [_REJECTIONS.request_id == request_id, _REJECTIONS.source == "api"],
            (_REJECTIONS.created_at, _REJECTIONS.offset),
            1,
        )
        return refused[0] if refused else None

    # Moves and sagas.

    def migrations(
        self,
        *,
        instance_uuid: str | None = None,
        status: str | None = None,
        limit: int = ROWS_MAX,
    ) -> tuple[MigrationRow, ...]:
        """Return moves, oldest first."""
        where = _given({_MIGRATIONS.instance_uuid: instance_uuid, _MIGRATIONS.status: status})
        order = (_MIGRATIONS.created_at, _MIGRATIONS.id)
        return self._rows(MigrationRow, where, order, limit)

    def migration(self, name: str) -> MigrationRow | None:
        """Return the move of that uuid or id."""
        is_it = _MIGRATIONS.uuid == name
        if name.isdecimal() and int(name) < 2**63:
            is_it = or_(is_it, _MIGRATIONS.id == int(name))
        found = self._rows(MigrationRow, [is_it], (), 1)
        return found[0] if found else None

    def sagas(
        self,
        *,
        instance_uuid: str | None = None,
        status: str | None = None,
        limit: int = ROWS_MAX,
    ) -> tuple[SagaRow, ...]:
        """Return sagas, oldest first."""
        where = _given({_SAGAS.instance_uuid: instance_uuid, _SAGAS.status: status})
        order = (_SAGAS.started_at, _SAGAS.saga_id)
        return self._rows(SagaRow, where, order, limit)

    def saga(self, saga_id: str) -> SagaRow | None:
        """Return one saga."""
        found = self._rows(SagaRow, [_SAGAS.saga_id == saga_id], (), 1)
        return found[0] if found else None

    def saga_steps(self, saga_id: str, limit: int = ROWS_MAX) -> tuple[SagaStepRow, ...]:
        """Return the steps that a saga entered, in order."""
        where = [_STEPS.saga_id == saga_id]
        return self._rows(SagaStepRow, where, (_STEPS.n,), limit)

    def stuck(self, now_us: int, *, overdue_s: int, limit: int = ROWS_MAX) -> tuple[Stuck, ...]:
        """Return what doesn't go on by itself.

        Sagas that need an operator, sagas `overdue_s` past the deadline of what they wait for, and
        instances that nova left in the middle of something longer ago than `overdue_s` (they have
        no saga). A deadline counts from the sending of the command, and is put off by an outage of
        the log: what waits to be sent, or has a timer that is not over, is inside it.
        """
        since = now_us - overdue_s * _US_PER_S
        overdue = (_SAGAS.deadline_s > 0) & (
            _SAGAS.entered_at + _SAGAS.deadline_s * _US_PER_S < since
        )
        overdue &= _SAGAS.saga_id.not_in(select(TIMERS.c.saga_id).where(TIMERS.c.due_at >= since))
        overdue &= _SAGAS.saga_id.not_in(select(OUTBOX.c.saga_id))
        is_stuck = (_SAGAS.status == "needs_operator") | ((_SAGAS.status == "running") & overdue)
        sagas = self._rows(SagaRow, [is_stuck], (_SAGAS.entered_at, _SAGAS.saga_id), limit)
        left = _left_by_nova(since).limit(limit)
        with reading(self._engine) as connection:
            found = [Stuck._make(row) for row in connection.execute(left)]
        return (*(Stuck.of_saga(each) for each in sagas), *found)[:limit]

    # What waits for a person.

    def rejections(
        self,
        *,
        subject: str | None = None,
        source: str | None = None,
        code: str | None = None,
        limit: int = ROWS_MAX,
    ) -> tuple[RejectionRow, ...]:
        """Return refused facts, in order of their arrival."""
        given = {_REJECTIONS.subject: subject, _REJECTIONS.source: source, _REJECTIONS.code: code}
        order = (_REJECTIONS.created_at, *_position("rejections"))
        rows = self._rows(RejectionRow, _given(given), order, limit)
        return rows

    def parked(self, reason: str | None = None, limit: int = ROWS_MAX) -> tuple[ParkedRow, ...]:
        """Return records that wait, in order of their arrival."""
        order = (_PARKED.created_at, *_position("parked"))
        rows = self._rows(ParkedRow, _given({_PARKED.reason: reason}), order, limit)
        return rows

    def quarantine(
        self, status: str | None = "waiting", limit: int = ROWS_MAX
    ) -> tuple[QuarantineRow, ...]:
        """Return records that are no facts of ours; all of them where `status` is None."""
        order = (_QUARANTINE.created_at, *_position("quarantine"))
        rows = self._rows(QuarantineRow, _given({_QUARANTINE.status: status}), order, limit)
        return rows

    def quarantined(self, topic: str, partition: int, offset: int) -> QuarantineRow | None:
        """Return the quarantine row of one position."""
        where = [
            _QUARANTINE.topic == topic,
            _QUARANTINE.partition == partition,
            _QUARANTINE.offset == offset,
        ]
        found = self._rows(QuarantineRow, where, (), 1)
        return found[0] if found else None

    # Hosts.

    def nodes(self, limit: int = ROWS_MAX) -> tuple[NodeRow, ...]:
        """Return hosts, by name."""
        return self._rows(NodeRow, [], (_NODES.host,), limit)

    def services(self, limit: int = ROWS_MAX) -> tuple[Service, ...]:
        """Return hosts as nova's services: what they say of themselves, and when they last did."""
        statement = (
            select(
                _NODES.host,
                _NODES.node,
                _NODES.status,
                _NODES.boot_epoch,
                _NODES.guest_count,
                func.coalesce(LAST_SEEN.c.last_seen_at, 0),
                _NODES.updated_at,
            )
            .join_from(ROWS["nodes"], LAST_SEEN, LAST_SEEN.c.host == _NODES.host, isouter=True)
            .order_by(_NODES.host)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return tuple(Service(*row) for row in connection.execute(statement))

    def claims(self, host: str | None = None, limit: int = ROWS_MAX) -> tuple[ClaimRow, ...]:
        """Return the room that instances take, by host."""
        order = (_CLAIMS.host, _CLAIMS.instance_uuid, _CLAIMS.saga_id)
        rows = self._rows(ClaimRow, _given({_CLAIMS.host: host}), order, limit)
        return rows

    def room(self, host: str) -> HostRoom | None:
        """Return what a host has and what is taken of it now; None for one that never started."""
        with reading(self._engine) as connection:
            return room_of(connection, host)

    # Counts.

    def counts(self) -> dict[str, int]:
        """Return how many rows each table has that is a function of the log or waits for a turn."""
        tables = (*ROWS.values(), OUTBOX, TIMERS, RESERVATIONS, ANSWERS)
        with reading(self._engine) as connection:
            return {
                each.name: connection.scalar(select(func.count()).select_from(each)) or 0
                for each in tables
            }

    def states(self) -> dict[str, int]:
        """Return how many instances there are in each vm_state, tombstones left out."""
        statement = (
            select(_INSTANCES.vm_state, func.count())
            .where(_INSTANCES.deleted == 0)
            .group_by(_INSTANCES.vm_state)
            .order_by(_INSTANCES.vm_state)
        )
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def _rows(
        self,
        kind: Callable[..., R],
        where: Sequence[ColumnElement[bool]],
        order: Sequence[ColumnElement[object]],
        limit: int,
    ) -> tuple[R, ...]:
        statement = select(_TABLE_OF[kind]).where(*where).order_by(*order).limit(limit)
        with reading(self._engine) as connection:
            return tuple(kind(*row) for row in connection.execute(statement))


def _given(wanted: Mapping[Column[str], str | None]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in wanted.items() if value is not None]


def _position(name: str) -> tuple[ColumnElement[object], ...]:
    columns = ROWS[name].c
    return columns.topic, columns.partition, columns.offset


def _left_by_nova(since_us: int) -> Select[tuple[object, ...]]:
    # The newest move decides: an older one that never ended is history.
    newest = (
        select(func.max(_MIGRATIONS.id))
        .where(_MIGRATIONS.instance_uuid == _INSTANCES.uuid)
        .correlate(ROWS["instances"])
        .scalar_subquery()
    )
    is_moving = _MIGRATIONS.status.in_(_MOVING)
    return (
        select(
            _INSTANCES.uuid,
            _MIGRATIONS.migration_type,
            _MIGRATIONS.status,
            _INSTANCES.vm_state,
            _INSTANCES.task_state,
            _INSTANCES.updated_at,
            null(),
            literal("left"),
            null(),
        )
        .join_from(ROWS["instances"], ROWS["migrations"], _MIGRATIONS.id == newest, isouter=True)
        .where(
            _INSTANCES.origin == "nova",
            _INSTANCES.deleted == 0,
            _INSTANCES.updated_at < since_us,
            or_(_INSTANCES.task_state.is_not(None), is_moving),
        )
        .order_by(_INSTANCES.updated_at, _INSTANCES.uuid)
    )
