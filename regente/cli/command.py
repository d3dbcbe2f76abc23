"""What our commands share: settings, errors as one sentence, statuses, output in every format.

Knows cliff and the kinds of trouble that are foreseen. A command says what it found; that it is
printed as a table, JSON, YAML or CSV is cliff's business.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from cliff.columns import FormattableColumn
from cliff.command import Command as CliffCommand
from cliff.formatters.base import SingleFormatter
from cliff.lister import Lister as CliffLister
from cliff.show import ShowOne as CliffShowOne
from stevedore.extension import Extension, ExtensionManager

from regente.cli.exits import Exit, described

if TYPE_CHECKING:
    from projections.views import Views
    from regente.settings import Settings
    from regente.settings_file import Loaded
    from regente.state_folder import StateFolder


class Refused(Exception):
    """Ends a command with one sentence and a status."""

    def __init__(self, sentence: str, status: Exit = Exit.UNABLE) -> None:
        super().__init__(sentence)
        self.status = status


class Command(CliffCommand):
    """A command of ours."""

    #: The statuses beside 0 and 2 that it may end with; its help names them.
    exits: ClassVar[tuple[Exit, ...]] = ()
    #: Set by a command whose answer is not simply "done".
    status: Exit = Exit.DONE

    def _load_hooks(self) -> None:
        self._hooks = []  # Looking for plug-ins of commands takes longer than most commands.

    def get_epilog(self) -> str:
        """Return the exit statuses."""
        return described(self.exits)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command and return its status; trouble that is foreseen is one sentence."""
        try:
            super().run(parsed_args)
        except (BrokenPipeError, KeyboardInterrupt):
            raise
        except Exception as error:  # the outermost edge: after this there is only a traceback
            return self._explain(error)
        return self.status

    def _explain(self, error: Exception) -> int:
        from regente.cli.trouble import explained

        if self.app.options.debug:
            raise error
        sentence, status = explained(error)
        self.say(f"regente: {sentence}")
        return status

    def say(self, line: str) -> None:
        """Print a line for people, beside the output."""
        print(line, file=self.app.stderr, flush=True)

    @cached_property
    def loaded(self) -> Loaded:
        """The settings with their origins."""
        from regente.settings_file import load

        state_dir = self.app.options.state_dir
        return load(self.app.options.config, {"state_dir": state_dir} if state_dir else None)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    @cached_property
    def folder(self) -> StateFolder:
        """The state folder."""
        from regente.state_folder import StateFolder

        return StateFolder(self.settings.state_dir)

    def database(self) -> str:
        """Return the URL of a database that is there."""
        from regente.places import existing_database_url

        return existing_database_url(self.settings, self.folder)

    @contextmanager
    def views(self) -> Iterator[Views]:
        """Give the questions to the database that the settings name."""
        from regente.places import opened_views

        with opened_views(self.database()) as views:
            yield views


class Lister(Command, CliffLister):
    """A command that lists rows."""


class ShowOne(Command, CliffShowOne):
    """A command that shows one thing."""

    def _load_formatter_plugins(self) -> ExtensionManager[SingleFormatter]:
        found = super()._load_formatter_plugins()
        # Cliff has CSV for lists alone; whoever reads one thing by program may want it too.
        found.extensions.append(Extension("csv", None, None, CsvOfOne()))  # type: ignore[arg-type]  # no entry point
        return found


class CsvOfOne(SingleFormatter):
    """One thing as CSV: a line of names and a line of values."""

    def add_argument_group(self, parser: argparse.ArgumentParser) -> None:
        """Take no options."""

    def emit_one(
        self,
        column_names: Sequence[str],
        data: Sequence[Any],
        stdout: TextIO,
        parsed_args: argparse.Namespace,
    ) -> None:
        """Write both lines; a value that has parts is JSON."""
        writer = csv.writer(stdout, lineterminator="\n")
        writer.writerow(column_names)
        writer.writerow([_as_text(value) for value in data])


def _as_text(value: object) -> object:
    if isinstance(value, Nested):
        return json.dumps(value.machine_readable())
    return value.machine_readable() if isinstance(value, FormattableColumn) else value


class Nested(FormattableColumn[Any]):
    """A value that has parts: as it is in JSON and YAML, one part a line in a table."""

    def __init__(self, value: Any, shown: Sequence[str] = ()) -> None:
        """Take the value; a table shows only the fields that are `shown`, where any are named."""
        super().__init__(value)
        self._shown = tuple(shown)

    def human_readable(self) -> str:
        """Return one line for each part."""
        value = self._value
        if isinstance(value, Mapping):
            return "\n".join(f"{name}: {part}" for name, part in value.items())
        return "\n".join(_line(each, self._shown) for each in value)

    def machine_readable(self) -> Any:
        """Return the value as it is."""
        return self._value


class Moment(FormattableColumn[int | None]):
    """µs UTC: a number in JSON, a date in a table."""

    def human_readable(self) -> str:
        """Return the time as ISO 8601, in UTC."""
        return iso(self._value)

    def machine_readable(self) -> Any:
        """Return µs UTC."""
        return self._value


def iso(us: int | None) -> str:
    """Return µs UTC as ISO 8601; empty where there is no time."""
    from datetime import UTC, datetime

    return "" if us is None else datetime.fromtimestamp(us / 1e6, UTC).isoformat()


def as_rows(
    found: Iterable[object], columns: Sequence[str]
) -> tuple[Sequence[str], list[tuple[object, ...]]]:
    """Return these fields of each value, times as dates for people."""
    return columns, [tuple(cell(each, name) for name in columns) for each in found]


def as_one(found: object, columns: Sequence[str]) -> tuple[Sequence[str], tuple[object, ...]]:
    """Return these fields of one value."""
    return columns, tuple(cell(found, name) for name in columns)


def cell(row: object, name: str) -> object:
    """Return a field of a row, a time as one."""
    value = getattr(row, name)
    return Moment(value) if name == "since" or name.endswith(("_at", "_time")) else value


def _line(part: object, shown: tuple[str, ...]) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    names = [name for name in shown or part if part[name] not in (None, "")]
    return " ".join(
        iso(part[name]) if name.endswith(("_at", "_time")) else f"{name}={part[name]}"
        for name in names
    )


def is_terminal() -> bool:
    """Say whether a person looks at what goes beside the output."""
    return sys.stderr.isatty()


def confirmed(question: str, is_sure: bool, ask: Callable[[str], str] = input) -> None:
    """Return if a destructive command may go on; raises Refused where it may not."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise Refused(f"Expected --yes, because {question} and nobody is there to be asked.")
    if ask(f"{question[0].upper()}{question[1:]}. Go on? [y/N] ").strip().lower() not in (
        "y",
        "yes",
    ):
        raise Refused("Nothing was done.", Exit.NO)


def with_reason(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the parser with who says a word, and why."""
    parser.add_argument("--reason", required=True, help="why, for those who read the log")
    parser.add_argument("--user", default="operator", metavar="ID", help="who says it")
    return parser
