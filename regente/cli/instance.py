"""`regente instance`: what is true now of instances, and what happened to them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from regente.cli.command import Command, Lister, Nested, Refused, ShowOne, as_one, as_rows, iso
from regente.cli.exits import Exit

if TYPE_CHECKING:
    from projections.rows import InstanceRow
    from projections.views import Views

_SHORT: Final = ("uuid", "display_name", "vm_state", "task_state", "power_state", "host")
_LONG: Final = (*_SHORT, "flavor_name", "locked", "created_at", "updated_at", "origin")


#: What a table shows of each kind of row of an instance's past; JSON has all of it.
_TOLD: Final = {
    "actions": ("start_time", "action", "request_id", "message"),
    "events": ("start_time", "event", "host", "result", "details"),
    "faults": ("created_at", "code", "message", "host"),
    "migrations": (
        "created_at",
        "migration_type",
        "status",
        "source_compute",
        "dest_compute",
        "status_provenance",
    ),
    "sagas": ("started_at", "saga", "step", "status", "ending", "reason"),
    "rejections": ("created_at", "fact", "source", "code", "reason"),
}


#: What a table shows of what an instance holds.
_HELD: Final = {
    "block_device_mapping": ("volume_id", "device_name", "status", "hosts"),
    "virtual_interfaces": ("uuid", "network_id", "fixed_ips", "status", "active_host"),
    "accelerators": ("uuid", "device_profile", "hosts"),
    "metadata": ("key", "value"),
    "tags": ("tag",),
}


class List(Lister):
    """List instances, oldest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--host", help="those on this host")
        parser.add_argument("--vm-state", metavar="STATE", help="those in this vm_state")
        parser.add_argument("--deleted", action="store_true", help="tombstones too")
        parser.add_argument("--long", action="store_true", help="more columns")
        parser.add_argument("--limit", type=int, default=1000, metavar="N", help="at most (1000)")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each instance."""
        with self.views() as views:
            found = views.instances(
                host=parsed_args.host,
                vm_state=parsed_args.vm_state,
                deleted=parsed_args.deleted,
                limit=parsed_args.limit,
            )
        return as_rows(found, _LONG if parsed_args.long else _SHORT)


class Show(ShowOne):
    """Show all that is true now of one instance."""

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        return with_instance(super().get_parser(prog_name))

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return its fields."""
        from projections.rows import InstanceRow

        with self.views() as views:
            row = known(views, parsed_args.instance)
            holdings = views.holdings(row.uuid)
        names, values = as_one(row, InstanceRow._fields)
        lists = (
            Nested([each._asdict() for each in getattr(holdings, kind)], shown)
            for kind, shown in _HELD.items()
        )
        return (*names, *_HELD), (*values, *lists)


class History(ShowOne):
    """Show what was asked of an instance, what was done for it, and what went wrong.

    A create that was refused is found by the uuid that its answer named.
    """

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        return with_instance(super().get_parser(prog_name))

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return its past, one list for each kind of row."""
        uuid = uuid_of(self, parsed_args.instance)
        with self.views() as views:
            is_known = views.instance(uuid) is not None
            past = views.history(uuid)
        if not is_known and not past.rejections:
            raise _unknown(uuid)
        lists = [
            Nested([each._asdict() for each in getattr(past, kind)], shown)
            for kind, shown in _TOLD.items()
        ]
        return ("uuid", *_TOLD), (uuid, *lists)


class Diagnostics(ShowOne):
    """Show the newest answer to get_diagnostics that the log has about an instance.

    `request get_diagnostics INSTANCE --wait` asks its host for a new one.
    """

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        return with_instance(super().get_parser(prog_name))

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what its host said, and when."""
        from regente.log_view import Window, said_last
        from regente.places import existing_log, topics_of

        with self.views() as views:
            row = known(views, parsed_args.instance)
        reader = existing_log(self.settings, self.folder).reader()
        try:
            window = Window(topics=(topics_of(self.settings).instance_events,), key=row.uuid)
            found = said_last(reader, window, "DiagnosticsRead")
        finally:
            reader.close()
        if found is None:
            raise Refused(f"Expected diagnostics of {row.uuid}, but none were asked for.", Exit.NO)
        at_us, said = found
        return ("uuid", "read_at", *said), (row.uuid, iso(at_us), *said.values())


def with_instance(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the parser with an instance to name."""
    parser.add_argument("instance", metavar="INSTANCE", help="uuid or name")
    return parser


def known(views: Views, instance: str) -> InstanceRow:
    """Return the row of an instance by uuid or name; raises Refused where there is none."""
    from regente.naming import UnknownThing, instance_meant

    try:
        row = instance_meant(views, instance)
    except UnknownThing as unknown:
        raise Refused(str(unknown), Exit.NO) from unknown
    if row is None:
        raise _unknown(instance)
    return row


def uuid_of(command: Command, instance: str) -> str:
    """Return the uuid of an instance that is named; for a uuid no rows are needed."""
    from regente.naming import is_uuid
    from regente.state_folder import StateError

    if is_uuid(instance):
        return instance
    try:
        with command.views() as views:
            return known(views, instance).uuid
    except StateError as error:
        raise StateError(f"{error} A name is looked up in the rows; a uuid needs none.") from error


def _unknown(instance: str) -> Refused:
    return Refused(f"Expected an instance {instance}, but there is none.", Exit.NO)
