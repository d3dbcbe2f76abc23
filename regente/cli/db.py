"""`regente db`: the tables, and the revision that they are at."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from regente.cli.command import ShowOne

Answer = tuple[Sequence[str], tuple[object, ...]]


class Upgrade(ShowOne):
    """Bring the database to this installation's revision; makes the tables where there are none."""

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        """Return the revision that the database has now."""
        from projections.schema import upgrade
        from regente.places import database_url

        url = database_url(self.settings, self.folder)
        if url.startswith("sqlite"):
            self.folder.make()
        return ("revision",), (upgrade(url),)


class Current(ShowOne):
    """Show the revision of the database, and the one that this installation expects."""

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        """Return both."""
        from projections.schema import current, head
        from regente.places import existing_database_url

        url = existing_database_url(self.settings, self.folder)
        return ("revision", "expected"), (current(url), head())


class Check(ShowOne):
    """Say whether the database is at this installation's revision; exit status 2 where not."""

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        """Return the revision; raises SchemaMismatch, which says what to do."""
        from projections.schema import check
        from regente.places import existing_database_url

        url = existing_database_url(self.settings, self.folder)
        return ("revision", "as_expected"), (check(url), True)
