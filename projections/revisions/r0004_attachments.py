"""What an instance holds: volumes, interfaces, accelerators, metadata and tags.

Frozen: a later change of a table is a later revision. Functions of the log; rows of older records
come by `regente rebuild`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"
branch_labels = None
depends_on = None

TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPENDED = "µs UTC, when the log appended"

BLOCK_DEVICE_MAPPING = (
    ("instance_uuid", TEXT, False, "Instance that has the volume."),
    ("volume_id", TEXT, False, "Uuid of the volume, as the request named it."),
    ("device_name", TEXT, False, "Name under which the guest sees it: /dev/vdb."),
    ("boot_index", INT, True, "0 for the disk that the guest boots from; NULL for no boot disk."),
    ("source_type", TEXT, False, "volume: nothing else is held here."),
    ("destination_type", TEXT, False, "volume: nothing else is held here."),
    ("delete_on_termination", INT, False, "1 if it goes with the instance, else 0."),
    ("status", TEXT, False, "attaching, in-use, swapping or detaching."),
    ("hosts", TEXT, False, "Hosts that said that they are connected to it, with commas."),
    ("created_at", INT, False, f"{APPENDED} the request that named it."),
)
VIRTUAL_INTERFACES = (
    ("instance_uuid", TEXT, False, "Instance that has the interface."),
    ("uuid", TEXT, False, "Uuid of its port: named by the request, or a function of the log."),
    ("network_id", TEXT, False, "Uuid of its network; empty where only the port was named."),
    ("fixed_ips", TEXT, False, "Addresses of the port, with commas."),
    ("status", TEXT, False, "attaching, in-use or detaching."),
    ("hosts", TEXT, False, "Hosts that said that the port is bound to them, with commas."),
    ("active_host", TEXT, True, "Host to which its traffic goes; NULL while to none."),
    ("created_at", INT, False, f"{APPENDED} the request that named it."),
)
ACCELERATORS = (
    ("instance_uuid", TEXT, False, "Instance that has the accelerator."),
    ("uuid", TEXT, False, "Identity of the accelerator request, a function of the log."),
    ("device_profile", TEXT, False, "Device profile that the flavor names."),
    ("hosts", TEXT, False, "Hosts that said that a device of theirs is bound, with commas."),
    ("created_at", INT, False, f"{APPENDED} the request that named it."),
)
INSTANCE_METADATA = (
    ("instance_uuid", TEXT, False, "Instance that it is about."),
    ("key", TEXT, False, "Key that a user chose."),
    ("value", TEXT, False, "Value that a user chose."),
)
TAGS = (
    ("resource_id", TEXT, False, "Uuid of the instance that has the tag."),
    ("tag", TEXT, False, "Tag that a user chose."),
)


def upgrade() -> None:
    """Make the tables."""
    _create("block_device_mapping", BLOCK_DEVICE_MAPPING)
    _create("virtual_interfaces", VIRTUAL_INTERFACES)
    _create("accelerators", ACCELERATORS)
    _create("instance_metadata", INSTANCE_METADATA)
    _create("tags", TAGS)


def _create(table: str, columns: Sequence[tuple[str, Any, bool, str]]) -> None:
    op.create_table(
        table,
        *(
            sa.Column(name, kind, nullable=nullable, comment=comment)
            for name, kind, nullable, comment in columns
        ),
        sa.PrimaryKeyConstraint(columns[0][0], columns[1][0], name=f"pk_{table}"),
        sqlite_strict=True,
    )
