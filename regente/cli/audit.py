"""`regente audit`: is what the rows say what the log says?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from regente.cli.command import Nested, Refused, ShowOne
from regente.cli.exits import Exit
from regente.cli.instance import uuid_of

if TYPE_CHECKING:
    from conductor.auditor import Audit

Answer = tuple[Sequence[str], tuple[object, ...]]


class Verify(ShowOne):
    """Fold the log to exactly the checkpoints and compare every row that is a function of it.

    Then ask for the conservation laws: owners, room, claims, migrations, actions. A verify that
    ended well is gone on from: what it folded is not folded again, all rows are compared.

    Exit status 0: equal, and every law kept; 1: differences, each named by table, key, column and
    both values, or broken laws, each with its sentences; 2: the log can't be read. Where what was
    found can't be kept, a full disk for one, a line names the file, and the status stays.
    """

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--from-start", action="store_true", help="fold the whole log again")
        parser.add_argument(
            "--state",
            metavar="FOLDER",
            type=Path,
            help="where is kept how far a verify has come; in the state folder, without",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        """Return what was found."""
        from regente.auditing import verify

        audit, is_unopened = verify(
            self.settings,
            self.folder,
            kept=parsed_args.state,
            is_from_start=parsed_args.from_start,
        )
        if audit.from_start and not parsed_args.from_start:
            self.say(f"regente: from the start of the log: {audit.from_start}.")
        if audit.not_kept:
            self.say(f"regente: {audit.not_kept}. The next verify begins where this one did.")
        if is_unopened:
            self.say("regente: no checkpoint has moved yet: nothing was compared.")
        self.status = Exit.DONE if audit.is_well else Exit.NO
        columns = (
            *("equal", "difference_count", "differences", "rows", "records", "odd_form"),
            *("laws_kept", "laws", "went_on_after"),
        )
        return columns, (
            audit.is_equal,
            audit.difference_count,
            Nested(_differences(audit)),
            Nested(dict(audit.rows)),
            Nested(dict(sorted(audit.counts.items()))),
            Nested([f"{topic}/{n}@{offset}" for topic, n, offset in audit.odd]),
            not audit.violations,
            Nested(_laws(audit)),
            audit.went_on_after,
        )


class Replay(ShowOne):
    """Fold the log again, to its end or to a point, and show what it says."""

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--instance",
            metavar="INSTANCE",
            help="of this one: uuid, or its name in the rows of now",
        )
        parser.add_argument(
            "--to",
            metavar="OFFSET|TIME",
            help="up to, without: an offset of each partition, or a time",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        """Return the rows as the log says them there."""
        from regente.auditing import about, replay
        from regente.cli.log import bound

        offset, us = bound(parsed_args.to)
        uuid = parsed_args.instance and uuid_of(self, parsed_args.instance)
        found, positions = replay(self.settings, self.folder, offset=offset, us=us)
        if parsed_args.instance is None:
            counts = {name: len(rows) for name, rows in found.tables.items()}
            columns = ("positions", "records", "rows")
            return columns, (
                Nested({f"{tp.topic}/{tp.partition}": end for tp, end in positions.items()}),
                Nested(dict(sorted(found.counts.items()))),
                Nested(counts),
            )
        rows = about(found, uuid)
        if not any(rows.values()):
            raise Refused(f"Expected the log to know {uuid} there, but it does not.", Exit.NO)
        return tuple(rows), tuple(Nested(each) for each in rows.values())


def _differences(audit: Audit) -> list[dict[str, object]]:
    return [
        {
            "table": each.table,
            "key": "/".join(map(str, each.key)),
            "column": each.column,
            "log": _shown(each.log),
            "database": _shown(each.database),
        }
        for each in audit.differences
    ]


def _laws(audit: Audit) -> dict[str, object]:
    """Return every law: that it is kept, or in which ways it is broken."""
    from conductor.conservation import LAWS

    broken = {name: [s for law, s in audit.violations if law == name] for name in LAWS}
    return {name: sentences or "kept" for name, sentences in broken.items()}


def _shown(value: object) -> object:
    return value if value is None or isinstance(value, int | str) else repr(value)
