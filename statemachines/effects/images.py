"""What shelving, offloading and unshelving change: the image that is kept, host, room."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from events import images
from events.ids import SagaId, image_id
from events.values import replace
from statemachines.attachments import let_go
from statemachines.claims import release
from statemachines.effects.effect import Effect
from statemachines.held import SagaState
from statemachines.interpreter import drop_shelved_image, owe
from statemachines.run import Run
from statemachines.saga import Owe


def _guest_shelved(run: Run, saga: SagaState | None) -> None:
    """Keep the image that the saga asked for; one of an earlier life of the guest is of no use."""
    assert saga is not None
    drop_shelved_image(run, run.envelope.host)
    run.held = replace(
        run.held,
        shelved_image=image_id(SagaId(saga.saga_id)),
        shelved_host=run.envelope.host,
        shelved_at=run.now,
    )


def _guest_offloaded(run: Run, saga: SagaState | None) -> None:
    """Nothing of it is on its host, whatever that said on the way; the ending clears the host.

    Where nobody waits for it any more, no ending will.
    """
    host = run.envelope.host
    assert host is not None
    release(run, host)
    shelved_at = run.held.shelved_at or run.now
    run.held = replace(let_go(run.held, host), shelved_host=host, shelved_at=shelved_at)
    if saga is not None:
        return
    run.held = replace(run.held, host=None, node=None)
    for other in sorted({claim.host for claim in run.held.claims}):
        owe(run, Owe.DESTROY, other, "undone")


def _shelved_guest_started(run: Run, _saga: SagaState | None) -> None:
    drop_shelved_image(run, run.envelope.host)


def _unshelve_accepted(run: Run, _saga: SagaState | None) -> None:
    """The one place where an unshelve changes the owner."""
    fact = cast("images.UnshelveAccepted", run.envelope.fact)
    run.held = replace(run.held, host=run.envelope.host, node=fact.node)


def _guest_unshelved(run: Run, _saga: SagaState | None) -> None:
    """The guest is here, also where its host was restarted and said only this."""
    held, host = run.held, run.envelope.host
    fact = cast("images.GuestUnshelved", run.envelope.fact)
    if held.host != host:
        held = replace(held, host=host, node=host)
    run.held = replace(held, power_state=fact.power_state, launched_at=run.now)
    drop_shelved_image(run, host)


def _guest_rebuilt(run: Run, _saga: SagaState | None) -> None:
    run.held = replace(run.held, launched_at=run.now)


def _unshelve_undone(run: Run, saga: SagaState | None) -> None:
    host = run.envelope.host
    assert saga is not None
    assert host is not None
    release(run, host, saga.saga_id)
    run.held = replace(let_go(run.held, host), host=None, node=None)


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType(
    {
        "GuestShelved": _guest_shelved,
        "GuestOffloaded": _guest_offloaded,
        "ShelvedGuestStarted": _shelved_guest_started,
        "UnshelveAccepted": _unshelve_accepted,
        "GuestUnshelved": _guest_unshelved,
        "GuestRebuilt": _guest_rebuilt,
        "GuestUnshelveFailed": _unshelve_undone,
        "ShelvedImageMissing": _unshelve_undone,
    }
)
