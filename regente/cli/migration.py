"""`regente migration`: moves of instances between hosts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from regente.cli.command import Lister, Refused, ShowOne, as_one, as_rows
from regente.cli.exits import Exit
from regente.cli.instance import uuid_of

_COLUMNS: Final = (
    "id",
    "instance_uuid",
    "migration_type",
    "status",
    "source_compute",
    "dest_compute",
    "created_at",
)


class List(Lister):
    """List moves, oldest first."""

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--instance", metavar="INSTANCE", help="those of this one")
        parser.add_argument("--status", help="those with this status")
        parser.add_argument("--limit", type=int, default=1000, metavar="N", help="at most (1000)")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each."""
        uuid = parsed_args.instance and uuid_of(self, parsed_args.instance)
        with self.views() as views:
            found = views.migrations(
                instance_uuid=uuid, status=parsed_args.status, limit=parsed_args.limit
            )
        return as_rows(found, _COLUMNS)


class Show(ShowOne):
    """Show one move."""

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("migration", metavar="MIGRATION", help="id or uuid")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return its fields."""
        from projections.rows import MigrationRow

        with self.views() as views:
            row = views.migration(parsed_args.migration)
        if row is None:
            raise Refused(
                f"Expected a migration {parsed_args.migration}, but there is none.", Exit.NO
            )
        return as_one(row, MigrationRow._fields)
