"""What a step fails with, made to happen by whoever says it: the words of the sagas' tables.

A driver that fails, a host that is lost, or silent, or takes no new work; hosts that are all full,
a choice that comes too late. Each goes on until the saga has left the step, or waits for a person:
so every attempt meets it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Final

from compute.endings import AGENTS_OWN, ALWAYS_ADMITTED
from compute.fake_site import Failure, FailureKind, failed
from compute.limits import Bounds
from compute.world import power_failure
from events.register import COMMANDS
from events.requests import SagaCompensated
from statemachines.saga import HOST_LOST, REFUSED, TIMED_OUT, Role, Step
from statemachines.saga_check import COMPENSATED
from tests.answers import sample
from tests.simulation.faults import Died
from tests.simulation.lab import Lab, Trap
from tests.simulation.moments import Actor, Moment, Target
from tests.simulation.processes import Process, S

NO_HOST: Final = "NoValidHost"
#: A host that is lost stays away for so long after the saga has left the step.
AWAY_S: Final = 45
#: What comes of what a driver meets, and not of what it is told to fail at.
_MET: Final = frozenset({"ShelvedImageMissing", "AbortFailed", "ForceCompleteFailed"})
#: The call that has to fail for an answer, where it is not the first that can.
_CALLS: Final = {"EvacuationFailed": "EvacuateGuest.spawn"}

Then = Callable[[Process, str], None]


@cache
def kinds_of(command: str) -> dict[str, FailureKind]:
    """Return the failures that a driver can be told to answer a command with."""
    cls = COMMANDS[command]
    if cls in AGENTS_OWN:
        return {}
    found: dict[str, FailureKind] = {}
    for kind in (FailureKind.FAIL, FailureKind.ABORT, FailureKind.IGNORE):
        fact = failed(sample(cls), None, "", kind)
        found.setdefault(type(fact).__name__, kind)
    return {word: kind for word, kind in found.items() if word not in _MET}


def why_not(step: Step, word: str) -> str | None:
    """Say why nobody can be made to say a word at a step; None where somebody can."""
    if step.command is None:
        return "the step asks for no command"
    if word == COMPENSATED:
        return None if step.compensate is not None else "the step has no way back"
    if step.to is Role.SCHEDULER:
        return None if word in (TIMED_OUT, NO_HOST) else "the scheduler says no such thing"
    if word == REFUSED:
        is_always_taken = COMMANDS[step.command] in ALWAYS_ADMITTED
        return "only what supersedes it has it refused" if is_always_taken else None
    if word in (TIMED_OUT, HOST_LOST) or word in kinds_of(step.command):
        return None
    return "no driver can be told to answer so"


def provoke(lab: Lab, target: Target, word: str, then: Then | None = None) -> None:
    """Have a step fail in one way as soon as a saga comes to it; `then` hears of the moment."""
    # What keeps a command from being taken has to be there before it comes.
    is_early = word == REFUSED or target.step.to is Role.SCHEDULER or _is_agents_own(target)
    at = (Actor.CONDUCTOR, Moment.AFTER_EFFECT) if is_early else (Actor.EXECUTOR, Moment.BEFORE)

    def act(who: Process, point: str) -> None:
        if then is not None:
            then(who, point)
        _fail(lab, target, word, who)

    lab.traps.append(Trap(partial(target.is_at, *at), act))


def _fail(lab: Lab, target: Target, word: str, who: Process) -> None:
    hosts, command = [order.host for order in target.orders], target.step.command or ""
    if target.step.to is Role.SCHEDULER:
        obstacle = "late_choices" if word == TIMED_OUT else "all_full"
        _hinder(lab, target, partial(setattr, lab.obstacles, obstacle))
    elif word == COMPENSATED:
        have_undone(lab, target)
    elif word == REFUSED:
        for host in hosts:
            _hinder(lab, target, partial(_fill_journal, lab, host))
    elif word == TIMED_OUT:
        dazed = lab.obstacles.dazed
        dazed.add(hosts[0])
        lab.when(partial(_is_past, lab, target), partial(dazed.discard, hosts[0]))
    elif word == HOST_LOST:
        _lose(lab, target, hosts[0], who)
    else:
        call = _CALLS.get(word, command)
        lab.failures[call] = Failure(kind=kinds_of(command)[word])
        lab.when(partial(_is_past, lab, target), partial(lab.failures.__delitem__, call))


def have_undone(lab: Lab, target: Target) -> None:
    """Let an operator have undone what the saga of a step does."""
    saga = next((s for s in lab.sagas() if s.saga == target.table.name), None)
    if saga is not None:
        word = SagaCompensated(saga_id=saga.saga_id, user_id="operator", reason="have it undone")
        lab.workload.say(lab.uuid, word)


def _is_agents_own(target: Target) -> bool:
    """An agent does at once what it does by itself: it has to stand still before."""
    return COMMANDS[target.step.command or ""] in AGENTS_OWN


def _hinder(lab: Lab, target: Target, hinder: Callable[[bool], None]) -> None:
    hinder(True)
    lab.when(partial(_is_past, lab, target), partial(hinder, False))


def _fill_journal(lab: Lab, host: str, is_full: bool) -> None:
    lab.host(host).process.gate.backlog = Bounds().unsent_max if is_full else 0


def _lose(lab: Lab, target: Target, name: str, who: Process) -> None:
    host = lab.host(name)
    power_failure(lab.world, name)
    host.kill(3_600 * S)

    def come_back() -> None:
        # An operator for whom a saga waits sees to the host before anything else.
        is_awaited = lab.stands_at(target.table.name, target.step.name)
        host.kill(S if is_awaited else AWAY_S * S)

    lab.when(partial(_is_past, lab, target), come_back)
    if who is host.process:
        raise Died("agent", 3_600 * S)


def _is_past(lab: Lab, target: Target) -> bool:
    """Has the saga left the step, or does it wait there for a person?"""
    here = (target.table.name, target.step.name)
    return all(s.needs_operator is not None for s in lab.sagas() if (s.saga, s.step) == here)
