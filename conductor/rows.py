"""What the fold leaves in rows: the state after a fact, and its notes, as plain values.

Pure: the live worker, rebuild and the auditor's verify get the same rows from the same log. Which
columns there are is said in `projections.rows`; how they get into a database is the store's
business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Final
from uuid import uuid5

from conductor.dates import deleted_at
from conductor.guest_rows import guest_rows
from events.ids import NAMESPACE, uuid_of
from projections.rows import (
    TABLES,
    ActionEventRow,
    ActionRow,
    Changes,
    ClaimRow,
    FaultRow,
    InstanceRow,
    InstanceStateRow,
    MigrationRow,
    NodeRow,
    ParkedRow,
    Row,
    SagaRow,
    SagaStepRow,
    drop,
    put,
)
from statemachines.held import Held, Parked
from statemachines.node import NodeHeld
from statemachines.notes import (
    ActionNote,
    EventNote,
    FaultNote,
    MigrationNote,
    Note,
    SagaNote,
    StepNote,
)
from statemachines.resume import step_deadline_s
from statemachines.rules import Rules
from statemachines.sagas import SAGAS
from statemachines.states import VmState

#: Text longer than this is cut: reasons are sentences, and a column is no place for a novel.
TEXT_MAX = 2_000


def instance_row(held: Held) -> InstanceRow:
    """Return what is true now of an instance."""
    return InstanceRow._make(
        (
            *_AS_IT_IS(held),
            int(held.locked),
            held.launched_at,
            held.deleted_at,
            held.created_at,
            held.updated_at,
            int(held.vm_state == VmState.DELETED),
            deleted_at(held),
            held.origin,
            held.generation,
        )
    )


#: What `instances` has of a state as it is: its columns from `uuid` to `root_gb`, in order.
_AS_IT_IS: Final = attrgetter(
    *("instance_id", "name", "vm_state", "task_state", "power_state", "host", "node"),
    *("user_id", "project_id", "image"),
    *("flavor.name", "flavor.vcpus", "flavor.memory_mb", "flavor.disk_gb"),
)


def state_rows(
    changes: Changes, before: Held | None, after: Held, partition: int, body: bytes
) -> None:
    """Leave the rows that say what is true now: instance, state, claims, what waits, shadow."""
    put(changes, "instances", instance_row(after))
    put(changes, "instance_states", InstanceStateRow(after.instance_id, partition, body))
    claims = () if before is None else before.claims
    if claims is not after.claims:
        kept = {(c.saga_id, c.host) for c in after.claims}
        for gone in claims:
            if (gone.saga_id, gone.host) not in kept:
                drop(changes, "claims", (after.instance_id, gone.saga_id, gone.host))
        for c in after.claims:
            put(
                changes,
                "claims",
                ClaimRow(
                    after.instance_id,
                    c.saga_id,
                    c.host,
                    c.vcpus,
                    c.memory_mb,
                    c.disk_gb,
                    c.created_at,
                ),
            )
    guest_rows(changes, before, after)
    parked = () if before is None else before.parked
    if parked is not after.parked:
        _parked_rows(changes, after, parked)
    if after.shadow is not None:
        _shadow_migrations(changes, after)


def _parked_rows(changes: Changes, after: Held, before: tuple[Parked, ...]) -> None:
    """Leave a row for each record that waits, and none for one that was judged or dropped."""
    kept = {p.offset for p in after.parked}
    for gone in before:
        if gone.offset not in kept:
            drop(changes, "parked", (gone.topic, gone.partition, gone.offset))
    for parked in after.parked:
        put(
            changes,
            "parked",
            ParkedRow(
                parked.topic,
                parked.partition,
                parked.offset,
                after.instance_id,
                parked.source,
                parked.sequence,
                parked.reason,
                parked.timestamp_us,
            ),
        )


def _shadow_migrations(changes: Changes, held: Held) -> None:
    assert held.shadow is not None
    for known in held.shadow.migrations:
        name = f"{held.instance_id}/shadow/{known.number}"
        identity = uuid5(NAMESPACE, name)
        put(
            changes,
            "migrations",
            MigrationRow(
                id=identity.int >> 65,
                uuid=str(identity),
                instance_uuid=held.instance_id,
                migration_type=known.migration_type,
                status=known.status,
                source_compute=known.source_compute,
                source_node=known.source_compute,
                dest_compute=known.dest_compute,
                dest_node=known.dest_compute,
                old_flavor=known.old_flavor_id or "",
                new_flavor=known.new_flavor_id or "",
                user_id=held.user_id,
                project_id=held.project_id,
                created_at=known.begun_at_us or held.created_at,
                updated_at=known.updated_at_us or held.updated_at,
                memory_total=None,
                memory_processed=None,
                memory_remaining=None,
                disk_total=None,
                disk_processed=None,
                disk_remaining=None,
                status_provenance=str(known.status_provenance),
            ),
        )


#: By kind, the last note of each row of history, with the state and the rules of its fact.
LastNotes = dict[type, dict[object, tuple[Note, Held, Rules]]]


def keep_notes(last: LastNotes, held: Held, notes: Iterable[Note], rules: Rules) -> None:
    """Keep what one fact added to history; a later note of a row replaces an earlier one."""
    instance_id = held.instance_id
    for note in notes:
        kind = note.__class__
        last[kind][instance_id, _KEY_OF[kind](note)] = (note, held, rules)


def no_notes() -> LastNotes:
    """Return what is kept before the first fact."""
    return {kind: {} for kind in _KEY_OF}


def note_rows(changes: Changes, last: LastNotes, partition: int) -> None:
    """Leave the rows of history that a batch added; each is made once, of its last note."""
    for kind, noted in last.items():
        if noted:
            table, row_of = _ROW_OF[kind]
            width, rows = TABLES[table][1], changes.setdefault(table, {})
            for note, held, rules in noted.values():
                row = row_of(note, held, partition, rules)
                rows[row[:width]] = row  # type: ignore[index]  # no key has a null or bytes


def _step_row(note: StepNote, held: Held, *_about: object) -> SagaStepRow:
    return SagaStepRow(
        note.saga_id,
        note.n,
        held.instance_id,
        note.step,
        note.attempt,
        ",".join(note.hosts),
        note.entered_at,
        note.left_at,
        note.left_by,
    )


def _event_row(note: EventNote, held: Held, *_about: object) -> ActionEventRow:
    return ActionEventRow(
        note.row_id,
        held.instance_id,
        note.request_id,
        note.event,
        note.host,
        note.start_time,
        note.finish_time,
        note.result,
        _cut(note.details),
    )


def _action_row(note: ActionNote, held: Held, *_about: object) -> ActionRow:
    return ActionRow(
        held.instance_id,
        note.request_id,
        note.action,
        note.user_id,
        note.project_id,
        note.start_time,
        note.finish_time,
        note.message,
        note.saga_id,
    )


def _fault_row(note: FaultNote, held: Held, *_about: object) -> FaultRow:
    return FaultRow(
        note.row_id,
        held.instance_id,
        note.code,
        note.message[:255],
        note.details[:TEXT_MAX],
        note.host,
        note.created_at,
    )


def _migration_row(note: MigrationNote, held: Held, *_about: object) -> MigrationRow:
    move = note.move
    return MigrationRow(
        id=move.migration_id,
        uuid=uuid_of(f"{held.instance_id}/migration/{move.migration_id}"),
        instance_uuid=held.instance_id,
        migration_type=move.migration_type,
        status=move.status,
        source_compute=move.source,
        source_node=move.source_node,
        dest_compute=move.destination,
        dest_node=move.dest_node,
        old_flavor=move.old_flavor.name,
        new_flavor=move.new_flavor.name,
        user_id=move.user_id,
        project_id=move.project_id,
        created_at=move.created_at,
        updated_at=move.updated_at,
        memory_total=move.memory_total,
        memory_processed=move.memory_processed,
        memory_remaining=move.memory_remaining,
        disk_total=move.disk_total,
        disk_processed=move.disk_processed,
        disk_remaining=move.disk_remaining,
        status_provenance="judged",
    )


def _saga_row(note: SagaNote, held: Held, partition: int, rules: Rules) -> SagaRow:
    saga = note.state
    table = SAGAS[saga.saga]
    step = table.steps.get(saga.step)
    ended = note.ending is not None
    status = "ended" if ended else "needs_operator" if saga.needs_operator else "running"
    waits = step is not None and not step.patient and not ended
    move = held.move
    mine = move is not None and move.saga_id == saga.saga_id
    return SagaRow(
        saga_id=saga.saga_id,
        instance_uuid=held.instance_id,
        saga=saga.saga,
        version=saga.version,
        is_primary=int(table.primary),
        request_id=saga.request_id,
        generation=saga.generation,
        step=saga.step,
        attempt=saga.attempt,
        waits_for=",".join(saga.pending),
        status=status,
        ending=note.ending,
        ok=None if note.ok is None else int(note.ok),
        reason=_cut(saga.needs_operator or saga.reason),
        source=move.source if move is not None and mine else saga.target,
        destination=saga.destination,
        deadline_s=step_deadline_s(step, held, rules) if step is not None and waits else 0,
        partition=partition,
        started_at=saga.started_at,
        entered_at=saga.entered_at,
        updated_at=note.updated_at,
        ended_at=note.updated_at if ended else None,
    )


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:TEXT_MAX]


#: What the row of a note is known by, among those of the instance and of its kind.
_KEY_OF: Final[Mapping[type, Callable[[Note], object]]] = MappingProxyType(
    {
        StepNote: attrgetter("saga_id", "n"),
        EventNote: attrgetter("row_id"),
        SagaNote: attrgetter("state.saga_id"),
        ActionNote: attrgetter("request_id"),
        MigrationNote: attrgetter("move.migration_id"),
        FaultNote: attrgetter("row_id"),
    }
)
#: Table and row of each note; a row is made of the note, the state, the partition and the rules.
_ROW_OF: Final[Mapping[type, tuple[str, Callable[..., Row]]]] = MappingProxyType(
    {
        StepNote: ("saga_steps", _step_row),
        EventNote: ("instance_actions_events", _event_row),
        SagaNote: ("sagas", _saga_row),
        ActionNote: ("instance_actions", _action_row),
        MigrationNote: ("migrations", _migration_row),
        FaultNote: ("instance_faults", _fault_row),
    }
)


def node_row(changes: Changes, held: NodeHeld, body: bytes) -> None:
    """Leave what is true now of a host."""
    put(
        changes,
        "nodes",
        NodeRow(
            held.host,
            held.node,
            held.hypervisor_type,
            held.vcpus,
            held.memory_mb,
            held.disk_gb,
            held.boot_epoch,
            0 if held.head is None else held.head.enrolment,
            held.status,
            held.lost_count,
            held.guest_count,
            held.start_sequence,
            held.digest_sequence,
            held.surveyed_sequence,
            held.digest,
            held.created_at,
            held.updated_at,
            body,
        ),
    )
