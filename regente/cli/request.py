"""`regente request`: an operator's request, as a fact in the log."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from regente.cli.command import Refused, ShowOne
from regente.cli.exits import Exit

if TYPE_CHECKING:
    from regente.asking import Answer, Desk


def argument(text: str) -> tuple[str, str]:
    """Return name and value of `name=value`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"Expected name=value, but {text!r}")
    return name, value


class Request(ShowOne):
    """Ask for an action on an instance, and say what became of it.

    `request create NAME --arg flavor=m1.small` makes an instance. Actions are nova's: start,
    stop, reboot_soft, resize, confirm_resize, live_migrate … Ends at the verdict; with --wait,
    when the saga ends.
    """

    exits = (Exit.NO, Exit.PENDING, Exit.TIMED_OUT)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("action", metavar="ACTION", help="one of nova's actions")
        parser.add_argument("instance", metavar="INSTANCE", help="uuid or name")
        parser.add_argument(
            "--arg",
            action="append",
            default=[],
            type=argument,
            metavar="NAME=VALUE",
            help="what belongs to the action: flavor=m1.small, image=…, state=active",
        )
        parser.add_argument("--host", help="the host to go to")
        parser.add_argument(
            "--fenced",
            action="append",
            default=[],
            metavar="HOST",
            help="a host that is off, on your word, where it may run the guest that is to be "
            "started; those forced down count too",
        )
        parser.add_argument("--admin", action="store_true", help="as an administrator")
        parser.add_argument("--user", default="operator", metavar="ID", help="on whose behalf")
        parser.add_argument("--project", default="operator", metavar="ID", help="in which project")
        parser.add_argument("--wait", action="store_true", help="until the saga has ended")
        parser.add_argument(
            "--timeout", type=float, metavar="S", help="seconds that --wait lasts at most"
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what became of the request."""
        from regente.asking import Answer, Desk, Wish
        from regente.conducting import options_of
        from regente.naming import UnknownThing
        from regente.speaking import open_requests

        wish = Wish(
            action=parsed_args.action,
            instance=parsed_args.instance,
            arguments=dict(parsed_args.arg),
            host=parsed_args.host,
            fenced_hosts=tuple(parsed_args.fenced),
            is_admin=parsed_args.admin,
            user_id=parsed_args.user,
            project_id=parsed_args.project,
        )
        with self.views() as views:
            requests, clock, ids = open_requests(self.settings, self.folder)
            options = options_of(self.settings).scheduler
            desk = Desk(views=views, requests=requests, clock=clock, ids=ids, options=options)
            try:
                sent, instance_id = desk.send(wish)
            except UnknownThing as unknown:
                raise Refused(str(unknown), Exit.NO) from unknown
            answer = desk.verdict(sent, instance_id)
            self.status = {"accepted": Exit.DONE, "refused": Exit.NO}.get(
                answer.verdict, Exit.PENDING
            )
            if parsed_args.wait and answer.saga_id is not None:
                answer = self._wait(desk, answer, answer.saga_id, parsed_args.timeout)
        return Answer._fields, tuple(answer)

    def _wait(self, desk: Desk, answer: Answer, saga_id: str, within_s: float | None) -> Answer:
        saga = desk.ending(saga_id, within_s)
        if saga is None:
            self.status = Exit.TIMED_OUT
            return answer._replace(reason=f"the saga did not end within {within_s:g} s")
        if saga.status == "needs_operator":
            self.status = Exit.NO
            return answer._replace(reason=f"needs an operator: {saga.reason}")
        if not saga.ok:
            self.status = Exit.NO
            why = f": {saga.reason}" if saga.reason else ""
            return answer._replace(reason=f"{saga.saga} ended as {saga.ending}{why}")
        return answer
