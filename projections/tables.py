"""The tables of the database, as SQLAlchemy Core describes them.

Those that are functions of the log are derived from `projections.rows`: a field is a column. The
operational ones are written out here. Text sorts by code point in every database, so that key order
is the same in all. This module describes the newest shape; how a database gets there is in
`projections.revisions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, NoneType
from typing import Final, get_args, get_type_hints

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from projections.column_comments import COMMENTS
from projections.rows import TABLES, Row

TEXT: Final = Text(collation="C").with_variant(Text(), "sqlite")
BIGINT: Final = BigInteger().with_variant(Integer(), "sqlite")
BYTES: Final = LargeBinary()

METADATA: Final = MetaData()

_TYPES: Final[Mapping[type, Text | BigInteger | LargeBinary]] = {
    str: TEXT,
    int: BIGINT,
    bytes: BYTES,
}

#: Indexes beside the primary keys, by table; each is a list of columns.
_INDEXES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "instances": (("host",),),
    "migrations": (("instance_uuid",),),
    "instance_actions": (("request_id",),),
    "instance_actions_events": (("instance_uuid", "request_id"),),
    "instance_faults": (("instance_uuid",),),
    "claims": (("host",),),
    "sagas": (("status", "partition"), ("instance_uuid",)),
    "saga_steps": (("instance_uuid",),),
    "rejections": (("request_id",), ("subject",)),
    "parked": (("reason", "topic", "partition"),),
    "outbox": (("topic", "partition", "id"), ("rank", "id"), ("host",)),
    # Who looks for what is due reads what is due and nothing else, however much is waiting.
    "timers": (("topic", "partition", "due_at"), ("host",)),
    "dues": (("topic", "partition", "due_at"),),
    "reservations": (("host",),),
    "answers": (("topic", "partition"),),
}


#: Per cent to which a page is filled: the rest is for the next version of its rows, which then
#: needs no other page and no index. Measured among a million instances (docs/PERFORMANCE.md).
_FILLED: Final[Mapping[str, int]] = {"instances": 85, "instance_states": 85}


def indexes_of(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Name each index of a table, with its columns."""
    return tuple((f"ix_{name}_{'_'.join(each)}", each) for each in _INDEXES.get(name, ()))


def _table(name: str, metadata: MetaData, columns: list[Column[object]], key: int) -> Table:
    return Table(
        name,
        metadata,
        *columns,
        PrimaryKeyConstraint(*(each.name for each in columns[:key]), name=f"pk_{name}"),
        sqlite_strict=True,
    )


def _column(table: str, name: str, hint: object) -> Column[object]:
    parts = set(get_args(hint)) or {hint}
    (kind,) = parts - {NoneType}
    assert isinstance(kind, type), f"Expected {table}.{name} to be one plain type, but {hint}"
    comment = COMMENTS[table][name]
    return Column(name, _TYPES[kind], nullable=NoneType in parts, comment=comment)


def row_table(name: str, metadata: MetaData, suffix: str = "") -> Table:
    """Describe a table that is a function of the log; `suffix` names a second one beside it."""
    row, key = TABLES[name]
    columns = [_column(name, field, hint) for field, hint in get_type_hints(row).items()]
    table = _table(name + suffix, metadata, columns, key)
    if name in _FILLED:
        table.dialect_options["postgresql"]["with"] = {"fillfactor": _FILLED[name]}
    return table


def _operational(name: str, key: int, **hints: object) -> Table:
    table = _table(name, METADATA, [_column(name, f, h) for f, h in hints.items()], key)
    _add_indexes(name, table)
    return table


def _add_indexes(name: str, table: Table) -> None:
    for index, columns in indexes_of(name):
        Index(index, *(table.c[each] for each in columns))


def _rows() -> Mapping[str, Table]:
    tables = {name: row_table(name, METADATA) for name in TABLES}
    for name, table in tables.items():
        _add_indexes(name, table)
    return MappingProxyType(tables)


#: The tables that are functions of the log.
ROWS: Final = _rows()

CHECKPOINTS: Final = _operational(
    "checkpoints",
    2,
    topic=str,
    partition=int,
    next_offset=int,
    epoch=int,
    topic_id=str,
    leader_epoch=int,
    chain=bytes,
    rules=bytes,
)

#: Numbered as they are put in, so that of one rank a partition's commands leave in its log's order.
OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", BIGINT, Identity(), comment=COMMENTS["outbox"]["id"]),
    *(
        _column("outbox", name, hint)
        for name, hint in {
            "command_id": str,
            "topic": str,
            "partition": int,
            "instance_uuid": str,
            "saga_id": str,
            "step": str,
            "attempt": int,
            "command": str,
            "host": str,
            "value": bytes,
            "deadline_s": int,
            "created_at": int,
            "rank": int,
            "fired": int,
        }.items()
    ),
    PrimaryKeyConstraint("id", name="pk_outbox"),
    Index("ux_outbox_command_id", "command_id", unique=True),
    sqlite_strict=True,
)
_add_indexes("outbox", OUTBOX)

TIMERS: Final = _operational(
    "timers",
    1,
    command_id=str,
    topic=str,
    partition=int,
    instance_uuid=str,
    saga_id=str,
    step=str,
    attempt=int,
    host=str,
    due_at=int,
    fired=int,
)
DUES: Final = _operational(
    "dues",
    2,
    instance_uuid=str,
    action=str,
    topic=str,
    partition=int,
    since=int,
    after_s=int,
    due_at=int,
)
RESERVATIONS: Final = _operational(
    "reservations",
    1,
    command_id=str,
    host=str,
    vcpus=int,
    memory_mb=int,
    disk_gb=int,
    created_at=int,
)
ANSWERS: Final = _operational(
    "answers",
    1,
    command_id=str,
    topic=str,
    partition=int,
    instance_uuid=str,
    value=bytes,
    told=int,
    created_at=int,
)
LAST_SEEN: Final = _operational("last_seen", 1, host=str, boot_epoch=int, last_seen_at=int)
MARKERS: Final = _operational("markers", 2, topic=str, partition=int, begin_offset=int, tries=int)
SET_ASIDE: Final = _operational("set_aside", 3, topic=str, partition=int, offset=int, reason=str)
CERTIFICATES: Final = Table(
    "certificates",
    METADATA,
    Column("id", BIGINT, Identity(), comment=COMMENTS["certificates"]["id"]),
    _column("certificates", "switched_at", int),
    _column("certificates", "body", str),
    PrimaryKeyConstraint("id", name="pk_certificates"),
    sqlite_strict=True,
)


def row_of(name: str, values: tuple[object, ...]) -> Row:
    """Return the row that the columns of a table hold."""
    return TABLES[name][0]._make(values)
