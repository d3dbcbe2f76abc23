"""`regente doctor`: is everything as it has to be?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from regente.cli.command import Lister
from regente.cli.exits import Exit


class Doctor(Lister):
    """Check topics, keys, tables, rules, lag, clocks, and what waits; each finding says what to do.

    Exit status 0: nothing is wrong; 1: findings.
    """

    exits = (Exit.NO,)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Return one row for each check."""
        from events.ports import SystemClock
        from regente.checks import Finding, all_findings, is_fine

        findings = all_findings(self.settings, self.folder, SystemClock())
        self.status = Exit.DONE if is_fine(findings) else Exit.NO
        return Finding._fields, [tuple(each) for each in findings]
