"""`regente config`: the settings in force."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from regente.cli.command import Lister


class Show(Lister):
    """Show every setting in force, and whether it comes from environment, file or default."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each option."""
        from regente.settings_file import options

        rows: list[tuple[object, ...]] = [
            (
                group or "DEFAULT",
                name,
                _plain(self._effective(group, name, value)),
                self.loaded.origin(group, name),
                what,
            )
            for group, name, value, what in options(self.settings)
        ]
        return ("group", "option", "value", "origin", "what"), rows

    def _effective(self, group: str, name: str, value: object) -> object:
        """Return what a value that leaves something open comes to."""
        settings = self.settings
        match group, name:
            case "conductor", "use_local":
                return settings.is_local
            case "topics", "partitions":
                return settings.partitions
            case "database", "connection" if not value and settings.is_local:
                from regente.places import database_url

                return database_url(settings, self.folder)
            case _:
                return value


def _plain(value: object) -> object:
    """Return a value that every format can print; passwords within a URL are not shown."""
    if isinstance(value, str) and "://" in value:
        scheme, _, rest = value.partition("://")
        user, at, place = rest.rpartition("@")
        name, colon, _ = user.partition(":")
        return f"{scheme}://{name}{colon and ':***'}{at}{place}"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {key: "***" if "password" in key else each for key, each in value.items()}
    return str(value)
