"""`regente machine`: the rules themselves, as a table and as pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from regente.cli.command import Command, Lister, Refused
from regente.cli.exits import Exit


class TableOfRules(Lister):
    """List for each action, vm_state and task_state whether it is allowed and what it sets."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return 59 × 12 × 43 rows."""
        from statemachines.permissions import table_rows

        columns = ("action", "vm_state", "task_state", "allowed", "sets_task_state")
        return columns, [tuple(row.values()) for row in table_rows()]


class Draw(Command):
    """Draw a machine or a saga as mermaid text; --all writes every one into a folder."""

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "name",
            nargs="?",
            default="instance",
            metavar="NAME",
            help="instance (vm_states), task (task_states), or a saga: create, resize …",
        )
        parser.add_argument(
            "--all", metavar="DIR", type=Path, dest="folder", help="write all of them there"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print one diagram, or write all."""
        from regente.diagrams import document, drawings

        known = drawings()
        if parsed_args.folder is not None:
            parsed_args.folder.mkdir(parents=True, exist_ok=True)
            for name, (title, drawn) in known.items():
                (parsed_args.folder / f"{name}.md").write_text(document(title, drawn), "utf-8")
            self.say(f"regente: {len(known)} diagrams are in {parsed_args.folder}.")
            return
        if parsed_args.name not in known:
            raise Refused(f"Expected one of {', '.join(known)}, but {parsed_args.name}.", Exit.NO)
        print(known[parsed_args.name][1], end="", file=self.app.stdout)
