"""`regente rules`: what is in force in the log, and what this installation would have."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from regente.cli.command import Lister, ShowOne
from regente.cli.exits import Exit


class Show(Lister):
    """Show the rules in force beside those of this installation; exit status 1 if they differ."""

    exits = (Exit.NO,)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each rule."""
        from regente.rules import Difference, compared
        from regente.setup import known_rules, open_control

        control = open_control(self.settings, self.folder)
        rules = control.in_force(known_rules(self.settings, self.folder))
        found = compared(self.settings, rules.values())
        self.status = Exit.NO if any(each.differs for each in found) else Exit.DONE
        return Difference._fields, [tuple(each) for each in found]


class Publish(ShowOne):
    """Put the rules of this installation in force; conductors are upgraded before, agents after."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what was written."""
        from events.control import RulesPublished
        from regente.rules import publication
        from regente.setup import known_rules, open_control

        control = open_control(self.settings, self.folder)
        rules = control.in_force(known_rules(self.settings, self.folder))
        facts = publication(self.settings, rules)
        partitions = control.publish(facts) if facts else 0
        number = next(
            (fact.number for fact in facts if isinstance(fact, RulesPublished)),
            max(each.number for each in rules.values()),
        )
        return ("number", "written", "partitions"), (
            number,
            ", ".join(type(fact).__name__ for fact in facts) or "nothing: no difference",
            partitions,
        )
