"""How an operation comes to stand at each of its steps: found from the tables, tried in the lab.

The requests that lead to where an operation may begin are those of `tests.beginnings`. Where a step
lies off the way of success, the failures that lead there are read from the table: a fact that the
driver can be told to answer with, a lost host, a silent one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import cache, partial
from heapq import heappop, heappush
from itertools import chain, islice
from types import MappingProxyType
from typing import Final, NamedTuple

from compute.world import power_failure
from conductor import fold
from events.envelope import API
from events.requests import ActionRequested
from events.values import replace
from projections.rows import SagaRow, SagaStepRow
from statemachines.held import Held
from statemachines.owing import TABLE_OF
from statemachines.rules import SETTINGS
from statemachines.saga import (
    HOST_LOST,
    REFUSED,
    TIMED_OUT,
    Again,
    End,
    Role,
    Saga,
    Step,
    To,
    branches,
)
from statemachines.saga_check import COMPENSATED, failures_of, ways_of
from statemachines.sagas import BY_ACTION, SAGAS
from tests.beginnings import ACTIONS, VARIANTS, begin
from tests.hosts import HOSTS
from tests.simulation.cloud import NoRest
from tests.simulation.lab import Lab
from tests.simulation.moments import Target
from tests.simulation.patching import is_patched, patched
from tests.simulation.processes import S
from tests.simulation.provoking import provoke, why_not
from tests.simulation.snapshot import NotBetweenTurns, Snapshot
from tests.story import Story

#: Ways that are tried for a step.
CANDIDATES_MAX: Final = 12
#: Settings under which a step is looked for, one after the other.
SETTINGS_TRIED: Final[tuple[tuple[tuple[str, str], ...], ...]] = (
    (),
    (("shelved_offload_time", "-1"),),
    (("shelved_offload_time", "0"),),
)
#: Failures in a row by which a step may be reached at most.
DETOURS_MAX: Final = 4


class Asked(NamedTuple):
    """A request, and where guest, primary saga and migration are when it is made."""

    request: ActionRequested
    owner: str | None = None
    saga: str | None = None
    step: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """How to come to a step: what is asked, and what has to fail where on the way."""

    action: str
    detours: tuple[tuple[str, str, str], ...] = ()
    #: Settings that are other than in the beginning.
    settings: tuple[tuple[str, str], ...] = ()
    #: Another beginning, from where the action is asked instead of from its own.
    at: str | None = None
    #: Is it asked while what that other one asks for is being done?
    within: bool = False
    #: Does the instance's host start anew when all is done?
    restart: bool = False

    def lab(self) -> Lab:
        """Return a lab under the settings of the beginning, and of the route."""
        return Lab(**{**settings_of(self.action), **dict(self.settings)})


# What is asked.


@cache
def requests_of(action: str) -> tuple[Asked, ...]:
    """Return the requests that lead to an action, the action's own last."""
    world = begin(action)
    story = Story(rules=world.rules)
    found: list[Asked] = []
    for envelope in world.history:
        if envelope.meta.source == API and isinstance(envelope.fact, ActionRequested):
            owner = None if story.held is None else story.held.host
            found.append(Asked(envelope.fact, owner, *_stand(story.held)))
        story.tell(envelope)
    return tuple(found)


def _stand(held: Held | None) -> tuple[str | None, ...]:
    if held is None or held.saga is None:
        return ()
    status = None if held.move is None else held.move.status
    return held.saga.saga, held.saga.step, status


def _in_lab(lab: Lab, asked: Asked) -> ActionRequested:
    """Return a request with the hosts of the lab: the owner's name for the owner's."""
    held, request = lab.held, asked.request
    owner = None if held is None else held.host
    theirs = [name for name in HOSTS if name != asked.owner]
    ours = [host.name for host in lab.hosts if host.name != owner]
    names = dict(zip(theirs, ours, strict=False))
    if asked.owner is not None and owner is not None:
        names[asked.owner] = owner
    return replace(
        request,
        host=request.host and names.get(request.host, request.host),
        fenced_hosts=tuple(names[host] for host in request.fenced_hosts),
        arguments={k: names.get(v, v) for k, v in request.arguments.items()},
    )


@cache
def settings_of(action: str) -> dict[str, str]:
    """Return the settings of a beginning that are not nova's defaults."""
    rules = begin(action).rules
    return {name: value for name, value in rules.settings.items() if value != SETTINGS[name]}


