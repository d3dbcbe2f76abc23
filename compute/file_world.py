"""The world in a file, for fake drivers in several processes of one machine.

The same halves and the same rules as in memory; SQLite's lock makes each change one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from compute.file_images import FileImages
from compute.hypervisor import PowerState
from compute.image_store import ImageStore
from compute.world import Attached, Half, Role, hosts_by_guest
from events.requests import Flavor

#: Seconds to wait for another process that changes the world.
BUSY_S: Final = 10
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS halves (
  host TEXT NOT NULL, instance_id TEXT NOT NULL, role TEXT NOT NULL, power_state INTEGER NOT NULL,
  flavor TEXT NOT NULL, vcpus INTEGER NOT NULL, memory_mb INTEGER NOT NULL,
  disk_gb INTEGER NOT NULL, resume_to INTEGER, remade_by TEXT NOT NULL,
  PRIMARY KEY (host, instance_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attached (
  host TEXT NOT NULL, instance_id TEXT NOT NULL, n INTEGER NOT NULL, kind TEXT NOT NULL,
  part_id TEXT NOT NULL, PRIMARY KEY (host, instance_id, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executions (
  command_id TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""
_KINDS: Final = ("volumes", "ports", "active_ports", "accelerators")
_ALL: Final = (
    "SELECT host, instance_id, role, power_state, flavor, vcpus, memory_mb, disk_gb, resume_to,"
    " remade_by FROM halves"
)


class FileWorld:
    """A world that several processes see."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_TABLES)
        self.images: ImageStore = FileImages(self._db)

    def half(self, host: str, instance_id: str) -> Half | None:
        """Return what a host has of an instance."""
        found = self._halves("WHERE host = ? AND instance_id = ?", host, instance_id)
        return found[0] if found else None

    def halves_of(self, host: str) -> list[Half]:
        """Return what a host has, by instance id."""
        return self._halves("WHERE host = ? ORDER BY instance_id", host)

    def change(self, *after: Half, gone: Sequence[Half] = ()) -> None:
        """Leave these halves as they are here, and those gone, at once."""
        with self._transaction():
            for half in gone:
                place = (half.host, half.instance_id)
                self._db.execute("DELETE FROM halves WHERE host = ? AND instance_id = ?", place)
            for half in after:
                sql = "INSERT OR REPLACE INTO halves VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                self._db.execute(sql, _row_of(half))

    def attached(self, host: str, instance_id: str) -> Attached | None:
        """Return what a host has attached and bound for an instance; None for nothing."""
        found = [a for a in self.attached_by(host) if a.instance_id == instance_id]
        return found[0] if found else None

    def attached_by(self, host: str) -> list[Attached]:
        """Return what a host has attached and bound for anybody, by instance id."""
        sql = "SELECT instance_id, kind, part_id FROM attached WHERE host = ? ORDER BY 1, n"
        found: dict[str, dict[str, list[str]]] = {}
        for instance_id, kind, part_id in self._db.execute(sql, (host,)).fetchall():
            parts = found.setdefault(instance_id, {kind: [] for kind in _KINDS})
            parts[kind].append(part_id)
        return [
            Attached(
                host=host, instance_id=instance_id, **{k: tuple(ids) for k, ids in parts.items()}
            )
            for instance_id, parts in found.items()
        ]

    def attach(self, after: Attached) -> None:
        """Leave this, and nothing else, attached and bound on its host for its instance."""
        place = (after.host, after.instance_id)
        parts = [(kind, part_id) for kind in _KINDS for part_id in getattr(after, kind)]
        with self._transaction():
            self._db.execute("DELETE FROM attached WHERE host = ? AND instance_id = ?", place)
            self._db.executemany(
                "INSERT INTO attached VALUES (?, ?, ?, ?, ?)",
                [(*place, n, kind, part_id) for n, (kind, part_id) in enumerate(parts)],
            )

    def executed(self, command_id: str) -> None:
        """Count a command that takes effect."""
        sql = "INSERT INTO executions VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1"
        with self._transaction():
            self._db.execute(sql, (command_id,))

    def executions(self) -> dict[str, int]:
        """Return how often each command took effect, by command id."""
        sql = "SELECT command_id, count FROM executions ORDER BY command_id"
        return dict(self._db.execute(sql).fetchall())

    def running(self) -> dict[str, tuple[str, ...]]:
        """Return the hosts on which each guest runs, by instance id: at most one is right."""
        return hosts_by_guest(self._halves("ORDER BY host, instance_id"))

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _halves(self, where: str, *values: object) -> list[Half]:
        return [_half_of(row) for row in self._db.execute(f"{_ALL} {where}", values).fetchall()]


def _row_of(half: Half) -> tuple[object, ...]:
    flavor = half.flavor
    return (
        half.host, half.instance_id, half.role.value, int(half.power_state), flavor.name,
        flavor.vcpus, flavor.memory_mb, flavor.disk_gb,
        None if half.resume_to is None else int(half.resume_to), half.remade_by,
    )  # fmt: skip


def _half_of(row: tuple[Any, ...]) -> Half:
    host, instance_id, role, power_state, name, vcpus, memory_mb, disk_gb, resume_to, remade = row
    return Half(
        host=host,
        instance_id=instance_id,
        role=Role(role),
        power_state=PowerState(power_state),
        flavor=Flavor(name=name, vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb),
        resume_to=None if resume_to is None else PowerState(resume_to),
        remade_by=remade,
    )
