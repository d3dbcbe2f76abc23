"""The operational tables: positions, commands on their way, guards.

Frozen: a later change of a table is a later revision. What the tables are for is in
`projections.tables`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTES = sa.LargeBinary()

#: Name, type, whether it may be null, comment.
Columns = tuple[tuple[str, sa.Text | sa.BigInteger | sa.LargeBinary, bool, str], ...]

CHECKPOINTS: Columns = (
    ("topic", TEXT, False, "Topic of the partition."),
    ("partition", INT, False, "Number of the partition."),
    ("next_offset", INT, False, "Offset that will be taken next."),
    ("epoch", INT, False, "Rises at each takeover; every write of the owner names it."),
    (
        "topic_id",
        TEXT,
        False,
        "Identity of the topic, to notice one that was made again; empty at first.",
    ),
    ("leader_epoch", INT, False, "Leader epoch of the last record taken."),
    ("chain", BYTES, False, "SHA-256 over all records taken so far; 32 zero bytes at first."),
    ("rules", BYTES, False, "Rules in force, as the fold stores them; empty at first."),
)
OUTBOX: Columns = (
    ("command_id", TEXT, False, "Identity of the command, a function of the log."),
    ("topic", TEXT, False, "Topic of the partition that the instance belongs to."),
    ("partition", INT, False, "Partition that the instance belongs to."),
    ("instance_uuid", TEXT, False, "Instance that it is about."),
    ("saga_id", TEXT, False, "Saga that asks for it."),
    ("step", TEXT, False, "Step that asks for it."),
    ("attempt", INT, False, "How often the saga has entered that step, from 1."),
    ("command", TEXT, False, "Name of the command."),
    ("host", TEXT, False, "Host that shall carry it out, or @scheduler."),
    ("value", BYTES, False, "Encoded command."),
    (
        "deadline_s",
        INT,
        False,
        "Seconds that an answer may take, from the sending; 0: as long as it takes.",
    ),
    ("created_at", INT, False, "µs UTC, when the log appended the fact that called for it."),
    ("rank", INT, False, "When it goes, of those that wait: the lowest first."),
    ("fired", INT, False, "1 once the log was told that its host is lost."),
)
TIMERS: Columns = (
    ("command_id", TEXT, False, "Identity of the command, a function of the log."),
    ("topic", TEXT, False, "Topic of the partition that the instance belongs to."),
    ("partition", INT, False, "Partition that the instance belongs to."),
    ("instance_uuid", TEXT, False, "Instance that it is about."),
    ("saga_id", TEXT, False, "Saga that asks for it."),
    ("step", TEXT, False, "Step that asks for it."),
    ("attempt", INT, False, "How often the saga has entered that step, from 1."),
    ("host", TEXT, False, "Host that has the command, or @scheduler."),
    (
        "due_at",
        INT,
        False,
        "µs UTC on the owner's clock, when the answer is overdue; 2^63 − 1 for never.",
    ),
    ("fired", INT, False, "1 once the log was told that it is overdue, or that its host is lost."),
)
RESERVATIONS: Columns = (
    ("command_id", TEXT, False, "Choice that it was made for."),
    ("host", TEXT, False, "Host whose room is held."),
    ("vcpus", INT, False, "Virtual CPUs held, count."),
    ("memory_mb", INT, False, "Memory held, MiB."),
    ("disk_gb", INT, False, "Disk held, GiB."),
    ("created_at", INT, False, "µs UTC on the owner's clock, when it was made."),
)
ANSWERS: Columns = (
    ("command_id", TEXT, False, "Choice that it answers."),
    ("topic", TEXT, False, "Topic that the answer goes to."),
    ("partition", INT, False, "Partition that the answer goes to."),
    ("instance_uuid", TEXT, False, "Instance that it is about."),
    ("value", BYTES, False, "Encoded fact."),
    ("told", INT, False, "1 once it was appended to the log."),
    ("created_at", INT, False, "µs UTC on the owner's clock, when it was made."),
)
LAST_SEEN: Columns = (
    ("host", TEXT, False, "Name of the compute service."),
    ("boot_epoch", INT, False, "How often its agent had started; from its last heartbeat."),
    ("last_seen_at", INT, False, "µs UTC, when the log appended its last heartbeat."),
)
MARKERS: Columns = (
    ("topic", TEXT, False, "Topic of the partition."),
    ("partition", INT, False, "Number of the partition."),
    ("begin_offset", INT, False, "Offset at which the batch that is being tried begins."),
    ("tries", INT, False, "How often such a batch was begun, count."),
)
SET_ASIDE: Columns = (
    ("topic", TEXT, False, "Topic of the record."),
    ("partition", INT, False, "Partition of the record."),
    ("offset", INT, False, "Offset of the record."),
    ("reason", TEXT, False, "Why it was set aside; from the fact that says so."),
)
CERTIFICATES: Columns = (
    (
        "switched_at",
        INT,
        False,
        "µs UTC on the clock of who rebuilt, when the tables were exchanged.",
    ),
    ("body", TEXT, False, "Positions, and rows and digest of each table, JSON."),
)


def upgrade() -> None:
    """Make the operational tables."""
    _create("checkpoints", CHECKPOINTS, 2)
    _create_numbered(
        "outbox",
        OUTBOX,
        "Order of insertion, and of sending among equals in rank.",
        ("topic", "partition", "id"),
        ("rank", "id"),
        ("host",),
    )
    op.create_index("ux_outbox_command_id", "outbox", ["command_id"], unique=True)
    _create("timers", TIMERS, 1, ("topic", "partition", "due_at"), ("host",))
    _create("reservations", RESERVATIONS, 1, ("host",))
    _create("answers", ANSWERS, 1, ("topic", "partition"))
    _create("last_seen", LAST_SEEN, 1)
    _create("markers", MARKERS, 2)
    _create("set_aside", SET_ASIDE, 3)
    _create_numbered("certificates", CERTIFICATES, "Order of the rebuilds.")


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
    _index(name, indexes)


def _create_numbered(name: str, columns: Columns, comment: str, *indexes: tuple[str, ...]) -> None:
    op.create_table(
        name,
        sa.Column("id", INT, sa.Identity(), comment=comment),
        *(
            sa.Column(column, kind, nullable=null, comment=comment)
            for column, kind, null, comment in columns
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        sqlite_strict=True,
    )
    _index(name, indexes)


def _index(name: str, indexes: tuple[tuple[str, ...], ...]) -> None:
    for each in indexes:
        op.create_index(f"ix_{name}_{'_'.join(each)}", name, list(each))
