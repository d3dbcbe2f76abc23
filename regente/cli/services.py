"""`regente conductor`, `compute` and `notify`: the services, on brokers or on files."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from regente.cli.command import Command, Refused
from regente.cli.exits import Exit

if TYPE_CHECKING:
    from regente.stopping import StopSignals


class Conductor(Command):
    """Run conductors: `[conductor] workers` processes of this machine, each a member of the group.

    SIGTERM or Ctrl-C stops them cleanly; a second one at once. On the embedded log one process
    owns all partitions, so one is started.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--workers", type=int, metavar="N", help="processes, in place of [conductor] workers"
        )
        # A worker ends with the process that started it, however that ended.
        parser.add_argument("--child-of", type=int, metavar="PID", help=argparse.SUPPRESS)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Run until told to stop."""
        from regente.stopping import StopSignals
        from regente.trace_output import set_up

        set_up(self.settings.log_level)
        workers = parsed_args.workers or self.settings.conductor.workers
        if workers < 1:
            raise Refused(f"Expected --workers of 1 or more, but {workers}.")
        stop = StopSignals()
        stop.install()
        if workers == 1 or self.settings.is_local:
            self._work(parsed_args.child_of, stop)
            return
        from events.ports import SystemClock
        from regente.workers import Crew

        options = self.app.options
        given = (("--config", options.config), ("--state-dir", options.state_dir))
        words = [str(word) for name, value in given if value for word in (name, value)]
        own = ["conductor", "--workers", "1", "--child-of", str(os.getpid())]
        crew = Crew([sys.executable, "-m", "regente", *words, *own], SystemClock())
        stop.at_once = crew.kill
        if not crew.run(workers, stop):
            raise Refused("Expected the workers to go on, but one ended for good; see above.")

    def _work(self, parent: int | None, stop: StopSignals) -> None:
        from events.errors import LogError
        from projections.store import StoreError
        from regente.cli.trouble import explained
        from regente.conducting import run_conductor

        try:
            run_conductor(
                self.settings,
                self.folder,
                lambda: stop() or (parent is not None and os.getppid() != parent),
            )
        except (LogError, StoreError) as error:
            if parent is None or not error.retriable:
                raise
            raise Refused(explained(error)[0], Exit.AWAY) from error


class Compute(Command):
    """Run the agent of one host, with the key file that `regente node enroll` wrote.

    SIGTERM or Ctrl-C stops it cleanly, its last word in the log; a second one at once.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--host", required=True, metavar="NAME", help="name of the host")
        parser.add_argument(
            "--key",
            type=Path,
            metavar="FILE",
            help="its key file (keys/NAME.key in the state folder)",
        )
        parser.add_argument("--driver", choices=("fake",), default="fake", help="hypervisor (fake)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Run until told to stop."""
        from regente.agents import run_fake_agent
        from regente.state_folder import read_key
        from regente.stopping import StopSignals
        from regente.trace_output import set_up

        set_up(self.settings.log_level)
        file = read_key(parsed_args.key or self.folder.key_file(parsed_args.host))
        if file.host != parsed_args.host:
            raise Refused(f"Expected the key file of {parsed_args.host}, but it is {file.host}'s.")
        stop = StopSignals()
        stop.install()
        run_fake_agent(self.settings, folder=self.folder, file=file, should_stop=stop)


class Notify(Command):
    """Send nova's versioned notifications of everything that happens, until told to stop.

    `[notifications] notification_format` has to be versioned or both. It follows the log by itself,
    beside the conductors, and remembers in a database of its own how far it came; at the very first
    start it tells what happens from then on. SIGTERM or Ctrl-C stops it cleanly.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--from-beginning",
            action="store_true",
            help="at the very first start, tell also what had happened before",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Run until told to stop."""
        from regente.notifying import run_notifier
        from regente.stopping import StopSignals
        from regente.trace_output import set_up

        set_up(self.settings.log_level)
        stop = StopSignals()
        stop.install()
        run_notifier(self.settings, self.folder, stop, from_beginning=parsed_args.from_beginning)
