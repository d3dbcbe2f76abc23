"""To whom a saga speaks: which hosts a step's command goes to, under which ids, and who may not.

Pure reading of the state; the interpreter alone decides when a step is entered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from events.ids import CommandId, SagaId, command_id
from events.values import replace
from statemachines.attachments import TAKE_HOLD
from statemachines.conditions import elsewhere, involved
from statemachines.held import Asked, Held, SagaState
from statemachines.recording import SCHEDULER
from statemachines.rules import Rules
from statemachines.saga import Role, Saga, Step
from statemachines.sagas import SAGAS


def source_of(held: Held) -> str | None:
    """Name the host that the last move leaves; the instance's own where there was none."""
    return held.host if held.move is None else held.move.source


def target_of(held: Held, table: Saga) -> str | None:
    """Name the host that a side saga is about; None where it is about none."""
    if table.primary:
        return None
    return held.host if table.of_guest else source_of(held)


def own_host(held: Held, table: Saga, rules: Rules) -> tuple[str, ...]:
    """Name the instance's own host, where the saga may not choose it."""
    may_stay = table.remakes or (table.same_host is not None and rules.allows(table.same_host))
    return () if held.host is None or may_stay else (held.host,)


def inherited(before: SagaState) -> tuple[Asked, ...]:
    """Return what the predecessor asked; of each step the name says whose it was."""
    return tuple(
        replace(a, step=f"{before.saga}.{a.step}", saga_id=a.saga_id or before.saga_id)
        for a in before.asked
    )


def id_of(saga: SagaState, asked: Asked) -> CommandId:
    """Return the id of a command that a saga, or a predecessor of its, asked."""
    if asked.saga_id is None:
        return _id_of(saga.saga_id, saga.saga, asked.step, asked.attempt, asked.host)
    asker, step = _place_of(saga, asked)
    return _id_of(asked.saga_id, asker, step, asked.attempt, asked.host)


def command_asked(saga: SagaState, asked: Asked) -> str:
    """Name the command that a saga, or a predecessor of its, asked."""
    return _command_of(*_place_of(saga, asked))


def _place_of(saga: SagaState, asked: Asked) -> tuple[str, str]:
    """Name the saga that asked, and its step."""
    if asked.saga_id is None:
        return saga.saga, asked.step
    *_, asker, step = asked.step.split(".")
    return asker, step


def _command_of(saga: str, step: str) -> str:
    command = SAGAS[saga].steps[step].command
    assert command is not None, f"Expected a command of {saga}.{step}, which asked, but none"
    return command


@lru_cache(maxsize=1_024)  # Of the facts in hand.
def _id_of(saga_id: str, saga: str, step: str, attempt: int, host: str) -> CommandId:
    """Return the id, found once: one fact asks for it some times over."""
    return command_id(SagaId(saga_id), step, attempt, _command_of(saga, step), host)


def hosts_of(held: Held, saga: SagaState, step: Step) -> tuple[str, ...]:
    """Name the hosts to which a step's command goes; at least one, but for the involved ones."""
    move = held.move
    host: str | None
    match step.to:
        case Role.OWNER:
            host = held.host
        case Role.SCHEDULER:
            return (SCHEDULER,)
        case Role.SOURCE:
            host = move.source if move is not None else held.host
        case Role.DESTINATION:
            host = saga.destination or (move.destination if move is not None else None)
        case Role.TARGET:
            host = saga.target
        case Role.INVOLVED:
            return involved(held, saga)
        case Role.ELSEWHERE:
            return elsewhere(held, saga)
        case _:
            assert_never(step.to)
    assert host is not None, f"Expected a host as {step.to} of {saga.saga}.{step.name}, but none"
    return (host,)


def asked_of(step: Step, attempt: int, hosts: tuple[str, ...]) -> tuple[Asked, ...]:
    """Return the commands of one attempt of a step, one for each host."""
    command = step.command
    if command is None:
        return ()
    takes_hold = command in TAKE_HOLD
    return tuple([_asked(host, step.name, attempt, takes_hold) for host in hosts])


def commanded(saga: SagaState, asked: tuple[Asked, ...]) -> tuple[str, ...]:
    """Name the hosts that a saga has sent a command, those of its next step included."""
    known = saga.commanded
    for each in asked:
        if each.host not in known and each.host != SCHEDULER:
            known = (*known, each.host)
    return known


@lru_cache(maxsize=4_096)
def _asked(host: str, step: str, attempt: int, takes_hold: bool) -> Asked:
    """Return what many sagas ask of one host; one value serves them all."""
    return Asked(host=host, step=step, attempt=attempt, takes_hold=takes_hold)
