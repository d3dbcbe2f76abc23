"""Guests that do as they please while time passes and users ask: every story still ends."""

from __future__ import annotations

import random

import pytest

from events.decisions import PeriodElapsed
from events.instance import GuestAbsent, GuestFound, PowerStateReported
from events.requests import ActionRequested
from statemachines.actions_table import PERMISSIONS
from statemachines.demands import circumstances
from statemachines.dues import dues
from statemachines.permissions import refusal
from statemachines.power_sync import out_of_step
from statemachines.sagas import BY_ACTION
from statemachines.states import PowerState
from tests.beginnings import begin, named_by, wander
from tests.ends import check_end
from tests.hosts import World
from tests.story import LARGE

#: Everything that may come by itself, soon.
RULES = {
    "migrate_max_retries": "1",
    "resize_confirm_window": "60",
    "shelved_offload_time": "60",
    "reclaim_instance_interval": "60",
    "rescue_timeout": "60",
    "reboot_timeout": "60",
    "instance_build_timeout": "60",
    "sync_power_state_interval": "60",
}
ASKED = sorted(set(BY_ACTION) - {"create", "evacuate", "live_migrate_abort"})

#: What ends a story, or breaks it off: asked seldom.
ENDS_IT = {"delete", "force_delete", "reset_state"}


def _asked(action: str) -> ActionRequested:
    return ActionRequested(action=action, user_id="user", project_id="project", flavor=LARGE)


def ask(world: World, dice: random.Random) -> None:
    """Ask for something that the state allows, if it allows anything; most often at rest."""
    if dice.random() < 0.6:
        world.settle()
    legal = [
        action
        for action in ASKED
        if refusal(PERMISSIONS[action], circumstances(world.here, _asked(action))) is None
    ]
    if dice.random() < 0.9:
        legal = [action for action in legal if action not in ENDS_IT]
    if legal:
        action = dice.choice(legal)
        world.request(action, **{"flavor": LARGE, **named_by(action)})


def report(world: World, dice: random.Random) -> None:
    """Let the owner say something of its guest, unasked."""
    host = world.here.host
    if host is None or world.here.vm_state == "deleted":
        return
    power = dice.choice(list(PowerState))
    facts = [PowerStateReported(power_state=power)] * 3
    world.unasked(host, dice.choice([*facts, GuestFound(power_state=power), GuestAbsent()]))


def elapse(world: World, dice: random.Random) -> None:
    """Let something that falls due have its time."""
    named = dues(world.held, world.rules)
    if named:
        due = dice.choice(named)
        world.decide(PeriodElapsed(action=due.action, since=due.since))


def elapse_all(world: World) -> None:
    """Let time pass until nothing falls due any more, everybody answering well."""
    for _ in range(40):
        world.settle()
        named = dues(world.held, world.rules)
        if not named:
            return
        world.decide(PeriodElapsed(action=named[0].action, since=named[0].since))
        assert world.accepted, (named[0], world.verdicts[-1])
    raise AssertionError(f"Expected an end, but {dues(world.held, world.rules)}")


@pytest.mark.parametrize("seed", range(150))
def test_whatever_guests_do_and_whenever_time_passes_a_story_ends(seed: int) -> None:
    dice = random.Random(seed)
    world = begin("create", **RULES)
    for _ in range(dice.randrange(10, 60)):
        happen = dice.choice((ask, report, elapse, None, None))
        if happen is None:
            wander(world, dice, most=dice.randrange(1, 6))
        elif world.here.vm_state != "deleted":
            happen(world, dice)

    elapse_all(world)
    world.come_back()
    elapse_all(world)

    check_end(world)
    assert dues(world.held, world.rules) == ()
    assert out_of_step(world.here) is None or world.here.saga is not None
