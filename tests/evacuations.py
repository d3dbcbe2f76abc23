"""Where an evacuation stands: its guest's host lost, its destination at work, the guest anew."""

from __future__ import annotations

from typing import Any

from statemachines.verdict import Rejected
from tests.beginnings import built
from tests.hosts import World
from tests.story import must


def evacuating(world: World | None = None, **fields: Any) -> World:
    """Return a world whose guest's host is lost, and whose evacuation waits for the scheduler."""
    world = world or built()
    fenced = fields.pop("fenced_hosts", ("h1",))
    must(world.request("evacuate", source_up=False, fenced_hosts=fenced, **fields))
    must(world.lose("h1"))  # The evacuation waits no longer for it.
    must(world.lose("h1"))  # Nor does the fence that it owes: it is away.
    return world


def rebuilding(world: World | None = None, **fields: Any) -> World:
    """Return a world whose guest is about to be made anew on h2."""
    world = evacuating(world, **fields)
    must(world.choose("h2"))
    assert world.orders == [("EvacuateGuest", "h2")]
    return world


def evacuated(world: World | None = None, **fields: Any) -> World:
    """Return a world whose guest was made anew on h2; h1 is still away."""
    world = rebuilding(world, **fields)
    world.succeed(world.letters[0])
    must(world.lose("h1"))
    assert world.orders == []
    return world


def status(world: World) -> str:
    """Return the status of the migration."""
    assert world.here.move is not None
    return world.here.move.status


def refusal(world: World) -> tuple[str, str]:
    """Return code and sentence of the last verdict."""
    verdict = world.verdicts[-1]
    assert isinstance(verdict, Rejected), verdict
    return verdict.code, verdict.sentence
