"""What a host owes when it is there again: to leave nothing of a guest or image, or only to hear.

Says which debt follows from which loss and with what evidence; the interpreter makes a side saga of
it. The owner of a guest never owes its destruction, but where the guest is being deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.values import replace
from statemachines.held import Held, SagaState
from statemachines.notes import SagaNote
from statemachines.run import Run
from statemachines.saga import Owe, Saga
from statemachines.sagas.sides import DEBT, DELETE_IMAGE, FENCE
from statemachines.sides import beside
from statemachines.states import HALF_BUILT

TABLE_OF: Final[Mapping[Owe, Saga]] = MappingProxyType(
    {Owe.DESTROY: DEBT, Owe.FENCE: FENCE, Owe.IMAGE: DELETE_IMAGE}
)

#: Of a fence: when it is paid, whoever else has something of the guest cleans up.
_CLEARS: Final = "clears"


def clear_later(held: Held) -> Held:
    """Return the state in which the others clean up as soon as an owner that is away is back."""
    sides = tuple(
        replace(s, arguments={**s.arguments, _CLEARS: "elsewhere"})
        if s.saga == FENCE.name and s.target == held.host
        else s
        for s in held.sides
    )
    return replace(held, sides=sides)


def is_owner_back(run: Run) -> bool:
    """Say whether the owner, for which others waited with their clean-up, has just come back."""
    return any(
        isinstance(note, SagaNote)
        and note.ending == "paid"
        and _CLEARS in note.state.arguments
        and note.state.target == run.held.host
        for note in run.notes
    )


def owed_by(run: Run, table: Saga, what: Owe, host: str) -> Owe:
    """Say what a host owes indeed: the owner of a guest that lives on only hears a generation."""
    held = run.held
    owns = held.host == host and held.vm_state not in HALF_BUILT
    return Owe.FENCE if what is Owe.DESTROY and owns and table.evidence is None else what


def evidence_against(run: Run, table: Saga, host: str) -> str:
    """Return why what a host has of the guest may be destroyed."""
    held, move = run.held, run.held.move
    if table.evidence is not None:
        return table.evidence
    moved = move is not None and move.source == host and move.destination == held.host
    return "moved" if moved and host != held.host else "undone"


def debt_of(run: Run, what: Owe, host: str, evidence: str, image_id: str) -> SagaState:
    """Return the side saga, not yet begun, by which a host pays."""
    if what is Owe.IMAGE:
        return beside(run, TABLE_OF[what], host, {"image_id": image_id}, about=image_id)
    return beside(run, TABLE_OF[what], host, {"evidence": evidence})


def debts(run: Run, what: Owe, host: str, image_id: str) -> SagaState | None:
    """Return the debt of this kind that a host has already; None where it has none."""
    name = TABLE_OF[what].name
    return next(
        (
            s
            for s in run.held.sides
            if s.saga == name
            and s.target == host
            and (what is not Owe.IMAGE or s.arguments["image_id"] == image_id)
        ),
        None,
    )
