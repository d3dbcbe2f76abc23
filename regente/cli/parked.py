"""`regente parked`: records that wait for others, or for a person."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from regente.cli.command import Lister, Moment, Refused, ShowOne, with_reason
from regente.cli.exits import Exit
from regente.cli.quarantine import Place, named, nothing_at, text_of, with_position


class List(Lister):
    """List records that wait: for a gap to close, for their schema, or for a person."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--reason", choices=("early", "schema", "set-aside"))
        parser.add_argument("--limit", type=int, default=1000, metavar="N", help="at most (1000)")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each."""
        with self.views() as views:
            found = views.parked(parsed_args.reason, limit=parsed_args.limit)
        columns = ("position", "subject", "source", "sequence", "reason", "created_at")
        return columns, [
            (named(r), r.subject, r.source, r.sequence, r.reason, Moment(r.created_at))
            for r in found
        ]


class Release(ShowOne):
    """Have a record judged that was set aside because workers died at it, and what waits behind it.

    For when what killed them is mended. What waits for a gap or a schema needs no word: it goes on
    when the gap is closed or the rules admit it.
    """

    exits = (Exit.NO, Exit.PENDING)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        return with_reason(with_position(super().get_parser(prog_name)))

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what the judge said of the word."""
        from events.requests import RecordReleased
        from regente.deeds import Deeds
        from regente.speaking import open_requests

        place: Place = parsed_args.position
        with self.views() as views:
            waiting = [r for r in views.parked() if (r.topic, r.partition, r.offset) == place]
            if not waiting:
                raise nothing_at(place)
            if waiting[0].reason != "set-aside":
                raise Refused(
                    f"Expected a record that was set aside at {text_of(place)}, but it waits for"
                    f" reason {waiting[0].reason!r}, and goes on by itself.",
                    Exit.NO,
                )
            voice, clock, _ = open_requests(self.settings, self.folder)
            fact = RecordReleased(
                partition=place[1],
                offset=place[2],
                user_id=parsed_args.user,
                reason=parsed_args.reason,
            )
            sent = voice.about(waiting[0].subject, fact)
            told = Deeds(self.database(), views, clock).verdict(sent)
        self.status = Exit[told.exit_name]
        columns = ("position", "request_id", "verdict", "reason")
        return columns, (text_of(place), told.request_id, told.verdict, told.reason)
