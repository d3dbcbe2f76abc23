"""`regente shadow`: a nova cloud, seen through its notifications."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from regente.cli.command import Nested, ShowOne

#: What a table shows of each kind of row; JSON has all of it.
_TOLD: Final = {
    "instances": ("uuid", "vm_state", "task_state", "power_state", "host"),
    "migrations": (
        "instance_uuid",
        "migration_type",
        "status",
        "source_compute",
        "dest_compute",
        "status_provenance",
    ),
    "rejections": ("subject", "fact", "code", "reason"),
    "stuck": ("instance_uuid", "operation", "at", "vm_state", "task_state"),
    "quarantine": ("line", "code", "reason"),
}


class Replay(ShowOne):
    """Take a recording of nova's versioned notifications through the fold, and show where it ends.

    One notification a line. Rows are in a scratch store, or in a state folder that --keep names;
    what can't be read is listed under quarantine. The status is 2 only if the file can't be read.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("file", metavar="FILE", type=Path, help="*.notifications.jsonl")
        parser.add_argument(
            "--keep",
            metavar="DIR",
            type=Path,
            help="a new state folder to leave log and rows in, for `regente --state-dir DIR …`",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return instances, migrations, rejections, what was not read, and what stands still."""
        lines = parsed_args.file.read_bytes().splitlines()
        if parsed_args.keep is not None:
            return self._replay(lines, parsed_args.file.name, parsed_args.keep, is_kept=True)
        with tempfile.TemporaryDirectory(prefix="regente-shadow-") as folder:
            return self._replay(lines, parsed_args.file.name, Path(folder), is_kept=False)

    def _replay(
        self, lines: list[bytes], name: str, path: Path, *, is_kept: bool
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        from dataclasses import asdict

        from events.memory_log import MemoryLog
        from events.ports import SystemClock
        from events.sqlite_log import SqliteLog
        from projections.schema import upgrade
        from regente.places import opened_views
        from regente.shadow import RecordedClock, Scratch
        from regente.state_folder import StateError, StateFolder

        folder = StateFolder(path)
        folder.make()
        if folder.log.exists():
            raise StateError(f"Expected --keep to name a new folder, but {path} has a log already.")
        url = f"sqlite:///{folder.rows.absolute()}"
        upgrade(url)
        clock = RecordedClock()
        scratch = Scratch(
            log=SqliteLog(folder.log, clock) if is_kept else MemoryLog(clock),
            url=url,
            master=folder.make_master(),
            clock=clock,
            settings=self.settings,
        )
        unread = scratch.feed(lines, name)
        scratch.fold()
        with opened_views(url) as views:
            ending = scratch.ending(views, SystemClock())
        kinds = ("instances", "migrations", "rejections", "stuck")
        found = {kind: [row._asdict() for row in getattr(ending, kind)] for kind in kinds}
        found["quarantine"] = [asdict(each) for each in unread]
        return tuple(found), tuple(Nested(rows, _TOLD[kind]) for kind, rows in found.items())
