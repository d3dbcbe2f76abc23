"""`regente node`: hosts and their keys."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from regente.cli.command import Lister, Moment, Refused, ShowOne, with_reason
from regente.cli.exits import Exit

if TYPE_CHECKING:
    from events.node import NodeForcedDown, NodeForcedUp

#: Names of the control plane's own keys: a host so called could sign as one of them.
_TAKEN: Final = frozenset({"api", "conductor", "nova", "control"})
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,199})")


def host_name(text: str) -> str:
    """Return the name of a host, if it is one that a topic may be named after."""
    if text in _TAKEN or not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"Expected a host's name (letters, digits, '.', '_', '-'), but {text!r}"
        )
    return text


class Enroll(ShowOne):
    """Make the key file of a host, open its key in every partition, make its command topic."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", type=host_name, help="name of the host")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return the key id, and where the key is."""
        from regente.setup import enroll

        file = enroll(self.settings, self.folder, parsed_args.host)
        return ("host", "enrolment", "key_id", "key_file"), (
            file.host,
            file.enrolment,
            file.key.key_id,
            str(self.folder.key_file(file.host)),
        )


class Revoke(ShowOne):
    """Close every key of a host, for ever; the host may be enrolled anew."""

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", type=host_name, help="name of the host")
        parser.add_argument("--reason", required=True, help="why, for those who read the log")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return the keys that were closed."""
        from regente.setup import revoke

        closed = revoke(self.settings, self.folder, parsed_args.host, parsed_args.reason)
        if not closed:
            raise Refused(
                f"Expected {parsed_args.host} to have an open key, but it has none.", Exit.NO
            )
        return ("host", "closed", "reason"), (
            parsed_args.host,
            ", ".join(closed),
            parsed_args.reason,
        )


class ForceDown(ShowOne):
    """Vouch that a host is off: its guests may be evacuated, whatever is heard of it.

    Nothing here switches it off. A host that is forced down while its guests run can make them run
    twice.
    """

    exits = (Exit.NO, Exit.PENDING)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", type=host_name, help="name of the host")
        return with_reason(parser)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what the rows say of the host now."""
        from events.node import NodeForcedDown

        fact = NodeForcedDown(user_id=parsed_args.user, reason=parsed_args.reason)
        return self.tell(parsed_args.host, fact, "forced_down")

    def tell(
        self, host: str, fact: NodeForcedDown | NodeForcedUp, word: str
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Leave a word about a host in the log and return what became of it."""
        from regente.asking import Desk
        from regente.naming import UnknownThing
        from regente.speaking import open_requests

        with self.views() as views:
            requests, clock, ids = open_requests(self.settings, self.folder)
            desk = Desk(views=views, requests=requests, clock=clock, ids=ids)
            try:
                is_told = desk.force(host, fact)
            except UnknownThing as unknown:
                raise Refused(str(unknown), Exit.NO) from unknown
        self.status = Exit.DONE if is_told else Exit.PENDING
        return ("host", "word", "reason"), (host, word if is_told else "pending", fact.reason)


class ForceUp(ForceDown):
    """Take the word back that a host is off: it counts by its heartbeat again."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what the rows say of the host now."""
        from events.node import NodeForcedUp

        fact = NodeForcedUp(user_id=parsed_args.user, reason=parsed_args.reason)
        return self.tell(parsed_args.host, fact, "forced_up")


class List(Lister):
    """List hosts: their keys, and what they last said of themselves."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each host that was ever enrolled."""
        from projections.store import StoreError
        from regente.rules import PLANE_KEYS
        from regente.setup import known_rules, open_control
        from regente.state_folder import StateError

        rules = open_control(self.settings, self.folder).in_force(
            known_rules(self.settings, self.folder)
        )
        opened = set.union(*(set(each.keys_open) for each in rules.values())) - set(PLANE_KEYS)
        closed = set.union(*(set(each.keys_closed) for each in rules.values()))
        try:
            with self.views() as views:
                services = {each.host: each for each in views.services()}
        except (StateError, StoreError):
            services = {}  # Keys are known from the log alone; the rest is not yet.
        rows = []
        for host in sorted({key.rpartition("/")[0] for key in opened}):
            keys = sorted(k for k in opened - closed if k.rpartition("/")[0] == host)
            service = services.get(host)
            told = (
                ("never heard", None, None, None)
                if service is None
                else (
                    service.status,
                    service.boot_epoch,
                    service.guest_count,
                    Moment(service.last_seen_at or None),
                )
            )
            rows.append((host, ", ".join(keys) or "revoked", *told))
        return ("host", "key", "status", "boot_epoch", "guests", "last_seen_at"), rows
