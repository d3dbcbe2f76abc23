"""`regente rebuild`: all tables that are functions of the log, made again from it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from regente.cli.command import Nested, ShowOne, confirmed
from regente.cli.exits import Exit
from regente.cli.instance import uuid_of


class Rebuild(ShowOne):
    """Make a second set of tables from the log, compare it, and put it in place in one transaction.

    Nothing is sent. Conductors that run notice that they were fenced and go on from the rebuilt
    rows. With --dry-run the tables are only compared: exit status 0 equal, 1 different. With
    --instance only the rows of that one are made again, and only its partition is fenced.
    """

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--dry-run", action="store_true", help="compare, and change nothing")
        parser.add_argument("--instance", metavar="INSTANCE", help="the rows of this one alone")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return how the tables differed, and whether they were put in place."""
        from regente.rebuilding import rebuild

        if parsed_args.instance is not None:
            return self._one(parsed_args)
        if not parsed_args.dry_run:
            confirmed("the tables in use are replaced by those made from the log", parsed_args.yes)
        done = rebuild(self.settings, self.folder, is_dry=parsed_args.dry_run)
        if parsed_args.dry_run and done.different:
            self.status = Exit.NO
        columns = ("switched", "different", "elsewhere", "rows")
        return columns, (
            done.is_switched,
            Nested(list(done.different)),
            Nested(list(done.elsewhere)),
            Nested(done.rows),
        )

    def _one(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], tuple[object, ...]]:
        from regente.rebuilding import rebuild_instance

        uuid = uuid_of(self, parsed_args.instance)
        if not parsed_args.dry_run:
            confirmed(
                f"the rows of {uuid} are replaced by those made from the log", parsed_args.yes
            )
        done = rebuild_instance(self.settings, self.folder, uuid, is_dry=parsed_args.dry_run)
        if parsed_args.dry_run and done.different:
            self.status = Exit.NO
        return ("switched", "different", "position", "rows"), (
            not parsed_args.dry_run,
            Nested(list(done.different)),
            done.position,
            Nested(done.rows),
        )
