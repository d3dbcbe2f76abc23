"""`regente saga`: where operations stand, and the way out where one waits for a person."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import ClassVar, Final

from regente.cli.command import Lister, Nested, Refused, ShowOne, as_one, as_rows, with_reason
from regente.cli.exits import Exit
from regente.cli.instance import uuid_of

_COLUMNS: Final = (
    "saga_id",
    "instance_uuid",
    "saga",
    "step",
    "attempt",
    "waits_for",
    "status",
    "ending",
    "reason",
)
#: Seconds past its deadline after which a step that nobody ended is called stuck.
OVERDUE_S: Final = 60


class List(Lister):
    """List sagas, oldest first; --stuck: what does not go on by itself, nova's leavings too."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--stuck", action="store_true", help="what does not go on by itself")
        parser.add_argument(
            "--overdue",
            type=int,
            default=OVERDUE_S,
            metavar="S",
            help=f"seconds of silence after which --stuck names something ({OVERDUE_S})",
        )
        parser.add_argument("--instance", metavar="INSTANCE", help="those of this one")
        parser.add_argument("--status", choices=("running", "needs_operator", "ended"))
        parser.add_argument("--limit", type=int, default=1000, metavar="N", help="at most (1000)")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each."""
        from events.ports import SystemClock
        from projections.view_rows import Stuck

        uuid = parsed_args.instance and uuid_of(self, parsed_args.instance)
        with self.views() as views:
            if parsed_args.stuck:
                now_us = SystemClock().now_us()
                stuck = views.stuck(now_us, overdue_s=parsed_args.overdue, limit=parsed_args.limit)
                return as_rows(stuck, Stuck._fields)
            found = views.sagas(
                instance_uuid=uuid, status=parsed_args.status, limit=parsed_args.limit
            )
        return as_rows(found, _COLUMNS)


class Show(ShowOne):
    """Show one saga with the steps that it entered."""

    exits = (Exit.NO,)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        return with_saga(super().get_parser(prog_name))

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return its fields and steps."""
        from projections.rows import SagaRow

        with self.views() as views:
            row = views.saga(parsed_args.saga)
            steps = views.saga_steps(parsed_args.saga)
        if row is None:
            raise unknown(parsed_args.saga)
        columns, values = as_one(row, SagaRow._fields)
        kept = ("n", "step", "attempt", "hosts", "entered_at", "left_at", "left_by")
        told = [{name: getattr(each, name) for name in kept} for each in steps]
        back = _way_back(row.saga, row.step) if row.status != "ended" else None
        return (*columns, "way_back", "steps"), (*values, back, Nested(told, kept))


def _way_back(saga: str, step: str) -> str | None:
    """Say where an operator's compensate leads from a step, or why nowhere."""
    from statemachines.diagram import way_back
    from statemachines.sagas import SAGAS

    table = SAGAS.get(saga)
    return way_back(table, table.steps[step]) if table and step in table.steps else None


class _LeadOut(ShowOne):
    """Say an operator's word about a saga."""

    exits = (Exit.NO, Exit.PENDING)
    fact_name: ClassVar[str]

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser."""
        return with_reason(with_saga(super().get_parser(prog_name)))

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what the judge said of it."""
        from events import requests
        from regente.deeds import Deeds, Told
        from regente.speaking import open_requests

        with self.views() as views:
            row = views.saga(parsed_args.saga)
            if row is None:
                raise unknown(parsed_args.saga)
            voice, clock, _ = open_requests(self.settings, self.folder)
            fact = getattr(requests, self.fact_name)(
                saga_id=row.saga_id, user_id=parsed_args.user, reason=parsed_args.reason
            )
            sent = voice.about(row.instance_uuid, fact)
            told = Deeds(self.database(), views, clock).verdict(sent)
        self.status = Exit[told.exit_name]
        return ("saga_id", *Told._fields[:-1]), (row.saga_id, *told[:-1])


class Retry(_LeadOut):
    """Have a saga that waits for a person try its step again."""

    fact_name = "SagaRetried"


class Compensate(_LeadOut):
    """Have a saga undo what it did, whether or not it waits for a person."""

    fact_name = "SagaCompensated"


class Resolve(_LeadOut):
    """End a saga that waits for a person, with the world as it is."""

    fact_name = "SagaResolved"


def with_saga(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the parser with a saga to name."""
    parser.add_argument("saga", metavar="SAGA", help="its id")
    return parser


def unknown(saga: str) -> Refused:
    """Return the error for a saga that nobody knows."""
    return Refused(f"Expected a saga {saga}, but there is none: `regente saga list`.", Exit.NO)
