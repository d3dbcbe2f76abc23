"""Worlds in which an operation begins, or stands anywhere that it may come to stand."""

from __future__ import annotations

import random
import typing
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Final

from events import instance, migration
from events.envelope import Letter
from events.requests import SagaCompensated
from events.values import replace
from statemachines.addressee import sagas_of
from statemachines.leading_out import refusal
from statemachines.recording import SCHEDULER
from statemachines.sagas import SAGAS
from tests.answers import failures_of
from tests.hosts import World
from tests.parts import NETWORK, OTHER_VOLUME, PORT, VOLUME, wishes
from tests.story import LARGE, SMALL, must

# Where an operation may begin.


def built(**rules: str) -> World:
    """Return a guest that was built on h1."""
    world = World()
    world.rules = replace(world.rules, settings={**world.rules.settings, **rules})
    must(world.request("create", flavor=SMALL, arguments=wishes()))
    world.settle()
    assert world.states == ("active", None)
    return world


def stopped(**rules: str) -> World:
    """Return a guest that was stopped."""
    world = built(**rules)
    must(world.request("stop"))
    for letter in world.letters:
        must(
            world.tell(
                world.next_of(
                    "h1", instance.GuestStopped(power_state=4), command_id=letter.address.command_id
                )
            )
        )
    return world


def paused(**rules: str) -> World:
    """Return a guest that was paused."""
    world = built(**rules)
    must(world.request("pause"))
    world.settle()
    return world


def suspended(**rules: str) -> World:
    """Return a guest whose memory was saved."""
    return after("suspend", partial(built, **rules))


def after(action: str, before: Callable[[], World] = built) -> World:
    """Return a guest to which an action was done."""
    world = before()
    must(world.request(action))
    world.settle()
    assert world.here.saga is None
    return world


def resized(**rules: str) -> World:
    """Return a guest that was resized to h2 and waits to be confirmed."""
    world = built(**rules)
    must(world.request("resize", flavor=LARGE))
    world.settle()
    assert world.states == ("resized", None)
    return world


def migrating() -> World:
    """Return a guest whose memory is being copied from h1 to h2."""
    world = built()
    must(world.request("live_migrate"))
    while world.saga.step != "migrate":
        world.succeed(world.letters[0])
    world.says("h1", migration.LiveMigrationStarted())
    return world


def broken_off() -> World:
    """Return a guest that died on h1 while its memory was being copied to h2."""
    world = migrating()
    must(world.unasked("h1", instance.PowerStateReported(power_state=4)))
    return world


#: Where an action begins that is not asked of a guest that was just built.
_FROM: dict[str, Callable[[], World]] = {
    "start": stopped,
    "external_event_power_update_on": stopped,
    "unpause": paused,
    "resume": suspended,
    "unrescue": lambda: after("rescue"),
    "restore": lambda: after("soft_delete"),
    "evacuate": broken_off,
    "live_migrate_abort": migrating,
    "live_migrate_force_complete": migrating,
}
#: What a request names besides the action.
_FIELDS: dict[str, dict[str, typing.Any]] = {
    "resize": {"flavor": LARGE},
    "reset_state": {"arguments": {"state": "active"}},
    "set_admin_password": {"arguments": {"secret_ref": "secrets/1"}},
    "evacuate": {"source_up": False, "fenced_hosts": ("h1",)},
}


def named_by(action: str, state: str = "active") -> dict[str, typing.Any]:
    """Return what a request names besides its action; a reset the state that it leads to."""
    return {"arguments": {"state": state}} if action == "reset_state" else _FIELDS.get(action, {})


def shelved(**rules: str) -> World:
    """Return a guest that was shelved and kept on h1."""
    world = built(**{"shelved_offload_time": "-1", **rules})
    must(world.request("shelve"))
    world.settle()
    assert world.states == ("shelved", None)
    return world


def offloaded(**rules: str) -> World:
    """Return a guest that was shelved and is on no host."""
    world = built(**{**rules, "shelved_offload_time": "0"})
    must(world.request("shelve"))
    world.settle()
    assert world.states == ("shelved_offloaded", None)
    return world


