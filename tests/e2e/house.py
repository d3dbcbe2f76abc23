"""A cloud that runs: one conductor and two hosts in this process, and two instances to act upon."""

from __future__ import annotations

import uuid

from compute.memory_journal import MemoryJournal
from compute.world import MemoryWorld
from conductor.wiring import Conductor, Options
from projections.rows import ParkedRow, QuarantineRow, RejectionRow
from projections.sql_store import SqlStore
from tests.e2e.cloud import SMALL, Cloud, TakesTurns, open_sagas, rows, spin, states

ACTIVE, STOPPED = ("active", None), ("stopped", None)


class House:
    """Everybody takes turns when something is waited for."""

    def __init__(self, cloud: Cloud, options: Options | None = None) -> None:
        self.cloud = cloud
        cloud.found()
        self.store: SqlStore = cloud.store()
        self.conductor: Conductor = cloud.conductor(options)
        world = MemoryWorld()
        agents = [cloud.agent(host, world, MemoryJournal()) for host in ("host1", "host2")]
        self.everybody: list[TakesTurns] = [self.conductor]
        self.everybody += [turn for agent in agents for turn in agent.turns]
        spin(self.everybody, lambda: len(rows(self.store, "nodes")) == 2, what="two hosts")
        self.one = self.new()
        #: In the same partition as the first.
        self.other = self.new(beside=self.one)

    def new(self, beside: str | None = None) -> str:
        uid = str(uuid.uuid4())
        while beside is not None and self.cloud.home(uid) != self.cloud.home(beside):
            uid = str(uuid.uuid4())
        self.cloud.request("create", uid, flavor=SMALL)
        self.until(uid, ACTIVE)
        return uid

    def until(self, uid: str, state: tuple[str, str | None]) -> None:
        spin(self.everybody, lambda: states(self.store, [uid]) == [state], what=f"{state}")
        spin(self.everybody, lambda: not open_sagas(self.store), what="every saga to end")

    def settle(self) -> None:
        spin(self.everybody, lambda: self.cloud.lag(self.store) == 0, what="no lag")

    def quarantine(self) -> dict[tuple[int, int], QuarantineRow]:
        found = (row for row in rows(self.store, "quarantine") if isinstance(row, QuarantineRow))
        return {(row.partition, row.offset): row for row in found}

    def parked(self) -> list[ParkedRow]:
        return [row for row in rows(self.store, "parked") if isinstance(row, ParkedRow)]

    def rejections(self) -> list[RejectionRow]:
        return [row for row in rows(self.store, "rejections") if isinstance(row, RejectionRow)]

    def end(self) -> None:
        self.settle()
        audit = self.cloud.verify(self.store)
        assert audit.is_equal, audit.differences
        self.conductor.stop()
