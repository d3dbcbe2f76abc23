"""`regente log`: the records themselves."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from regente.cli.command import Command, Refused, iso
from regente.cli.exits import Exit
from regente.cli.instance import uuid_of

if TYPE_CHECKING:
    from events.topics import Topics
    from regente.log_view import Window

_SHORT: Final = ("instance", "node", "heartbeats")


class Cat(Command):
    """Print records decoded, one a line: as JSON, or as text for people.

    Each says whether its seal holds. --from and --to are offsets of each partition, or times (ISO
    8601); the record at --to is not printed.
    """

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "-f", "--format", choices=("json", "value"), default="value", help="value: as text"
        )
        parser.add_argument(
            "--topic",
            metavar="TOPIC",
            help="instance, node, heartbeats, commands.HOST, or a full name (instance and node)",
        )
        parser.add_argument("--partition", type=int, metavar="N")
        parser.add_argument("--from", dest="start", metavar="OFFSET|TIME")
        parser.add_argument("--to", dest="stop", metavar="OFFSET|TIME")
        parser.add_argument("--instance", metavar="INSTANCE", help="uuid or name")
        parser.add_argument("--limit", type=int, metavar="N", help="at most so many")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print the records."""
        from itertools import islice

        from events.seal import MasterKeyring
        from regente.log_view import document, records
        from regente.places import existing_log, topics_of

        topics = topics_of(self.settings)
        log = existing_log(self.settings, self.folder)
        has_key = self.folder.master_key.exists()
        master = MasterKeyring(self.folder.master()) if has_key else None
        window = self._window(parsed_args, topics)
        show = json.dumps if parsed_args.format == "json" else _text
        reader = log.reader()
        try:
            for record in islice(records(reader, window), parsed_args.limit):
                print(show(document(record, topics, master)), file=self.app.stdout)
        finally:
            reader.close()

    def _window(self, parsed_args: argparse.Namespace, topics: Topics) -> Window:
        from regente.log_view import Window

        key = parsed_args.instance and uuid_of(self, parsed_args.instance)
        named = parsed_args.topic
        default = (topics.instance_events,) if key else (topics.node_events, topics.instance_events)
        full = {
            "instance": topics.instance_events,
            "node": topics.node_events,
            "heartbeats": topics.heartbeats,
        }
        if named is None:
            wanted = default
        elif named.startswith("commands."):
            wanted = (topics.commands(named.removeprefix("commands.")),)
        else:
            wanted = (full.get(named, named),)
        from_offset, from_us = bound(parsed_args.start)
        to_offset, to_us = bound(parsed_args.stop)
        return Window(
            topics=wanted,
            # One partition for all keys of a host's commands.
            partition=0 if named and named.startswith("commands.") else parsed_args.partition,
            from_offset=from_offset,
            to_offset=to_offset,
            from_us=from_us,
            to_us=to_us,
            key=key,
        )


def bound(text: str | None) -> tuple[int | None, int | None]:
    """Return (offset, µs) of what was typed: one of them, or none."""
    if text is None:
        return None, None
    if text.isdecimal():
        return int(text), None
    return None, moment(text)


def moment(text: str) -> int:
    """Return µs UTC of a time as ISO 8601 has it; UTC where it names no zone."""
    from datetime import UTC, datetime

    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"Expected an offset or a time (ISO 8601), but {text!r}.") from error
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return round(time.timestamp() * 1_000_000)


def _text(found: Mapping[str, object]) -> str:
    place = f"{found['topic']}/{found['partition']}@{found['offset']}"
    time = found["timestamp_us"]
    verification = found["verification"]
    assert isinstance(time, int)
    assert isinstance(verification, Mapping)
    seal = {True: "ok", None: "?"}.get(verification["ok"], f"BAD {verification['reason']}")
    payload = json.dumps(found["payload"])
    return (
        f"{place} {iso(time)} {found['source']} {found['fact']} {found['key']} {payload} [{seal}]"
    )