def from_volume(**rules: str) -> World:
    """Return a guest on h1 that was booted from a volume: it has no image."""
    world = World()
    world.rules = replace(world.rules, settings={**world.rules.settings, **rules})
    must(world.request("create", flavor=SMALL, arguments={"name": "a"}))
    world.settle()
    return world


#: Where the operations on images begin: the world before, the action, its arguments.
_SNAPSHOT = {"volume_id": "v", "snapshot_id": "s"}
_IMAGES: dict[str, tuple[Callable[..., World], str, dict[str, str]]] = {
    "snapshot": (built, "snapshot", {"name": "n"}),
    "snapshot_volume_backed": (from_volume, "snapshot_volume_backed", {"name": "n"}),
    "backup": (built, "backup", {"name": "n", "backup_type": "daily", "rotation": "1"}),
    "volume_snapshot_create": (built, "volume_snapshot_create", _SNAPSHOT),
    "volume_snapshot_delete": (built, "volume_snapshot_delete", _SNAPSHOT),
    "shelve": (built, "shelve", {}),
    "shelve_volume_backed": (from_volume, "shelve", {}),
    "shelve_offload": (shelved, "shelve_offload", {}),
    "unshelve": (offloaded, "unshelve", {}),
    "unshelve_kept": (shelved, "unshelve", {}),
    "rebuild": (built, "rebuild", {"image": "other"}),
    "rebuild_same_image": (built, "rebuild", {}),
}


_STAYS = {"allow_resize_to_same_host": "true"}
#: Actions that begin in another way than most, with another course of their saga: the world before,
#: the action, what its request names besides.
VARIANTS: dict[str, tuple[Callable[..., World], str, dict[str, typing.Any]]] = {
    "resize_same_host": (partial(built, **_STAYS), "resize", {"flavor": LARGE}),
    "confirm_resize_same_host": (partial(resized, **_STAYS), "confirm_resize", {}),
    "revert_resize_same_host": (partial(resized, **_STAYS), "revert_resize", {}),
    "migrate_stopped": (stopped, "migrate", {}),
    "migrate_targeted": (built, "migrate", {"host": "h3"}),
    "shelve_suspended": (suspended, "shelve", {}),
    "reboot_hard_suspended": (suspended, "reboot_hard", {}),
    "live_migrate_paused": (paused, "live_migrate", {}),
    "live_migrate_targeted": (built, "live_migrate", {"host": "h3"}),
}


#: The action by which each of nova's flows is gone through here.
WAYS: Final = {
    "build": "create",
    "live-migration": "live_migrate",
    "live-migration-abort": "live_migrate_abort",
    "live-migration-force-complete": "live_migrate_force_complete",
    "resize": "resize",
    "cold-migration": "migrate",
    "resize-confirm": "confirm_resize",
    "resize-revert": "revert_resize",
    "rebuild": "rebuild",
    "evacuate": "evacuate",
    "shelve": "shelve",
    "unshelve": "unshelve",
    "delete": "delete",
    "soft-delete": "soft_delete",
    "restore": "restore",
}


def begin(action: str, **rules: str) -> World:
    """Return a world in which an action was just accepted."""
    if action in VARIANTS:
        before, name, fields = VARIANTS[action]
        world = before(**rules)
        must(world.request(name, **fields))
        return world
    if action in _IMAGES:
        before, name, arguments = _IMAGES[action]
        world = before(**rules)
        must(world.request(name, arguments=arguments))
        return world
    if action == "create":
        world = World()
        world.rules = replace(world.rules, settings={**world.rules.settings, **rules})
        must(world.request("create", flavor=SMALL, arguments=wishes()))
        return world
    if action in ("confirm_resize", "revert_resize"):
        world = resized(**rules)
    elif action in _FROM:
        world = _FROM[action]()
    else:
        world = built(**rules)
    fields = _FIELDS.get(action) or {"arguments": SIDE_ACTIONS.get(action, {})}
    must(world.request(action, **fields))
    return world


