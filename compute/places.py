"""Who may begin now: the bounds of a host, and who goes first where there are fewer places.

Nothing of this holds up what steers, cancels or fences an operation: it needs no place.
"""

from __future__ import annotations

from collections.abc import Collection

from compute.endings import BUILDING, SNAPSHOTTING, STEERING
from compute.limits import Bounds
from events.commands import EvacuateGuest, PrepareDestination
from events.envelope import Letter

Letters = list[Letter[object]]
#: Kinds of places.
_BUILDS, _SNAPSHOTS, _INCOMING = "builds", "snapshots", "incoming"


def ready(
    waiting: Collection[Letter[object]],
    running: Collection[Letter[object]],
    incoming: Collection[str],
    bounds: Bounds,
) -> Letters:
    """Return those that wait for nothing any more, in the order in which they shall begin.

    `waiting` is in the order of arrival; `incoming` names the instances that have a place for their
    live migration to this host.
    """
    if not waiting:
        return []
    steering = [each for each in waiting if type(each.command) in STEERING]
    left = {
        _BUILDS: _left(bounds.max_concurrent_builds, _count(running, BUILDING)),
        _SNAPSHOTS: _left(bounds.max_concurrent_snapshots, _count(running, SNAPSHOTTING)),
        _INCOMING: _left(bounds.max_concurrent_incoming_live_migrations, len(incoming)),
    }
    begins: Letters = []
    for letter in sorted(_next(waiting, running), key=_rank):
        place = _place(letter, incoming)
        if place is not None:
            if left[place] == 0:
                continue
            left[place] -= 1
        begins.append(letter)
    return steering + begins


def _next(waiting: Collection[Letter[object]], running: Collection[Letter[object]]) -> Letters:
    """Return the first of each instance of which nothing runs: those behind it wait for it."""
    busy = {e.address.instance_id for e in running if type(e.command) not in STEERING}
    first: Letters = []
    for letter in waiting:
        if type(letter.command) not in STEERING and letter.address.instance_id not in busy:
            busy.add(letter.address.instance_id)
            first.append(letter)
    return first


def _place(letter: Letter[object], incoming: Collection[str]) -> str | None:
    """Return the kind of place that a letter needs to begin; None where it needs none."""
    if type(letter.command) in BUILDING:
        return _BUILDS
    if type(letter.command) in SNAPSHOTTING:
        return _SNAPSHOTS
    return _INCOMING if _comes(letter, incoming) else None


def _comes(letter: Letter[object], incoming: Collection[str]) -> bool:
    """Say whether a live migration asks for a place at its destination, and has none yet."""
    return (
        isinstance(letter.command, PrepareDestination)
        and letter.address.instance_id not in incoming
    )


def _rank(letter: Letter[object]) -> tuple[int, int]:
    """A guest that runs nowhere since its host was lost goes before one that is new."""
    if isinstance(letter.command, EvacuateGuest):
        return 0, -letter.command.priority
    return 1, 0


def _count(letters: Collection[Letter[object]], kinds: Collection[type]) -> int:
    return sum(type(each.command) in kinds for each in letters)


def _left(bound: int, taken: int) -> int:
    """Return how many places are left; −1, which no count reaches, where there is no bound."""
    return max(0, bound - taken) if bound else -1
