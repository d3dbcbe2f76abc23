"""What the operations on images demand of their requests: names, bounds, a moment at which to come.

The rest of what requests have to bring is in `statemachines.demands`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from events.requests import ActionRequested
from statemachines.conditions import unfenced
from statemachines.held import Held
from statemachines.states import VmState

#: A stable word for programs, and what stands after "but" in the sentence for people.
Lack = tuple[str, str]

#: Characters: more is no name any more.
NAME_MAX: Final = 255
#: Backups of one type that may be kept; the services that keep images page far below.
ROTATION_MAX: Final = 1_000

_Demand = Callable[[Held, ActionRequested], Lack | None]


def lack_of_image(held: Held, request: ActionRequested) -> Lack | None:
    """Return what a request about images should have named and did not; None where it is whole."""
    demand = _DEMANDS.get(request.action)
    return None if demand is None else demand(held, request)


def _named(*names: str) -> _Demand:
    """Return the demand for arguments that are no longer than a name."""

    def demand(_held: Held, request: ActionRequested) -> Lack | None:
        for name in names:
            length = len(request.arguments.get(name, ""))
            if not 0 < length <= NAME_MAX:
                but = f"its {name} has {length} characters, not 1 to {NAME_MAX}"
                return "bad-request", but
        return None

    return demand


def _backup(held: Held, request: ActionRequested) -> Lack | None:
    rotation = request.arguments.get("rotation", "")
    is_number = rotation.isascii() and rotation.isdecimal() and len(rotation) < 10
    if not is_number or int(rotation) > ROTATION_MAX:
        return "bad-request", f"its rotation is {rotation[:20]!r}, not 0 to {ROTATION_MAX}"
    return _named("name", "backup_type")(held, request)


def _volume_snapshot_delete(held: Held, request: ActionRequested) -> Lack | None:
    """With a merge target the host has to rewrite the disk of a guest that runs."""
    if request.arguments.get("merge_target") and held.vm_state != VmState.ACTIVE:
        return "vm-state", f"with a merge target it can't be while in vm_state {held.vm_state}"
    return _named("volume_id", "snapshot_id")(held, request)


def _unshelve(held: Held, request: ActionRequested) -> Lack | None:
    """A host that is away may run the guest of an earlier try, unless somebody vouched for it."""
    owing = unfenced(held, request.fenced_hosts)
    if held.vm_state != VmState.SHELVED_OFFLOADED or not owing:
        return None
    return "host-owes", f"{', '.join(owing)} did not say yet that nothing is left of it there"


def _rebuild(held: Held, request: ActionRequested) -> Lack | None:
    """What is booted from a volume has no image, and nova keeps it so."""
    image = request.arguments.get("image", "")
    if len(image) > NAME_MAX:
        return "bad-request", f"its image has {len(image)} characters, not 1 to {NAME_MAX}"
    if image and not held.image:
        return "bad-request", "the instance was booted from a volume, which no image replaces"
    return None


_DEMANDS: Final[Mapping[str, _Demand]] = MappingProxyType(
    {
        "snapshot": _named("name"),
        "snapshot_volume_backed": _named("name"),
        "backup": _backup,
        "volume_snapshot_create": _named("volume_id", "snapshot_id"),
        "volume_snapshot_delete": _volume_snapshot_delete,
        "unshelve": _unshelve,
        "rebuild": _rebuild,
    }
)
