"""Where is measured, and how much of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tests.servers.postgres import PostgresServer

#: What `docs/OPERATING.md` tells operators to set, for everybody who is measured.
POSTGRES: Final[Mapping[str, str]] = {
    "shared_buffers": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2**22} MB",
    "max_wal_size": "8 GB",
    "checkpoint_timeout": "15 min",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is done; the default is what the figures on the page were taken with."""

    #: About 100,000 facts.
    instances: int = 3_000
    facts_each: int = 20
    runs: int = 4
    #: Runs of what takes long.
    long_runs: int = 2
    few_instances: int = 10_000
    many_instances: int = 1_000_000
    many_active: int = 50_000
    #: Operations of each active instance, three facts each; the first is not measured.
    growth_rounds: int = 4
    memory_instances: int = 200_000
    memory_facts: int = 1_000_000
    hosts: int = 10_000
    latency_s: int = 20
    sagas: int = 2_000

    def divided(self, by: int) -> Scale:
        """Return a smaller one, to try the bench itself."""
        return replace(
            self,
            instances=self.instances // by,
            few_instances=self.few_instances // by,
            many_instances=self.many_instances // by,
            many_active=self.many_active // by,
            memory_instances=self.memory_instances // by,
            memory_facts=self.memory_facts // by,
            hosts=self.hosts // by,
            latency_s=max(3, self.latency_s // by),
            sagas=max(20, self.sagas // by),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The servers of one run, and a folder for files."""

    #: Addresses of the brokers.
    kafka: str
    postgres: PostgresServer
    folder: str
    scale: Scale

    def database(self, name: str) -> str:
        """Leave an empty database and return its URL."""
        return self.postgres.create_database(name)
