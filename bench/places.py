"""Where is measured, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.servers.postgres import PostgresServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is done; the default is what the figures on the page were taken with."""

    #: About 100,000 facts.
    instances: int = 3_000
    facts_each: int = 20
    runs: int = 5


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
