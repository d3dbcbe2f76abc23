"""What this installation wants to be in force, and how that differs from what the log says is.

A conductor obeys the log; a difference is for a person to see, and to publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from conductor.rulebook import PLANE_KEYS, of_this_installation
from events.control import KeyOpened, RulesPublished
from events.log import TopicPartition
from regente.control import Control, ControlFact
from regente.settings import Settings
from statemachines.rules import Rules

__all__ = ["PLANE_KEYS", "Difference", "compared", "publication", "publish", "wanted"]


class Difference(NamedTuple):
    """One thing that is in force, beside what this installation would have."""

    kind: str
    name: str
    in_force: str
    here: str
    differs: bool


def wanted(settings: Settings, number: int) -> RulesPublished:
    """Return the rules of this installation as their next publication."""
    return of_this_installation(number, settings.heart())


def publication(
    settings: Settings, in_force: Mapping[TopicPartition, Rules]
) -> tuple[ControlFact, ...]:
    """Return what has to be published so that every partition has this installation's rules."""
    rules = tuple(in_force.values())
    facts: list[ControlFact] = []
    if any(each.differs for each in compared(settings, rules) if each.kind != "key"):
        facts.append(wanted(settings, 1 + max(each.number for each in rules)))
    facts += [
        KeyOpened(key_id=key)
        for key in PLANE_KEYS
        if not all(key in each.keys_open for each in rules)
    ]
    return tuple(facts)


def publish(control: Control, settings: Settings) -> tuple[ControlFact, ...]:
    """Leave this installation's rules in force everywhere, and return what had to be written."""
    facts = publication(settings, control.in_force())
    if facts:
        control.publish(facts)
    return facts


def compared(settings: Settings, rules: Iterable[Rules]) -> tuple[Difference, ...]:
    """Return every rule with its value in force and here, in a fixed order."""
    return tuple(_compared(wanted(settings, 0), tuple(rules)))


def _compared(here: RulesPublished, rules: tuple[Rules, ...]) -> Iterator[Difference]:
    numbers = sorted({each.number for each in rules})
    said = ", ".join(map(str, numbers))
    yield Difference("publication", "number", said, said, len(numbers) != 1 or numbers == [0])
    for name, value in here.versions.items():
        yield _one("version", name, [each.versions.get(name, "") for each in rules], value)
    for name, value in here.settings.items():
        yield _one("setting", name, [each.settings.get(name, "") for each in rules], value)
    admitted = [
        "all" if each.fingerprints is None else str(len(each.fingerprints)) for each in rules
    ]
    mine = frozenset(here.fingerprints)
    same = all(each.fingerprints is None or each.fingerprints == mine for each in rules)
    yield Difference("schemas", "admitted", _said(admitted), str(len(mine)), not same)
    for key in PLANE_KEYS:
        found = ["open" if each.is_open(key) else "not open" for each in rules]
        yield _one("key", key, found, "open")


def _one(kind: str, name: str, found: list[str], here: str) -> Difference:
    return Difference(kind, name, _said(found), here, any(each != here for each in found))


def _said(found: list[str]) -> str:
    """Return the one value of all partitions, or each where they differ."""
    values = sorted(set(found))
    return values[0] if len(values) == 1 else " or ".join(repr(each) for each in values)