#: Actions on what a guest holds, and what they ask of the guest that was built here.
SIDE_ACTIONS: dict[str, dict[str, str]] = {
    "attach_volume": {"volume_id": OTHER_VOLUME},
    "detach_volume": {"volume_id": VOLUME},
    "swap_volume": {"old_volume_id": VOLUME, "new_volume_id": OTHER_VOLUME},
    "attach_interface": {"net_id": NETWORK},
    "detach_interface": {"port_id": PORT},
    "add_fixed_ip": {"network_id": NETWORK},
    "remove_fixed_ip": {"address": "10.0.0.5"},
    "inject_network_info": {},
}
#: Every action that starts a saga.
ACTIONS = (
    *SIDE_ACTIONS,
    "create",
    "delete",
    "reset_state",
    "stop",
    "start",
    "reboot_soft",
    "reboot_hard",
    "pause",
    "unpause",
    "suspend",
    "resume",
    "rescue",
    "unrescue",
    "soft_delete",
    "restore",
    "trigger_crash_dump",
    "get_diagnostics",
    "set_admin_password",
    "external_event_power_update_on",
    "external_event_power_update_off",
    "resize",
    "migrate",
    "confirm_resize",
    "revert_resize",
    "live_migrate",
    "evacuate",
    "live_migrate_abort",
    "live_migrate_force_complete",
    *_IMAGES,
    *VARIANTS,
)


def replies(world: World, letter: Letter[object]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield everything that may become of a command: (name, what makes it so)."""
    name, host = type(letter.command).__name__, letter.address.host
    yield "done", lambda: world.succeed(letter)
    yield "timed out", lambda: world.time_out_of(letter)
    if may_go_back(world, letter):
        yield "compensated", lambda: world.api(_go_back(letter))
    if host == SCHEDULER:
        yield "no host", world.no_valid_host
        return
    yield "lost", lambda: world.lose_of(letter)
    for fact in failures_of(name):
        yield fact.__name__, partial(world.fail, letter, fact)


def _go_back(letter: Letter[object]) -> SagaCompensated:
    saga_id = letter.address.saga_id
    return SagaCompensated(saga_id=saga_id, user_id="operator", reason="have it undone")


def may_go_back(world: World, letter: Letter[object]) -> bool:
    """Say whether an operator may have undone what a command is part of."""
    saga = next(s for s in sagas_of(world.here) if s.saga_id == letter.address.saga_id)
    return refusal(world.here, saga, _go_back(letter), world.rules) is None


def wander(world: World, dice: random.Random, *, most: int = 60) -> None:
    """Let anything at all become of what is outstanding, by the dice."""
    for _ in range(most):
        letters = world.letters
        if not letters:
            return
        letter = dice.choice(letters)
        done, *failures = replies(world, letter)
        _, happen = done if dice.random() < 0.5 else dice.choice(failures)
        happen()


def over(before: World, action: str) -> World:
    """Return a world in which a winner has just taken over what went on or waited."""
    must(before.request(action))
    return before


#: Beginnings from which steps are reached that no action reaches by itself.
_OVER: dict[str, Callable[[], World]] = {
    "soft_delete/pause": lambda: over(begin("pause"), "soft_delete"),
    "soft_delete/resized": lambda: over(resized(), "soft_delete"),
}


@cache
def situations() -> dict[tuple[str, str], World]:
    """Return, for every step of every saga, a world in which a saga stands there."""
    wanted = {(table.name, step) for table in SAGAS.values() for step in table.steps}
    doubted = built()
    must(doubted.doubt("h1", boot_epoch=2))
    found = {("start_up", "look"): doubted}
    for seed in range(400):
        for action in (*ACTIONS, *_OVER):
            is_over = action in _OVER
            world = _OVER[action]() if is_over else begin(action, migrate_max_retries="1")
            dice = random.Random(f"{action}/{seed}")
            for _ in range(30):
                for saga in sagas_of(world.here):
                    if (saga.saga, saga.step) not in found:
                        found[saga.saga, saga.step] = world.fork()
                if not world.letters:
                    break
                wander(world, dice, most=1)
            if found.keys() == wanted:
                return found
    raise AssertionError(f"Expected to reach every step, but not {wanted - found.keys()}")
