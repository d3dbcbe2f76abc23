"""The conservation laws over all rows: who owns what, who takes which room, what is still open.

Each law is asked of the rows as the database has them; whether the log says the same is the
comparison's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar, cast

from conductor.bodies import HELD_CODEC
from conductor.replay import Tables
from conductor.scheduler_options import SchedulerOptions
from projections.rows import (
    ActionEventRow,
    ActionRow,
    ClaimRow,
    InstanceRow,
    InstanceStateRow,
    Key,
    MigrationRow,
    NodeRow,
    Row,
    SagaRow,
)
from statemachines.conservation import broken_laws, doubled_room, missing_room, stray_room
from statemachines.held import Held
from statemachines.recording import OVER
from statemachines.states import VmState

#: States in which an instance is on a host, and on one only. A reset-state says `active` of
#: whatever it is asked to, as nova's does.
HOUSED: Final = frozenset(
    {
        VmState.PAUSED,
        VmState.STOPPED,
        VmState.SUSPENDED,
        VmState.RESCUED,
        VmState.RESIZED,
        VmState.SHELVED,
    }
)
_RowT = TypeVar("_RowT")


class Violation(NamedTuple):
    """A law that was broken, and how."""

    law: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the laws look at."""

    tables: Tables
    #: Every row of claims, where the tables hold some instances only.
    all_claims: Mapping[Key, Row]
    states: Mapping[str, Held]
    options: SchedulerOptions

    def of(
        self, table: str, kind: type[_RowT], only: Callable[[_RowT], bool] = lambda _row: True
    ) -> Iterator[_RowT]:
        """Yield the rows of a table by key; `only` some of them."""
        rows = cast("Mapping[Key, _RowT]", self.tables[table])
        return (rows[key] for key in sorted(key for key, row in rows.items() if only(row)))

    def running(self) -> set[str]:
        """Return the requests that a saga still works on."""
        sagas = self.of("sagas", SagaRow, lambda row: row.status != "ended")
        return {row.request_id for row in sagas if row.request_id}


def violations_of(
    tables: Tables,
    options: SchedulerOptions | None = None,
    all_claims: Mapping[Key, Row] | None = None,
) -> list[Violation]:
    """Return every violation of every law, law by law.

    The tables may hold some instances only, whole, beside all nodes: `all_claims` says then what
    all instances take.
    """
    states = {
        row.instance_uuid: HELD_CODEC.decode(row.body)
        for row in cast("list[InstanceStateRow]", list(tables["instance_states"].values()))
    }
    claims = tables["claims"] if all_claims is None else all_claims
    rows = _Rows(tables, claims, states, options or SchedulerOptions())
    return [Violation(name, sentence) for name, law in LAWS.items() for sentence in law(rows)]


def _one_owner(rows: _Rows) -> Iterator[str]:
    """Every instance that has a guest has one owner, and its row names it."""
    for row in rows.of("instances", InstanceRow):
        held = rows.states.get(row.uuid)
        if held is None:
            yield f"Expected a state of instance {row.uuid}, but there is none"
        elif held.host != row.host:
            yield f"Expected {held.host} as owner of instance {row.uuid}, but {row.host}"
        elif held.origin == "regente" and held.vm_state in HOUSED and held.host is None:
            yield f"Expected an owner of instance {row.uuid}, which is {held.vm_state}, but none"


def _room(rows: _Rows) -> Iterator[str]:
    """What is taken of a host is what instances claim there, and never more than there is."""
    used: dict[str, tuple[int, int, int]] = {}
    for row in rows.of("claims", ClaimRow):
        used[row.host] = _plus(used.get(row.host, (0, 0, 0)), row)
    claimed: dict[str, tuple[int, int, int]] = {}
    for held in rows.states.values():
        for claim in held.claims:
            claimed[claim.host] = _plus(claimed.get(claim.host, (0, 0, 0)), claim)
    for host in sorted(used.keys() | claimed.keys()):
        taken, wanted = used.get(host, (0, 0, 0)), claimed.get(host, (0, 0, 0))
        if taken != wanted:
            yield f"Expected {wanted} to be taken of {host}, as instances claim, but {taken}"
    everybody: dict[str, tuple[int, int, int]] = {}
    for each in cast("Iterable[ClaimRow]", rows.all_claims.values()):
        everybody[each.host] = _plus(everybody.get(each.host, (0, 0, 0)), each)
    for node in rows.of("nodes", NodeRow):
        taken, most = everybody.get(node.host, (0, 0, 0)), _most(node, rows.options)
        if any(t > m for t, m in zip(taken, most, strict=True)):
            yield f"Expected at most {most} to be taken of {node.host}, but {taken}"


def _plus(sum_: tuple[int, int, int], claim: object) -> tuple[int, int, int]:
    row = cast("ClaimRow", claim)
    return sum_[0] + row.vcpus, sum_[1] + row.memory_mb, sum_[2] + row.disk_gb


def _most(node: NodeRow, options: SchedulerOptions) -> tuple[int, int, int]:
    return (
        node.vcpus * options.cpu_allocation_ratio_percent // 100 - options.reserved_host_cpus,
        node.memory_mb * options.ram_allocation_ratio_percent // 100
        - options.reserved_host_memory_mb,
        node.disk_gb * options.disk_allocation_ratio_percent // 100 - options.reserved_host_disk_gb,
    )


def _claims_and_moves(rows: _Rows) -> Iterator[str]:
    """Every claim is the owner's, an open move's or owed; every owner has one, and of one size."""
    for uuid in sorted(rows.states):
        held = rows.states[uuid]
        for law in (broken_laws, stray_room, missing_room, doubled_room):
            yield from law(held)
    for row in rows.of("claims", ClaimRow):
        its = rows.states.get(row.instance_uuid)
        if its is None or not any(
            (c.host, c.saga_id) == (row.host, row.saga_id) for c in its.claims
        ):
            yield f"Expected no room of {row.instance_uuid} on {row.host}, but {row.saga_id} has it"


def _migrations(rows: _Rows) -> Iterator[str]:
    """A migration that is not over is the last of its instance, and goes on or waits."""
    for row in rows.of("migrations", MigrationRow, lambda row: row.status not in OVER):
        if row.status_provenance != "judged":
            continue
        held = rows.states.get(row.instance_uuid)
        moves = () if held is None else (held.move, *held.tombstones)
        if not any(move is not None and move.migration_id == row.id for move in moves):
            yield f"Expected migration {row.id} of {row.instance_uuid} to be over, but {row.status}"


def _actions(rows: _Rows) -> Iterator[str]:
    """Every action and each of its events is over, or a saga works on it."""
    running = rows.running()
    for action in rows.of("instance_actions", ActionRow, lambda row: row.finish_time is None):
        if action.request_id not in running:
            uuid = action.instance_uuid
            yield f"Expected {action.action} {action.request_id} of {uuid} to be over, but not so"
    events = rows.of("instance_actions_events", ActionEventRow, lambda row: row.finish_time is None)
    for event in events:
        if event.request_id not in running:
            uuid = event.instance_uuid
            yield f"Expected {event.event} of {event.request_id} of {uuid} to be over, but not so"


LAWS: Final[Mapping[str, Callable[[_Rows], Iterator[str]]]] = MappingProxyType(
    {
        "one owner per instance": _one_owner,
        "room taken is room claimed": _room,
        "claims are confirmed or released": _claims_and_moves,
        "migrations end": _migrations,
        "actions and their events end": _actions,
    }
)
