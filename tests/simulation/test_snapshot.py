"""A lab that is kept and copied is the lab; a mistake that is planted is in no copy, and in all."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import pytest

from conductor import fold
from tests.simulation.database import Database
from tests.simulation.lab import Lab
from tests.simulation.patching import patched
from tests.simulation.processes import HostProcess
from tests.simulation.routes import Asked, Route, beginnings, make, prepared
from tests.simulation.snapshot import NotBetweenTurns, Snapshot

BEGINNINGS: Final = [name for name, _ in beginnings()]
CREATE: Final = Route("create")
STORED: Final = [f.name for f in fields(Database) if f.name not in ("lock", "watcher")]


def shown(lab: Lab) -> list[str]:
    """Return all that happened, and what is."""
    database, world = lab.database, lab.world
    stored = [getattr(database, name) for name in STORED]
    return [lab.trace(), *map(repr, stored), repr(world.executions()), repr(world.running())]


def go_on(lab: Lab, asked: Asked) -> list[str]:
    """Return what a lab comes to once an action is asked for."""
    with patched((fold, "step", lab.watch.step)):
        make(lab, asked)
        lab.turn()
        lab.settle()
    return shown(lab)


def anew(route: Route) -> Lab:
    """Return a lab that is no copy."""
    with patched((Database, "used", Database.used)):
        return prepared(route)[0]


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_copy_is_as_the_lab_was_and_goes_on_as_it_would(name: str) -> None:
    route = Route(name)
    lab, (copy, asked) = anew(route), prepared(route)

    assert copy is not prepared(route)[0]
    assert shown(copy) == shown(lab)
    assert go_on(copy, asked) == go_on(lab, asked)


def test_what_becomes_of_one_copy_is_nothing_to_another() -> None:
    first, asked = prepared(CREATE)
    before = shown(first)
    came_to = go_on(first, asked)

    second, _ = prepared(CREATE)

    assert shown(second) == before
    assert go_on(second, asked) == came_to


def test_nothing_is_kept_where_a_driver_is_in_the_middle_of_something() -> None:
    lab, asked = prepared(CREATE)
    make(lab, asked)
    lab.until(lambda: lab.stands_at("create", "build"), "a guest that is built")
    for _ in range(3):
        lab.turn()

    with pytest.raises(NotBetweenTurns):
        Snapshot(lab)


def test_a_mistake_is_there_from_the_beginning_and_gone_when_it_is_taken_out() -> None:
    seen: list[HostProcess] = []
    start = HostProcess._start

    def noted(self: HostProcess) -> None:
        seen.append(self)
        start(self)

    prepared(CREATE)
    with patched((HostProcess, "_start", noted)):
        mistaken, _ = prepared(CREATE)
    prepared(CREATE)

    assert seen == mistaken.hosts
