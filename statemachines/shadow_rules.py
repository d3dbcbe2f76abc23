"""Which rule reads which event: the table of contents of what a shadow infers of migrations.

An `instance.update` is read by every kind of move, other events by those that name them; an event
without a rule changes no migration. Rules see the migrations, what was known before, and the fact.
"""

from __future__ import annotations

from itertools import groupby
from types import MappingProxyType
from typing import Final

from events.facts_nova import NovaReported
from events.nova import UPDATE
from statemachines import shadow_cold, shadow_evacuation, shadow_live
from statemachines.shadow_moves import COLD, LIVE, Change, Moves, Rule, ShadowMigration

_ALL: Final = sorted(
    (
        (event_type, rule)
        for kind in (shadow_cold, shadow_live, shadow_evacuation)
        for event_type, rule in kind.RULES.items()
    ),
    key=lambda entry: entry[0],
)
RULES: Final = MappingProxyType(
    {
        event_type: tuple(rule for _, rule in entries)
        for event_type, entries in groupby(_ALL, key=lambda entry: entry[0])
    }
)
_ON_UPDATE: Final[tuple[Rule, ...]] = (
    shadow_cold.updated,
    shadow_live.updated,
    shadow_evacuation.updated,
)
_DELETED: Final = "instance.delete.end"


def follow(moves: Moves, change: Change, fact: NovaReported) -> Moves:
    """Return the migrations as they are after a fact that counts."""
    if fact.event_type == _DELETED:
        return tuple(_deleted(m) for m in moves)
    for rule in _ON_UPDATE if fact.event_type == UPDATE else _rules_of(moves, fact):
        moves = rule(moves, change, fact)
    return moves


def _rules_of(moves: Moves, fact: NovaReported) -> tuple[Rule, ...]:
    rules = RULES.get(fact.event_type, ())
    if len(rules) < 2:
        return rules
    # The conductor names cold and live moves alike when it gives up: the newest is meant.
    movers = [m for m in moves if m.migration_type in COLD | LIVE]
    if not movers:
        return ()
    kind = shadow_cold if movers[-1].migration_type in COLD else shadow_live
    return (kind.RULES[fact.event_type],)


def _deleted(move: ShadowMigration) -> ShadowMigration:
    if move.migration_type in COLD:
        return shadow_cold.deleted(move)
    if move.migration_type in LIVE:
        return shadow_live.deleted(move)
    return shadow_evacuation.deleted(move)
