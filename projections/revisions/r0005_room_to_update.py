"""Room in the pages of what is updated most: the next version of a row finds its place beside it.

Frozen: a later change of a table is a later revision. What the table is for is in
`projections.tables`.
"""

from __future__ import annotations

from alembic import op

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say how full a page may be made; those that are full stay so until they are written anew."""
    if op.get_bind().dialect.name == "postgresql":
        for table in ("instances", "instance_states"):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 85)")
