"""What one batch of a partition has come to, until it is known to be in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from conductor.rows import LastNotes, no_notes
from projections.rows import Changes, InstanceStateRow
from statemachines.held import Held
from statemachines.node import NodeHeld
from statemachines.rules import Rules


@dataclass(slots=True)
class Scratch:
    """What the present batch has come to so far; thrown away as a whole if it fails."""

    begin: int
    end: int
    rules: Rules
    chain: bytes
    leader_epoch: int
    changes: Changes = field(default_factory=dict)
    notes: LastNotes = field(default_factory=no_notes)
    #: State of each instance touched, as the batch found it and as it is now.
    found: dict[str, Held | None] = field(default_factory=dict)
    held: dict[str, Held | None] = field(default_factory=dict)
    nodes: dict[str, NodeHeld | None] = field(default_factory=dict)
    #: Facts that were accepted, and what came of all other records.
    accepted: int = 0
    others: Counter[str] = field(default_factory=Counter)
    #: What was asked of the rules already: keys that are open, and schemas (what stands before a
    #: body) that are admitted.
    believed: set[str] = field(default_factory=set)
    admitted: set[bytes] = field(default_factory=set)

    def obey(self, rules: Rules) -> None:
        """Have other rules in force from here on."""
        self.rules = rules
        self.believed.clear()
        self.admitted.clear()

    def bodies(self) -> dict[str, bytes]:
        """Return the state of each instance that has changed, as it is stored."""
        rows = cast("Iterable[InstanceStateRow]", self.changes.get("instance_states", {}).values())
        return {row.instance_uuid: row.body for row in rows}
