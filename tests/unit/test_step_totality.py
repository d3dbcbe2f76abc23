"""Every stored combination of states is a legal input: each fact has a verdict, nothing raises."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conductor.step import step
from events.envelope import Envelope, Meta, host_in
from events.log import Record
from events.register import FACTS
from events.requests import ActionRequested
from events.seal import FIRST, digest
from events.values import replace
from statemachines.addressee import sagas_of
from statemachines.addressing import id_of
from statemachines.held import Held, SagaState
from statemachines.machine import TASK_STATES, VM_STATES
from statemachines.permissions import PERMISSIONS
from statemachines.sagas import SAGAS
from statemachines.states import MigrationStatus
from statemachines.verdict import Accepted, Duplicate, Early, Rejected
from tests.answers import sample
from tests.beginnings import built, resized, situations
from tests.hosts import World
from tests.story import INSTANCE, SMALL

PAIRS = [(vm, task) for vm in VM_STATES for task in TASK_STATES]
REQUESTS: list[object] = [
    ActionRequested(
        action=action,
        user_id="u",
        project_id="p",
        flavor=SMALL,
        is_admin=True,
        source_up=up,
        arguments={"state": "error"} if action == "reset_state" else {},
    )
    for action in PERMISSIONS
    for up in (True, False)
]
WORDS: list[object] = [sample(cls) for name, cls in FACTS.items() if name != "ActionRequested"]
SOURCES = ("api", "conductor", "nova", "compute/h1", "compute/h9")


def said(
    world: World, source: str, fact: object, command_id: str | None = None
) -> Envelope[object]:
    """Return a fact that is next in its writer's chain."""
    heads = () if world.held is None else world.held.heads
    head = next((h for h in heads if h.source == source), None)
    numbered = source.startswith("compute/")
    meta = Meta(
        source=source,
        boot_epoch=1,
        sequence=0 if not numbered else 1 if head is None else head.sequence + 1,
        instance_id=INSTANCE,
        generation=99,
        command_id=command_id,
        request_id="req-new",
        occurred_at=world.now,
    )
    record = Record("t", 1, world.offset + 1, INSTANCE.encode(), b"v", (), world.now, 0)
    prev = b"" if not numbered else FIRST if head is None else head.digest
    return Envelope(fact, meta, host_in(meta.source), record, digest(b"v"), prev, 1)


def judge_all(world: World, held: Held | None, envelopes: list[Envelope[object]]) -> None:
    """Put each before the heart; nothing may raise, and no verdict may lie about the state."""
    for envelope in envelopes:
        outcome = step(held, envelope, world.rules)
        match outcome.verdict:
            case Accepted():
                assert outcome.after is not None
                assert outcome.commands is not None
            case Duplicate() | Rejected():
                assert outcome.commands == ()
                assert outcome.notes == ()
                assert outcome.after is held or only_heard(held, outcome.after)
            case Early():
                raise AssertionError("Expected nothing to be early: it is next in its chain")


def only_heard(before: Held | None, after: Held | None) -> bool:
    """Say whether nothing changed but whom, or which request, was heard."""
    assert before is not None
    assert after is not None
    return replace(after, heads=before.heads, requests=before.requests) == before


def by_right(world: World) -> list[Envelope[object]]:
    """Return everything that may be said next, each by a source that may say such things."""
    envelopes = [said(world, "compute/h1", fact) for fact in WORDS]
    envelopes += [said(world, "conductor", fact) for fact in WORDS if hasattr(fact, "saga_id")]
    return envelopes + [said(world, "api", fact) for fact in REQUESTS[::2]]


def of(world: World, saga: SagaState | None = None) -> list[Envelope[object]]:
    """Return everything that anybody might say next."""
    if saga is None:
        envelopes = [said(world, source, fact) for source in SOURCES for fact in WORDS]
        return envelopes + [said(world, "api", fact) for fact in REQUESTS]
    envelopes = [said(world, "api", fact) for fact in REQUESTS[::2]]
    for asked in saga.asked[-2:]:
        source = "conductor" if asked.host.startswith("@") else f"compute/{asked.host}"
        envelopes += [said(world, source, fact, id_of(saga, asked)) for fact in WORDS]
    about: list[Any] = [fact for fact in WORDS if hasattr(fact, "saga_id")]
    about = [replace(fact, saga_id=saga.saga_id) for fact in about]
    for fact in about:
        if hasattr(fact, "attempt"):
            now = {"step": saga.step, "attempt": saga.attempt}
            fact = replace(fact, **now)
            envelopes += [
                said(world, "conductor", replace(fact, host=host))
                for host in saga.pending
                if hasattr(fact, "host")
            ]
        envelopes += [said(world, source, fact) for source in ("conductor", "api")]
    return envelopes


def test_everything_said_of_an_unknown_instance_has_a_verdict() -> None:
    world = World()

    judge_all(world, None, of(world))


@pytest.mark.parametrize("vm_state", VM_STATES)
def test_every_fact_has_a_verdict_in_every_pair_without_a_saga(vm_state: str) -> None:
    world = built()
    envelopes = by_right(world)

    judge_all(world, replace(world.here, vm_state=vm_state), of(world))
    for task_state in TASK_STATES:
        judge_all(world, replace(world.here, vm_state=vm_state, task_state=task_state), envelopes)


@pytest.mark.parametrize("status", MigrationStatus)
def test_every_request_has_a_verdict_whatever_the_last_migration(status: str) -> None:
    world = resized()
    move = world.here.move
    assert move is not None
    envelopes = [said(world, "api", fact) for fact in REQUESTS]
    dice = random.Random(status)

    for host in ("h1", None):
        for vm_state, task_state in [("resized", None), *dice.sample(PAIRS, 12)]:
            held = replace(
                world.here,
                host=host,
                vm_state=vm_state,
                task_state=task_state,
                move=replace(move, status=str(status)),
            )
            judge_all(world, held, envelopes)


@pytest.mark.parametrize("name", SAGAS)
def test_every_fact_has_a_verdict_at_every_step_of_every_saga(name: str) -> None:
    dice = random.Random(name)
    for (table, at), world in situations().items():
        if table != name:
            continue
        held = world.here
        saga = next(s for s in sagas_of(held) if (s.saga, s.step) == (table, at))
        envelopes = of(world, saga)
        judge_all(world, held, envelopes + by_right(world))
        for vm_state, task_state in dice.sample(PAIRS, 3):
            judge_all(world, replace(held, vm_state=vm_state, task_state=task_state), envelopes)


def test_a_host_may_answer_its_command_with_any_fact_and_nothing_raises() -> None:
    for world in situations().values():
        for letter in world.letters:
            if letter.address.host.startswith("@"):
                continue
            for fact in WORDS:
                other = world.fork()
                other.tell(
                    other.next_of(letter.address.host, fact, command_id=letter.address.command_id)
                )
