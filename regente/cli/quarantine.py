"""`regente quarantine`: records that are no facts of ours, and what is to be done with each."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from regente.cli.command import Lister, Moment, Nested, Refused, ShowOne, with_reason
from regente.cli.exits import Exit

if TYPE_CHECKING:
    from events.log import Record
    from events.requests import RecordRequeued
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
#: Room in a record for what a word says beside the record that it carries.
WORD_BYTES_MAX: Final = 4096
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
            (named(r), r.subject, r.source, r.code, r.reason, r.status, Moment(r.created_at))
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
            raise nothing_at(parsed_args.position)
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
        return with_reason(with_position(super().get_parser(prog_name)))

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
                raise nothing_at(place)
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
        return columns, (text_of(place), told.request_id, told.verdict, told.reason)

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


class Requeue(ShowOne):
    """Have a record opened again, as if it had come just now: its schema or its key is known since.

    Exit status 1: it stays in quarantine, with the reason of now.
    """

    exits = (Exit.NO, Exit.PENDING)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        return with_reason(with_position(super().get_parser(prog_name)))

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what became of it."""
        from events.log import TopicPartition
        from regente.deeds import Deeds
        from regente.speaking import open_requests

        place: Place = parsed_args.position
        with self.views() as views:
            if views.quarantined(*place) is None:
                raise nothing_at(place)
            fact = _word_for(record_at(self, place), parsed_args.user, parsed_args.reason)
            voice, clock, _ = open_requests(self.settings, self.folder)
            sent = voice.about_partition(TopicPartition(place[0], place[1]), fact)
            told = Deeds(self.database(), views, clock).verdict(sent)
            left = views.quarantined(*place) if told.verdict == "accepted" else None
        self.status = Exit.NO if left is not None else Exit[told.exit_name]
        columns = ("position", "request_id", "verdict", "reason")
        if left is not None:
            return columns, (text_of(place), told.request_id, "quarantined", left.reason)
        return columns, (text_of(place), told.request_id, told.verdict, told.reason)


def _word_for(record: Record, user: str, reason: str) -> RecordRequeued:
    from events.codec import VALUE_BYTES_MAX
    from events.requests import RecordRequeued
    from events.seal import MAC, PREV

    if record.value is None:
        raise Refused("Expected a record with a value, but it is a tombstone: discard it.", Exit.NO)
    most = VALUE_BYTES_MAX - WORD_BYTES_MAX
    if len(record.value) > most:
        raise Refused(
            f"Expected at most {most} bytes, for the word that brings the record back has to hold"
            f" it, but it has {len(record.value)}: discard it.",
            Exit.NO,
        )
    headers = dict(record.headers)
    return RecordRequeued(
        partition=record.partition,
        offset=record.offset,
        key=record.key or b"",
        value=record.value,
        prev=headers.get(PREV) or b"",
        mac=headers.get(MAC) or b"",
        user_id=user,
        reason=reason,
    )


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
        raise Refused(f"Expected the log to hold {text_of(place)}, but it does not.")
    return found


def nothing_at(place: Place) -> Refused:
    """Return the refusal to do anything with a record that does not wait."""
    return Refused(f"Expected a record that waits at {text_of(place)}, but none does.", Exit.NO)


def named(row: ParkedRow | QuarantineRow) -> str:
    """Return the position of the record of a row, as commands take it."""
    return text_of((row.topic, row.partition, row.offset))


def text_of(place: Place) -> str:
    """Return a position as commands take it."""
    return f"{place[0]}/{place[1]}@{place[2]}"
