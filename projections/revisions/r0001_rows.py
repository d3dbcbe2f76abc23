"""The tables that are functions of the log.

Frozen: a later change of a table is a later revision. What the tables are for is in
`projections.tables`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTES = sa.LargeBinary()

#: Name, type, whether it may be null, comment.
Columns = tuple[tuple[str, sa.Text | sa.BigInteger | sa.LargeBinary, bool, str], ...]

INSTANCES: Columns = (
    ("uuid", TEXT, False, "Identity of the instance; given by the request that made it."),
    ("display_name", TEXT, False, "What its user calls it; from the request."),
    (
        "vm_state",
        TEXT,
        False,
        "What it is when nothing is being done to it, in nova's words; from the arrows.",
    ),
    (
        "task_state",
        TEXT,
        True,
        "What is being done to it, in nova's words, or null; from the arrows.",
    ),
    (
        "power_state",
        INT,
        False,
        "What its hypervisor last said, nova's integer; from the driver's reports.",
    ),
    ("host", TEXT, True, "Compute service that owns it, or null; moves with ownership."),
    ("node", TEXT, True, "Hypervisor of that host, or null; from the fact that moved it."),
    ("user_id", TEXT, False, "Who asked for it; from the request."),
    ("project_id", TEXT, False, "Whose it is; from the request."),
    (
        "image_ref",
        TEXT,
        False,
        "Image that it was built from, empty if from a volume; from the request.",
    ),
    ("flavor_name", TEXT, False, "Flavor in force; from the request that made or resized it."),
    ("vcpus", INT, False, "Virtual CPUs, count; from the flavor."),
    ("memory_mb", INT, False, "Memory, MiB; from the flavor."),
    ("root_gb", INT, False, "Root disk, GiB; from the flavor."),
    ("locked", INT, False, "1 while locked against its user; from lock requests."),
    (
        "launched_at",
        INT,
        True,
        "µs UTC, the log's append time of the first successful start, or null.",
    ),
    ("terminated_at", INT, True, "µs UTC, the log's append time of the end of its guest, or null."),
    ("created_at", INT, False, "µs UTC, when the log appended its first fact."),
    (
        "updated_at",
        INT,
        False,
        "µs UTC, when the log appended the last fact that changed this row.",
    ),
    ("deleted", INT, False, "1 for a tombstone; from the accepted delete."),
    ("deleted_at", INT, True, "µs UTC, when the log appended the fact that deleted it, or null."),
    (
        "origin",
        TEXT,
        False,
        "regente or nova (shadow); set by its first fact, changed only by an import.",
    ),
    (
        "generation",
        INT,
        False,
        "Rises with each primary saga; commands of an older one are refused.",
    ),
)
INSTANCE_STATES: Columns = (
    ("instance_uuid", TEXT, False, "Identity of the instance."),
    ("partition", INT, False, "Partition of the instance topic that the instance belongs to."),
    ("body", BYTES, False, "Whole state that the fold carries, Avro (held.vN)."),
)
MIGRATIONS: Columns = (
    (
        "id",
        INT,
        False,
        "Position of the fact that began it: (offset × partitions + partition) × 16 + n.",
    ),
    ("uuid", TEXT, False, "Identity of the migration, a function of the log."),
    ("instance_uuid", TEXT, False, "Instance that moves."),
    ("migration_type", TEXT, False, "Why it moves, in nova's words; from the saga."),
    ("status", TEXT, False, "How far it has come, in nova's words; from the saga's step."),
    ("source_compute", TEXT, True, "Host that it leaves, or null."),
    ("source_node", TEXT, True, "Hypervisor that it leaves, or null."),
    ("dest_compute", TEXT, True, "Host that it goes to, or null until one is chosen."),
    ("dest_node", TEXT, True, "Hypervisor that it goes to, or null until one is chosen."),
    ("old_flavor", TEXT, False, "Name of the flavor before."),
    ("new_flavor", TEXT, False, "Name of the flavor after; the same unless it is a resize."),
    ("user_id", TEXT, False, "Who asked for it; from the request."),
    ("project_id", TEXT, False, "Whose the instance is; from the request."),
    ("created_at", INT, False, "µs UTC, when the log appended the fact that began it."),
    (
        "updated_at",
        INT,
        False,
        "µs UTC, when the log appended the last fact that changed this row.",
    ),
    ("memory_total", INT, True, "Memory to copy, bytes, or null; from the source's progress."),
    ("memory_processed", INT, True, "Memory copied, bytes, or null; from the source's progress."),
    (
        "memory_remaining",
        INT,
        True,
        "Memory still to copy, bytes, or null; from the source's progress.",
    ),
    ("disk_total", INT, True, "Disk to copy, bytes, or null; from the source's progress."),
    ("disk_processed", INT, True, "Disk copied, bytes, or null; from the source's progress."),
    (
        "disk_remaining",
        INT,
        True,
        "Disk still to copy, bytes, or null; from the source's progress.",
    ),
    (
        "status_provenance",
        TEXT,
        False,
        "How the status is known: judged; or of nova's: told, inferred, unknown.",
    ),
)
INSTANCE_ACTIONS: Columns = (
    ("instance_uuid", TEXT, False, "Instance that the request is about."),
    ("request_id", TEXT, False, "Identity of the request, req-…; from the request."),
    ("action", TEXT, False, "What was asked, nova's name of the action."),
    ("user_id", TEXT, False, "Who asked."),
    ("project_id", TEXT, False, "For which project."),
    ("start_time", INT, False, "µs UTC, when the log appended the request."),
    (
        "finish_time",
        INT,
        True,
        "µs UTC, when the log appended the fact that ended it, or null while it goes on.",
    ),
    ("message", TEXT, True, "Error when it failed, else null."),
    ("saga_id", TEXT, True, "Saga that carries it out, or null."),
)
INSTANCE_ACTIONS_EVENTS: Columns = (
    (
        "id",
        INT,
        False,
        "Position of the fact that began it: (offset × partitions + partition) × 16 + n.",
    ),
    ("instance_uuid", TEXT, False, "Instance that it is about."),
    ("request_id", TEXT, False, "Request that it belongs to."),
    ("event", TEXT, False, "What was done, nova's name of the event."),
    ("host", TEXT, True, "Where it was done, or null."),
    ("start_time", INT, False, "µs UTC, when the log appended the fact that began it."),
    (
        "finish_time",
        INT,
        True,
        "µs UTC, when the log appended the fact that ended it, or null while it goes on.",
    ),
    ("result", TEXT, True, "Success, Error, or null while it goes on."),
    ("details", TEXT, True, "What went wrong, or null; from the fact that ended it."),
)
INSTANCE_FAULTS: Columns = (
    (
        "id",
        INT,
        False,
        "Position of the fact that told it: (offset × partitions + partition) × 16 + n.",
    ),
    ("instance_uuid", TEXT, False, "Instance that it happened to."),
    ("code", INT, False, "HTTP status that nova gives this kind of fault."),
    ("message", TEXT, False, "One sentence; from the fact."),
    ("details", TEXT, False, "All that is known; from the fact."),
    ("host", TEXT, True, "Where it happened, or null."),
    ("created_at", INT, False, "µs UTC, when the log appended the fact that told it."),
)
CLAIMS: Columns = (
    ("instance_uuid", TEXT, False, "Instance that takes the room."),
    ("saga_id", TEXT, False, "Saga that claimed it."),
    ("host", TEXT, False, "Host whose room it is."),
    ("vcpus", INT, False, "Virtual CPUs taken, count; from the flavor."),
    ("memory_mb", INT, False, "Memory taken, MiB; from the flavor."),
    ("disk_gb", INT, False, "Disk taken, GiB; from the flavor."),
    ("created_at", INT, False, "µs UTC, when the log appended the fact that claimed it."),
)
SAGAS: Columns = (
    ("saga_id", TEXT, False, "Identity of the saga, a function of the log."),
    ("instance_uuid", TEXT, False, "Instance that it is about."),
    ("saga", TEXT, False, "Name of the operation."),
    ("version", INT, False, "Version of its definition, pinned when it started."),
    ("is_primary", INT, False, "1 for the instance's one primary saga, 0 for a side saga."),
    ("request_id", TEXT, True, "Request that started it, or null."),
    ("generation", INT, False, "Generation of its commands."),
    ("step", TEXT, False, "Where it stands."),
    ("attempt", INT, False, "How often it has entered this step, from 1."),
    ("waits_for", TEXT, False, "Hosts that it waits for, comma separated; empty for none."),
    ("status", TEXT, False, "running, needs_operator or ended."),
    ("ending", TEXT, True, "Name of the way it ended, or null."),
    ("ok", INT, True, "1 ended well, 0 not, null while it goes on."),
    ("reason", TEXT, True, "Why it failed or needs an operator, or null; from the fact."),
    ("source", TEXT, True, "Host that the guest leaves, or null."),
    ("destination", TEXT, True, "Host that the guest goes to, or null."),
    (
        "deadline_s",
        INT,
        False,
        "Seconds that the present attempt may take; 0: as long as it takes.",
    ),
    ("partition", INT, False, "Partition of the instance topic that the instance belongs to."),
    ("started_at", INT, False, "µs UTC, when the log appended the fact that started it."),
    (
        "entered_at",
        INT,
        False,
        "µs UTC, when the log appended the fact by which it entered this step.",
    ),
    (
        "updated_at",
        INT,
        False,
        "µs UTC, when the log appended the last fact that changed this row.",
    ),
    ("ended_at", INT, True, "µs UTC, when the log appended the fact that ended it, or null."),
)
SAGA_STEPS: Columns = (
    ("saga_id", TEXT, False, "Saga that entered the step."),
    ("n", INT, False, "Number of the step within its saga, in order of entering."),
    ("instance_uuid", TEXT, False, "Instance that it is about."),
    ("step", TEXT, False, "Name of the step."),
    ("attempt", INT, False, "How often the saga had entered this step, from 1."),
    ("hosts", TEXT, False, "Hosts that it commanded, comma separated."),
    ("entered_at", INT, False, "µs UTC, when the log appended the fact by which it was entered."),
    ("left_at", INT, True, "µs UTC, when the log appended the fact by which it was left, or null."),
    ("left_by", TEXT, True, "Name of that fact, or null."),
)
REJECTIONS: Columns = (
    ("topic", TEXT, False, "Topic of the record."),
    ("partition", INT, False, "Partition of the record."),
    ("offset", INT, False, "Offset of the record."),
    ("subject", TEXT, False, "Key of the record: an instance or a host."),
    ("source", TEXT, False, "Who wrote it."),
    ("fact", TEXT, False, "Name of the fact."),
    ("sequence", INT, False, "Its number in the writer's chain."),
    ("request_id", TEXT, True, "Request that it belongs to, or null."),
    ("code", TEXT, False, "Stable word for the reason."),
    ("reason", TEXT, False, "The reason, a sentence."),
    ("vm_state", TEXT, True, "vm_state that the fact met, or null."),
    ("task_state", TEXT, True, "task_state that the fact met, or null."),
    ("generation", INT, False, "Generation that the fact met."),
    ("created_at", INT, False, "µs UTC, when the log appended the record."),
)
PARKED: Columns = (
    ("topic", TEXT, False, "Topic of the record."),
    ("partition", INT, False, "Partition of the record."),
    ("offset", INT, False, "Offset of the record."),
    ("subject", TEXT, False, "Key of the record: an instance or a host."),
    ("source", TEXT, False, "Who wrote it."),
    ("sequence", INT, False, "Its number in the writer's chain."),
    ("reason", TEXT, False, "What it waits for: early, schema or set-aside."),
    ("created_at", INT, False, "µs UTC, when the log appended the record."),
)
QUARANTINE: Columns = (
    ("topic", TEXT, False, "Topic of the record."),
    ("partition", INT, False, "Partition of the record."),
    ("offset", INT, False, "Offset of the record."),
    ("subject", TEXT, False, "Key of the record as far as it can be read."),
    ("source", TEXT, False, "Who seems to have written it."),
    ("code", TEXT, False, "Stable word for the reason."),
    ("reason", TEXT, False, "The reason, a sentence."),
    ("status", TEXT, False, "waiting, or discarded by an operator."),
    ("created_at", INT, False, "µs UTC, when the log appended the record."),
)
NODES: Columns = (
    ("host", TEXT, False, "Name of the compute service."),
    ("node", TEXT, False, "Name of its hypervisor; from its start or capacity report."),
    ("hypervisor_type", TEXT, False, "Driver; from its start or capacity report."),
    (
        "vcpus",
        INT,
        False,
        "Virtual CPUs on offer, count: inventory × ratio − reserved; as it reported.",
    ),
    (
        "memory_mb",
        INT,
        False,
        "Memory on offer, MiB: inventory × ratio − reserved; as it reported.",
    ),
    ("disk_gb", INT, False, "Disk on offer, GiB: inventory × ratio − reserved; as it reported."),
    ("boot_epoch", INT, False, "How often its agent has started under this enrolment."),
    ("enrolment", INT, False, "How often the host was enrolled."),
    ("status", TEXT, False, "started, stopped, lost or forced_down."),
    ("lost_count", INT, False, "How often it was recorded as lost."),
    ("guest_count", INT, False, "Guests in its last digest, count."),
    ("start_sequence", INT, False, "Number of its last start, in its chain about itself."),
    ("digest_sequence", INT, False, "Number of its last digest, in its chain about itself."),
    (
        "surveyed_sequence",
        INT,
        False,
        "Number of its fact up to which its guests were asked after.",
    ),
    (
        "digest",
        TEXT,
        False,
        "SHA-256 of its last digest, hex: over sorted lines of uuid and power state.",
    ),
    ("created_at", INT, False, "µs UTC, when the log appended its first fact."),
    (
        "updated_at",
        INT,
        False,
        "µs UTC, when the log appended the last fact that changed this row.",
    ),
    ("body", BYTES, False, "The fold's own state of this host, Avro (node_held.vN)."),
)


def upgrade() -> None:
    """Make the tables that are functions of the log."""
    _create("instances", INSTANCES, 1, ("host",))
    _create("instance_states", INSTANCE_STATES, 1)
    _create("migrations", MIGRATIONS, 1, ("instance_uuid",))
    _create("instance_actions", INSTANCE_ACTIONS, 2, ("request_id",))
    _create("instance_actions_events", INSTANCE_ACTIONS_EVENTS, 1, ("instance_uuid", "request_id"))
    _create("instance_faults", INSTANCE_FAULTS, 1, ("instance_uuid",))
    _create("claims", CLAIMS, 3, ("host",))
    _create("sagas", SAGAS, 1, ("status", "partition"), ("instance_uuid",))
    _create("saga_steps", SAGA_STEPS, 2, ("instance_uuid",))
    _create("rejections", REJECTIONS, 3, ("request_id",), ("subject",))
    _create("parked", PARKED, 3, ("reason", "topic", "partition"))
    _create("quarantine", QUARANTINE, 3)
    _create("nodes", NODES, 1)


def _create(name: str, columns: Columns, key: int, *indexes: tuple[str, ...]) -> None:
    op.create_table(
        name,
        *(
            sa.Column(column, kind, nullable=null, comment=comment)
            for column, kind, null, comment in columns
        ),
        sa.PrimaryKeyConstraint(*(each[0] for each in columns[:key]), name=f"pk_{name}"),
        sqlite_strict=True,
    )
    for each in indexes:
        op.create_index(f"ix_{name}_{'_'.join(each)}", name, list(each))
