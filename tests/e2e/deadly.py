"""A conductor that dies of what `killer` sealed: `python -m tests.e2e.deadly LOG ROWS PREFIX`.

The keyring that it was handed ends the process, as a bomb in a record or the kernel would: no
exception, no clean-up. SIGTERM ends it cleanly.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from conductor.run import run
from events.ports import SystemClock
from events.seal import MasterKeyring
from events.sqlite_log import SqliteLog
from events.topics import Topics
from regente.stopping import StopSignals
from tests.e2e.cloud import MASTER, Cloud

DIED = 9
KILLER = "killer"


class DeadlyKeyring(MasterKeyring):
    """Ends the process when it is asked for the killer's secret."""

    def secret(self, key_id: str) -> bytes | None:
        if key_id.startswith(KILLER):
            os._exit(DIED)
        return super().secret(key_id)


def main(log: str, rows: str, prefix: str) -> int:
    stop = StopSignals()
    stop.install()
    cloud = Cloud(
        log=SqliteLog(Path(log), SystemClock()),
        url=rows,
        topics=Topics(prefix),
        keyring=DeadlyKeyring(MASTER),
    )
    conductor = cloud.conductor()
    run([conductor], cloud.clock, stop)
    conductor.stop()
    cloud.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
