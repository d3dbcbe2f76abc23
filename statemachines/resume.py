"""What is outstanding: the commands that an instance's sagas wait for, as a function of its state.

The normal path sends what `resume` names after a fact and did not name before; a successor after a
crash, or a database rebuilt from nothing, sends the same, byte for byte.
"""

from __future__ import annotations

from events.commands import ResendFacts
from events.envelope import COMPUTE, Address, Letter
from events.ids import InstanceId, resend_id
from statemachines.addressing import id_of
from statemachines.arguments import command_of
from statemachines.chain import head_of
from statemachines.held import Asked, Held, SagaState
from statemachines.rules import Rules
from statemachines.saga import Step
from statemachines.sagas import SAGAS

#: Step name under which a resend is asked; no saga has it.
RESEND = "resend"


def resume(held: Held | None) -> tuple[Letter[object], ...]:
    """Return every command whose answer is outstanding, the primary saga's first."""
    if held is None:
        return ()
    letters: list[Letter[object]] = []
    if held.saga is not None:
        letters += _outstanding(held, held.saga)
    for side in held.sides:
        letters += _outstanding(held, side)
    if held.parked:
        letters += _resends(held)
    return tuple(letters)


def awaited(held: Held | None) -> frozenset[str]:
    """Return the ids of the commands that `resume` names, for less than the whole letters."""
    if held is None:
        return frozenset()
    sagas = held.sides if held.saga is None else (held.saga, *held.sides)
    ids: list[str] = [id_of(saga, asked) for saga in sagas for asked in _asked_now(saga)]
    if held.parked:
        ids += [letter.address.command_id for letter in _resends(held)]
    return frozenset(ids)


def react(before: Held | None, after: Held | None) -> tuple[Letter[object], ...]:
    """Return the commands that a fact called for: those of `after` that were not yet sent."""
    if before is after or after is None:
        return ()
    new = awaited(after) - awaited(before)
    if not new:
        return ()
    return tuple(letter for letter in resume(after) if letter.address.command_id in new)


def deadline_s(letter: Letter[object], held: Held, rules: Rules) -> int:
    """Return the seconds that an answer to a command may take."""
    address = letter.address
    if address.step == RESEND:
        return rules.number_of("step_timeout")
    return step_deadline_s(SAGAS[address.saga].steps[address.step], held, rules)


def step_deadline_s(step: Step, held: Held, rules: Rules) -> int:
    """Return the seconds that one attempt of a step may take.

    Source:  [libvirt] live_migration_completion_timeout is per GiB, of which nova counts at least
    2.
    """
    gib = max(2, -(-held.flavor.memory_mb // 1024)) if step.per_gib else 1
    return rules.deadline_s(step.deadline, gib)


def _outstanding(held: Held, saga: SagaState) -> list[Letter[object]]:
    table = SAGAS[saga.saga]
    step = table.steps[saga.step]
    if step.command is None or saga.needs_operator is not None:
        return []
    command = command_of(step.command, held, saga, table)
    return [
        Letter(
            command,
            Address(
                command_id=id_of(saga, asked),
                saga_id=saga.saga_id,
                saga=saga.saga,
                step=saga.step,
                attempt=saga.attempt,
                instance_id=held.instance_id,
                generation=saga.generation,
                host=asked.host,
                request_id=saga.request_id,
            ),
        )
        for asked in _asked_now(saga)
    ]


def _asked_now(saga: SagaState) -> tuple[Asked, ...]:
    """Return what a saga asked at this attempt of its step, and waits for; the last that it did."""
    if saga.needs_operator is not None:
        return ()
    step, attempt, pending = saga.step, saga.attempt, saga.pending
    found: tuple[Asked, ...] = ()
    for asked in reversed(saga.asked):
        if asked.attempt != attempt or asked.step != step:
            break
        if asked.host in pending:
            found = (asked, *found)
    return found


def _resends(held: Held) -> list[Letter[object]]:
    """One for each host whose facts wait for a gap to close."""
    sources = sorted(
        {p.source for p in held.parked if p.reason == "early" and p.source.startswith(COMPUTE)}
    )
    letters: list[Letter[object]] = []
    for source in sources:
        head = head_of(held, source)
        missing = 1 if head is None else head.sequence + 1
        identity = resend_id(InstanceId(held.instance_id), source, held.generation, missing)
        address = Address(
            command_id=identity,
            saga_id=identity,
            saga=RESEND,
            step=RESEND,
            attempt=1,
            instance_id=held.instance_id,
            generation=held.generation,
            host=source[len(COMPUTE) :],
        )
        letters.append(Letter(ResendFacts(from_sequence=missing), address))
    return letters
