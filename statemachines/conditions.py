"""The questions that a saga or an arrow may ask of the state: a closed list of pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from statemachines.attachments import undisturbed
from statemachines.claims import owner_has_room
from statemachines.held import Held, SagaState
from statemachines.rules import Rules
from statemachines.saga import Again, Choice, End, NeedsOperator, Next, To
from statemachines.states import MigrationStatus, PowerState, VmState

Condition = Callable[[Held, SagaState, Rules], bool]


def _attempts_left(_held: Held, saga: SagaState, rules: Rules) -> bool:
    # `tried` counts hosts given up before this one. A host asked for by name is tried once.
    return saga.forced_host is None and saga.tried + 1 < rules.number_of("max_attempts")


def _retries_left(_held: Held, saga: SagaState, rules: Rules) -> bool:
    retries = rules.number_of("migrate_max_retries")
    return saga.forced_host is None and (retries < 0 or saga.tried < retries)


def _destination_prepared(_held: Held, saga: SagaState, _rules: Rules) -> bool:
    return any(a.step == "prepare" and a.host == saga.destination for a in saga.asked)


def _nothing_anywhere(held: Held, saga: SagaState, _rules: Rules) -> bool:
    return not involved(held, saga)


def _guest_is_off(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    return held.power_state == PowerState.SHUTDOWN


def _was_stopped(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    return held.move is not None and held.move.old_vm_state == VmState.STOPPED


def _same_host(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    return held.move is not None and held.move.source == held.move.destination


def _guest_moved(held: Held, saga: SagaState, _rules: Rules) -> bool:
    return held.host is not None and held.host == saga.destination


def _in_post_copy(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    return held.move is not None and held.move.status == MigrationStatus.RUNNING_POST_COPY


def _timeout_forces(_held: Held, _saga: SagaState, rules: Rules) -> bool:
    return rules.word_of("live_migration_timeout_action") == "force_complete"


def _guest_is_alive(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    return held.power_state in (PowerState.RUNNING, PowerState.PAUSED)


def _nothing_elsewhere(held: Held, saga: SagaState, _rules: Rules) -> bool:
    return not elsewhere(held, saga)


def _may_run_elsewhere(held: Held, saga: SagaState, _rules: Rules) -> bool:
    return bool(unfenced(held, saga.fenced))


def _evacuates_stopped(held: Held, saga: SagaState, _rules: Rules) -> bool:
    return not stays_on(held, saga)


def _is_offloaded(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    return held.host is None or held.vm_state == VmState.SHELVED_OFFLOADED


def is_volume_backed(held: Held) -> bool:
    """As nova finds it: by what it boots from, and where that is not told, by the lack of one."""
    return not held.image or any(v.volume.boot_index == 0 for v in held.volumes)


def can_be_made_again(held: Held) -> bool:
    """Say whether a guest of which no host has anything can be made: of its image or volumes."""
    return held.shelved_image is not None or is_volume_backed(held)


def _waits_for_confirm(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    finished = held.move is not None and held.move.status == MigrationStatus.FINISHED
    return held.vm_state == VmState.RESIZED and finished


def _confirmed(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    return held.move is not None and held.move.status == MigrationStatus.CONFIRMED


def _confirmed_off(held: Held, saga: SagaState, rules: Rules) -> bool:
    return _confirmed(held, saga, rules) and _guest_is_off(held, saga, rules)


def _took_over(_held: Held, saga: SagaState, _rules: Rules) -> bool:
    """What a predecessor asked stands under names that are no step of this saga."""
    return any("." in asked.step for asked in saga.asked)


def _was_seen(held: Held, saga: SagaState, _rules: Rules) -> bool:
    """Has the host that started said already what it found? Agents say it first of all."""
    raised, seen = held.doubted, held.seen_in
    if raised is None or seen is None or saga.arguments.get("started") != "true":
        return False
    when = (seen.host, seen.enrolment, seen.boot_epoch)
    return when == (raised.host, raised.enrolment, raised.boot_epoch)


def _guest_should_run(held: Held, _saga: SagaState, rules: Rules) -> bool:
    is_on = held.power_state in (PowerState.RUNNING, PowerState.PAUSED)
    return rules.allows("resume_guests_state_on_host_boot") and not is_on


_OFF: Final = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED})
_RECORDED: Final[Mapping[str, frozenset[PowerState]]] = MappingProxyType(
    {
        VmState.ACTIVE: frozenset({PowerState.RUNNING}),
        VmState.RESCUED: frozenset({PowerState.RUNNING}),
        VmState.PAUSED: frozenset({PowerState.PAUSED}),
        VmState.STOPPED: _OFF,
        VmState.SUSPENDED: _OFF,
        VmState.SHELVED: _OFF,
        VmState.SHELVED_OFFLOADED: frozenset({PowerState.NOSTATE}),
    }
)


def _guest_is_as_recorded(held: Held, _saga: SagaState, _rules: Rules) -> bool:
    return held.power_state in _RECORDED.get(held.vm_state, frozenset())


CONDITIONS: Final[Mapping[str, Condition]] = MappingProxyType(
    {
        "may_build_elsewhere": _attempts_left,
        "may_resize_elsewhere": _attempts_left,
        "may_migrate_elsewhere": _retries_left,
        "abort_requested": lambda _held, saga, _rules: saga.abort_requested,
        "destination_prepared": _destination_prepared,
        "nothing_anywhere": _nothing_anywhere,
        "guest_is_off": _guest_is_off,
        "was_stopped": _was_stopped,
        "waits_for_confirm": _waits_for_confirm,
        "confirmed": _confirmed,
        "confirmed_off": _confirmed_off,
        "took_over": _took_over,
        "nothing_else_runs": lambda held, _saga, _rules: held.saga is None,
        "same_host": _same_host,
        "guest_moved": _guest_moved,
        "on_a_host": lambda held, _saga, _rules: held.host is not None,
        "owner_has_room": lambda held, _saga, _rules: owner_has_room(held),
        "owner_gave_it_up": lambda held, _saga, _rules: (
            held.host is not None and not owner_has_room(held)
        ),
        "undisturbed": lambda held, saga, _rules: undisturbed(held, saga.target),
        "failed_before": lambda _held, saga, _rules: saga.outcome is not None,
        "in_post_copy": _in_post_copy,
        "timeout_forces_completion": _timeout_forces,
        "guest_is_alive": _guest_is_alive,
        "nothing_elsewhere": _nothing_elsewhere,
        "may_run_elsewhere": _may_run_elsewhere,
        "evacuates_stopped": _evacuates_stopped,
        "saga_runs": lambda held, _saga, _rules: held.saga is not None,
        "was_seen": _was_seen,
        "guest_should_run": _guest_should_run,
        "guest_runs": lambda held, _saga, _rules: held.power_state == PowerState.RUNNING,
        "guest_is_paused": lambda held, _saga, _rules: held.power_state == PowerState.PAUSED,
        "guest_is_as_recorded": _guest_is_as_recorded,
        "host_was_named": lambda _held, saga, _rules: saga.forced_host is not None,
        "is_offloaded": _is_offloaded,
        "image_changed": lambda held, saga, _rules: held.image != saga.was_image,
        "began_stopped": lambda _held, saga, _rules: saga.was_vm_state == VmState.STOPPED,
        "can_be_made_again": lambda held, _saga, _rules: can_be_made_again(held),
        "is_volume_backed": lambda held, _saga, _rules: is_volume_backed(held),
        "offloads_at_once": lambda _held, _saga, rules: not rules.number_of("shelved_offload_time"),
        "of_create": lambda _held, saga, _rules: saga.saga == "create",
        "reset_to_active": lambda _held, saga, _rules: saga.arguments.get("state") == "active",
    }
)


def chosen(
    next_: Next, held: Held, saga: SagaState, rules: Rules
) -> To | End | Again | NeedsOperator:
    """Return the way that is taken in this state, every condition on it asked."""
    while isinstance(next_, Choice):
        holds = CONDITIONS[next_.condition](held, saga, rules)
        next_ = next_.then if holds else next_.otherwise
    return next_


def involved(held: Held, saga: SagaState) -> tuple[str, ...]:
    """Name every host that may have something of the instance, sorted.

    The owner, whoever holds a claim, both ends of a resize that waits, and every host that the saga
    or the one that it superseded sent a command; not those that owe a clean-up already.
    """
    owing = {side.target for side in held.sides if side.saga == "debt"}
    return tuple(sorted((may_have(held) | set(saga.commanded)) - owing))


def may_have(held: Held) -> frozenset[str]:
    """Name every host that has, or may rightly have, something of the instance by the record."""
    hosts = {claim.host for claim in held.claims}
    if held.host is not None:
        hosts.add(held.host)
    if held.vm_state == VmState.RESIZED and held.move is not None:
        hosts |= {h for h in (held.move.source, held.move.destination) if h is not None}
    return frozenset(hosts)


def elsewhere(held: Held, saga: SagaState) -> tuple[str, ...]:
    """Name every host but the owner that may have something of the instance, sorted."""
    return tuple(host for host in involved(held, saga) if host != held.host)


def unfenced(held: Held, fenced: tuple[str, ...]) -> tuple[str, ...]:
    """Name the hosts that owe the guest's destruction and of which nobody vouched they are off."""
    owing = {side.target for side in held.sides if side.saga == "debt"}
    return tuple(sorted({host for host in owing if host is not None} - set(fenced)))


def stays_on(held: Held, saga: SagaState) -> bool:
    """Say whether an evacuated guest is to run: not if it was off, or if that was asked.

    Nova obeys a target_state, but not for a guest that was in error.
    """
    before = None if held.move is None else held.move.old_vm_state
    asked_off = saga.arguments.get("target_state") == VmState.STOPPED
    return before != VmState.STOPPED and not (asked_off and before != VmState.ERROR)