def prepare(lab: Lab, route: Route) -> Asked:
    """Leave the lab where an action may be asked for, and return its request."""
    last = requests_of(route.action)[-1]
    *before, begun = requests_of(route.at or route.action)
    for asked in before:
        make(lab, asked)
        lab.turn()
        if not _is_followed_within(asked, (*before, begun)):
            lab.settle()
    if route.within:
        make(lab, begun)
        lab.until(lambda: bool(lab.sagas()), "a saga to break into")
    return last


def prepared(route: Route) -> tuple[Lab, Asked]:
    """Return a lab where an action may be asked for, and its request.

    What leads there is done once, and each time a copy is returned. Not so with a mistake in the
    house: it has to be there from the beginning, and nothing of it may stay.
    """
    request = requests_of(route.action)[-1]
    kept = None if is_patched() else _kept(changed(route, detours=(), restart=False))
    return (_anew(route) if kept is None else kept.copy()), request


@cache
def _kept(route: Route) -> Snapshot[Lab] | None:
    try:
        return Snapshot(_anew(route))
    except NotBetweenTurns:
        return None


def _anew(route: Route) -> Lab:
    lab = route.lab()
    with patched((fold, "step", lab.watch.step)):
        prepare(lab, route)
    return lab


def _is_followed_within(asked: Asked, all_asked: tuple[Asked, ...]) -> bool:
    """Say whether the next request comes while the saga of this one runs."""
    return all_asked[all_asked.index(asked) + 1].saga is not None


@cache
def _elsewhere(action: str) -> tuple[tuple[str, bool], ...]:
    """Name the beginnings from where an action could be asked, at rest or while they go on."""
    found: dict[tuple[str, ...], tuple[str, bool]] = {}
    for name, _ in beginnings():
        *before, last = requests_of(name)
        if before and all(asked.saga is None for asked in (*before, last)):
            found.setdefault(tuple(asked.request.action for asked in before), (name, False))
    within = [(name, True) for name, _ in beginnings() if name not in (action, "create")]
    return (*found.values(), *within)


def make(lab: Lab, asked: Asked) -> None:
    """Make a request as soon as the saga in whose course it comes stands where it shall."""
    request = _in_lab(lab, asked)
    if not asked.request.fenced_hosts:
        ask = partial(lab.ask, request)
    else:
        ask = partial(lab.ask_of_fenced, request.fenced_hosts[0], request)
    if asked.saga is not None:
        lab.when(lambda: _stand(lab.held) == asked[2:], ask)
    else:
        ask()


# What fails on the way.


def arm(lab: Lab, route: Route) -> None:
    """Have happen on the way what leads to the step."""
    for saga, step, word in route.detours:
        provoke(lab, Target(lab, SAGAS[saga], step), word)


def _is_detour(step: Step, word: str) -> bool:
    """Say whether a failure is one by which a step is looked for: of a host that was asked."""
    is_of_host = word != REFUSED and step.to is not Role.SCHEDULER
    return is_of_host and why_not(step, word) is None


# Which way leads where.


def _detours_of(step: Step, *, by_operator: bool) -> tuple[str, ...]:
    may_be_undone = by_operator and step.compensate is not None and not step.goes_back
    return (*failures_of(step), COMPENSATED) if may_be_undone else failures_of(step)


def scripts_to(
    table: Saga, step: str, *, by_operator: bool = False
) -> Iterator[tuple[tuple[str, str, str], ...]]:
    """Yield what may have to fail for a saga to come to a step, the shortest first.

    Or what an operator has undone, where no failure leads there.
    """
    queue: list[tuple[int, int, str, tuple[tuple[str, str, str], ...]]] = []
    count = 0
    for way in branches(table.first):
        if isinstance(way, To):
            heappush(queue, (0, count, way.step, ()))
            count += 1
    seen: set[tuple[str, tuple[tuple[str, str, str], ...]]] = set()
    while queue:
        length, _, name, script = heappop(queue)
        if (name, script) in seen or length > DETOURS_MAX:
            continue
        seen.add((name, script))
        if name == step:
            yield script
            continue
        at = table.steps[name]
        failures = _detours_of(at, by_operator=by_operator)
        for word in dict.fromkeys((*at.on, *failures)):
            is_detour = word in failures
            if is_detour and not _is_detour(at, word):
                continue
            then = (*script, (table.name, name, word)) if is_detour else script
            for way in ways_of(at, word):
                if isinstance(way, To) and not way.give_up:
                    count += 1
                    heappush(queue, (length + is_detour, count, way.step, then))


