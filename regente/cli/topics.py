"""`regente topics`: make the topics with their first rules, and check them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from regente.cli.command import Lister, ShowOne
from regente.cli.exits import Exit


class Create(ShowOne):
    """Make the topics that are missing, and write the first rules into each partition."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tuple[object, ...]]:
        """Return what was made and written."""
        from regente.setup import make_topics

        made = make_topics(self.settings, self.folder)
        return ("topics_made", "partitions", "rules_number", "master_key"), (
            ", ".join(made.topics) or "none: all were there",
            made.partitions,
            made.rules_number,
            str(self.folder.master_key),
        )


class Check(Lister):
    """Check partitions, retention and settings of each topic; each finding says what to do."""

    exits = (Exit.NO,)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each check."""
        from regente.checks import is_fine, topic_findings

        findings = topic_findings(self.settings, self.folder)
        self.status = Exit.DONE if is_fine(findings) else Exit.NO
        return ("check", "status", "found", "what_to_do"), [tuple(each) for each in findings]
