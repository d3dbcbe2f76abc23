"""What falls due by itself: actions that come once a state has lasted long enough.

Frozen: a later change of a table is a later revision. What the table is for is in
`projections.tables`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None

TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

DUES = (
    ("instance_uuid", TEXT, "Instance that it is about."),
    ("action", TEXT, "Nova's action that comes by itself."),
    ("topic", TEXT, "Topic of the partition that the instance belongs to."),
    ("partition", INT, "Partition that the instance belongs to."),
    ("since", INT, "µs UTC, since when the state that names it has lasted."),
    ("after_s", INT, "Seconds from then until it comes, by the rules in force."),
    (
        "due_at",
        INT,
        "µs UTC on the owner's clock, when the log is told that its time has come.",
    ),
)


def upgrade() -> None:
    """Make the table, indexed by what is looked for."""
    op.create_table(
        "dues",
        *(sa.Column(name, kind, nullable=False, comment=comment) for name, kind, comment in DUES),
        sa.PrimaryKeyConstraint("instance_uuid", "action", name="pk_dues"),
        sqlite_strict=True,
    )
    op.create_index("ix_dues_topic_partition_due_at", "dues", ["topic", "partition", "due_at"])