def _owing_scripts(debt: str) -> Iterator[Route]:
    """Yield what may leave a host owing something, or have a side saga begin beside."""
    for action, table in beginnings():
        for step in table.steps.values():
            words = [w for w in failures_of(step) if _is_detour(step, w) and _owes(step, w, debt)]
            for script in islice(scripts_to(table, step.name), 1):
                yield from (Route(action, (*script, (table.name, step.name, w))) for w in words)


def _owes(step: Step, word: str, debt: str) -> bool:
    for way in branches(step.on.get(word, Again())):
        if isinstance(way, To | End) and way.owe is not None and TABLE_OF[way.owe].name == debt:
            return True
        if isinstance(way, End | Again) and way.beside == debt:
            return True
    return False


def _restarts() -> Iterator[Route]:
    """Yield what may leave a guest on a host that does not vouch for it when it starts."""
    for action, table in beginnings():
        for step in table.steps.values():
            words = failures_of(step) if step.after_no_return else ()
            for script in islice(scripts_to(table, step.name), 1):
                yield from (
                    Route(action, (*script, (table.name, step.name, word)), restart=True)
                    for word in words
                    if _is_detour(step, word) and word not in (TIMED_OUT, HOST_LOST)
                )


@cache
def beginnings() -> tuple[tuple[str, Saga], ...]:
    """Return every beginning of an operation, and the saga that it starts."""
    lasts = ((name, requests_of(name)[-1].request.action) for name in ACTIONS)
    return tuple((name, BY_ACTION[action]) for name, action in lasts if action in BY_ACTION)


@cache
def operations() -> Mapping[str, Saga]:
    """Return every operation of the matrix: each saga, and each variant of how one is asked for."""
    variants = {name: table for name, table in beginnings() if name in VARIANTS}
    return MappingProxyType({**SAGAS, **variants})


@cache
def route_to(operation: str, step: str) -> Route | None:
    """Return a way on which an operation comes to a step in the lab; None where none was found."""
    table = operations()[operation]
    started_by = [operation]
    if operation not in VARIANTS:
        started_by = [n for n, started in beginnings() if started is table and n not in VARIANTS]
    candidates: Iterator[Route]
    if started_by:
        candidates = _candidates(started_by, table, step)
    else:
        candidates = chain(islice(_owing_scripts(operation), CANDIDATES_MAX), _restarts())
    for route in candidates:
        if (table.name, step) in stays_of(route):
            return route
    return None


def _candidates(started_by: list[str], table: Saga, step: str) -> Iterator[Route]:
    scripts = tuple(islice(scripts_to(table, step), CANDIDATES_MAX))
    if not scripts:
        scripts = tuple(islice(scripts_to(table, step, by_operator=True), CANDIDATES_MAX))
    for settings in SETTINGS_TRIED:
        yield from (Route(name, each, settings) for each in scripts for name in started_by)
    for at, within in _elsewhere(started_by[0]):
        yield Route(started_by[0], scripts[0], at=at, within=within)


def go(lab: Lab, route: Route) -> None:
    """Let what was asked come to its end; raises NoRest."""
    lab.turn()
    lab.settle()
    held = lab.held
    if route.restart and held is not None and held.host is not None:
        power_failure(lab.world, held.host)
        lab.host(held.host).kill(S)
        lab.until(lambda: lab.host(str(held.host)).process.is_up, "the host up")
        lab.turn()
        lab.settle()


@cache
def stays_of(route: Route) -> frozenset[tuple[str, str]]:
    """Return every (saga, step) at which one stands in the course of a route."""
    lab = route.lab()
    try:
        request = prepare(lab, route)
    except NoRest:
        return frozenset()
    make(lab, request)
    arm(lab, route)
    try:
        go(lab, route)
    except NoRest:
        return frozenset()
    rows = lab.database.rows
    names = {r.saga_id: r.saga for r in rows["sagas"].values() if isinstance(r, SagaRow)}
    steps = [r for r in rows["saga_steps"].values() if isinstance(r, SagaStepRow)]
    return frozenset((names[row.saga_id], row.step) for row in steps)
