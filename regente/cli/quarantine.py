"""`regente quarantine` and `regente parked`: records that wait for a person, or for others."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from regente.cli.command import Lister, Moment, Nested, Refused, ShowOne
from regente.cli.exits import Exit

if TYPE_CHECKING:
    from events.log import Record
    from projections.rows import ParkedRow, QuarantineRow

_POSITION: Final = re.compile(r"(?P<topic>[\w.-]+)/(?P<partition>\d+)@(?P<offset>\d+)")
#: Reasons for which an authentic record is missing in its writer's chain: the head moves over it.
_MISSING: Final = frozenset(
    {
        "bad-text",
        "not-admitted",
        "parked-full",
        "set-aside",
        "trailing-bytes",
        "undecodable",
        "unknown-schema",
    }
)
#: Seconds that the log may take to give one record.
POLL_S: Final = 5.0
Place = tuple[str, int, int]


def position(text: str) -> Place:
    """Return topic, partition and offset of `topic/partition@offset`."""
    match = _POSITION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"Expected topic/partition@offset, but {text!r}")
    return match["topic"], int(match["partition"]), int(match["offset"])


class List(Lister):
    """List records that are no facts of ours, with the reason; the bytes stay in the log."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--limit", type=int, default=1000, metavar="N", help="at most (1000)")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each."""
        with self.views() as views:
            found = views.quarantine(limit=parsed_args.limit)
        columns = ("position", "subject", "source", "code", "reason", "status", "created_at")
        return columns, [
            (_named(r), r.subject, r.source, r.code, r.reason, r.status, Moment(r.created_at))
            for r in found
        ]


class ParkedList(Lister):
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
            (_named(r), r.subject, r.source, r.sequence, r.reason, Moment(r.created_at))
            for r in found
        ]


class Show(ShowOne):
    """Show why a record is in quarantine, and what of it can be read."""

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        return with_position(super().get_parser(prog_name))

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return the row, and the record as `log cat` shows it."""
        from events.seal import MasterKeyring
        from regente.log_view import document
        from regente.places import topics_of

        with self.views() as views:
            row = views.quarantined(*parsed_args.position)
        if row is None:
            raise _nothing(parsed_args.position)
        record = document(
            record_at(self, parsed_args.position),
            topics_of(self.settings),
            MasterKeyring(self.folder.master()),
        )
        return (*row._fields, "record"), (*row, Nested(record))


class Discard(ShowOne):
    """Give a record up: what waits behind it goes on, and its writer's next one may follow."""

    exits = (Exit.NO, Exit.PENDING)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = with_position(super().get_parser(prog_name))
        parser.add_argument("--reason", required=True, help="why, for those who read the log")
        parser.add_argument("--user", default="operator", metavar="ID", help="who says it")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what the judge said of it."""
        from events.log import TopicPartition
        from events.requests import RecordDiscarded
        from events.seal import digest
        from regente.deeds import Deeds
        from regente.places import topics_of
        from regente.speaking import open_requests

        place: Place = parsed_args.position
        at = TopicPartition(place[0], place[1])
        with self.views() as views:
            row = views.quarantined(*place)
            waiting = [r for r in views.parked() if (r.topic, r.partition, r.offset) == place]
            if row is None and not waiting:
                raise _nothing(place)
            subject = row.subject if row is not None else waiting[0].subject
            record = record_at(self, place)
            fact = RecordDiscarded(
                partition=at.partition,
                offset=place[2],
                source=self._source(record, None if row is None else row.code),
                digest=digest(record.value or b""),
                user_id=parsed_args.user,
                reason=parsed_args.reason,
            )
            voice, clock, _ = open_requests(self.settings, self.folder)
            is_of_instance = at.topic == topics_of(self.settings).instance_events
            # Where the instance is known its writer's chain has to be told, else only the row goes.
            if is_of_instance and views.instance(subject) is not None:
                sent = voice.about(subject, fact)
            else:
                sent = voice.about_partition(at, fact)
            told = Deeds(self.database(), views, clock).verdict(sent)
        self.status = Exit[told.exit_name]
        columns = ("position", "request_id", "verdict", "reason")
        return columns, (_text(place), told.request_id, told.verdict, told.reason)

    def _source(self, record: Record, code: str | None) -> str:
        """Return whose chain goes on behind the record; empty where it is not a link of it.

        Anybody may claim a key id; only a MAC shows that the record is its holder's.
        """
        from conductor.opening import source_of
        from events.errors import BadRecord
        from events.seal import MasterKeyring, unseal

        if code is not None and code not in _MISSING:
            return ""
        try:
            return source_of(unseal(record, MasterKeyring(self.folder.master())))
        except BadRecord:
            return ""


def with_position(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the parser with a record to name."""
    parser.add_argument(
        "position", type=position, metavar="POSITION", help="topic/partition@offset"
    )
    return parser


def record_at(command: ShowOne, place: Place) -> Record:
    """Return the record at a position of the log."""
    from events.log import TopicPartition
    from regente.places import existing_log

    reader = existing_log(command.settings, command.folder).reader()
    try:
        reader.assign({TopicPartition(place[0], place[1]): place[2]})
        found = next((r for r in reader.poll(1, POLL_S) if r.offset == place[2]), None)
    finally:
        reader.close()
    if found is None:
        raise Refused(f"Expected the log to hold {_text(place)}, but it does not.")
    return found


def _nothing(place: Place) -> Refused:
    return Refused(f"Expected a record that waits at {_text(place)}, but none does.", Exit.NO)


def _named(row: ParkedRow | QuarantineRow) -> str:
    return _text((row.topic, row.partition, row.offset))


def _text(place: Place) -> str:
    return f"{place[0]}/{place[1]}@{place[2]}"
