"""Trouble that is foreseen, as one sentence with a status: expected, found, what to do.

Whatever is not foreseen is a bug of ours and says so.
"""

from __future__ import annotations

import sys
from typing import Final

from regente.cli.command import Refused
from regente.cli.exits import Exit

#: Modules of the extra `conductor`, and what a person calls them.
_OF_THE_EXTRA: Final = {
    "sqlalchemy": "SQLAlchemy",
    "alembic": "alembic",
    "transitions": "transitions",
    "psycopg": "psycopg",
    "prometheus_client": "prometheus-client",
    "rich": "rich",
}

#: What to do, where an error's own sentence can't know it: it knows no settings, no commands.
_TO_DO: Final = {
    "LogUnavailable": " Check that the brokers run, and [kafka] bootstrap_servers in"
    " `regente config show`.",
    "StoreUnavailable": " Check that the database runs, and [database] connection in"
    " `regente config show`.",
    "UnknownTopic": " `regente topics create` makes the shared topics, `regente node enroll` that"
    " of a host.",
    "TopicMismatch": " Set [topics] partitions to the number that was there, or restore the topic.",
}


def explained(error: Exception) -> tuple[str, Exit]:
    """Return the sentence for an error, and the status that the command ends with."""
    if isinstance(error, Refused):
        return str(error), error.status
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, _foreseen()):
        return str(error) + _TO_DO.get(type(error).__name__, ""), Exit.UNABLE
    if isinstance(error, OSError):
        return f"Expected to use {error.filename or 'a file'}, but: {error.strerror}.", Exit.UNABLE
    return (
        f"Expected no {type(error).__name__}, but: {error}. This is a bug of ours; --debug shows"
        " where it is.",
        Exit.UNEXPECTED,
    )


def _missing(error: ModuleNotFoundError) -> tuple[str, Exit]:
    top = (error.name or "").partition(".")[0]
    if top not in _OF_THE_EXTRA:
        return f"Expected the module {error.name}, but it is not installed.", Exit.UNABLE
    return (
        f"Expected {_OF_THE_EXTRA[top]}, which this command needs, but it is not installed:"
        " pip install 'regente[conductor]'.",
        Exit.UNABLE,
    )


def _foreseen() -> tuple[type[Exception], ...]:
    """Return the errors of the packages that are loaded; an error of another can't have come."""
    found: list[type[Exception]] = []
    for module, name in (
        ("events.errors", "EventsError"),
        ("projections.store", "StoreError"),
        ("compute.errors", "ComputeError"),
        ("conductor.errors", "ConductorError"),
        ("regente.settings_file", "SettingsError"),
        ("regente.state_folder", "StateError"),
    ):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None:
            found.append(kind)
    return tuple(found)
