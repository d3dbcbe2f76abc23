"""The laws of the heart, over every operation and whatever may become of its commands."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from conductor.step import step
from events.decisions import HostReturned
from events.envelope import Letter
from statemachines.recording import SCHEDULER
from statemachines.resume import react, resume
from statemachines.verdict import Accepted, Duplicate
from tests.answers import failures_of
from tests.beginnings import ACTIONS, begin, replies, situations, wander
from tests.ends import check_end
from tests.hosts import HOSTS, World
from tests.story import SMALL, Story

OF_ACTION = pytest.mark.parametrize("action", ACTIONS)
MOST = 400


def plans(letter: Letter[object]) -> Iterator[str]:
    """Yield every failure that may keep happening to a command."""
    yield "StepTimedOut"
    if letter.address.host == SCHEDULER:
        yield "NoValidHost"
        return
    yield "StepHostLost"
    yield from (fact.__name__ for fact in failures_of(type(letter.command).__name__))


def happen(world: World, letter: Letter[object], plan: str) -> None:
    """Let one failure happen to a command."""
    match plan:
        case "StepTimedOut":
            world.time_out_of(letter)
        case "StepHostLost":
            world.lose_of(letter)
        case "NoValidHost":
            world.no_valid_host()
        case _:
            fact = next(f for f in failures_of(type(letter.command).__name__) if f.__name__ == plan)
            world.fail(letter, fact)


def run_with(world: World, bad: tuple[str, str], plan: str) -> None:
    """Let one kind of failure happen at one step of a saga, and everything else go well."""
    for _ in range(MOST):
        letters = world.letters
        if not letters:
            return
        address = letters[0].address
        if (address.saga, address.step) == bad and plan in plans(letters[0]):
            happen(world, letters[0], plan)
        else:
            world.succeed(letters[0])
    raise AssertionError(f"Expected an end, but {world.orders}")


@OF_ACTION
def test_every_operation_ends_well_if_nothing_fails(action: str) -> None:
    world = begin(action)

    world.settle()

    check_end(world)
    assert world.here.saga is None
    assert world.here.sides == ()


@OF_ACTION
def test_every_operation_ends_if_one_step_keeps_failing(action: str) -> None:
    start = begin(action, migrate_max_retries="1")
    reached: set[tuple[str, str, str]] = set()
    queue = [start]
    while queue:
        world = queue.pop()
        for letter in world.letters[:1]:
            for plan in plans(letter):
                key = (letter.address.saga, letter.address.step, plan)
                if key in reached:
                    continue
                reached.add(key)
                other = world.fork()
                saga, at = letter.address.saga, letter.address.step
                run_with(other, (saga, at), plan)
                check_end(other)
                once = world.fork()
                happen(once, once.letters[0], plan)
                queue.append(once)
            world.succeed(letter)
            queue.append(world)

    assert len(reached) > 2


@OF_ACTION
@pytest.mark.parametrize("host", ["h1", "h2"])
def test_every_operation_ends_if_a_host_is_lost_for_good_at_any_moment(
    action: str, host: str
) -> None:
    world = begin(action, migrate_max_retries="1")
    for _ in range(MOST):
        lost = world.fork()
        lost.settle(lost=frozenset({host}))
        check_end(lost)
        if lost.here.saga is None:
            lost.come_back()
            check_end(lost)
            assert lost.here.sides == ()
        if not world.letters:
            return
        world.succeed(world.letters[0])


@OF_ACTION
def test_whatever_happens_a_story_ends_and_leaves_nothing_open(action: str) -> None:
    for seed in range(25):
        dice = random.Random(f"{action}/{seed}")
        is_same_host = str(seed % 2 == 1)
        world = begin(action, migrate_max_retries="1", allow_resize_to_same_host=is_same_host)
        wander(world, dice, most=dice.randrange(40))
        if world.here.vm_state != "deleted" and dice.random() < 0.6:
            interruption = dice.choice(("delete", "reset_state", "evacuate", "live_migrate_abort"))
            world.request(
                interruption,
                source_up=interruption != "evacuate",
                fenced_hosts=HOSTS,
                arguments={"state": dice.choice(("active", "error"))},
            )
            wander(world, dice, most=dice.randrange(40))
        world.settle()
        check_end(world)
        world.come_back()
        check_end(world)
        assert world.here.saga is not None or world.here.sides == ()


@OF_ACTION
def test_a_repeat_of_everything_said_changes_nothing_and_sends_nothing(action: str) -> None:
    for seed in range(4):
        world = begin(action, migrate_max_retries="1")
        wander(world, random.Random(seed), most=12)
        for envelope in world.history:
            if isinstance(envelope.fact, HostReturned):
                continue  # Said again, it asks again: it has no number.
            again = step(world.held, envelope, world.rules)

            assert isinstance(again.verdict, Duplicate), (envelope.fact, again.verdict)
            assert again.after == world.held
            assert again.commands == ()


@OF_ACTION
def test_the_same_history_gives_the_same_state_and_the_same_notes(action: str) -> None:
    world = begin(action)
    wander(world, random.Random(7))
    told = Story(rules=world.rules)
    for envelope in world.history:
        told.tell(envelope)

    assert told.held == world.held
    assert told.notes == world.notes


def test_what_react_names_is_what_resume_names_from_nothing() -> None:
    for world in situations().values():
        assert react(None, world.held) == resume(world.held)
        assert react(world.held, world.held) == ()


def test_two_instances_do_not_know_each_other() -> None:
    alone = begin("live_migrate")
    wander(alone, random.Random(3))
    other = begin("resize")
    wander(other, random.Random(4))
    first, second = Story(rules=alone.rules), Story(rules=other.rules)
    dice = random.Random(5)
    left, right = list(alone.history), list(other.history)
    while left or right:
        story, told = dice.choice([(s, t) for s, t in ((first, left), (second, right)) if t])
        story.tell(told.pop(0))

    assert first.held == alone.held
    assert second.held == other.held


def test_the_generation_rises_with_every_primary_saga_and_every_fence() -> None:
    world = begin("stop")
    assert world.here.generation == 2
    world.lose_of(world.letters[0])

    assert world.here.generation == 3
    assert world.letters[0].address.generation == 3


def test_a_debt_is_asked_with_the_generation_of_the_day() -> None:
    world = begin("stop")
    world.lose_of(world.letters[0])  # h1 owes to hear of generation 3
    world.lose_of(world.letters[0])  # and is still away
    world.request("start")
    world.request("stop")
    world.settle(lost=frozenset({"h1"}))
    world.come_back()

    assert world.here.sides == ()


def test_every_reply_of_every_situation_is_judged_and_none_is_illegal() -> None:
    for world in situations().values():
        for letter in world.letters:
            for name, reply in replies(world.fork(), letter):
                other = world.fork()
                dict(replies(other, letter))[name]()
                assert isinstance(other.verdicts[-1], Accepted), (name, other.verdicts[-1], reply)


def test_a_create_that_is_asked_twice_is_one_create() -> None:
    story = Story()
    story.request("create", "req-1", flavor=SMALL)
    held = story.held
    story.request("create", "req-1", flavor=SMALL)

    assert story.verdicts[-1] == Duplicate()
    assert story.held == held
