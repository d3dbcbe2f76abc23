"""What an evacuation changes: the owner, and the tombstone that stays for the old host."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.values import replace
from statemachines.attachments import activated
from statemachines.effects.effect import Effect
from statemachines.held import SagaState
from statemachines.run import Run


def _guest_evacuated(run: Run, _saga: SagaState | None) -> None:
    """The one place where an evacuation changes the owner."""
    host, move = run.envelope.host, run.held.move
    assert host is not None
    node = move.dest_node if move is not None and move.destination == host else None
    held = replace(run.held, host=host, node=node or host, launched_at=run.now)
    run.held = activated(held, host)


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType({"GuestEvacuated": _guest_evacuated})
