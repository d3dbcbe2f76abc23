"""The scheduler's transaction: hosts locked, room summed, an answer stored; and hosts as last seen.

Who chooses is not known here. Claims and reservations are summed in one statement, so a reservation
that turns into a claim is counted once whenever it is looked at; the locks make choices wait for
each other, so no two take the same room.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    bindparam,
    cast,
    func,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite

from events.topics import partition_of
from projections.bulk import Bulk, Values
from projections.choosing import choices
from projections.sql_owner import (
    NODES,
    Owned,
    owned_of,
    partition_of_order,
    still_owned,
    timer_of,
)
from projections.store import Answer, Choose, HostRoom, HostSeen, Order
from projections.tables import ANSWERS, LAST_SEEN, OUTBOX, RESERVATIONS, ROWS, TIMERS

_AMOUNTS: Final = ("vcpus", "memory_mb", "disk_gb")
_CLAIMS: Final = ROWS["claims"]

_NAMED: BindParameter[str] = bindparam("commands", expanding=True)
_ORDERS: Final = (
    select(OUTBOX.c.command_id)
    .where(OUTBOX.c.command_id.in_(_NAMED))
    .order_by(OUTBOX.c.command_id)
    .with_for_update()
)
_ANSWERED: Final = select(ANSWERS.c.command_id).where(ANSWERS.c.command_id.in_(_NAMED))
_HOST = select(NODES.c.host, NODES.c.node, NODES.c.status, *(NODES.c[each] for each in _AMOUNTS))
_HOSTS: Final = _HOST.order_by(NODES.c.host).with_for_update()
_ONE_HOST: Final = _HOST.where(NODES.c.host == bindparam("host"))
_TAKEN = union_all(
    *(select(each.c.host, *(each.c[a] for a in _AMOUNTS)) for each in (_CLAIMS, RESERVATIONS))
).subquery()
#: PostgreSQL sums BIGINT into NUMERIC; a count of MiB fits.
_USED: Final = select(
    _TAKEN.c.host, *(cast(func.sum(_TAKEN.c[each]), BigInteger) for each in _AMOUNTS)
).group_by(_TAKEN.c.host)

_USED_OF: Final = _USED.where(_TAKEN.c.host == bindparam("host"))

_SEEN: Final = (
    select(
        NODES.c.host,
        NODES.c.boot_epoch,
        func.coalesce(LAST_SEEN.c.last_seen_at, 0),
        NODES.c.status,
        NODES.c.lost_count,
    )
    .join(LAST_SEEN, LAST_SEEN.c.host == NODES.c.host, isouter=True)
    .order_by(NODES.c.host)
)


def decide(
    connection: Connection,
    bulk: Bulk,
    owned: Owned,
    orders: Sequence[Order],
    choose: Choose,
    now_us: int,
) -> tuple[Answer, ...]:
    """Let `choose` pick for each order with all hosts locked; store answers, start timers."""
    wanted = _awaited(connection, owned, orders)
    if not wanted:
        return ()
    made = choices(wanted, rooms(connection), choose)
    bulk.load(connection, ANSWERS, [(*each.answer, 0, now_us) for each in made])
    reserved: list[Values] = [
        (each.order.command_id, *each.reservation, now_us)
        for each in made
        if each.reservation is not None
    ]
    if reserved:
        bulk.load(connection, RESERVATIONS, reserved)
    bulk.load(connection, TIMERS, [(*timer_of(each.order, now_us), 0) for each in made])
    return tuple(each.answer for each in made)


def _awaited(connection: Connection, owned: Owned, orders: Sequence[Order]) -> list[Order]:
    """Return the orders that are ours to answer and have no answer; their rows are locked."""
    ours = set(still_owned(connection, owned_of(owned, orders)))
    mine = [each for each in orders if partition_of_order(each) in ours]
    if not mine:
        return []
    named = {"commands": [each.command_id for each in mine]}
    here = set(connection.execute(_ORDERS, named).scalars())
    # Only now: another owner's answer is seen once its transaction let the rows go.
    here -= set(connection.execute(_ANSWERED, named).scalars())
    return [each for each in mine if each.command_id in here]


def rooms(connection: Connection) -> tuple[HostRoom, ...]:
    """Lock every host, in order, and return what it has and what is taken of it."""
    hosts = connection.execute(_HOSTS).all()
    # Only now: a statement sees what was committed before it began, not before the locks.
    used = {row[0]: tuple(row[1:]) for row in connection.execute(_USED)}
    return tuple(HostRoom(*row, *used.get(row.host, (0, 0, 0))) for row in hosts)


def room_of(connection: Connection, host: str) -> HostRoom | None:
    """Return what one host has and what is taken of it, locking nothing: it may be over at once."""
    found = connection.execute(_ONE_HOST, {"host": host}).first()
    if found is None:
        return None
    used = {row[0]: tuple(row[1:]) for row in connection.execute(_USED_OF, {"host": host})}
    return HostRoom(*found, *used.get(host, (0, 0, 0)))


def seen(connection: Connection, heartbeats: Mapping[str, tuple[int, int]]) -> None:
    """Note each host's last heartbeat; one that is older than what is known changes nothing."""
    rows = [
        {"host": host, "boot_epoch": boot_epoch, "last_seen_at": at}
        for host, (boot_epoch, at) in sorted(heartbeats.items())
    ]
    connection.execute(_NOTE[connection.dialect.name], rows)


def hosts(connection: Connection, partitions: int, owned: Collection[int]) -> tuple[HostSeen, ...]:
    """Return the hosts whose node partition is among `owned`."""
    found = (HostSeen(*row) for row in connection.execute(_SEEN))
    return tuple(each for each in found if partition_of(each.host, partitions) in owned)


def _note_sqlite() -> sqlite.Insert:
    new = sqlite.insert(LAST_SEEN)
    return new.on_conflict_do_update(
        index_elements=[LAST_SEEN.c.host],
        set_={"boot_epoch": new.excluded.boot_epoch, "last_seen_at": new.excluded.last_seen_at},
        where=new.excluded.last_seen_at >= LAST_SEEN.c.last_seen_at,
    )


def _note_postgres() -> postgresql.Insert:
    new = postgresql.insert(LAST_SEEN)
    return new.on_conflict_do_update(
        index_elements=[LAST_SEEN.c.host],
        set_={"boot_epoch": new.excluded.boot_epoch, "last_seen_at": new.excluded.last_seen_at},
        where=new.excluded.last_seen_at >= LAST_SEEN.c.last_seen_at,
    )


_NOTE: Final = {"sqlite": _note_sqlite(), "postgresql": _note_postgres()}
