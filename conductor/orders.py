"""Commands as they stand in the outbox, and which of them a fact called for or made pointless."""

from __future__ import annotations

from typing import Final

from events.codec import encode_command
from events.commands import (
    AbortLiveMigration,
    ChooseDestination,
    DestroyGuest,
    EvacuateGuest,
    RaiseGeneration,
    RollbackDestination,
    RollbackSource,
)
from events.envelope import Letter
from events.log import TopicPartition
from projections.store import Batch, Order
from statemachines.held import Held
from statemachines.resume import awaited, deadline_s, resume
from statemachines.rules import Rules

#: Never behind a storm.
_FIRST: Final = (
    DestroyGuest,
    RaiseGeneration,
    AbortLiveMigration,
    RollbackSource,
    RollbackDestination,
)
RANK_MAX: Final = 10


def orders_of(
    held: Held | None, partition: TopicPartition, rules: Rules, created_at: int
) -> list[Order]:
    """Return every order that an instance's sagas wait for, as it would be sent now."""
    if held is None:
        return []
    return [_order(letter, held, partition, rules, created_at) for letter in resume(held)]


def order_changes(batch: Batch, before: Held | None, after: Held, rules: Rules) -> None:
    """Order what `resume` names now and did not before; forget what it no longer names."""
    known, named = awaited(before), awaited(after)
    if known == named:
        return
    batch.forget |= known - named
    if named <= known:
        return
    for letter in resume(after):
        if letter.address.command_id not in known:
            order = _order(letter, after, batch.partition, rules, after.updated_at)
            batch.orders[order.command_id] = order


def _order(
    letter: Letter[object],
    held: Held,
    partition: TopicPartition,
    rules: Rules,
    created_at: int,
) -> Order:
    address = letter.address
    return Order(
        command_id=address.command_id,
        topic=partition.topic,
        partition=partition.partition,
        instance_uuid=address.instance_id,
        saga_id=address.saga_id,
        step=address.step,
        attempt=address.attempt,
        command=type(letter.command).__name__,
        host=address.host,
        value=encode_command(letter),
        deadline_s=deadline_s(letter, held, rules),
        created_at=created_at,
        rank=rank_of(letter),
    )


def rank_of(letter: Letter[object]) -> int:
    """Say when a command goes, of those that wait to be sent or decided: the lowest first.

    What ends an operation, or clears up, overtakes a storm. Of choices, a guest that runs nowhere
    since its host was lost goes before a new one, and among those the highest priority.
    """
    command = letter.command
    if isinstance(command, _FIRST):
        return 0
    if isinstance(command, ChooseDestination | EvacuateGuest):
        return RANK_MAX - command.priority if letter.address.saga == "evacuate" else RANK_MAX
    return RANK_MAX // 2
