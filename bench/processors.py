"""What processes take of the processors: ours, and those of the servers that we started.

A server is found by what it is asked through, as far as it runs beside us: the broker by its port,
PostgreSQL by the process of a session. One in a container, or elsewhere, is not found, and left
out of what is told.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")
#: The state of a socket that listens, in the kernel's tables.
_LISTENS: Final = "0A"


class _Process(NamedTuple):
    parent: int
    name: str
    #: Seconds of processors that it and the children that are gone have taken.
    took_s: float


def taken_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Return what each process, by name, and all below it have taken; this one is `worker`."""
    there = _processes()
    took = {name: _with_children(pid, there) for name, pid in pids.items()}
    return {"worker": time.process_time(), **took}


def of_postgres(conninfo: str) -> int | None:
    """Return the process that all sessions of a server come from, if it runs beside us."""
    with psycopg.connect(conninfo) as connection:
        session = _process(connection.info.backend_pid)
    return session.parent if session is not None and session.name == "postgres" else None


def of_port(port: int) -> int | None:
    """Return the process that listens at a port, if it is one of this machine that we may see."""
    sockets = {
        f"socket:[{fields[9]}]"
        for table in ("net/tcp", "net/tcp6")
        for line in (_PROC / table).read_text().splitlines()[1:]
        if (fields := line.split())[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port
    }
    for pid in _pids():
        try:
            if any(os.readlink(each) in sockets for each in (_PROC / str(pid) / "fd").iterdir()):
                return pid
        except OSError:  # It is gone, or somebody else's.
            continue
    return None


def _with_children(pid: int, there: Mapping[int, _Process]) -> float:
    below = [child for child, each in there.items() if each.parent == pid]
    own = there[pid].took_s if pid in there else 0.0
    return own + sum(_with_children(child, there) for child in below)


def _processes() -> dict[int, _Process]:
    return {pid: found for pid in _pids() if (found := _process(pid)) is not None}


def _pids() -> list[int]:
    return [int(each.name) for each in _PROC.iterdir() if each.name.isdigit()]


def _process(pid: int) -> _Process | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    match = re.fullmatch(r"\d+ \((.*)\) (.*)\n", text, re.DOTALL)
    assert match is not None, f"Expected a line about process {pid}, but {text!r}"
    # By the kernel's numbers: 4 is the parent, 14 to 17 the times of itself and of its children.
    fields = match[2].split()
    return _Process(int(fields[1]), match[1], sum(map(int, fields[11:15])) / _TICKS_A_SECOND)
