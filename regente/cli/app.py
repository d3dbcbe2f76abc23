"""The application: global options, the table of commands, and how a line becomes a command.

Knows every command by name and none of them by import: a command's module is read when it is run
(or when the list of all commands is printed). Commands are ours alone, so nothing looks for
plug-ins.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, version
from types import MappingProxyType
from typing import Any, Final, TextIO

from cliff.app import App
from cliff.commandmanager import CommandManager

from regente.cli.exits import Exit

#: Command → where its class is, below `regente.cli`.
COMMANDS: Final = MappingProxyType(
    {
        "up": "up:Up",
        "conductor": "services:Conductor",
        "compute": "services:Compute",
        "notify": "services:Notify",
        "db upgrade": "db:Upgrade",
        "db current": "db:Current",
        "db check": "db:Check",
        "topics create": "topics:Create",
        "topics check": "topics:Check",
        "doctor": "doctor:Doctor",
        "node enroll": "node:Enroll",
        "node force-down": "node:ForceDown",
        "node force-up": "node:ForceUp",
        "node list": "node:List",
        "node revoke": "node:Revoke",
        "rules show": "rules:Show",
        "rules publish": "rules:Publish",
        "request": "request:Request",
        "instance list": "instance:List",
        "instance show": "instance:Show",
        "instance history": "instance:History",
        "instance diagnostics": "instance:Diagnostics",
        "migration list": "migration:List",
        "migration show": "migration:Show",
        "saga list": "saga:List",
        "saga show": "saga:Show",
        "saga retry": "saga:Retry",
        "saga compensate": "saga:Compensate",
        "saga resolve": "saga:Resolve",
        "machine table": "machine:TableOfRules",
        "machine draw": "machine:Draw",
        "log cat": "log:Cat",
        "shadow replay": "shadow:Replay",
        "audit verify": "audit:Verify",
        "audit replay": "audit:Replay",
        "rebuild": "rebuild:Rebuild",
        "quarantine list": "quarantine:List",
        "quarantine show": "quarantine:Show",
        "quarantine discard": "quarantine:Discard",
        "quarantine requeue": "quarantine:Requeue",
        "parked list": "parked:List",
        "parked release": "parked:Release",
        "config show": "config:Show",
    }
)


class Regente(App):
    """The `regente` command."""

    NAME = "regente"

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        """Return the parser of the options that every command takes."""
        # Abbreviated, `audit verify --state` would be taken for `--state-dir`.
        said = {"prog": self.NAME, "allow_abbrev": False}
        parser = super().build_option_parser(description, version, said)
        parser.add_argument(
            "--config", metavar="FILE", help="settings (TOML); else REGENTE_CONFIG, ./regente.toml"
        )
        parser.add_argument(
            "--state-dir", metavar="DIR", help="state folder; else REGENTE_STATE_DIR, .regente"
        )
        return parser

    def print_help_if_requested(self) -> None:
        """Print the options and a line for each command, if that is what was asked for.

        Cliff's own list asks every installed distribution whether it brought the command, which
        takes longer than everything else.
        """
        if not self.options.deferred_help:
            return
        self.parser.print_help(self.stdout)
        print("\nCommands:", file=self.stdout)
        for name, place in sorted(self.command_manager):
            said = (place.load().__doc__ or "").strip().split("\n")[0].rstrip(".")
            print(f"  {name:<18}  {said[:1].upper()}{said[1:]}", file=self.stdout)
        raise SystemExit(Exit.DONE)

    def configure_logging(self) -> None:
        """Leave logging alone: services set up their trace output, other commands have none."""


def run(argv: Sequence[str], *, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Run one command line and return its exit status; never raises for what was foreseen."""
    manager = CommandManager()
    for name, place in COMMANDS.items():
        manager.commands[name] = EntryPoint(name, f"regente.cli.{place}", "regente")
    app = Regente(
        "Nodes write facts, machines judge them, projections remember them, sagas answer them.",
        version("regente"),
        manager,
        stdout=out,
        stderr=err,
        deferred_help=True,  # or `--help` behind a command would be ours and not the command's
    )
    try:
        return int(app.run(list(argv) or ["--help"]))
    except BrokenPipeError:
        # Who read us has gone (`| head`); Python shall not complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except SystemExit as leaving:  # argparse, and cliff's help
        return leaving.code if isinstance(leaving.code, int) else Exit.DONE
