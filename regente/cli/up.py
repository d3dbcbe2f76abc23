"""`regente up`: everything in one process on this machine's files."""

from __future__ import annotations

import argparse

from regente.cli.command import Command, Refused


class Up(Command):
    """Run a conductor and simulated hosts in one process, on files of the state folder.

    The other commands find them there, also while it runs. Ctrl-C stops it cleanly; a second one
    at once.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--hosts", type=int, default=3, metavar="N", help="simulated hosts, host1 to hostN (3)"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Run until told to stop."""
        if not 0 <= parsed_args.hosts <= 100:
            raise Refused(f"Expected --hosts from 0 to 100, but {parsed_args.hosts}.")
        if not self.settings.is_local:
            raise Refused(
                "Expected [conductor] use_local for everything in one process, but a broker is"
                " configured: start `regente conductor` and `regente compute` there."
            )
        from conductor.run import run
        from events.ports import SystemClock
        from regente.embedded import Embedded
        from regente.stopping import StopSignals
        from regente.trace_output import set_up

        set_up(self.settings.log_level)
        stop = StopSignals()
        stop.install()
        clock = SystemClock()
        embedded = Embedded(self.settings, parsed_args.hosts, clock)
        try:
            self._tell(embedded.folder.path.absolute().as_posix(), list(embedded.agents))
            run([embedded], clock, stop)
        finally:
            embedded.stop()
        self.say("regente: stopped; everything is stored.")

    def _tell(self, folder: str, hosts: list[str]) -> None:
        said = f"{hosts[0]} to {hosts[-1]}" if len(hosts) > 1 else "".join(hosts) or "none"
        print(
            f"Regente is up. Stored in {folder}: log.sqlite, rows.sqlite, world.sqlite, master.key,"
            f" keys/, journals/.\nHosts: {said}. Try: regente request create web1"
            " --arg flavor=m1.small --wait\nCtrl-C stops it.",
            file=self.app.stdout,
            flush=True,
        )
